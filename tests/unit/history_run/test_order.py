"""Whether windows may run side by side: only where none can matter to another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING

import pytest

from pipelines.history_run import HistoryRun
from pipelines.plan.windows import Period
from pipelines.prepared import Options

if TYPE_CHECKING:
    from tests.conftest import Project

HEAD = """
run: {mode: history, max_parallel_windows: 3}
datasources:
  ods: {type: jdbc, url: "jdbc:derby:nowhere"}
  files: {type: delta, path: "{{ base_path }}"}
"""
WINDOW = "day >= '{{ run.window_start }}' and day < '{{ run.window_end }}'"
FILES = {
    "dq/none.sql": "select * from one where id is null",
    "ingestion/any.py": "def ingest(spark, context):\n    return spark.range(1)\n",
}


def step(
    name: str,
    source: str = "datasource: ods, table: events",
    query: str = f"select id, day from one where {WINDOW}",
    destination: str = "mode: append",
    more: str = "",
) -> str:
    return f"""
- name: {name}
  source: {{{source}, query: "{query}"}}
  destination: {{path: "{{{{ base_path }}}}/{name}", {destination}}}
  {more}
"""


def order(made: Project) -> str:
    now = datetime(2026, 4, 1, tzinfo=timezone.utc)
    period = Period(date(2026, 1, 1), date(2026, 3, 31))
    return HistoryRun("main_flow", Options(project_dir=made.root), period, now=lambda: now).order


VIEW = """
- name: seen
  source: {datasource: ods, table: events}
  destination: {view: seen}
"""
SAFE = [
    step("one"),
    step("one", destination="mode: replace_window, window_column: day"),
    step("one", more="dq_checks: [{file: dq/none.sql, severity: warn}]"),
    step("one") + step("two", query="select id, day from two"),
    VIEW + step("one", query=f"select id, day from seen where {WINDOW}", more="depends_on: [seen]"),
    step("one", source="type: delta, path: '{{ base_path }}/outside'"),
]


@pytest.mark.parametrize("steps", SAFE)
def test_order_when_steps_only_add_what_they_take_from_outside_then_side_by_side(
    project: Callable[..., Project], steps: str
) -> None:
    made = project(steps, HEAD, FILES)
    assert order(made) == "windows run side by side, at most 3 at a time"


def test_order_when_nobody_asked_for_more_than_one_then_nothing_is_told(
    project: Callable[..., Project],
) -> None:
    assert order(project(step("one"), "run: {mode: history}")) == ""


TWO = "type: delta"
UNSAFE = [
    (step("one", destination="mode: scd1, keys: [id]"), "one writes by mode 'scd1'"),
    (step("one", query="select 1 as id", destination="mode: overwrite"), "by mode 'overwrite'"),
    (step("one", destination="mode: append, schema: evolve"), "may change the columns"),
    (step("one", destination="mode: append, format: parquet"), "writes files of format parquet"),
    (
        step("one", source="datasource: ods, table: e, incremental: {column: day}"),
        "one reads only what is new",
    ),
    (step("one", more="dq_checks: [dq/none.sql]"), "has a check that may undo its write"),
    (
        step("one", more="dq_checks: [{file: dq/none.sql, severity: warn, warn_at: 1}]"),
        "has a check that may undo its write",
    ),
    (
        step("one")
        + step("two", TWO, f"select id, day from one where {WINDOW}", more="depends_on: [one]"),
        "two reads the table of stage.group.one, to which all windows write",
    ),
    (
        VIEW
        + step("one")
        + """
- name: script
  script: ingestion/any.py
  destination: {path: "{{ base_path }}/script", mode: append}
""",
        "script is a script, which may read any table",
    ),
    (step("one", "type: delta, path: '{{ base_path }}/one/'"), "lake/one, to which all windows"),
    (step("one", "datasource: files, table: one"), "lake/one, to which all windows write"),
    (
        step("one", query="select id, day from delta.`{{ base_path }}/one`"),
        "of which it is not known who writes it",
    ),
    (step("one", query="select id, day from identifier('o' || 'ne')"), "makes up names of tables"),
]


@pytest.mark.parametrize(("steps", "reason"), UNSAFE)
def test_order_when_a_window_could_matter_to_another_then_one_after_another_and_it_says_why(
    project: Callable[..., Project], steps: str, reason: str
) -> None:
    told = order(project(steps, HEAD, FILES))
    assert told.startswith("windows run one after another: stage.group.")
    assert reason in told


def test_order_when_what_is_read_is_not_written_in_this_run_then_side_by_side(
    project: Callable[..., Project],
) -> None:
    made = project(
        step("one", destination="mode: overwrite", query="select 1 as id")
        + step("two", TWO, "select id from one", more="depends_on: [one]"),
        HEAD,
    )
    now = datetime(2026, 4, 1, tzinfo=timezone.utc)
    history = HistoryRun(
        "main_flow",
        Options(project_dir=made.root, select=("two",)),
        Period(date(2026, 1, 1), date(2026, 3, 31)),
        now=lambda: now,
    )
    assert history.order == "windows run side by side, at most 3 at a time"
