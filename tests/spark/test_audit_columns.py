"""Audit columns: which run, batch and source made a row as it is, and which run ended a version."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.conftest import Project, Ran

STEPS = """
- name: raw
  source: {type: csv, path: in, options: {header: "true"}, query: "select * from raw"}
  destination: {path: "{{ base_path }}/raw"}
- name: copied
  depends_on: [raw]
  source: {type: delta, query: "select * from raw"}
  destination: {path: "{{ base_path }}/copied", mode: scd1, keys: [id], deletes: delete}
- name: versions
  depends_on: [copied]
  source: {type: delta, query: "select * from copied"}
  destination: {path: "{{ base_path }}/versions", mode: scd2, keys: [id], deletes: close}
- name: hub
  depends_on: [copied]
  source: {type: delta, query: "select id from copied"}
  destination: {path: "{{ base_path }}/hub", mode: insert_new, keys: [id]}
- name: sat
  depends_on: [copied]
  source:
    type: delta
    query: "select id, name, date '{{ run_date }}' as load_date from copied"
  destination: {path: "{{ base_path }}/sat", mode: satellite, keys: [id], sequence_by: load_date}
- name: plain
  depends_on: [raw]
  source: {type: delta, query: "select id, name from raw"}
  destination: {path: "{{ base_path }}/plain", audit_columns: false}
"""
DAYS = {
    1: "id,name\n1,Ada\n2,Bo\n",
    2: "id,name\n1,Ada\n2,Bob\n3,Cy\n",
    3: "id,name\n1,Ada\n3,Cy\n",
    4: "id,name\n1,Ada\n2,Bob\n3,Cy\n",
}


@pytest.fixture
def made(project: Callable[..., Project]) -> Project:
    return project(STEPS, "audit_columns: true")


def day(made: Project, number: int, batch: str = "") -> Ran:
    made.write("in/rows.csv", DAYS[number])
    return made.run(batch_id=batch or f"day-{number}", run_date=date(2026, 1, number))


def who(made: Project, table: str, *columns: str) -> set[tuple[Any, ...]]:
    frame = made.spark.read.format("delta").load(made.path(table))
    return {tuple(row) for row in frame.select(*columns).collect()}


@pytest.mark.long
def test_rows_when_days_pass_then_tell_who_made_and_ended_them(made: Project) -> None:
    runs = {1: day(made, 1).result.run.run_id}
    versions = {name: made.log(name).version() for name in ("copied", "versions", "sat")}
    day(made, 1, "again")  # another run is no change
    assert {name: made.log(name).version() for name in versions} == versions
    runs |= {number: day(made, number).result.run.run_id for number in (2, 3, 4)}
    origin = ("_batch_id", "_source")
    assert who(made, "raw", "id", *origin) == {(n, "day-4", "in") for n in "123"}
    assert who(made, "copied", "id", *origin) == {
        ("1", "day-1", "stage.group.raw"),  # never changed since
        ("2", "day-4", "stage.group.raw"),  # gone on day 3, and back
        ("3", "day-2", "stage.group.raw"),
    }
    assert who(made, "hub", "id", "_batch_id") == {("1", "day-1"), ("2", "day-1"), ("3", "day-2")}
    assert who(made, "sat", "id", "name", "_batch_id") == {
        ("1", "Ada", "day-1"), ("2", "Bo", "day-1"), ("2", "Bob", "day-2"), ("3", "Cy", "day-2"),
    }  # fmt: skip
    found = who(made, "versions", "id", "name", "_run_id", "_closed_run_id", "_closed_batch_id")
    assert found == {
        ("1", "Ada", runs[1], None, None),
        ("2", "Bo", runs[1], runs[2], "day-2"),
        ("2", "Bob", runs[2], runs[3], "day-3"),
        ("2", "Bob", runs[4], None, None),
        ("3", "Cy", runs[2], None, None),
    }
    assert "_run_id" not in made.spark.read.format("delta").load(made.path("plain")).columns
