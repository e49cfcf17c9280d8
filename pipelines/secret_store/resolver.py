"""A secret's name to its value, by the first provider that has it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.errors import SecretNotFoundError
from pipelines.secret_store.providers import (
    DotenvProvider,
    EnvironmentProvider,
    FilesProvider,
    SecretProvider,
    SecretService,
)
from pipelines.secret_store.redaction import Redactor
from pipelines.secret_store.user_keyring import KeyringProvider
from pipelines.secret_store.vault import VaultProvider

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from pipelines.spec.secret_settings import SecretSettings


class SecretResolver:
    """Looks secrets up where an environment says that they are.

    Args:
        settings: which providers, in which order.
        project_dir: their files are relative to it.
        environ: the environment variables.
        redactor: is told what a service is logged in to with, before it is used.
    """

    def __init__(
        self,
        settings: SecretSettings,
        project_dir: Path,
        environ: Mapping[str, str] = os.environ,
        redactor: Redactor | None = None,
    ) -> None:
        made: dict[str, SecretProvider] = {
            "env": EnvironmentProvider(environ),
            "dotenv": DotenvProvider(project_dir / settings.dotenv),
            "files": FilesProvider(project_dir / settings.directory),
            "keyring": KeyringProvider(settings.keyring.service),
        }
        if settings.vault is not None:
            made["vault"] = VaultProvider(
                settings.vault, project_dir, environ, redactor or Redactor()
            )
        self._providers = [made[name] for name in settings.providers]

    @property
    def services(self) -> tuple[SecretService, ...]:
        """The providers that can be out of reach, in the order in which they are asked."""
        return tuple(one for one in self._providers if isinstance(one, SecretService))

    def get(self, name: str) -> SecretStr:
        """The secret called ``name``.

        Raises:
            SecretNotFoundError: names the secret and where it was looked for.
            SecretStoreError: a provider does not tell whether it has it; later ones are not asked.
        """
        for provider in self._providers:
            value = provider.get(name)
            if value is not None:
                return value
        places = ", ".join(provider.place for provider in self._providers)
        quickest = "" if "#" in name else f"; {name}=… in .env is the quickest"
        raise SecretNotFoundError(
            f"secret {name!r} was not found in {places}",
            hint=f"put it into one of them{quickest}",
        )

    def has(self, name: str) -> bool:
        """Whether some provider has the secret.

        Raises:
            SecretStoreError: a provider does not tell.
        """
        return any(provider.get(name) is not None for provider in self._providers)
