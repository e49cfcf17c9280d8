"""The same batch again: what is done stays done, once, however the run before it ended."""

from __future__ import annotations

from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import UsageError
from pipelines.execution.checkpoints import CheckpointStore
from pipelines.results import utc_now

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project, Ran

# Every kind of write that would show if it happened twice, and the files of each kind's batch 0.
KINDS = """
- name: overwritten
  source: {type: delta, query: sql/rows.sql}
  destination: {path: "{{ base_path }}/overwritten"}
- name: appended
  source: {type: delta, query: sql/rows.sql}
  destination: {path: "{{ base_path }}/appended", mode: append}
- name: merged
  source: {type: delta, query: sql/rows.sql}
  destination: {path: "{{ base_path }}/merged", mode: merge, keys: [id]}
- name: inserted
  source: {type: delta, query: sql/insert.sql}
  destination: {path: "{{ base_path }}/inserted"}
- name: merged_by_file
  source: {type: delta, query: sql/merge.sql}
  destination: {path: "{{ base_path }}/merged_by_file"}
- name: files
  source: {type: delta, query: sql/rows.sql}
  destination: {path: "{{ base_path }}/files", format: parquet, mode: append}
- name: reader
  depends_on: [appended]
  source: {type: delta, query: select * from appended}
  destination: {path: "{{ base_path }}/reader", mode: append}
"""
SQL = {
    "sql/rows.sql": "select {{ vars.n }} as id, 'x' as name",
    "sql/insert.sql": "insert into inserted select {{ vars.n }} as id, 'x' as name",
    "sql/merge.sql": """\
        merge into merged_by_file as target
        using (select {{ vars.n }} as id, 1 as hits) as source
        on target.id = source.id
        when matched then update set hits = target.hits + 1
        when not matched then insert *
        """,
}
EDITED = {
    "sql/rows.sql": "select {{ vars.n }} as id, 'edited' as name",
    "sql/insert.sql": "insert into inserted select {{ vars.n }} as id, 'edited' as name",
    "sql/merge.sql": SQL["sql/merge.sql"].replace("1 as hits", "7 as hits"),
}
TABLES = ("overwritten", "appended", "merged", "inserted", "merged_by_file", "reader")
HEAD = "vars: {n: 1}"


def _versions(made: Project) -> dict[str, int | None]:
    return {name: made.log(name).version() for name in TABLES}


def _stage(made: Project) -> Any:
    """All that stands in the lakehouse."""
    files = made.rows("files", "parquet")
    return {**{name: made.rows(name) for name in TABLES}, "files": files}


@pytest.fixture(scope="module")
def repeated(project: Callable[..., Project]) -> tuple[Project, Any, Any, Ran, Ran]:
    """A batch whose markers could not be written, the same batch again, and once more.

    The clock was some hours fast at first: commits seem older than the batch.
    """
    made = project(KINDS, HEAD, SQL)
    save = CheckpointStore.save_marker

    def crash(*_: object) -> str:
        raise OSError("the machine went down")

    patch = pytest.MonkeyPatch()
    patch.setattr(CheckpointStore, "save_marker", crash)
    try:
        crashed = made.run(
            select=("+reader", *TABLES[:-1], "files"),
            clock=lambda: utc_now() + timedelta(hours=20),
        )
    finally:
        patch.undo()
    assert CheckpointStore.save_marker is save
    assert set(crashed.statuses.values()) == {"failed", "blocked"}
    before = {name: made.log(name).version() for name in TABLES}
    second = made.run()
    third = made.run()
    return made, before, _versions(made), second, third


def test_batch_when_it_crashed_between_commit_and_marker_then_no_second_commit_is_made(
    repeated: tuple[Project, Any, Any, Ran, Ran],
) -> None:
    made, before, after, second, _ = repeated
    assert second.result.exit_code == 0
    assert {name: before[name] for name in TABLES[:-1]} == {
        name: after[name] for name in TABLES[:-1]
    }
    assert _stage(made) == {
        "overwritten": [(1, "x")],
        "appended": [(1, "x")],
        "merged": [(1, "x")],
        "inserted": [(1, "x")],
        "merged_by_file": [(1, 1)],
        "files": [(1, "x")],
        "reader": [(1, "x")],
    }


def test_batch_when_its_commit_was_found_then_the_counts_and_versions_are_told(
    repeated: tuple[Project, Any, Any, Ran, Ran],
) -> None:
    _, _, after, second, _ = repeated
    for name in TABLES:
        destination = second[name].destination
        assert destination is not None
        assert destination.version_after == after[name]
        assert second[name].counts.written == 1
    assert second["files"].status.value == "success"


def test_batch_when_run_again_then_every_step_is_checkpointed_and_says_by_whom(
    repeated: tuple[Project, Any, Any, Ran, Ran],
) -> None:
    _, _, after, second, third = repeated
    assert set(third.statuses.values()) == {"checkpointed"}
    for name in TABLES:
        assert third[name].reason == f"done by run {second.result.run.run_id}"
        destination = third[name].destination
        assert destination is not None
        assert destination.version_after == after[name]
    assert third.result.exit_code == 0


def test_batch_when_markers_are_gone_or_torn_then_the_commits_are_found(
    project: Callable[..., Project],
) -> None:
    made = project(KINDS, HEAD, SQL)
    made.run()
    before, stage = _versions(made), _stage(made)
    for name in ("overwritten", "appended", "merged", "inserted", "files"):
        made.marker(name).unlink()
    made.marker("merged_by_file").write_text('{"run_id": "torn', encoding="utf-8")
    again = made.run()
    assert again.result.exit_code == 0
    assert {name: made.log(name).version() for name in TABLES[:-1]} == {
        name: before[name] for name in TABLES[:-1]
    }
    told = {name: rows for name, rows in _stage(made).items() if name != "reader"}
    assert told == {name: rows for name, rows in stage.items() if name != "reader"}
    assert made.marker("merged_by_file").with_suffix(".json.corrupt").exists()
    assert made.rows("reader") == [(1, "x")]


@pytest.mark.long
def test_batch_when_steps_are_edited_then_they_are_undone_and_redone(
    project: Callable[..., Project],
) -> None:
    made = project(KINDS, HEAD, SQL)
    chosen = ("appended merged inserted merged_by_file",)
    for name in ("appended", "merged", "inserted"):
        made.put(name, "select 0 as id, 'x' as name")
    made.run(select=chosen)
    for path, text in EDITED.items():
        made.write(path, text)
    edited = made.run(select=chosen)
    assert edited.result.exit_code == 0
    for name in ("appended", "merged", "inserted"):
        assert made.rows(name) == [(0, "x"), (1, "edited")]
        assert "RESTORE" in made.commits(name)
    assert made.rows("merged_by_file") == [(1, 7)]
    assert made.run(select=chosen).statuses["appended"] == "checkpointed"


def test_batch_when_a_step_that_appends_files_is_edited_then_its_old_rows_are_gone(
    project: Callable[..., Project],
) -> None:
    made = project(KINDS, HEAD, SQL)
    made.run(select=("files",))
    made.write("sql/rows.sql", EDITED["sql/rows.sql"])
    made.run(select=("files",))
    assert made.rows("files", "parquet") == [(1, "edited")]


CHAIN = """
- name: upper
  source: {type: delta, query: sql/upper.sql}
  destination: {path: "{{ base_path }}/upper"}
- name: between
  depends_on: [upper]
  source: {type: delta, query: select * from upper}
  destination: {view: between}
- name: lower
  depends_on: [upper]
  source: {type: delta, query: select * from upper}
  destination: {path: "{{ base_path }}/lower", mode: append}
- name: lower_by_view
  depends_on: [between]
  source: {type: delta, query: select * from between}
  destination: {path: "{{ base_path }}/lower_by_view"}
- name: lower_files
  depends_on: [upper]
  source: {type: delta, query: select * from upper}
  destination: {path: "{{ base_path }}/lower_files", format: parquet}
- name: apart
  source: {type: delta, query: select 1 as id}
  destination: {path: "{{ base_path }}/apart", mode: append}
"""


def test_batch_when_an_upstream_step_is_edited_then_all_that_read_it_runs_again(
    project: Callable[..., Project],
) -> None:
    made = project(CHAIN, files={"sql/upper.sql": "select 1 as id"})
    made.run()
    made.write("sql/upper.sql", "select 2 as id")
    again = made.run()
    assert again.statuses == {
        "upper": "success",
        "between": "success",
        "lower": "success",
        "lower_by_view": "success",
        "lower_files": "success",
        "apart": "checkpointed",
    }
    assert made.rows("upper") == [(2,)]
    assert made.rows("lower") == [(2,)]
    assert made.rows("lower_by_view") == [(2,)]
    assert made.rows("lower_files", "parquet") == [(2,)]
    assert set(made.run().statuses.values()) <= {"checkpointed", "skipped"}


@pytest.mark.long
def test_batch_when_upstream_ran_again_by_itself_then_the_next_run_brings_the_rest_up_to_date(
    project: Callable[..., Project],
) -> None:
    made = project(CHAIN, files={"sql/upper.sql": "select 1 as id"})
    made.run()
    made.write("sql/upper.sql", "select 2 as id")
    made.run(select=("upper",))
    again = made.run()
    assert again.statuses["upper"] == "checkpointed"
    assert made.rows("lower") == [(2,)]
    assert made.rows("lower_by_view") == [(2,)]


@pytest.mark.long
def test_batch_when_a_destination_was_deleted_then_its_step_runs_again(
    project: Callable[..., Project],
) -> None:
    import shutil

    made = project(CHAIN, files={"sql/upper.sql": "select 1 as id"})
    made.run()
    shutil.rmtree(made.path("apart"))
    shutil.rmtree(made.path("lower_files"))
    again = made.run()
    ran = {name for name, status in again.statuses.items() if status == "success"}
    assert {"apart", "lower_files"} <= ran
    assert again.statuses["lower"] == "checkpointed"
    assert made.rows("apart") == [(1,)]
    assert made.rows("lower_files", "parquet") == [(1,)]


def test_batch_when_not_resumed_then_runs_again_and_resuming_goes_on_from_there(
    project: Callable[..., Project],
) -> None:
    made = project(CHAIN, files={"sql/upper.sql": "select 1 as id"})
    made.run()
    again = made.run(resume=False)
    assert set(again.statuses.values()) == {"success"}
    assert made.rows("apart") == [(1,), (1,)]
    assert made.rows("lower") == [(1,), (1,)]
    assert set(made.run().statuses.values()) <= {"checkpointed", "skipped"}
    assert made.rows("apart") == [(1,), (1,)]


def test_batch_when_checkpoints_are_off_then_every_run_writes(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: apart
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/apart", mode: append}
        """,
        "checkpoint: {enabled: false}",
    )
    for rows in (1, 2):
        assert made.run().statuses == {"apart": "success"}
        assert len(made.rows("apart")) == rows
    assert not made.marker("apart").exists()


INPUTS = """
- name: copied
  source: {type: delta, path: "{{ base_path }}/outside"}
  destination: {path: "{{ base_path }}/copied"}
- name: dated
  source: {type: delta, query: "select '{{ run_date }}' as day, {{ vars.n }} as n"}
  destination: {path: "{{ base_path }}/dated"}
- name: late
  depends_on: [copied]
  pre_views: [{name: outside, format: delta, path: "{{ base_path }}/outside"}]
  source: {type: delta, query: "select * from outside, (select day, n from stopper)"}
  destination: {path: "{{ base_path }}/late"}
"""


def test_batch_when_resumed_on_another_day_then_keeps_its_date_variables_and_input_versions(
    project: Callable[..., Project],
) -> None:
    made = project(INPUTS, HEAD)
    made.put("outside", "select 1 as id")
    first = made.run(run_date=date(2026, 1, 5), vars={"n": 3})
    assert first.statuses == {"copied": "success", "dated": "success", "late": "failed"}
    made.put("outside", "select 2 as id", "append")
    made.flow(INPUTS.replace("stopper", "values ('{{ run_date }}', {{ vars.n }}) as t (day, n)"))
    second = made.run()
    assert second.statuses == {
        "copied": "checkpointed", "dated": "checkpointed", "late": "success",
    }  # fmt: skip
    assert made.rows("late") == [(1, "2026-01-05", 3)]
    fresh = made.run(batch_id="b2", run_date=date(2026, 1, 6), vars={"n": 4})
    assert fresh.result.exit_code == 0
    assert made.rows("late") == [(1, "2026-01-06", 4), (2, "2026-01-06", 4)]


def test_batch_when_resumed_for_another_date_then_is_refused_before_anything_starts(
    project: Callable[..., Project],
) -> None:
    made = project(CHAIN, files={"sql/upper.sql": "select 1 as id"})
    made.run(run_date=date(2026, 1, 5), select=("apart",))
    with pytest.raises(UsageError, match="begun for 2026-01-05, not 2026-01-06"):
        made.pipeline(run_date=date(2026, 1, 6)).checked()
    assert Path(made.path("apart")).exists()


def test_other_batch_when_run_then_has_checkpoints_of_its_own(
    project: Callable[..., Project],
) -> None:
    made = project(CHAIN, files={"sql/upper.sql": "select 1 as id"})
    for batch_id in ("b1", "b2", "b1"):
        made.run(batch_id=batch_id, select=("apart",))
    assert made.rows("apart") == [(1,), (1,)]
    assert made.marker("apart", "b2").exists()


def test_attempt_when_it_breaks_after_its_commit_then_the_next_one_finds_it(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipelines.execution import attempt

    made = project(
        """
        - name: apart
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/apart", mode: append}
          retry: {attempts: 2, delay_seconds: 0}
        """
    )
    made.put("apart", "select 0 as id")
    check, broken = attempt._check, []

    def break_once(*given: Any) -> Any:
        if not broken:
            broken.append(True)
            raise ConnectionResetError("the storage hung up")
        return check(*given)

    monkeypatch.setattr(attempt, "_check", break_once)
    step = made.run()["apart"]
    assert step.status.value == "success"
    assert [each.error is None for each in step.attempts] == [False, True]
    assert step.attempts[0].error is not None
    assert step.attempts[0].error.transient is True
    assert made.rows("apart") == [(0,), (1,)]
    assert made.log("apart").version() == 1
