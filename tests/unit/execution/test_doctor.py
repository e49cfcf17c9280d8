from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SecretNotFoundError, SecretStoreDownError, SecretStoreError
from pipelines.execution import doctor, jars
from pipelines.execution.doctor import Diagnosis, examine
from pipelines.execution.jars import DEFAULT_PACKAGES
from pipelines.utils.datasource import DataSource

Examine = Callable[..., dict[str, Diagnosis]]


@pytest.fixture
def examined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """A function that examines a machine with an empty PATH and a Java that is made up."""
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    def make(
        *sources: DataSource,
        make_source: Callable[[str], DataSource] | None = None,
        secrets: tuple[str, ...] = (),
        has_secret: Callable[[str], bool] = lambda name: name == "THERE",
        services: tuple[Any, ...] = (),
        cache: Path = tmp_path / "cache",
    ) -> dict[str, Diagnosis]:
        by_name = {source.name: source for source in sources}
        rows = examine(
            cache,
            DEFAULT_PACKAGES,
            by_name or (["ods"] if make_source else []),
            make_source or by_name.__getitem__,
            secrets,
            has_secret,
            services,
        )
        return {row.name: row for row in rows}

    return make


def put_program(folder: Path, name: str, text: str = "") -> Path:
    program = folder / "bin" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f"#!/bin/sh\n{text}\n")
    program.chmod(0o755)
    return program


def java_says(folder: Path, version: str) -> None:
    put_program(folder, "java", f"echo 'openjdk version \"{version}\" 2026-01-20' >&2")


def test_python_and_packages(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = examined()
    assert rows["Python"].state == "ok"
    assert rows["pyspark"] == ("pyspark", "ok", metadata.version("pyspark"), "")

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(doctor.metadata, "version", absent)
    row = examined()["delta-spark"]
    assert (row.state, row.detail) == ("fail", "not installed")
    assert "run_pipeline.sh" in row.hint


@pytest.mark.parametrize(
    ("version", "state"),
    [
        ("17.0.19", "ok"),
        ("21", "ok"),
        ("21-ea", "ok"),
        ("11.0.2", "fail"),
        ("1.8.0_402", "fail"),
        ("24.0.1", "fail"),
    ],
)
def test_java_version(examined: Examine, tmp_path: Path, version: str, state: str) -> None:
    java_says(tmp_path, version)
    row = examined()["Java"]
    assert (row.state, row.detail) == (state, f'openjdk version "{version}" 2026-01-20')
    assert ("Java 17 or 21" in row.hint) is (state == "fail")


def test_java_home_goes_first(
    examined: Examine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    java_says(tmp_path, "11.0.2")
    java_says(tmp_path / "home", "17.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    assert examined()["Java"].state == "ok"
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "nowhere"))
    row = examined()["Java"]
    assert row.state == "fail"
    assert str(tmp_path / "nowhere" / "bin" / "java") in row.detail


def test_no_java(examined: Examine) -> None:
    row = examined()["Java"]
    assert row.state == "fail"
    assert row.detail.startswith("java does not start")


def test_java_that_says_nothing(examined: Examine, tmp_path: Path) -> None:
    put_program(tmp_path, "java")
    assert examined()["Java"][1:3] == ("fail", "says nothing")


def test_java_that_hangs(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs(*_: Any, timeout: float, **__: Any) -> None:
        raise subprocess.TimeoutExpired("java", timeout)

    monkeypatch.setattr(doctor.subprocess, "run", hangs)
    row = examined()["Java"]
    assert row.state == "fail"
    assert "timed out after 20 seconds" in row.detail


def test_graphviz(examined: Examine, tmp_path: Path) -> None:
    assert examined()["Graphviz"].state == "warn"
    dot = put_program(tmp_path, "dot")
    assert examined()["Graphviz"] == ("Graphviz", "ok", str(dot), "")


def test_jars_are_looked_for_where_runs_keep_them(examined: Examine, tmp_path: Path) -> None:
    row = examined()["jars"]
    assert (row.state, row.detail) == ("warn", "not in the cache")
    folder = jars.jar_cache(tmp_path, {}) / jars._folder_name(DEFAULT_PACKAGES)
    folder.mkdir(parents=True)
    (folder / "delta.jar").write_text("12345")
    (folder / jars._MANIFEST).write_text(json.dumps({"jars": {"delta.jar": 5}}))
    row = examined(cache=tmp_path / ".cache")["jars"]
    assert row.state == "ok"
    assert row.detail.startswith("1 in ")


def test_secrets(examined: Examine) -> None:
    rows = examined(secrets=("THERE", "GONE"))
    assert rows["secret THERE"] == ("secret THERE", "ok", "found", "")
    assert rows["secret GONE"][1:3] == ("fail", "not found")
    assert ".env" in rows["secret GONE"].hint


class Store:
    """A place of secrets that is as told."""

    service, place = "Store", "a store"

    def __init__(self, *, advice: str = "", error: SecretStoreError | None = None) -> None:
        self.advice, self._error = advice, error

    def get(self, name: str) -> None:
        raise AssertionError("nothing is looked up to tell how a place is")

    def state(self) -> str:
        if self._error is not None:
            raise self._error
        return "answers"


@pytest.mark.parametrize(
    ("store", "row"),
    [
        (Store(), ("Store", "ok", "answers", "")),
        (Store(advice="use TLS"), ("Store", "warn", "answers", "use TLS")),
        (
            Store(error=SecretStoreDownError("it is sealed", hint="unseal it")),
            ("Store", "fail", "it is sealed", "unseal it"),
        ),
    ],
)
def test_place_of_secrets_when_asked_then_its_state_is_told(
    examined: Examine, store: Store, row: Diagnosis
) -> None:
    assert examined(services=(store,))["Store"] == row


def test_secret_when_its_place_does_not_tell_then_is_not_called_missing(examined: Examine) -> None:
    def has_secret(name: str) -> bool:
        raise SecretStoreDownError("it is sealed", hint="unseal it")

    row = examined(secrets=("THERE",), has_secret=has_secret)["secret THERE"]
    assert row == ("secret THERE", "fail", "it is sealed", "unseal it")


def test_row_when_redacted_then_keeps_name_and_state() -> None:
    row = Diagnosis("a", "fail", "a detail", "a hint")
    assert row.redacted(str.upper) == ("a", "fail", "A DETAIL", "A HINT")


def test_datasource_whose_secret_is_missing(examined: Examine) -> None:
    def make(name: str) -> DataSource:
        raise SecretNotFoundError("secret 'X' was not found", hint="put it there")

    row = examined(make_source=make)["datasource ods"]
    assert row == ("datasource ods", "fail", "secret 'X' was not found", "put it there")


def test_folder_of_files(examined: Examine, tmp_path: Path) -> None:
    rows = examined(
        DataSource("there", "csv", path=str(tmp_path)),
        DataSource("gone", "csv", path=str(tmp_path / "gone")),
        DataSource("remote", "parquet", path="s3a://bucket/in"),
    )
    assert rows["datasource there"].state == "ok"
    assert rows["datasource gone"][1:] == ("fail", f"{tmp_path / 'gone'} does not exist", "")
    assert rows["datasource remote"].state == "ok"


def test_embedded_database(examined: Examine, tmp_path: Path) -> None:
    source = DataSource("ods", url=f"jdbc:derby:{tmp_path / 'ods'};create=false")
    row = examined(source)["datasource ods"]
    assert row.state == "fail"
    assert row.hint == "make the embedded one: pipeline ods create"
    (tmp_path / "ods").mkdir()
    assert examined(source)["datasource ods"].state == "ok"


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.mark.parametrize(
    "url",
    ["jdbc:postgresql://127.0.0.1:{}/ods?ssl=true", "jdbc:sqlserver://127.0.0.1:{};encrypt=true"],
)
def test_database_that_answers(examined: Examine, port: int, url: str) -> None:
    row = examined(DataSource("ods", url=url.format(port)))["datasource ods"]
    assert row == ("datasource ods", "ok", f"127.0.0.1:{port} answers", "")


@pytest.mark.parametrize(
    ("url", "state", "detail", "hint"),
    [
        ("postgresql://db.example/ods", "warn", "not checked", "sslmode=verify-full"),
        ("postgresql://db.example/ods?sslmode=disable", "warn", "without TLS", "sslmode="),
        ("postgresql://db.example/ods?sslmode=verify-full", "ok", "is checked", ""),
        ("sqlserver://db.example;encrypt=false", "warn", "without TLS", "encrypt=true;trust"),
    ],
)
def test_database_that_answers_without_encryption_is_warned_of(
    examined: Examine, monkeypatch: pytest.MonkeyPatch, url: str, state: str, detail: str, hint: str
) -> None:
    monkeypatch.setattr(doctor.socket, "create_connection", lambda *_, **__: socket.socket())
    row = examined(DataSource("ods", url=f"jdbc:{url}"))["datasource ods"]
    assert row.state == state
    assert detail in row.detail
    assert hint in row.hint
    assert bool(hint) == bool(row.hint)


def test_database_whose_host_is_no_name(examined: Examine) -> None:
    host = f"{'x' * 70}.example"
    row = examined(DataSource("ods", url=f"jdbc:postgresql://{host}/ods"))["datasource ods"]
    assert row.state == "fail"
    assert row.detail.startswith(f"{host}:5432 does not answer")


def test_database_that_does_not_answer(examined: Examine) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    source = DataSource("ods", url=f"jdbc:postgresql://127.0.0.1:{port}/ods?password=hunter2")
    row = examined(source)["datasource ods"]
    assert row.state == "fail"
    assert row.detail.startswith(f"127.0.0.1:{port} does not answer")
    assert "network" in row.hint
    assert "hunter2" not in str(row)


@pytest.mark.parametrize(
    ("engine", "port"), [("postgresql", 5432), ("sqlserver", 1433), ("mysql", 3306)]
)
def test_usual_ports(
    examined: Examine, monkeypatch: pytest.MonkeyPatch, engine: str, port: int
) -> None:
    asked: list[Any] = []

    def refuse(place: Any, timeout: float) -> None:
        asked.append((place, timeout))
        raise ConnectionRefusedError("refused")

    monkeypatch.setattr(doctor.socket, "create_connection", refuse)
    row = examined(DataSource("ods", url=f"jdbc:{engine}://db.example/ods"))["datasource ods"]
    assert asked == [(("db.example", port), 3.0)]
    assert row.detail == f"db.example:{port} does not answer: refused"


def test_unknown_port(examined: Examine) -> None:
    row = examined(DataSource("ods", url="jdbc:oracle://db.example/ods"))["datasource ods"]
    assert row[1:3] == ("warn", "db.example: cannot tell its port")
