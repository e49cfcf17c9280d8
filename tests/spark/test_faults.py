"""Faults of the world: what a run does when database, network, disk or data let it down."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import StorageError
from pipelines.execution import watch
from pipelines.results import StepStarted
from tests.postgres_server import postgres
from tests.stalling_proxy import stalling_proxy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipelines.results import Event
    from tests.conftest import Project
    from tests.postgres_server import PostgresServer

    MakeProject = Callable[..., Project]

ROWS = 50_000
NUMBERS = f"""
- name: numbers
  source:
    datasource: db
    query_text: "select i, repeat('x', 100) as t from generate_series(1, {ROWS}) i"
    options: {{fetchsize: 1000}}
    query: sql/numbers.sql
  destination: {{path: "{{{{ base_path }}}}/numbers", mode: append}}
  retry: {{attempts: %s, delay_seconds: 0}}
  timeout_seconds: %s
"""
SQL = {"sql/numbers.sql": "select * from numbers"}
LOGGED_IN_BYTES = 480
"""More than PostgreSQL says until it is asked something, and less than the columns of a table."""
MIDST_BYTES = 1_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres() as running:
        yield running


def _datasource(url: str) -> str:
    return f'datasources: {{db: {{type: jdbc, url: "{url}", user: postgres}}}}'


def _count(project: Project) -> Any:
    frame = project.spark.read.format("delta").load(project.path("numbers"))
    return frame.selectExpr("count(*)", "count(distinct i)").first()


@pytest.mark.postgres
def test_connection_when_it_hangs_then_the_time_limit_holds_and_the_next_run_reads_all(
    project: MakeProject, server: PostgresServer
) -> None:
    with stalling_proxy(server.port, LOGGED_IN_BYTES) as door:
        made = project(NUMBERS % (1, 3), _datasource(door.url), SQL)
        step = made.run()["numbers"]
        assert step.error is not None
        assert step.error.type == "StepTimeoutError"
        assert f"it waited for datasource db at 127.0.0.1:{door.port}" in step.error.message
        door.lets_pass = None
        made.flow(NUMBERS % (1, 120), _datasource(door.url))
        assert made.run()["numbers"].error is None
    assert tuple(_count(made)) == (ROWS, ROWS)


@pytest.mark.postgres
def test_database_when_it_stops_in_the_midst_of_a_read_then_is_read_again_and_no_row_is_doubled(
    project: MakeProject, server: PostgresServer
) -> None:
    with stalling_proxy(server.port, MIDST_BYTES) as door:
        made = project(NUMBERS % (2, 120), _datasource(door.url), SQL)

        def restart() -> None:
            assert door.has_stalled.wait(60)
            server.stop()
            server.start()
            door.lets_pass = None
            door.cut()

        restarting = threading.Thread(target=restart, daemon=True)
        restarting.start()
        ran = made.run()
        restarting.join(timeout=60)
    first, second = ran["numbers"].attempts
    assert first.error is not None
    assert first.error.transient, first.error
    assert second.error is None
    assert made.commits("numbers") == ["WRITE"]
    assert tuple(_count(made)) == (ROWS, ROWS)


@pytest.mark.postgres
def test_signal_when_a_step_hangs_in_its_database_then_the_run_ends_and_says_so(
    project: MakeProject, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_PATIENCE_SECONDS", 1.0)
    with stalling_proxy(server.port, LOGGED_IN_BYTES) as door:
        made = project(NUMBERS % (1, 60), _datasource(door.url), SQL)

        def act(event: Event) -> None:
            if isinstance(event, StepStarted):
                assert door.has_stalled.wait(60)
                os.kill(os.getpid(), signal.SIGTERM)

        ran = made.run(on_event=act)
        told = ran["numbers"]
        assert (ran.result.exit_code, told.status.value) == (143, "cancelled")
        assert told.error is not None
        assert "did not come back" in told.error.message


@pytest.mark.postgres
def test_source_when_its_table_changes_then_the_destination_decides_and_names_what_differs(
    project: MakeProject, server: PostgresServer
) -> None:
    step = """
    - name: {name}
      source: {{datasource: db, table: people}}
      destination: {{path: "{{{{ base_path }}}}/{name}", schema: {name}}}
    """
    names = ("strict", "evolve", "overwrite")
    made = project("".join(step.format(name=one) for one in names), _datasource(server.url))
    server.execute("drop table if exists people", "create table people (id int, age int)")
    server.execute("insert into people values (1, 7)")
    assert set(made.run(batch_id="1").statuses.values()) == {"success"}

    server.execute("alter table people add column town text")
    ran = made.run(batch_id="2")
    assert ran.statuses == {"strict": "failed", "evolve": "success", "overwrite": "success"}
    assert "town" in _message(ran["strict"])
    assert made.rows("strict") == [(1, 7)]
    assert made.rows("evolve") == [(1, 7, None)]

    server.execute("alter table people alter column age type text")
    ran = made.run(batch_id="3")
    assert ran.statuses == {"strict": "failed", "evolve": "failed", "overwrite": "success"}
    assert "age" in _message(ran["evolve"])
    assert made.rows("evolve") == [(1, 7, None)]

    server.execute("drop table people")
    ran = made.run(batch_id="4")
    assert set(ran.statuses.values()) == {"failed"}
    told = ran["overwrite"].error
    assert told is not None
    assert not told.transient
    assert 'relation "people" does not exist' in told.message
    assert "datasource db" in told.message
    assert made.rows("overwrite") == [(1, "7", None)]


@pytest.mark.postgres
def test_time_when_it_is_of_a_night_that_clocks_change_then_is_stored_as_it_is(
    project: MakeProject, server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        steps = """
        - name: nights
          source: {datasource: db, table: nights, incremental: {column: at}}
          destination: {path: "{{ base_path }}/nights", mode: append}
        """
        made = project(steps, _datasource(server.url))
        server.execute("drop table if exists nights", "create table nights (at timestamp)")
        for batch, moment in enumerate(("2026-03-08 02:30:00", "2026-11-01 01:30:00")):
            server.execute(f"insert into nights values ('{moment}')")
            assert made.run(batch_id=str(batch)).statuses == {"nights": "success"}
        nights = made.spark.read.format("delta").load(made.path("nights"))
        told = sorted(row[0] for row in nights.selectExpr("cast(at as string)").collect())
        assert told == ["2026-03-08 02:30:00", "2026-11-01 01:30:00"]
    finally:
        monkeypatch.undo()
        time.tzset()


def test_row_when_it_is_poison_then_the_table_stays_and_its_value_is_not_shown(
    project: MakeProject,
) -> None:
    made = project("""
    - name: raw
      source: {type: delta, query: "select 1 as id, '12' as age"}
      destination: {path: "{{ base_path }}/raw"}
    - name: ages
      depends_on: [raw]
      source: {type: delta, query: "select id, cast(age as int) as age from raw"}
      destination: {path: "{{ base_path }}/ages"}
    """)
    made.run(batch_id="1")
    made.write(
        "pipelines/flows/main_flow.yaml",
        (made.root / "pipelines/flows/main_flow.yaml")
        .read_text()
        .replace("'12' as age", "'Ada Byron' as age"),
    )
    ran = made.run(batch_id="2")
    assert ran.statuses == {"raw": "success", "ages": "failed"}
    error = ran["ages"].error
    assert error is not None
    assert (error.type, error.transient) == ("CAST_INVALID_INPUT", False)
    assert "Ada" not in str(error)
    assert made.rows("ages") == [(1, 12)]


@pytest.fixture
def small_disk(project: MakeProject) -> Iterator[Project]:
    """A project whose lakehouse is on a disk of two megabytes."""
    made = project()
    disk = made.root / "lake"
    disk.mkdir()
    asked = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a small disk")
    yield made
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def _mount_again(disk: Path, options: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)


def test_disk_when_it_is_full_then_says_so_and_with_space_the_same_batch_goes_on(
    small_disk: Project,
) -> None:
    step = """
    - name: {name}
      depends_on: {after}
      source: {{type: delta, query: "select id, uuid() as t from range({rows})"}}
      destination: {{path: "{{{{ base_path }}}}/{name}", mode: append}}
    """
    small, large = (
        step.format(name=name, rows=rows, after=after)
        for name, rows, after in (("small", 9, []), ("large", 100_000, ["small"]))
    )
    small_disk.flow(small + large)
    ran = small_disk.run()
    assert ran.statuses == {"small": "success", "large": "failed"}, ran.result.steps
    assert "No space left on device" in _message(ran["large"])
    assert "lake/large" in _message(ran["large"])
    assert not list(Path(small_disk.path("large/_delta_log")).glob("*.json"))
    with pytest.raises(AssertionError, match=r"free some space, then run the same batch again"):
        small_disk.run(batch_id="another")
    _mount_again(small_disk.root / "lake", "size=50m")
    ran = small_disk.run()
    assert ran.statuses == {"small": "checkpointed", "large": "success"}
    assert len(small_disk.rows("large")) == 100_000
    assert small_disk.commits("small") == ["WRITE"]


def test_disk_when_it_is_read_only_then_nothing_starts_and_the_file_is_named(
    small_disk: Project,
) -> None:
    small_disk.flow("""
    - name: small
      source: {type: delta, query: "select 1 as id"}
      destination: {path: "{{ base_path }}/small"}
    """)
    _mount_again(small_disk.root / "lake", "ro")
    with pytest.raises(StorageError, match=r"\.lock: cannot write: Read-only file system"):
        small_disk.run()


def _message(step: Any) -> str:
    assert step.error is not None, step
    return str(step.error.message)
