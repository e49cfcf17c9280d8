"""A secret of awkward characters goes through every provider, and is looked for everywhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import keyring
import pytest

from pipelines.errors import DatasourceError
from pipelines.execution.retry import describe_failure
from pipelines.prepared import Options, PreparedFlow
from pipelines.run_pipeline import main
from tests.unit.secret_store.secret_forms import CANARY, forms, found_in
from tests.unit.secret_store.test_keyring import MemoryKeyring
from tests.unit.secret_store.vault_server import (
    JWT,
    ROLE,
    ROLE_ID,
    SECRET_ID,
    TOKEN,
    Answer,
    FakeVault,
    serving,
)

VAULT_ENTRY = "/v1/secret/data/edfi/etl"

CONFIG = """\
default_environment: test
environments:
  test:
    base_path: lake
    secrets:
%(secrets)s
    metadata: {enabled: false}
    datasources:
      ods: {password: "{{ secret('PW') }}"}
    notifications:
      alerts: "json://hook.invalid/{{ secret('PW') }}"
"""

FLOW = """\
pipeline:
  name: toy
  notifications: {on_failure: alerts}
  datasources:
    ods:
      type: jdbc
      url: "jdbc:postgresql://127.0.0.1:1/ods?token={{ secret('PW') }}"
      user: "u{{ secret('PW') }}"
      options: {wallet: "{{ secret('PW') }}"}
    by_host: {type: jdbc, url: "jdbc:postgresql://{{ secret('PW') }}:5432/ods"}
    by_login: {type: jdbc, url: "jdbc:postgresql://ada:{{ secret('PW') }}@127.0.0.1:1/ods"}
    embedded: {type: jdbc, url: "jdbc:derby:/nowhere/{{ secret('PW') }};create=false"}
    files: {type: csv, path: "in/{{ secret('PW') }}/x"}
    broken: {type: csv, path: "in/{{ {'secret': 'x'}[secret('PW')] }}"}
    absent: {type: csv, path: "in/{{ secret('PW') }}{{ secret('NOPE') }}"}
  stages:
    - name: bronze
      groups:
        - name: load
          steps:
            - name: students
              source: {datasource: ods, table: students}
              destination: {path: lake/bronze/students}
            - name: schools
              source: {datasource: files, table: x}
              destination: {path: lake/bronze/schools}
"""

PROVIDERS: dict[str, str] = {
    "env": "providers: [env]",
    "dotenv": "providers: [dotenv]",
    "files": "{providers: [files], directory: ../mounted}",
    "token": "{providers: [vault], vault: {address: '%(address)s', path: edfi/etl}}",
    "approle": "{providers: [vault], vault: {address: '%(address)s', path: edfi/etl,"
    " auth: {approle: {role_id: " + ROLE_ID + ", secret_id_file: ../mounted/secret_id}}}}",
    "kubernetes": "{providers: [vault], vault: {address: '%(address)s', path: edfi/etl,"
    " auth: {kubernetes: {role: " + ROLE + ", jwt_file: ../mounted/jwt}}}}",
    "keyring": "providers: [keyring]",
}
COMMANDS = (
    "validate",
    "validate --format json",
    "validate --format sarif --strict",
    "validate --format github",
    "validate --format gitlab",
    "plan",
    "plan --format json",
    "run --dry-run --debug",
    "render students",
    "render schools",
    "graph --format dot,mermaid --out drawn",
    "lineage students --format json",
    "doctor",
)


class Project(NamedTuple):
    root: Path
    vault: FakeVault


@pytest.fixture
def project(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Project]:
    """A project whose secret is where the parameter says; places of secrets are beside it."""
    way, root = request.param, tmp_path / "project"
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1")
    for name in ("PIPELINE_ENV", "PW", "VAULT_TOKEN", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "80")  # long texts are folded
    (tmp_path / "mounted").mkdir()
    (tmp_path / "mounted/secret_id").write_text(SECRET_ID)
    (tmp_path / "mounted/jwt").write_text(JWT)
    (root / "pipelines/flows").mkdir(parents=True)
    before, memory = keyring.core._keyring_backend, MemoryKeyring()
    keyring.set_keyring(memory)
    if way == "env":
        monkeypatch.setenv("PW", CANARY)
    elif way == "dotenv":
        escaped = CANARY.replace("\\", "\\\\").replace("'", "\\'")
        (root / ".env").write_text(f"PW='{escaped}'\n", encoding="utf-8")
    elif way == "files":
        (tmp_path / "mounted/PW").write_text(CANARY, encoding="utf-8")
    elif way == "keyring":
        memory.set_password("pipelines", "PW", CANARY)
    elif way == "token":
        monkeypatch.setenv("VAULT_TOKEN", TOKEN)
    with serving(FakeVault(secrets={"edfi/etl": {"PW": CANARY}})) as vault:
        said = PROVIDERS[way] % {"address": vault.address}
        config = CONFIG % {"secrets": f"      {said}"}
        (root / "pipelines/pipelines_config.yaml").write_text(config, encoding="utf-8")
        (root / "pipelines/flows/main_flow.yaml").write_text(FLOW, encoding="utf-8")
        monkeypatch.chdir(root)
        yield Project(root, vault)
    keyring.core._keyring_backend = before


Call = Callable[[str], tuple[int, str]]


@pytest.fixture
def call(capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that calls the command line; gives the exit code and all that was said."""

    def made(words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(words.split())
        assert isinstance(ended.value.code, int)
        return ended.value.code, "".join(capsys.readouterr())

    return made


def secrets_of(project: Project) -> set[str]:
    """The canary, and all that Vault was logged in to with."""
    paths = {one.path for one in project.vault.asked}
    tokens = {one.token for one in project.vault.asked if one.token}
    by_login = {"/v1/auth/approle/login": SECRET_ID, "/v1/auth/kubernetes/login": JWT}
    return {CANARY, *tokens, *(sent for path, sent in by_login.items() if path in paths)}


def left_in_files(project: Project) -> list[str]:
    """Files with a secret in them, but for the one where it is kept."""
    return [
        str(file.relative_to(project.root))
        for file in project.root.rglob("*")
        if file.is_file()
        and file.name != ".env"
        and found_in(file.read_text(encoding="utf-8", errors="replace"), secrets_of(project))
    ]


@pytest.mark.parametrize("project", PROVIDERS, indirect=True)
def test_secret_when_commands_look_it_up_then_is_left_nowhere(project: Project, call: Call) -> None:
    for words in COMMANDS:
        code, said = call(words)
        assert code in (0, 1, 2), words
        assert "Traceback" not in said
        assert found_in(said, secrets_of(project)) == [], words
    assert left_in_files(project) == []
    assert len([*(project.root / "drawn").iterdir()]) == 2  # files were written, and looked into


@pytest.mark.parametrize("project", PROVIDERS, indirect=True)
def test_secret_when_doctor_finds_it_then_says_found_and_each_fault_without_it(
    project: Project, call: Call
) -> None:
    code, said = call("doctor")
    assert code == 1
    words = " ".join(said.split())
    assert "secret PW found" in words
    assert "secret NOPE not found" in words
    for name in ("ods", "by_host", "by_login", "embedded", "files", "broken", "absent"):
        assert f"FAIL datasource {name}" in words or f"datasource {name}" in words
    assert "***" in words  # the canary was there, and was taken out


@pytest.mark.parametrize("project", PROVIDERS, indirect=True)
def test_secret_when_a_step_fails_with_it_then_the_log_has_none_of_it(project: Project) -> None:
    prepared = PreparedFlow("main_flow", Options())
    source = prepared.connections.datasource("ods")
    value = source.options()["password"]
    assert value == CANARY
    for form in forms(CANARY):
        failure = describe_failure(
            DatasourceError(f"refused: {form}", where=f"ods at {form}", hint=f"try {form}"),
            prepared.connections.redact,
        )
        told = json.dumps([failure.message, failure.hint], ensure_ascii=False)
        assert found_in(told, {CANARY}) == [], form
    assert CANARY not in repr(source)
    for secret in secrets_of(project):
        assert prepared.connections.redact(secret) == "***"


@pytest.mark.parametrize("project", ["token", "approle", "kubernetes"], indirect=True)
@pytest.mark.parametrize(
    "answer",
    [
        Answer(403, {"errors": ["permission denied for {token}"]}),
        Answer(500, {"errors": ["{token} is broken"]}),
        Answer(200, {"data": {"data": f"{{token}} {CANARY}"}}),
        Answer(400, f"<html>{{token}} {CANARY}"),
    ],
    ids=["refused", "broken", "strange", "page"],
)
def test_token_when_vault_repeats_it_in_an_error_then_is_left_nowhere(
    project: Project, call: Call, answer: Answer
) -> None:
    project.vault.instead[VAULT_ENTRY] = answer
    for words in ("validate", "validate --format json", "doctor"):
        code, said = call(words)
        assert code == (words == "doctor"), said
        assert "Vault at http" in said
        assert "no provider has it" not in said
        assert found_in(said, secrets_of(project)) == [], words
    assert left_in_files(project) == []


@pytest.mark.parametrize("project", ["token"], indirect=True)
def test_validate_when_vault_is_down_then_says_so_once_and_not_that_secrets_are_missing(
    project: Project, call: Call
) -> None:
    project.vault.sealed = True
    code, said = call("validate --format json")
    found: Any = [one for one in json.loads(said) if "secret" in one["code"]]
    assert code == 0
    assert [one["code"] for one in found] == ["unchecked-secret"]
    assert found[0]["message"] == f"Vault at {project.vault.address} is sealed"
    assert len(project.vault.reads()) == 1  # one that hangs is waited for once


@pytest.mark.parametrize("project", ["token"], indirect=True)
@pytest.mark.parametrize(
    "auth", ["{token: %s}", "{token: {env: %s}}", "%s", "{approle: {role_id: r, secret_id: %s}}"]
)
def test_token_when_written_into_the_config_then_the_finding_does_not_repeat_it(
    project: Project, call: Call, auth: str
) -> None:
    config = project.root / "pipelines/pipelines_config.yaml"
    text = config.read_text(encoding="utf-8")
    said = auth % "hvs.written-by-mistake"
    config.write_text(text.replace("path: edfi/etl", f"path: edfi/etl, auth: {said}"))
    code, told = call("validate")
    assert code == 2
    assert "secrets.vault.auth" in told
    assert "written-by-mistake" not in told
