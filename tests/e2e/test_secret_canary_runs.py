"""A password of awkward characters goes through whole runs, and is looked for in all they leave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import pytest
from psycopg import sql

from tests.e2e.project import ROOT
from tests.postgres_server import PostgresServer, postgres
from tests.unit.secret_store.secret_forms import CANARY, found_in

pytestmark = [pytest.mark.e2e, pytest.mark.postgres, pytest.mark.long]

USER = "canary_reader"
CONFIG = """\
default_environment: test
environments:
  test:
    base_path: lake
    spark:
      master: "local[2]"
      conf:
        spark.ui.enabled: "true"
        spark.ui.port: "0"
        spark.eventLog.enabled: "true"
        spark.eventLog.compress: "false"
        spark.eventLog.dir: "%(folder)s/events"
    datasources:
      ods:
        type: jdbc
        url: "%(url)s"
        user: canary_reader
        password: "{{ secret('PW') }}"
      in_address:
        type: jdbc
        url: "%(url)s?user=canary_reader&password={{ secret('PW') | urlencode }}"
      refused:
        type: jdbc
        url: "%(url)s"
        user: canary_reader
        password: "{{ secret('PW') }}, but not quite"
        options: {sessionInitStatement: "select '{{ secret('PW') | replace(\\"'\\", \\"''\\") }}'"}
      nobody:
        type: jdbc
        url: "jdbc:postgresql://127.0.0.1:9/{{ secret('PW') | urlencode }}"
    notifications:
      alerts: "json://127.0.0.1:9/{{ secret('PW') | urlencode }}"
"""
FLOW = """\
pipeline:
  name: canary
  default_retry: {attempts: 2, delay_seconds: 0}
  notifications: {on_failure: alerts, on_success: alerts}
  stages:
    - name: bronze
      groups:
        - name: load
          steps:
            - name: people
              source: {datasource: ods, table: people, query: sql/people.sql}
              destination: {path: "{{ base_path }}/people", mode: scd2, keys: [id]}
              dq_checks: [dq/people.sql]
            - name: by_address
              source: {datasource: in_address, query_text: "select id, name from people"}
              destination: {path: "{{ base_path }}/by_address"}
            - name: refused
              source: {datasource: refused, table: people}
              destination: {path: "{{ base_path }}/refused"}
            - name: nobody
              source: {datasource: nobody, table: people}
              destination: {path: "{{ base_path }}/nobody"}
            - name: absent
              source: {datasource: in_address, table: no_such_table}
              destination: {path: "{{ base_path }}/absent"}
            - name: breaks
              script: ingestion/breaks.py
              destination: {path: "{{ base_path }}/breaks"}
            - name: pages
              depends_on: [people, by_address]
              script: ingestion/pages.py
              destination: {path: "{{ base_path }}/pages"}
"""
FILES = {
    "sql/people.sql": "select id, name from people\n",
    "dq/people.sql": "-- severity: warn\n-- returns: rows\nselect * from people where id > 1\n",
    # A script of a user that puts the password where it does not belong.
    "ingestion/breaks.py": (
        "def ingest(spark, context):\n"
        "    password = context.datasources['ods'].options()['password']\n"
        "    raise ValueError(f'cannot log in with {password}')\n"
    ),
    # What Spark shows of itself while a run is at work.
    "ingestion/pages.py": (
        "import pathlib\n"
        "import urllib.request\n"
        "\n"
        "def ingest(spark, context):\n"
        "    session = spark.sparkContext\n"
        "    rest = f'/api/v1/applications/{session.applicationId}'\n"
        "    pages = ['/environment/', '/SQL/', '/jobs/', '/stages/', f'{rest}/environment',\n"
        "             f'{rest}/sql?details=true&planDescription=true', f'{rest}/jobs']\n"
        "    for number, page in enumerate(pages):\n"
        "        with urllib.request.urlopen(session.uiWebUrl + page, timeout=60) as answer:\n"
        "            pathlib.Path(f'page-{number}.html').write_bytes(answer.read())\n"
        "    return spark.range(1)\n"
    ),
}
COMMANDS = (
    ("validate --analyze", {0, 1}),
    ("run --debug --run-date 2026-11-01 --log-format text", {1}),
    ("run --run-date 2026-11-01 --log-format json", {1}),  # what failed, once more
    ("run --select people --run-date 2026-11-02 --log-format text", {0}),
    ("schema record", {0, 1}),
    ("show", {0}),
    ("show --format json", {0}),
    ("history", {0}),
    ("blame people --where id=1", {0}),
    ("doctor", {1}),
)


@dataclass(frozen=True)
class Project:
    folder: Path

    def call(self, words: str) -> tuple[int, str]:
        """The exit code of the command line, in a process of its own, and all that it said."""
        code = "import sys; from pipelines.run_pipeline import main; main(sys.argv[1:])"
        kept = {k: v for k, v in os.environ.items() if k in ("PATH", "JAVA_HOME", "HOME", "TMPDIR")}
        done = subprocess.run(
            [sys.executable, "-c", code, *words.split()],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(ROOT), "PW": CANARY, "NO_PROXY": "127.0.0.1"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=400,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def texts(self) -> dict[str, str]:
        """What stands in every file, bytes that are no text replaced."""
        return {
            str(file.relative_to(self.folder)): file.read_bytes().decode(errors="replace")
            for file in self.folder.rglob("*")
            if file.is_file()
        }


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project whose ODS wants the canary as its password."""
    (tmp_path / "events").mkdir()
    with postgres() as server:
        _ask_for_passwords(server)
        url = server.url
        config = CONFIG % {"folder": tmp_path, "url": url}
        for name, text in {
            **FILES,
            "pipelines/pipelines_config.yaml": config,
            "pipelines/flows/main_flow.yaml": FLOW,
        }.items():
            file = tmp_path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        yield Project(tmp_path)


def _ask_for_passwords(server: PostgresServer) -> None:
    """Makes the user and a table, and lets nobody but the superuser in without a password."""
    with server.connect() as connection:
        user = sql.Identifier(USER)
        connection.execute(
            sql.SQL("create role {} login password {}").format(user, sql.Literal(CANARY))
        )
        connection.execute("create table people (id int, name text, changed_at date)")
        connection.execute("insert into people values (1, 'Ada'), (2, 'Grace')")
        connection.execute(sql.SQL("grant select on people to {}").format(user))
        rules = server.folder / "pg_hba.conf"
        rule = f"host all {USER} 127.0.0.1/32 scram-sha-256\n"
        rules.write_text(rule + rules.read_text(encoding="utf-8"), encoding="utf-8")
        connection.execute("select pg_reload_conf()")


def test_password_when_runs_succeed_fail_and_are_looked_at_then_is_left_nowhere(
    project: Project,
) -> None:
    said = ""
    for words, codes in COMMANDS:
        code, told = project.call(words)
        assert code in codes, f"{words}: {code}\n{told.replace(CANARY, '<the password>')}"
        assert found_in(told, {CANARY}) == [], f"{words}\n{told}"
        said += told

    texts = project.texts()
    assert {name for name, text in texts.items() if found_in(text, {CANARY})} == set()

    # All that was to be looked into was there, and the password on its way to it.
    assert "cannot log in with ***" in said
    assert "password authentication failed" in said
    pages = "".join(text for name, text in texts.items() if name.startswith("page-"))
    events = "".join(text for name, text in texts.items() if name.startswith("events/"))
    for shown in (pages, events):
        assert "JDBCRelation" in shown
        assert "spark.eventLog.dir" in shown
    assert any(name.startswith("lake/people/_delta_log/") for name in texts)
    assert quote(CANARY) != CANARY  # it has another look in an address
