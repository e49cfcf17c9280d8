"""Secrets of the user's keyring, such as the desktop's or the system's."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from pipelines.errors import SecretStoreDownError, SecretStoreError


class KeyringProvider:
    """The keyring that the library `keyring` finds on this machine.

    Args:
        service: under which the secrets are kept, each by its name.
    """

    service, advice = "keyring", ""

    def __init__(self, service: str) -> None:
        self._kept_under = service

    @property
    def place(self) -> str:
        """The keyring's service."""
        return f"the keyring (service {self._kept_under!r})"

    def get(self, name: str) -> SecretStr | None:
        """The password called ``name`` of the service.

        Raises:
            SecretStoreError: there is no keyring here, or it does not open.
        """
        backend = self._backend()
        try:
            value = backend.get_password(self._kept_under, name)
        except Exception as error:  # backends raise what they like
            problem = _unopened(error)
        else:
            return None if value is None else SecretStr(value)
        raise problem

    def state(self) -> str:
        """What kind of keyring it is.

        Raises:
            SecretStoreError: there is none here.
        """
        return f"{self._backend().name}, service {self._kept_under!r}"

    def _backend(self) -> Any:
        try:
            import keyring
            from keyring.backends import fail
        except ImportError as error:
            raise SecretStoreError(
                f"provider 'keyring' needs the package keyring, which cannot be loaded: {error}",
                hint="pip install keyring (the extra 'keyring' of this project)",
            ) from error
        try:
            backend = keyring.get_keyring()
        except Exception as error:  # whatever the backend named in variables or files raises
            problem = _unopened(error)
        else:
            if not isinstance(backend, fail.Keyring):
                return backend
            problem = SecretStoreError(
                "no keyring was found on this machine",
                hint="install one (such as gnome-keyring), or leave 'keyring' out of "
                "secrets.providers",
            )
        raise problem


def _unopened(error: Exception) -> SecretStoreError:
    """Only the kind of a backend's error is told: its words may hold anything."""
    kind = type(error).__name__
    if kind == "KeyringLocked":
        return SecretStoreDownError("the keyring is locked", hint="unlock it, then try again")
    return SecretStoreError(
        f"the keyring cannot be asked: {kind}",
        hint="`keyring --list-backends` shows which there are",
    )
