"""Daily runs: only what is new is read, by watermarks that are committed with the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable

from pipelines.execution.changes import FEED_PROPERTY
from pipelines.execution.checkpoints import CheckpointStore
from pipelines.history_run import HistoryRun
from pipelines.plan.windows import Period
from pipelines.prepared import Options

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.conftest import Project

DAILY = """
- name: students
  pre_views:
    - {name: deletes, datasource: ods, table: gone.Student, incremental: {column: ChangeVersion}}
  source:
    datasource: ods
    table: edfi.Student
    incremental: {column: lastmodified, overlap: 1 hour}
    query: >
      select usi, name, lastmodified, '{{ run_date }}' as loaded, false as is_deleted from students
      union all
      select oldusi, null, createdate, '{{ run_date }}', true from deletes
  destination:
    path: "{{ base_path }}/students"
    mode: scd1
    keys: [usi]
    sequence_by: lastmodified
    apply_as_delete_when: is_deleted
    except_columns: [is_deleted, loaded]
"""


@dataclass
class Ods:
    """A database in a folder."""

    url: str
    connect: Callable[[str], Any]

    def execute(self, *statements: str) -> None:
        connection = self.connect(self.url)
        statement = connection.createStatement()
        for one in statements:
            statement.execute(one)
        statement.close()
        connection.close()


@pytest.fixture
def ods(spark: SparkSession, tmp_path: Any) -> Iterator[Ods]:
    jvm: Any = spark._jvm
    made = Ods(f"jdbc:derby:{tmp_path}/ods", jvm.java.sql.DriverManager.getConnection)
    jvm.java.sql.DriverManager.getConnection(f"{made.url};create=true").close()
    made.execute(
        "create schema edfi",
        "create schema gone",
        "create table edfi.Student (Usi int primary key, Name varchar(75), "
        "LastModified timestamp not null)",
        "create table gone.Student (OldUsi int not null, NewUsi int, "
        "ChangeVersion bigint not null, CreateDate timestamp not null)",
        "insert into edfi.Student values (1, 'Ada', '2026-01-01 10:00:00.000001'), "
        "(2, 'Bo', '2026-01-01 11:00:00'), (3, 'Cy', '2026-01-02 12:00:00.123457')",
    )
    yield made
    with pytest.raises(Exception, match="shutdown"):
        jvm.java.sql.DriverManager.getConnection(f"{made.url};shutdown=true")


def head(ods: Ods) -> str:
    return f"datasources: {{ods: {{type: jdbc, url: '{ods.url}', identifier_case: lower}}}}"


def names(made: Project, table: str = "students") -> dict[int, str]:
    return {row[0]: row[1] for row in made.rows(table)}


def watermark(made: Project, view: str = "students") -> str:
    said = next(made.log("students").standing()).user_metadata
    return str(said["watermarks"][view]["value"])


def test_watermark_when_days_pass_then_only_what_is_new_is_read_and_nothing_is_lost(
    project: Callable[..., Project], ods: Ods
) -> None:
    made = project(DAILY, head(ods))
    first = made.day(3)
    assert first["students"].notes == ()
    assert names(made) == {1: "Ada", 2: "Bo", 3: "Cy"}
    assert watermark(made) == "2026-01-02 12:00:00.123457"

    # Nobody changed: nothing is committed, and the watermark stays where it was.
    version = made.log("students").version()
    idle = made.day(4)
    assert idle.statuses == {"students": "unchanged"}
    assert idle["students"].notes == ()
    assert made.log("students").version() == version

    # A change, a late row within the overlap, one that came too late for it, and a delete.
    ods.execute(
        "update edfi.Student set Name = 'Beau', LastModified = '2026-01-04 08:00:00' where Usi = 2",
        "insert into edfi.Student values (4, 'Di', '2026-01-02 11:30:00')",
        "insert into edfi.Student values (5, 'Ed', '2026-01-02 10:30:00')",
        "delete from edfi.Student where Usi = 1",
        "insert into gone.Student values (1, null, 17, '2026-01-04 08:30:00')",
    )
    changed = made.day(5)
    assert names(made) == {2: "Beau", 3: "Cy", 4: "Di"}
    assert (changed["students"].counts.written, changed["students"].counts.deleted) == (1, 1)
    assert (watermark(made), watermark(made, "deletes")) == ("2026-01-04 08:00:00.000000", "17")

    # Read whole again, the row that came too late is there.
    everything = made.day(6, full_refresh=True)
    assert names(made) == {2: "Beau", 3: "Cy", 4: "Di", 5: "Ed"}
    assert everything["students"].notes == ("everything is read: --full-refresh",)


EVENTS = """
- name: events
  source:
    type: delta
    path: "{{ base_path }}/raw"
    incremental: {column: n}
    query: "select n, what from events where what <> 'noise'"
  destination: {path: "{{ base_path }}/events", mode: append}
"""


def test_append_when_it_reads_by_a_watermark_then_each_row_comes_once_whatever_breaks(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(EVENTS)
    made.put("raw", "select 1 as n, 1 as m, 'one' as what")
    assert made.day(1)["events"].notes == ("events: rows without n are not read",)

    # The commit is there, and no marker: the batch goes on, and reads nothing again.
    made.put("raw", "select 2 as n, 2 as m, 'two' as what", "append")

    def crash(*_: object) -> str:
        raise OSError("the machine went down")

    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save_marker", crash)
        assert made.day(2).statuses == {"events": "failed"}
    made.put("raw", "select 3 as n, 3 as m, 'three' as what", "append")
    assert made.day(2).statuses == {"events": "success"}
    assert made.rows("events") == [(1, "one"), (2, "two")]

    # As before, but it is edited before it goes on: what it wrote is undone, and read anew.
    with monkeypatch.context() as patch:
        patch.setattr(CheckpointStore, "save_marker", crash)
        assert made.day(3).statuses == {"events": "failed"}
    made.flow(EVENTS.replace("select n, what", "select n, upper(what) as what"))
    edited = made.day(3)["events"]
    assert edited.notes == (
        "its SQL or settings were edited; rows appended before stay as they are",
    )
    assert made.rows("events") == [(1, "one"), (2, "two"), (3, "THREE")]
    made.put("raw", "select 4 as n, 4 as m, 'four' as what", "append")

    # The write is undone by a check, and with it the watermark.
    made.write("dq/few.sql", "-- expect: value <= 3\nselect count(*) from events")
    made.flow(EVENTS + '  dq_checks: ["dq/few.sql"]')
    assert made.day(4).statuses == {"events": "dq_failed"}
    assert made.commits("events")[0] == "RESTORE"
    made.flow(EVENTS)
    assert made.day(5).statuses == {"events": "success"}
    assert made.rows("events") == [(1, "one"), (2, "two"), (3, "THREE"), (4, "four")]

    # Others' commits in between say nothing of it, and what is left out is not read twice.
    made.spark.sql(f"optimize delta.`{made.path('events')}`")
    made.put("raw", "select 5 as n, 5 as m, 'noise' as what", "append")
    made.day(6)
    assert next(made.log("events").standing()).user_metadata["watermarks"]["events"]["value"] == "5"

    # Another column: up to where it was read is not known, and all rows would come twice.
    made.flow(EVENTS.replace("column: n", "column: 'm'").replace("select n", "select m as n"))
    made.put("raw", "select 6 as n, 6 as m, 'six' as what")
    refused = made.day(7)["events"].error
    assert refused is not None
    assert "doubled by mode 'append'" in refused.message
    assert "--full-refresh" in refused.hint


WHOLE = """
- name: students
  source:
    type: delta
    path: "{{ base_path }}/raw"
    incremental: {column: day, full_every_days: 3}
    query: "select id, name, day from students"
  destination: {path: "{{ base_path }}/students", mode: merge, keys: [id], deletes: delete}
"""


@pytest.mark.long
def test_watermark_when_everything_is_read_now_and_then_then_deleted_rows_are_found(
    project: Callable[..., Project],
) -> None:
    made = project(WHOLE)
    rows = "select id, name, date '2026-01-01' + id as day from values {} as t(id, name)"
    made.put("raw", rows.format("(1, 'a'), (2, 'b'), (3, 'c'), (null, 'x')"))
    made.day(4)
    assert names(made) == {1: "a", 2: "b", 3: "c", None: "x"}
    # Row 1 is gone; of the rows of the last day, which was not over, row 3 came anew.
    made.put("raw", rows.format("(2, 'not seen'), (3, 'C'), (null, 'y')"))
    assert made.day(5)["students"].notes == ()
    assert names(made) == {1: "a", 2: "b", 3: "C", None: "y"}
    assert made.day(7)["students"].notes == (
        "everything is read: students was read whole 3 days ago",
    )
    assert names(made) == {2: "not seen", 3: "C", None: "y"}
    # It is kept that everything was read, also where that changed nothing.
    again = made.day(10)
    assert again.statuses == {"students": "unchanged"}
    assert again["students"].notes == ("everything is read: students was read whole 3 days ago",)
    assert made.day(11)["students"].notes == ()


CHANGES = """
- name: people
  source:
    type: delta
    path: "{{ base_path }}/raw"
    query: "select id, name, gone from people"
  destination:
    path: "{{ base_path }}/people"
    mode: scd1
    keys: [id]
    apply_as_delete_when: gone
    except_columns: [gone]
  dq_checks: ["dq/none_bad.sql"]
- name: seen
  depends_on: [people]
  source:
    type: delta
    query: "select id, name, _change_type as kind, '{{ batch_id }}' as day from {{ changes('people') }}"
  destination: {path: "{{ base_path }}/seen", mode: append}
- name: latest
  depends_on: [people]
  source: {type: delta, query: "select id, upper(name) as name, _change_type = 'delete' as gone from {{ changes('people') }}"}
  destination:
    path: "{{ base_path }}/latest"
    mode: merge
    keys: [id]
    apply_as_delete_when: gone
    except_columns: [gone]
"""  # noqa: E501
BAD = "-- expect: value = 0\nselect count(*) from people where name = 'bad'"


def put(made: Project, rows: str, **more: Any) -> None:
    made.put("raw", f"select * from values {rows} as t(id, name, gone)", **more)


def seen(made: Project, number: int) -> list[tuple[Any, ...]]:
    return [row[:3] for row in made.rows("seen") if row[3] == f"day number {number}"]


def test_changes_when_a_step_reads_them_then_each_is_told_once_and_none_is_lost(
    project: Callable[..., Project],
) -> None:
    made = project(CHANGES, files={"dq/none_bad.sql": BAD})
    put(made, "(1, 'a', false), (2, 'b', false), (3, 'c', false)")
    first = made.day(1)
    assert first["seen"].notes == ()  # that a first run reads everything need not be told
    assert seen(made, 1) == [(1, "a", "insert"), (2, "b", "insert"), (3, "c", "insert")]

    put(made, "(1, 'a', false), (2, 'B', false), (3, 'c', true), (4, 'd', false)")
    second = made.day(2)
    assert second["seen"].notes == ()
    assert seen(made, 2) == [
        (2, "B", "update_postimage"), (3, "c", "delete"), (4, "d", "insert"),
    ]  # fmt: skip
    assert names(made, "latest") == {1: "A", 2: "B", 4: "D"}
    assert second["latest"].counts.written == 1

    # Nothing changed: nothing is read, written or committed.
    versions = [made.log(table).version() for table in ("seen", "latest")]
    assert set(made.day(3).statuses.values()) == {"unchanged"}
    assert [made.log(table).version() for table in ("seen", "latest")] == versions

    # Several commits since, of which one was undone, one came and went, one came back.
    put(made, "(1, 'bad', false), (5, 'e', false)")
    assert made.day(4)["people"].status.value == "dq_failed"
    put(made, "(5, 'e', false), (6, 'f', false), (2, 'x', true)")
    made.day(5, select=("people",))
    put(made, "(5, 'e', true), (6, 'F', false), (2, 'y', false)")
    made.day(6)
    assert seen(made, 6) == [(2, "y", "update_postimage"), (6, "F", "insert")]
    assert names(made, "latest") == {1: "A", 2: "Y", 4: "D", 6: "F"}

    # The feed is gone: what goes by keys reads everything, what appends must not.
    made.spark.sql(
        f"alter table delta.`{made.path('people')}` set tblproperties ('{FEED_PROPERTY}' = 'false')"
    )
    put(made, "(4, 'dd', false)")
    lost = made.day(7)
    told = "what changed in stage.group.people is not known: "
    assert lost["latest"].notes[0].startswith(f"everything is read: {told}its changes since")
    assert names(made, "latest") == {1: "A", 2: "Y", 4: "DD", 6: "F"}
    refused = lost["seen"].error
    assert refused is not None
    assert "doubled by mode 'append'" in refused.message

    # Edited: what is there was made by the old SQL. From then on changes again.
    made.flow(CHANGES.replace("upper(name)", "concat(name, '!')"))
    edited = made.day(8, select=("people", "latest"))
    assert edited["latest"].notes == ("everything is read: its SQL or settings were edited",)
    assert names(made, "latest") == {1: "a!", 2: "y!", 4: "dd!", 6: "F!"}


KEPT = """
- name: people
  source: {type: delta, path: "{{ base_path }}/raw", query: "select id, name from people"}
  destination: {path: "{{ base_path }}/people", mode: scd1, keys: [id]}
- name: latest
  depends_on: [people]
  debug: true
  pre_views:
    - {name: touched, query: "select id from {{ changes('people') }} where sha1(cast(id as string)) <> ''", keep: true}
  source: {type: delta, query: "select people.* from people left semi join touched on people.id = touched.id"}
  destination: {path: "{{ base_path }}/latest", mode: insert_new, keys: [id]}
"""  # noqa: E501


def test_pre_view_when_it_is_kept_then_a_part_is_computed_before_the_steps_own_statement(
    project: Callable[..., Project],
) -> None:
    made = project(KEPT)
    put(made, "(1, 'a', false), (2, 'b', false)")
    everything = made.day(1)["latest"]
    assert "sha1" in everything.explain  # all of it is one statement

    put(made, "(2, 'b', false), (3, 'c', false)")
    part = made.day(2)["latest"]
    assert "sha1" not in part.explain  # what it gave is there already
    assert "LocalTableScan" in part.explain
    assert names(made, "latest") == {1: "a", 2: "b", 3: "c"}

    # It makes no other rows, and to take it back is no reason to read all again.
    made.flow(KEPT.replace(", keep: true", ""))
    put(made, "(4, 'd', false)")
    assert made.day(3)["latest"].notes == ()


@pytest.mark.long
def test_changes_when_the_table_has_no_keys_then_its_rows_are_counted(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: people
          source: {type: delta, path: "{{ base_path }}/raw", query: "select * from people"}
          destination: {path: "{{ base_path }}/people", cluster_by: [id]}
        - name: seen
          depends_on: [people]
          source:
            type: delta
            query: "select id, name, _change_type as kind, '{{ batch_id }}' as day from people__changes"
          destination: {path: "{{ base_path }}/seen", mode: append}
        """  # noqa: E501
    )
    put(made, "(1, 'a', false), (1, 'a', false), (2, 'b', false)")
    made.day(1)
    put(made, "(1, 'a', false), (2, 'B', false), (3, 'c', false), (3, 'c', false)")
    assert made.day(2)["seen"].error is None
    assert seen(made, 2) == [
        (1, "a", "delete"), (2, "B", "insert"), (2, "b", "delete"),
        (3, "c", "insert"), (3, "c", "insert"),
    ]  # fmt: skip

    # The files of what was replaced are gone: the feed ends in the middle, and nobody guesses.
    put(made, "(9, 'z', false)")
    made.day(3, select=("people",))
    table = DeltaTable(made.path("people"))
    kept = {Path(uri).name for uri in table.file_uris()}
    for file in Path(made.path("people")).rglob("part-*.parquet"):
        if file.name not in kept:  # as VACUUM does
            file.unlink()
    lost = made.day(4, select=("seen",))["seen"].error
    assert lost is not None
    assert "cannot be read any more" in lost.message
    assert seen(made, 4) == []


STATUSES = """
- name: statuses
  source:
    datasource: ods
    table: edfi.Event
    incremental: {column: happened}
    query: select usi, status, happened from statuses
  destination: {path: "{{ base_path }}/statuses", mode: scd2, keys: [usi], sequence_by: happened}
"""
A_DAY = timedelta(days=1)


@pytest.mark.long
def test_history_when_windows_are_read_by_the_watermark_then_it_gives_what_the_days_gave(
    project: Callable[..., Project], ods: Ods
) -> None:
    daily, past = project(STATUSES, head(ods)), project(STATUSES, head(ods))
    ods.execute(
        "create table edfi.Event (Usi int not null, Status varchar(10) not null, "
        "Happened timestamp not null)"
    )
    first, last = date(2025, 12, 28), date(2026, 1, 9)
    day, chance = first, Random(7)
    while day <= last:
        for usi in chance.sample(range(5), chance.randrange(3)):
            hour = chance.randrange(24)
            ods.execute(
                f"insert into edfi.Event values ({usi}, 's{chance.randrange(3)}', "
                f"'{day} {hour:02d}:59:59.999999')"
            )
        daily.run(run_date=day, batch_id=f"day {day}")
        day += A_DAY
    period = Period(first, last, "week")
    options = Options(project_dir=past.root)
    clock = datetime(2026, 1, 12, tzinfo=timezone.utc)
    history = HistoryRun("main_flow", options, period, spark=past.spark, now=lambda: clock)
    assert history.run().exit_code == 0
    assert past.rows("statuses") == daily.rows("statuses")
    assert len(past.rows("statuses")) > 5

    # Daily runs go on from the end of the last window.
    for usi in (0, 1):
        ods.execute(f"insert into edfi.Event values ({usi}, 'new', '2026-01-12 00:00:00')")
    for made in (daily, past):
        went = made.run(run_date=date(2026, 1, 12), batch_id="day after")
        assert went["statuses"].counts.written == 2
        assert went["statuses"].notes == ()
    assert past.rows("statuses") == daily.rows("statuses")
