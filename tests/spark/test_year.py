"""A year of daily runs gives what one history run gives, on Derby and on PostgreSQL.

What happens comes from the generator of the sample ODS, written to a table of events as a database
with change capture would: some rows come days after what they tell of. A few days by default;
`PIPELINE_TEST_DAYS=365` makes it a year, which takes an hour or two a database.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, time, timedelta, timezone
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pytest

from pipelines.history_run import HistoryRun
from pipelines.plan.windows import Period
from pipelines.prepared import Options
from pipelines.sample_ods.derby_sql import literal
from pipelines.sample_ods.generator import apply_changes, generate
from pipelines.sample_ods.stamps import FIRST_DAY
from tests.postgres_server import postgres

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

    from pipelines.sample_ods.generator import Ods
    from tests.conftest import Project

DAYS: Final = int(os.environ.get("PIPELINE_TEST_DAYS", "3"))
LAST_DAY: Final = FIRST_DAY + timedelta(days=DAYS)
STUDENTS, CHANGES_A_DAY, MOST_DAYS_LATE = 40, 9, 5
TABLES = ("events", "arrivals", "by_day", "students", "versions", "sat_student")

STEPS = """
- name: events
  source:
    datasource: ods
    table: changelog.student
    incremental: {column: changed_at, overlap: 6 days}
  destination: {path: "{{ base_path }}/events", mode: merge, keys: [usi, change_version]}
- name: arrivals
  source:
    datasource: ods
    table: changelog.student
    incremental: {column: arrived_at}
    query: "select * except (arrived_on) from arrivals"
  destination: {path: "{{ base_path }}/arrivals", mode: append}
- name: by_day
  source:
    datasource: ods
    query_text: >-
      select arrived_on, usi, last_name from changelog.student where
      arrived_on >= '{{ run.window_start }}' and arrived_on < '{{ run.window_end }}'
  destination: {path: "{{ base_path }}/by_day", mode: replace_window, window_column: arrived_on}
- name: students
  depends_on: [events]
  source: {type: delta, query: "select * from {{ changes('events') }}"}
  destination: &living
    path: "{{ base_path }}/students"
    mode: scd1
    keys: [usi]
    sequence_by: changed_at
    apply_as_delete_when: is_deleted
    except_columns:
      [is_deleted, change_version, arrived_at, arrived_on, _change_type, _commit_version,
       _commit_timestamp]
- name: versions
  depends_on: [events]
  source: {type: delta, query: "select * from {{ changes('events') }}"}
  destination: {<<: *living, path: "{{ base_path }}/versions", mode: scd2}
- name: sat_student
  depends_on: [arrivals]
  source:
    type: delta
    query: >-
      select usi, first_name, last_name, nickname, arrived_at from {{ changes('arrivals') }}
      where not is_deleted
  destination:
    {path: "{{ base_path }}/sat_student", mode: satellite, keys: [usi], sequence_by: arrived_at}
"""
DDL = (
    "create schema changelog",
    "create table changelog.student (usi int not null, change_version bigint not null, "
    "first_name varchar(75), last_name varchar(75), nickname varchar(75), is_deleted boolean not "
    "null, changed_at timestamp not null, arrived_at timestamp not null, arrived_on date not null)",
)


class Told(NamedTuple):
    """A row of the table of events."""

    usi: int
    change_version: int
    first_name: str | None
    last_name: str | None
    nickname: str | None
    is_deleted: bool
    changed_at: datetime
    arrived_at: datetime

    def __str__(self) -> str:
        values = (*self, self.arrived_at.date())
        return f"({', '.join(map(literal, values))})"


class Database(NamedTuple):
    """Where the table of events is."""

    head: str
    execute: Callable[[Iterable[str]], None]


@contextmanager
def derby(spark: SparkSession, folder: Path) -> Iterator[Database]:
    jvm: Any = spark._jvm
    url = f"jdbc:derby:{folder}/ods"
    connection = jvm.java.sql.DriverManager.getConnection(f"{url};create=true")

    def execute(statements: Iterable[str]) -> None:
        statement = connection.createStatement()
        for one in statements:
            statement.execute(one)
        statement.close()

    yield Database(f"{{type: jdbc, url: '{url}', identifier_case: lower}}", execute)
    connection.close()
    with pytest.raises(Exception, match="shutdown"):
        jvm.java.sql.DriverManager.getConnection(f"{url};shutdown=true")


@contextmanager
def postgresql(_: SparkSession, folder: Path) -> Iterator[Database]:
    with postgres() as server, server.connect() as connection:

        def execute(statements: Iterable[str]) -> None:
            for one in statements:
                connection.execute(one)

        yield Database(f"{{type: jdbc, url: '{server.url}', user: postgres}}", execute)


@pytest.mark.long
@pytest.mark.parametrize(
    "database",
    [
        pytest.param(derby, id="derby"),
        pytest.param(postgresql, id="postgresql", marks=pytest.mark.postgres),
    ],
)
def test_history_when_run_once_over_all_that_happened_then_it_gives_what_daily_runs_gave(
    project: Callable[..., Project], spark: SparkSession, tmp_path: Path, database: Any
) -> None:
    told, at_the_end = what_happens()
    window = "month" if DAYS > 60 else "week" if DAYS > 13 else "day"
    with database(spark, tmp_path) as ods:
        head = f"datasources: {{ods: {ods.head}}}\nrun: {{window: {window}}}"
        daily, history = project(STEPS, head), project(STEPS, head)
        ods.execute(DDL)
        for number in range(DAYS + 1):
            day = FIRST_DAY + timedelta(days=number)
            rows = [str(row) for row in told if row.arrived_at.date() == day]
            if rows:
                ods.execute([f"insert into changelog.student values {', '.join(rows)}"])
            ran = daily.run(run_date=day, batch_id=f"the day {day}")
            assert ran.result.exit_code == 0, [step.error for step in ran.result.steps]
        result = HistoryRun(
            "main_flow",
            Options(project_dir=history.root),
            Period(FIRST_DAY, LAST_DAY),
            sinks=lambda _: [],
            spark=spark,
            now=lambda: datetime.combine(LAST_DAY, time(), timezone.utc) + timedelta(days=40),
        ).run()
    assert result.exit_code == 0, result.rows
    assert len(result.rows) > (10 if DAYS > 300 else 0)
    assert len(daily.commits("versions")) > DAYS / 2
    for table in TABLES:
        assert daily.rows(table) == history.rows(table), table
    living = sorted((usi, *names) for usi, names in at_the_end.items())
    assert [row[:4] for row in columns(daily, "students")] == living
    current = [row[:4] for row in columns(daily, "versions", "is_current")]
    assert current == living
    assert len(daily.rows("versions")) > len(living)
    assert len(daily.rows("arrivals")) == len(daily.rows("by_day")) == len(told)


def columns(made: Project, table: str, where: str = "true") -> list[tuple[Any, ...]]:
    """Keys and names of a table's rows."""
    frame = made.spark.read.format("delta").load(made.path(table)).where(where)
    return sorted(
        tuple(row) for row in frame.select("usi", "first_name", "last_name", "nickname").collect()
    )


Names = tuple[str, str, "str | None"]


def what_happens() -> tuple[list[Told], dict[int, Names]]:
    """All events, and the names of all who are students at the end, by StudentUSI.

    An event may come after later ones, but for a delete: that comes after all of its student.
    """
    ods = generate(STUDENTS, 5)
    rng = Random(5)
    begin = datetime.combine(FIRST_DAY, time())
    told = [_told(ods, usi, begin, begin) for usi in range(1, ods.next_usi)]
    comes = {row.usi: row.arrived_at for row in told}
    for number in range(1, DAYS + 1):
        day = apply_changes(ods, CHANGES_A_DAY, FIRST_DAY + timedelta(days=number))
        ods = day.ods
        for change in day.changes:
            late = timedelta(days=rng.randint(1, MOST_DAYS_LATE) if rng.random() < 0.2 else 0)
            this_one = timedelta(microseconds=len(told))  # no two come at one instant
            if change.table == "edfi.Student" and change.kind != "delete":
                usi = change.values.get("StudentUSI") or change.key["StudentUSI"]
                at = change.values["LastModifiedDate"]
                row = _told(ods, usi, at, _by_the_end(at + late + this_one))
            elif change.table == "tracked_changes_edfi.Student":
                usi, at = change.values["OldStudentUSI"], change.values["CreateDate"]
                version = change.values["ChangeVersion"]
                arrives = _by_the_end(max(at + late, comes[usi]) + this_one)
                row = Told(usi, version, None, None, None, True, at, arrives)
            else:
                continue
            comes[usi] = max(comes.get(usi, begin), row.arrived_at)
            told.append(row)
    living = ((usi, ods.student(usi)) for usi in range(1, ods.next_usi))
    return told, {
        usi: (one.first_name, one.last_name, one.preferred_first_name) for usi, one in living if one
    }


def _told(ods: Ods, usi: int, changed: datetime, arrives: datetime) -> Told:
    student = ods.student(usi)
    assert student is not None
    names = (student.first_name, student.last_name, student.preferred_first_name)
    return Told(usi, student.stamp.version, *names, False, changed, arrives)


def _by_the_end(arrives: datetime) -> datetime:
    return min(arrives, datetime.combine(LAST_DAY, arrives.time()))
