"""What a log-in to Vault needs, read from variables and files when it is due."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipelines.errors import SecretStoreError
from pipelines.spec.secret_settings import VaultAppRole, VaultAuth, VaultKubernetes


@dataclass(frozen=True)
class Login:
    """One way to log in, its secret among it: never shown.

    Attributes:
        method: ``token``, ``approle`` or ``kubernetes``.
        mount: where Vault has the method; empty for a token.
        role: the role's name or id; empty for a token.
        secret: the token, the secret id, or the pod's token.
        source: where the secret was found, for messages.
    """

    method: str
    mount: str
    role: str
    secret: str
    source: str

    def __repr__(self) -> str:
        return f"Login({self.method!r}, {self.source!r})"


def read_login(
    auth: VaultAuth,
    project_dir: Path,
    environ: Mapping[str, str],
    keep: Callable[[str], None],
) -> Login:
    """What ``auth`` says to log in with.

    Args:
        auth: names the variable and the file.
        project_dir: files are relative to it.
        environ: the environment variables.
        keep: is given each secret as it is read, to take it out of what is shown.

    Raises:
        SecretStoreError: neither variable nor file has it.
    """
    way = auth.method
    if isinstance(way, VaultAppRole):
        secret, source = _read(
            "secret id", way.secret_id_env, way.secret_id_file, project_dir, environ, keep
        )
        return Login("approle", way.mount, way.role_id, secret, source)
    if isinstance(way, VaultKubernetes):
        secret, source = _read("pod's token", None, way.jwt_file, project_dir, environ, keep)
        return Login("kubernetes", way.mount, way.role, secret, source)
    secret, source = _read("token", way.env, way.file, project_dir, environ, keep)
    return Login("token", "", "", secret, source)


def _read(
    what: str,
    variable: str | None,
    file: str | None,
    project_dir: Path,
    environ: Mapping[str, str],
    keep: Callable[[str], None],
) -> tuple[str, str]:
    value = environ.get(variable, "").strip() if variable else ""
    source, tried = f"variable {variable}", [f"variable {variable} is not set"] if variable else []
    if not value and file:
        path = project_dir / Path(file).expanduser()
        source = str(path)
        try:
            value = path.read_text(encoding="utf-8").strip()
            tried.append(f"{path} is empty")
        except (OSError, UnicodeDecodeError) as error:
            told = error.strerror if isinstance(error, OSError) else "it is not text"
            tried.append(f"{path} cannot be read: {told}")
    if not value:
        hint = f"set {variable}" if variable else "look at secrets.vault.auth"
        raise SecretStoreError(f"no {what} to log in to Vault with: {', '.join(tried)}", hint=hint)
    keep(value)
    if not (value.isascii() and value.isprintable()) or " " in value:
        raise SecretStoreError(
            f"the {what} to log in to Vault with has characters that none has, in {source}",
            hint="put it there alone, on one line",
        )
    return value, source
