from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.errors import SecretNotFoundError
from pipelines.execution.connections import Connections
from pipelines.spec.config import Environment
from pipelines.utils.sql_loader import SqlLoader

Connect = Callable[..., Connections]

ODS = {
    "type": "jdbc",
    "url": "jdbc:postgresql://{{ vars.host }}:5432/ods",
    "user": "ada",
    "password": "{{ secret('ODS_PASSWORD') }}",
    "options": {"oracle.net.wallet": "{{ secret('WALLET') }}", "fetchsize": 7},
}


@pytest.fixture
def connect(tmp_path: Path) -> Connect:
    """A function that makes connections; secrets are looked up in `.env` only."""

    def make(
        datasources: Mapping[str, Any] | None = None,
        notifications: Mapping[str, str] | None = None,
        compiled: Callable[[], Any] | None = None,
    ) -> Connections:
        environment = Environment.model_validate(
            {
                "base_path": "lake",
                "secrets": {"providers": ["dotenv"]},
                "notifications": notifications or {},
            }
        )
        plan = SimpleNamespace(
            names={"vars": {"host": "db.example"}},
            datasources=datasources or {"ods": ODS},
            longest_step_seconds=90.0,
        )
        loader = SqlLoader(tmp_path)
        return Connections(environment, tmp_path, loader, compiled or (lambda: plan))

    return make


def put(folder: Path, **values: str) -> None:
    lines = "".join(f"{name}='{value}'\n" for name, value in values.items())
    (folder / ".env").write_text(lines, encoding="utf-8")


def test_nothing_is_looked_up_before_it_is_needed(connect: Connect, tmp_path: Path) -> None:
    def compiled() -> Any:
        raise AssertionError("compiled too soon")

    connections = connect(compiled=compiled)
    assert connections.redact("hunter2 password=x1") == "hunter2 password=***"
    put(tmp_path, ODS_PASSWORD="hunter2")
    assert connections.has_secret("ODS_PASSWORD")
    assert connections.redact("hunter2") == "hunter2"
    assert connections.secret("ODS_PASSWORD") == "hunter2"
    assert connections.redact("hunter2") == "***"


def test_datasource_is_filled_in_and_its_secrets_hidden(connect: Connect, tmp_path: Path) -> None:
    connections = connect()
    put(tmp_path, ODS_PASSWORD="p@ss word", WALLET="/wallets/1")
    source = connections.datasource("ods")
    assert source.place == "db.example:5432"
    assert source.options()["password"] == "p@ss word"
    assert source.options()["oracle.net.wallet"] == "/wallets/1"
    assert source.options()["fetchsize"] == "7"
    assert source.silent_seconds == 90.0
    assert "p@ss word" not in repr(source)
    told = connections.redact("p@ss word | p%40ss%20word | p%40ss+word | /wallets/1 | ada")
    assert told == "*** | *** | *** | *** | ada"


def test_compiled_settings_stay_free_of_secrets(connect: Connect, tmp_path: Path) -> None:
    settings = {"ods": {**ODS, "options": dict(ODS["options"])}}  # type: ignore[call-overload]
    put(tmp_path, ODS_PASSWORD="hunter2", WALLET="wallet")
    connect(settings).datasource("ods")
    assert settings == {"ods": ODS}


@pytest.mark.parametrize(
    ("secret", "source", "text", "told"),
    [
        (
            "hunter2;more",
            {"url": "jdbc:postgresql://{{ secret('X') }}.org:5432/a"},
            "hunter2 does not answer",
            "*** does not answer",
        ),
        (
            "ada@hunter2",
            {"url": "jdbc:postgresql://{{ secret('X') }}:5432/a"},
            "hunter2:5432 hunter2 ada",
            "*** *** ada",
        ),
        (
            "hunter2;more",
            {"url": "jdbc:derby:/data/{{ secret('X') }}"},
            "jdbc:derby:/data/hunter2 /data/hunter2 jdbc:derby:/other",
            "*** *** jdbc:derby:/other",
        ),
        (
            "hunter2;more",
            {"url": "jdbc:derby:/data/plain;user={{ secret('X') }}"},
            "jdbc:derby:/data/plain /data/plain",
            "jdbc:derby:/data/plain /data/plain",
        ),
        (
            "hunter2;more",
            {"type": "csv", "path": "abfss://plain/{{ secret('X') }}"},
            "abfss://plain/hunter2;more abfss",
            "abfss://plain/*** abfss",
        ),
    ],
)
def test_place_when_it_is_cut_out_of_a_secret_then_is_hidden(
    connect: Connect, tmp_path: Path, secret: str, source: dict[str, str], text: str, told: str
) -> None:
    put(tmp_path, X=secret)
    connections = connect({"ods": {"type": "jdbc", **source}})
    connections.datasource("ods")
    assert connections.redact(text) == told


def test_password_in_clear_is_hidden_too(connect: Connect) -> None:
    connections = connect({"ods": {"type": "jdbc", "url": "jdbc:x:y", "password": "in-clear"}})
    assert connections.redact("in-clear") == "in-clear"
    connections.datasource("ods")
    assert connections.redact("in-clear") == "***"


def test_missing_secret_of_a_datasource(connect: Connect, tmp_path: Path) -> None:
    put(tmp_path, WALLET="wallet")
    connections = connect()
    with pytest.raises(SecretNotFoundError, match=r"'ODS_PASSWORD' was not found in .*\.env"):
        connections.datasource("ods")
    assert not connections.has_secret("ODS_PASSWORD")


@pytest.mark.parametrize(
    ("path", "shown"),
    [("in/{{ vars.host }}", "{root}/in/db.example"), ("/in", "/in"), ("s3a://b/in", "s3a://b/in")],
)
def test_path_is_below_the_project(connect: Connect, tmp_path: Path, path: str, shown: str) -> None:
    connections = connect({"files": {"type": "csv", "path": path}})
    assert connections.datasource("files").path == shown.format(root=tmp_path)


def test_addresses(connect: Connect, tmp_path: Path) -> None:
    connections = connect(
        notifications={
            "alerts": "json://hook.example/{{ secret('HOOK') }}",
            "plain": "json://plain.example/",
            "nobody": "",
        }
    )
    assert connections.address("nobody") is None
    assert connections.address("unmapped") is None
    put(tmp_path, HOOK="hook-token")
    assert connections.address("alerts") == "json://hook.example/hook-token"
    assert connections.redact("sent to json://hook.example/hook-token") == "sent to ***"
    assert connections.redact("hook-token") == "***"
    assert connections.address("plain") == "json://plain.example/"
    assert connections.redact("to json://plain.example/!") == "to ***!"


def test_missing_secret_of_an_address(connect: Connect) -> None:
    connections = connect(notifications={"alerts": "json://{{ secret('HOOK') }}"})
    with pytest.raises(SecretNotFoundError, match="'HOOK'"):
        connections.address("alerts")
