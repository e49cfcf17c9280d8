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
)

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from pipelines.spec.config import SecretSettings


class SecretResolver:
    """Looks secrets up where an environment says that they are.

    Args:
        settings: which providers, in which order.
        project_dir: their files are relative to it.
        environ: the environment variables.
    """

    def __init__(
        self,
        settings: SecretSettings,
        project_dir: Path,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        made: dict[str, SecretProvider] = {
            "env": EnvironmentProvider(environ),
            "dotenv": DotenvProvider(project_dir / settings.dotenv),
            "files": FilesProvider(project_dir / settings.directory),
        }
        self._providers = [made[name] for name in settings.providers]

    def get(self, name: str) -> SecretStr:
        """The secret called ``name``.

        Raises:
            SecretNotFoundError: names the secret and where it was looked for.
        """
        for provider in self._providers:
            value = provider.get(name)
            if value is not None:
                return value
        places = ", ".join(provider.place for provider in self._providers)
        raise SecretNotFoundError(
            f"secret {name!r} was not found in {places}",
            hint=f"put it into one of them; {name}=… in .env is the quickest",
        )

    def has(self, name: str) -> bool:
        """Whether some provider has the secret."""
        return any(provider.get(name) is not None for provider in self._providers)
