"""Where secrets come from: one class a place."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Protocol, runtime_checkable

from pydantic import SecretStr


class SecretProvider(Protocol):
    """A place that may have a secret."""

    @property
    def place(self) -> str:
        """What the place is called in messages."""

    def get(self, name: str) -> SecretStr | None:
        """The secret; None where this place has none of the name."""


@runtime_checkable
class SecretService(SecretProvider, Protocol):
    """A place that is asked, and may be out of reach."""

    @property
    def service(self) -> str:
        """What the service is called."""

    @property
    def advice(self) -> str:
        """What should be set otherwise, though it works; empty if nothing."""

    def state(self) -> str:
        """What it says of itself. Raises SecretStoreError where it is of no use."""


class EnvironmentProvider:
    """Environment variables."""

    place = "environment variables"

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def get(self, name: str) -> SecretStr | None:
        """The variable called ``name``."""
        value = self._environ.get(name)
        return None if value is None else SecretStr(value)


class DotenvProvider:
    """A file of NAME=value lines; read once."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def place(self) -> str:
        """The file."""
        return str(self._file)

    def get(self, name: str) -> SecretStr | None:
        """The line called ``name``."""
        value = self._values.get(name)
        return None if value is None else SecretStr(value)

    @cached_property
    def _values(self) -> Mapping[str, str | None]:
        from dotenv import dotenv_values

        return dotenv_values(self._file) if self._file.is_file() else {}


class FilesProvider:
    """A folder with one file a secret, as Docker and Kubernetes mount them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def place(self) -> str:
        """The folder."""
        return str(self._folder)

    def get(self, name: str) -> SecretStr | None:
        """What the file called ``name`` holds, less one line's end."""
        if name in ("", ".", "..") or Path(name).name != name:
            return None
        try:
            text = (self._folder / name).read_text(encoding="utf-8")
        except OSError:
            return None
        return SecretStr(text.removesuffix("\n").removesuffix("\r"))
