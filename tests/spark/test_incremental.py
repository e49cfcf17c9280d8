"""Daily runs: only what is new is read, by watermarks that are committed with the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.conftest import Project, Ran

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


def day(made: Project, number: int, **options: Any) -> Ran:
    return made.run(run_date=_date(number), batch_id=f"day {number}", **options)


def _date(number: int) -> Any:
    from datetime import date

    return date(2026, 1, number)


def names(made: Project, table: str = "students") -> dict[int, str]:
    return {row[0]: row[1] for row in made.rows(table)}


def watermark(made: Project, view: str = "students") -> str:
    said = next(made.log("students").standing()).user_metadata
    return str(said["watermarks"][view]["value"])


def test_watermark_when_days_pass_then_only_what_is_new_is_read_and_nothing_is_lost(
    project: Callable[..., Project], ods: Ods
) -> None:
    made = project(DAILY, head(ods))
    first = day(made, 3)
    assert first["students"].notes == ("everything is read: its table is not there yet",)
    assert names(made) == {1: "Ada", 2: "Bo", 3: "Cy"}
    assert watermark(made) == "2026-01-02 12:00:00.123457"

    # Nobody changed: nothing is committed, and the watermark stays where it was.
    version = made.log("students").version()
    idle = day(made, 4)
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
    changed = day(made, 5)
    assert names(made) == {2: "Beau", 3: "Cy", 4: "Di"}
    assert (changed["students"].counts.written, changed["students"].counts.deleted) == (1, 1)
    assert (watermark(made), watermark(made, "deletes")) == ("2026-01-04 08:00:00.000000", "17")

    # Read whole again, the row that came too late is there.
    everything = day(made, 6, full_refresh=True)
    assert names(made) == {2: "Beau", 3: "Cy", 4: "Di", 5: "Ed"}
    assert everything["students"].notes == ("everything is read: --full-refresh",)
