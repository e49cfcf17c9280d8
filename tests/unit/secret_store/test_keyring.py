from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.backends import fail, null
from keyring.errors import KeyringLocked

from pipelines.errors import SecretStoreDownError, SecretStoreError
from pipelines.secret_store.resolver import SecretResolver
from pipelines.secret_store.user_keyring import KeyringProvider
from pipelines.spec.secret_settings import SecretSettings


class MemoryKeyring(KeyringBackend):  # type: ignore[misc]
    """A keyring that forgets."""

    priority: ClassVar[float] = 1

    def __init__(self) -> None:
        super().__init__()
        self.held: dict[tuple[str, str], str] = {}
        self.broken: Exception | None = None

    def get_password(self, service: str, username: str) -> str | None:
        if self.broken is not None:
            raise self.broken
        return self.held.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.held[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.held[service, username]


@pytest.fixture
def memory() -> Iterator[MemoryKeyring]:
    """The keyring of the process, in memory, with one secret."""
    before, made = keyring.core._keyring_backend, MemoryKeyring()
    keyring.set_keyring(made)
    keyring.set_password("pipelines", "PW", "hunter2")
    keyring.set_password("other", "PW", "of-other")
    yield made
    keyring.core._keyring_backend = before


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(("said", "found"), [({}, "hunter2"), ({"service": "other"}, "of-other")])
def test_secret_when_in_the_keyring_then_is_that_of_the_service(
    tmp_path: Path, said: dict[str, str], found: str
) -> None:
    settings = SecretSettings.model_validate({"providers": ["env", "keyring"], "keyring": said})
    resolver = SecretResolver(settings, tmp_path, {})
    assert resolver.get("PW").get_secret_value() == found
    assert found not in repr(resolver.get("PW"))
    assert not resolver.has("NOPE")


@pytest.mark.usefixtures("memory")
def test_state_when_there_is_a_keyring_then_says_which() -> None:
    provider = KeyringProvider("pipelines")
    assert provider.state().endswith("MemoryKeyring, service 'pipelines'")
    assert provider.place == "the keyring (service 'pipelines')"


@pytest.mark.usefixtures("memory")
def test_keyring_when_there_is_none_then_is_not_a_missing_secret() -> None:
    keyring.set_keyring(fail.Keyring())
    for ask in (KeyringProvider("a").state, lambda: KeyringProvider("a").get("PW")):
        with pytest.raises(SecretStoreError) as caught:
            ask()
        assert caught.value.message == "no keyring was found on this machine"
        assert "secrets.providers" in caught.value.hint
    keyring.set_keyring(null.Keyring())  # one that is there, and empty
    assert KeyringProvider("a").get("PW") is None


def test_keyring_when_the_variable_names_one_that_is_not_there_then_says_so(
    memory: MemoryKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring.core._keyring_backend = None
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "no.such.Keyring")
    with pytest.raises(SecretStoreError, match="cannot be asked: ModuleNotFoundError"):
        KeyringProvider("a").get("PW")


@pytest.mark.parametrize(
    ("broken", "is_down", "told"),
    [
        (KeyringLocked("Failed to unlock with hunter2"), True, "the keyring is locked"),
        (RuntimeError("hunter2"), False, "the keyring cannot be asked: RuntimeError"),
    ],
)
def test_keyring_when_it_does_not_open_then_says_so_in_words_of_ours(
    memory: MemoryKeyring, broken: Exception, is_down: bool, told: str
) -> None:
    memory.broken = broken
    with pytest.raises(SecretStoreError) as caught:
        KeyringProvider("a").get("PW")
    assert caught.value.message == told
    assert isinstance(caught.value, SecretStoreDownError) is is_down
    assert caught.value.__context__ is None


def test_library_when_it_is_not_installed_then_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    with pytest.raises(SecretStoreError) as caught:
        KeyringProvider("a").get("PW")
    assert "needs the package keyring" in caught.value.message
    assert "pip install keyring" in caught.value.hint
