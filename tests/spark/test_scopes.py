"""Checks with a scope: after a run that read a part they look at what it touched, else at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pipelines.execution import scopes
from pipelines.utils.sql_runner import statements

if TYPE_CHECKING:
    from pipelines.results import CheckResult
    from tests.conftest import Project, Ran

STEPS = """
- name: people
  source:
    {type: delta, path: "{{ base_path }}/raw", query: "select id, name, gone from people"}
  destination:
    path: "{{ base_path }}/people"
    mode: scd1
    keys: [id]
    apply_as_delete_when: gone
    except_columns: [gone]
- name: latest
  depends_on: [people]
  source:
    type: delta
    query: >-
      select id, name, _change_type = 'delete' as gone from {{ changes('people') }}
      where name <> 'lost'
  destination:
    path: "{{ base_path }}/latest"
    mode: scd1
    keys: [id]
    apply_as_delete_when: gone
    except_columns: [gone]
  dq_checks: [dq/unique.sql, dq/none_bad.sql, dq/complete.sql, dq/number.sql]
"""
FILES = {
    "dq/unique.sql": "-- scope: ID\nselect id from latest group by id having count(*) > 1",
    "dq/none_bad.sql": "-- scope: id\n-- expect: value = 0\n"
    "select count(*) from latest where name = 'bad'",
    "dq/complete.sql": "-- scope: id\nselect id from people left anti join latest using (id)",
    "dq/number.sql": "-- expect: value > 0\nselect count(*) from latest",
}


def put(made: Project, rows: str, mode: str = "append") -> None:
    made.put("raw", f"select * from values {rows} as t(id, name, gone)", mode)


def replace_raw(made: Project, rows: str) -> None:
    put(made, rows, "overwrite")


def checks(ran: Ran, step: str = "latest") -> dict[str, CheckResult]:
    return {check.file.rpartition("/")[2]: check for check in ran[step].checks}


def touched(ran: Ran, step: str = "latest") -> list[int | None]:
    return [check.touched for check in ran[step].checks]


@pytest.fixture
def made(project: Callable[..., Project]) -> Project:
    """A project after its first day, on which everything is read."""
    made = project(STEPS, files=FILES)
    replace_raw(made, "(1, 'a', false), (2, 'b', false), (3, 'c', false)")
    assert touched(made.day(1)) == [None] * 4
    return made


def test_scope_when_a_part_was_read_then_its_values_are_looked_at_and_others_are_not(
    made: Project,
) -> None:
    replace_raw(made, "(2, 'B', false), (3, 'c', true), (4, 'd', false)")
    second = made.day(2)
    assert touched(second) == [3, 3, 3, None]
    assert checks(second)["number.sql"].value == 3
    assert checks(second)["unique.sql"].as_dict()["touched"] == 3

    # Nothing is new, so nothing has to be looked at.
    assert touched(made.day(3)) == [0, 0, 0, None]

    # What is wrong with touched rows is found, and undone.
    before = made.rows("latest")
    replace_raw(made, "(1, 'bad', false), (5, 'e', false)")
    failed = made.day(4)
    assert failed.statuses["latest"] == "dq_failed"
    assert checks(failed)["none_bad.sql"].value == 1
    assert made.rows("latest") == before


def test_scope_when_a_change_upstream_gets_lost_then_the_check_sees_it(made: Project) -> None:
    replace_raw(made, "(5, 'lost', false)")
    ran = made.day(2)
    assert ran.statuses["latest"] == "dq_failed"
    assert checks(ran)["complete.sql"].value == 1
    assert touched(ran) == [1, 1, 1, None]


def _someone_else_writes(made: Project) -> None:
    made.spark.sql(f"update delta.`{made.path('latest')}` set name = 'bad' where id = 1")


def _check_is_edited(made: Project) -> None:
    made.write("dq/none_bad.sql", FILES["dq/none_bad.sql"].replace("'bad'", "'a'"))


def _run_ended_before_its_checks(made: Project) -> None:
    """As a process that is killed between commit and checks leaves it, for good."""
    replace_raw(made, "(1, 'bad', false)")
    (made.root / "dq/none_bad.sql").rename(made.root / "kept.sql")
    made.write("dq/none_bad.sql", FILES["dq/none_bad.sql"].replace("'bad'", "'worse'"))
    made.day(2)
    (made.root / "kept.sql").rename(made.root / "dq/none_bad.sql")
    made.marker("latest", "day number 2").unlink()


@pytest.mark.parametrize(
    "happens", [_someone_else_writes, _check_is_edited, _run_ended_before_its_checks]
)
def test_scope_when_the_rest_is_not_known_to_be_right_then_all_rows_are_looked_at(
    made: Project, happens: Callable[[Project], None]
) -> None:
    happens(made)
    put(made, "(4, 'd', false)")
    ran = made.day(3)
    assert touched(ran) == [None] * 4
    assert checks(ran)["none_bad.sql"].value == 1, "of a row that the run did not touch"
    assert ran.statuses["latest"] == "dq_failed"


def test_scope_when_files_were_only_put_together_since_then_the_rest_is_still_right(
    made: Project,
) -> None:
    made.spark.sql(f"optimize delta.`{made.path('latest')}`")
    put(made, "(4, 'd', false)")
    assert touched(made.day(2)) == [1, 1, 1, None]


def test_scope_when_more_is_touched_than_a_plan_should_hold_then_all_rows_are_looked_at(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scopes, "_MOST_VALUES", 2)
    put(made, "(4, 'd', false), (5, 'e', false), (6, 'f', false)")
    assert touched(made.day(2)) == [None] * 4
    replace_raw(made, "(7, 'g', false), (8, 'h', false)")
    assert touched(made.day(3)) == [2, 2, 2, None]


def test_scope_when_what_is_touched_had_to_be_cached_then_it_is_looked_at_all_the_same(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "_FEW_ROWS", 2)
    monkeypatch.setattr(statements, "_FEW_BYTES", 0)
    put(made, "(4, 'd', false), (5, 'e', false), (6, 'lost', false)")
    ran = made.day(2)
    assert touched(ran) == [3, 3, 3, None]
    assert checks(ran)["complete.sql"].value == 1


KEPT_UNION = """
- name: people
  source: {type: delta, path: "{{ base_path }}/raw", query: "select id, name from people"}
  destination: {path: "{{ base_path }}/people", mode: scd1, keys: [id]}
- name: latest
  depends_on: [people]
  pre_views:
    - name: seen
      keep: true
      query: >-
        select id from {{ changes('people') }} union select 1 as id
        union select cast(unix_micros(current_timestamp()) % 1000000007 as int) as id
  source: {type: delta, query: "select id, name from {{ changes('people') }}"}
  destination: {path: "{{ base_path }}/latest", mode: scd1, keys: [id]}
  dq_checks: [dq/seen.sql]
"""


def test_scope_when_a_kept_view_is_a_union_then_its_rows_are_not_computed_anew(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    check = "-- scope: id\nselect count(*) as rows_seen from seen having count(*) <> 3"
    made = project(KEPT_UNION, files={"dq/seen.sql": check})
    replace_raw(made, "(1, 'a', false), (2, 'b', false)")
    made.day(1)
    monkeypatch.setattr(statements, "_FEW_ROWS", 2)
    monkeypatch.setattr(statements, "_FEW_BYTES", 0)
    replace_raw(made, "(3, 'c', false)")
    seen = checks(made.day(2))["seen.sql"]
    assert (seen.touched, seen.value) == (3, 0)


def test_scope_when_there_are_no_checkpoints_or_all_is_built_anew_then_all_rows_are_looked_at(
    made: Project,
) -> None:
    put(made, "(4, 'd', false)")
    assert touched(made.day(2, full_refresh=True)) == [None] * 4
    made.flow(STEPS, "checkpoint: {enabled: false}")
    put(made, "(5, 'e', false)")
    assert touched(made.day(3)) == [None] * 4


HISTORY = """
- name: people
  source: {type: delta, path: "{{ base_path }}/raw", query: "select id, name, day from people"}
  destination: {path: "{{ base_path }}/people", mode: scd1, keys: [id]}
- name: hub
  depends_on: [people]
  source: {type: delta, query: "select id from {{ changes('people') }}"}
  destination: {path: "{{ base_path }}/hub", mode: insert_new, keys: [id]}
  dq_checks: [dq/hub.sql]
- name: versions
  depends_on: [people, hub]
  pre_views:
    - {name: asked, query: "select id from {{ changes('people') }}", keep: true}
  source: {type: delta, query: "select id, name, day from {{ changes('people') }}"}
  destination:
    path: "{{ base_path }}/versions"
    mode: scd2
    keys: [id]
    sequence_by: day
    surrogate_key: version_id
  dq_checks: [dq/versions.sql, dq/surrogate.sql, dq/in_hub.sql]
- name: sat
  depends_on: [people]
  source: {type: delta, query: "select id, name, day from {{ changes('people') }}"}
  destination: {path: "{{ base_path }}/sat", mode: satellite, keys: [id], sequence_by: day}
  dq_checks: [dq/sat.sql]
"""
HISTORY_FILES = {
    "dq/hub.sql": "-- scope: id\nselect id from hub group by id having count(*) > 1",
    "dq/versions.sql": "-- scope: id\n"
    "select id from versions group by id having count_if(is_current) <> 1",
    "dq/surrogate.sql": "-- scope: version_id\n"
    "select version_id from versions group by version_id having count(*) > 1",
    "dq/in_hub.sql": "-- scope: id\nselect id from versions left anti join hub using (id)",
    "dq/sat.sql": "-- scope: id\nselect id from sat where name is null",
}


def test_scope_when_modes_keep_history_then_all_versions_of_touched_keys_are_looked_at(
    project: Callable[..., Project],
) -> None:
    made = project(HISTORY, files=HISTORY_FILES)
    write = "select *, date '2026-01-0%s' as day from values %s as t(id, name)"
    made.put("raw", write % (1, "(1, 'a'), (2, 'b')"))
    made.day(1)
    made.put("raw", write % (2, "(1, 'A'), (3, 'c')"))
    ran = made.day(2)
    assert touched(ran, "hub") == [2]  # 1 and 3 came, of which 3 is new
    # The version that ended, and the two that began.
    assert touched(ran, "versions") == [2, 3, 2]
    assert touched(ran, "sat") == [2]
    assert set(ran.statuses.values()) == {"success"}


READERS = """
- name: people
  source: {type: delta, path: "{{ base_path }}/raw", query: "select id, name from people"}
  destination: {path: "{{ base_path }}/people", mode: scd1, keys: [id]}
- name: part
  depends_on: [people]
  source: {type: delta, query: "select id from {{ changes('people') }}"}
  destination: {path: "{{ base_path }}/part", mode: scd1, keys: [id]}
  dq_checks: [dq/came.sql]
- name: whole
  depends_on: [people]
  source: {type: delta, query: "select id from people"}
  destination: {path: "{{ base_path }}/whole", mode: scd1, keys: [id]}
  dq_checks: [dq/came.sql]
"""
CAME = "-- expect: value >= 0\nselect count(*) from {{ changes('people') }}"


def test_check_when_it_reads_changes_then_they_are_what_its_own_step_read(
    project: Callable[..., Project],
) -> None:
    made = project(READERS, files={"dq/came.sql": CAME})
    replace_raw(made, "(1, 'a', false), (2, 'b', false)")
    first = made.day(1)
    assert [checks(first, step)["came.sql"].value for step in ("part", "whole")] == [2, 2]
    replace_raw(made, "(3, 'c', false)")
    second = made.day(2)
    assert [checks(second, step)["came.sql"].value for step in ("part", "whole")] == [1, 3]


MANY_VIEWS = """
- name: people
  source: {type: delta, path: "{{ base_path }}/raw", query: "select id, name from people"}
  destination: {path: "{{ base_path }}/people", mode: scd1, keys: [id]}
- name: others
  source: {type: delta, path: "{{ base_path }}/raw", query: "select id, name from others"}
  destination: {path: "{{ base_path }}/others", mode: scd1, keys: [id]}
- name: latest
  depends_on: [people, others]
  pre_views: [{name: everyone, query: select id from people}]
  source: {type: delta, query: "select id, name from {{ changes('people') }}"}
  destination: {path: "{{ base_path }}/latest", mode: scd1, keys: [id]}
  dq_checks: [dq/pre_view.sql, dq/changes.sql, dq/built.sql]
"""
MISSING = "-- scope: id\nselect id from %s left anti join latest using (id)"
MANY_VIEWS_FILES = {
    "dq/pre_view.sql": MISSING % "everyone",
    "dq/changes.sql": MISSING % "{{ changes('others') }}",
    "dq/built.sql": MISSING % "identifier('peo' || 'ple')",
}


def test_scope_when_a_check_reads_other_views_then_all_that_have_its_columns_are_narrowed(
    project: Callable[..., Project],
) -> None:
    made = project(MANY_VIEWS, files=MANY_VIEWS_FILES)
    replace_raw(made, "(1, 'a', false), (2, 'b', false)")
    made.day(1)
    replace_raw(made, "(3, 'c', false)")
    ran = made.day(2)
    assert touched(ran) == [1, 1, 1]
    assert {name: check.value for name, check in checks(ran).items()} == {
        "pre_view.sql": 0, "changes.sql": 0, "built.sql": 0,
    }  # fmt: skip
