"""Where an environment's secrets come from, and how Vault and the keyring are asked."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from pipelines.spec.templated import NAME_PATTERN, Spec, is_template

# Findings do not show what stands there, as it may be a secret in the wrong place.
_HIDDEN: dict[str, Any] = {"writeOnly": True}


def _wrong(message: str) -> PydanticCustomError:
    return PydanticCustomError("bad-value", "{text}", {"text": message})


def _plain(value: str) -> str:
    if is_template(value):
        raise _wrong("plain text is needed here: templates are not filled in")
    if not value.strip("/ "):
        raise _wrong("must not be empty")
    return value


def _path(value: str) -> str:
    if {".", "..", ""} & {*_plain(value).strip("/").split("/")}:
        raise _wrong("a path has names between its slashes, and neither '.' nor '..'")
    return value.strip("/")


def _address(value: str) -> str:
    try:
        parts = urlsplit(_plain(value))
        is_whole = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_whole = False
    if not is_whole or re.search(r"[\s@?#]", value):
        raise _wrong("expected an address such as https://vault.example.org:8200, and no user")
    return value.rstrip("/")


PlainText = Annotated[str, AfterValidator(_plain)]
PlainPath = Annotated[str, AfterValidator(_path)]
VariableName = Annotated[str, Field(pattern=NAME_PATTERN, json_schema_extra=_HIDDEN)]


class VaultToken(Spec):
    """Log in with a token that somebody else got."""

    env: VariableName = "VAULT_TOKEN"
    """Environment variable with the token; it goes first."""
    file: PlainText | None = "~/.vault-token"
    """File with the token, as `vault login` writes it; null reads none."""


class VaultAppRole(Spec):
    """Log in as an application."""

    role_id: PlainText
    """The role's id, which is no secret."""
    secret_id_env: VariableName = "VAULT_SECRET_ID"
    """Environment variable with the secret id; it goes first."""
    secret_id_file: PlainText | None = None
    """File with the secret id."""
    mount: PlainPath = "approle"
    """Where Vault has this way to log in."""


class VaultKubernetes(Spec):
    """Log in with the account of the pod."""

    role: PlainText
    """Vault's role for the pod's account."""
    jwt_file: PlainText = "/var/run/secrets/kubernetes.io/serviceaccount/token"
    """File with the account's token."""
    mount: PlainPath = "kubernetes"
    """Where Vault has this way to log in."""


class VaultAuth(Spec):
    """How to log in to Vault: one of these; none means `token`."""

    token: Annotated[VaultToken | None, Field(json_schema_extra=_HIDDEN)] = None
    """With a token from a variable or a file."""
    approle: VaultAppRole | None = None
    """As an application: a role's id, and a secret id from a variable or a file."""
    kubernetes: VaultKubernetes | None = None
    """With the account of the pod."""

    @model_validator(mode="after")
    def _is_one(self) -> VaultAuth:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise _wrong(f"Vault is logged in to in one way; found {' and '.join(given)}")
        return self

    @property
    def method(self) -> VaultToken | VaultAppRole | VaultKubernetes:
        """The one that is given."""
        return self.approle or self.kubernetes or self.token or VaultToken()


class VaultSettings(Spec):
    """HashiCorp Vault: its key-value engine."""

    address: Annotated[str, AfterValidator(_address)]
    """Such as `https://vault.example.org:8200`."""
    namespace: PlainText | None = None
    """Namespace of Vault Enterprise."""
    mount: PlainPath = "secret"
    """Where the key-value engine is."""
    path: PlainPath | None = None
    """Entry whose keys are the secrets' names; a name such as `some/path#KEY` says its own."""
    kv_version: Literal[1, 2] = 2
    """Version of the key-value engine."""
    auth: VaultAuth = Field(default_factory=VaultAuth, json_schema_extra=_HIDDEN)
    """How to log in."""
    ca_file: PlainText | None = None
    """Certificates, PEM, to check Vault's against, where its authority is your own."""
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 5
    """How long Vault may take to connect, and then to answer."""


class KeyringSettings(Spec):
    """The keyring of this machine's user."""

    service: PlainText = "pipelines"
    """Service under which the secrets are kept, each by its name."""


class SecretSettings(Spec):
    """Where `{{ secret('NAME') }}` looks, in this order."""

    providers: Annotated[
        tuple[Literal["env", "dotenv", "files", "vault", "keyring"], ...], Field(min_length=1)
    ] = ("env", "dotenv", "files")
    """Variables, the `.env` file, a folder of files, Vault, the keyring: which, in which order."""
    dotenv: str = ".env"
    """A file of NAME=value lines."""
    directory: str = "/run/secrets"
    """Folder with one file a secret, as Docker and Kubernetes mount them."""
    vault: VaultSettings | None = None
    """HashiCorp Vault, for provider `vault`."""
    keyring: KeyringSettings = Field(default_factory=KeyringSettings)
    """The user's keyring, for provider `keyring`."""

    @model_validator(mode="after")
    def _knows_its_vault(self) -> SecretSettings:
        if "vault" in self.providers and self.vault is None:
            raise _wrong("provider 'vault' needs 'vault: {address: …}' beside it")
        return self
