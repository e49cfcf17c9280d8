from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SecretNotFoundError
from pipelines.secret_store.providers import DotenvProvider, EnvironmentProvider, FilesProvider
from pipelines.secret_store.resolver import SecretResolver
from pipelines.spec.config import SecretSettings

Resolve = Callable[..., SecretResolver]


@pytest.fixture
def resolver(tmp_path: Path) -> Resolve:
    """A function that makes a resolver over three places, all of which have TOKEN."""
    (tmp_path / ".env").write_text("TOKEN=of-dotenv\nONLY_DOTENV=d\n")
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted" / "TOKEN").write_text("of-files")
    (tmp_path / "mounted" / "ONLY_FILES").write_text("f")

    def make(*providers: str, environ: Mapping[str, str] | None = None) -> SecretResolver:
        said: dict[str, Any] = {"providers": providers} if providers else {}
        settings = SecretSettings(directory="mounted", **said)
        variables = {"TOKEN": "of-env"} if environ is None else environ
        return SecretResolver(settings, tmp_path, variables)

    return make


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ((), "of-env"),
        (("env", "dotenv", "files"), "of-env"),
        (("dotenv", "env"), "of-dotenv"),
        (("files", "dotenv", "env"), "of-files"),
    ],
)
def test_first_provider_wins(resolver: Resolve, order: tuple[str, ...], found: str) -> None:
    assert resolver(*order).get("TOKEN").get_secret_value() == found


def test_later_providers_fill_the_gaps(resolver: Resolve) -> None:
    secrets = resolver()
    assert secrets.get("ONLY_DOTENV").get_secret_value() == "d"
    assert secrets.get("ONLY_FILES").get_secret_value() == "f"
    assert resolver(environ={}).get("TOKEN").get_secret_value() == "of-dotenv"


def test_provider_that_is_not_named_is_not_asked(resolver: Resolve) -> None:
    secrets = resolver("dotenv", environ={"OTHER": "x"})
    assert not secrets.has("OTHER")
    assert not secrets.has("ONLY_FILES")
    assert secrets.has("ONLY_DOTENV")


def test_missing_secret_names_every_place(resolver: Resolve, tmp_path: Path) -> None:
    with pytest.raises(SecretNotFoundError) as caught:
        resolver("files", "env").get("NOPE")
    assert caught.value.message == (
        f"secret 'NOPE' was not found in {tmp_path / 'mounted'}, environment variables"
    )
    assert "NOPE=… in .env" in caught.value.hint
    assert "of-env" not in str(caught.value)


def test_value_shows_in_no_representation(resolver: Resolve) -> None:
    value = resolver().get("TOKEN")
    assert "of-env" not in f"{value} {value!r}"


def test_environment_is_looked_at_late() -> None:
    environ: dict[str, str] = {}
    provider = EnvironmentProvider(environ)
    assert provider.get("TOKEN") is None
    environ["TOKEN"] = ""
    found = provider.get("TOKEN")
    assert found is not None
    assert found.get_secret_value() == ""


def test_dotenv_understands_quotes_and_comments(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("# a comment\nexport A='p w#1'\nB=two=parts\nBARE\n", encoding="utf-8")
    provider = DotenvProvider(file)

    def value(name: str) -> str | None:
        found = provider.get(name)
        return None if found is None else found.get_secret_value()

    assert (value("A"), value("B"), value("BARE"), value("C")) == ("p w#1", "two=parts", None, None)
    assert provider.place == str(file)


def test_dotenv_need_not_exist(tmp_path: Path) -> None:
    assert DotenvProvider(tmp_path / ".env").get("A") is None
    assert DotenvProvider(tmp_path).get("A") is None


@pytest.mark.parametrize(
    ("content", "value"),
    [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" p w ", " p w ")],
)
def test_file_less_one_line_end(tmp_path: Path, content: str, value: str) -> None:
    (tmp_path / "A").write_bytes(content.encode())
    found = FilesProvider(tmp_path).get("A")
    assert found is not None
    assert found.get_secret_value() == value


@pytest.mark.parametrize("name", ["", ".", "..", "../outside", "sub/inner", "/etc/hostname"])
def test_names_do_not_leave_the_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mounted"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "inner").write_text("x")
    (tmp_path / "outside").write_text("x")
    assert FilesProvider(folder).get(name) is None


def test_folder_need_not_exist(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    assert FilesProvider(tmp_path / "nowhere").get("A") is None
    assert FilesProvider(tmp_path).get("sub") is None
