"""Secrets of HashiCorp Vault: a name to a key of an entry, each entry read once."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipelines.errors import SecretStoreError
from pipelines.secret_store.vault.login import read_login

if TYPE_CHECKING:
    from pydantic import SecretStr

    from pipelines.secret_store.redaction import Redactor
    from pipelines.spec.secret_settings import VaultSettings


class VaultProvider:
    """Vault's key-value engine; safe for threads.

    Args:
        settings: where it is, and the entry whose keys are the secrets' names.
        project_dir: files are relative to it.
        environ: the environment variables.
        redactor: is told each token and secret id.
    """

    service = "Vault"

    def __init__(
        self,
        settings: VaultSettings,
        project_dir: Path,
        environ: Mapping[str, str],
        redactor: Redactor,
    ) -> None:
        self._settings, self._project_dir = settings, project_dir
        self._environ, self._redactor = environ, redactor
        self._lock = threading.Lock()
        self._entries: dict[str, Mapping[str, SecretStr] | None] = {}
        self._made: Any = None

    @property
    def place(self) -> str:
        """Vault's address, and the entry."""
        at, path = self._settings, self._settings.path
        return f"Vault at {at.address}" + (f" ({at.mount}/{path})" if path else "")

    @property
    def advice(self) -> str:
        """To use TLS, where Vault is on another machine and does not."""
        parts = urlsplit(self._settings.address)
        is_here = parts.hostname in ("localhost", "::1") or (parts.hostname or "")[:4] == "127."
        if parts.scheme == "https" or is_here:
            return ""
        return "tokens and secrets go to it unencrypted: give an address with https"

    def get(self, name: str) -> SecretStr | None:
        """The key ``name`` of the entry; of another entry where it is ``its/path#KEY``.

        Raises:
            SecretStoreError: Vault does not tell whether it has the secret.
        """
        path, key = self._place_of(name)
        if path is None:
            return None
        with self._lock:
            if path not in self._entries:
                self._entries[path] = self._client().entry(path)
            entry = self._entries[path]
        return None if entry is None else entry.get(key)

    def state(self) -> str:
        """What Vault says of itself, and how it was logged in to.

        Raises:
            SecretStoreError: it does not answer, or refuses the log-in.
        """
        with self._lock:
            client = self._client()
            told = f"{self._settings.address} {client.health()}; {client.log_in()}"
        return told

    def _place_of(self, name: str) -> tuple[str | None, str]:
        if "#" not in name:
            return self._settings.path, name
        path, _, key = name.partition("#")
        path = path.strip("/")
        if not key or {"", ".", ".."} & {*path.split("/")}:
            raise SecretStoreError(
                f"secret {name!r} names no key of an entry of Vault",
                hint="write the entry's path and the key: secret('some/path#KEY')",
            )
        return path, key

    def _client(self) -> Any:
        if self._made is None:
            try:
                from pipelines.secret_store.vault.client import VaultClient
            except ImportError as error:
                raise SecretStoreError(
                    f"provider 'vault' needs the package hvac, which cannot be loaded: {error}",
                    hint="pip install hvac (the extra 'vault' of this project)",
                ) from error
            at, ca_file = self._settings, self._settings.ca_file
            self._made = VaultClient(
                at,
                lambda: read_login(at.auth, self._project_dir, self._environ, self._redactor.add),
                self._redactor.add,
                self._redactor.redact,
                str(self._project_dir / Path(ca_file).expanduser()) if ca_file else None,
            )
        return self._made
