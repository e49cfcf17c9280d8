"""What a rollback takes and what stands in its way, told from logs alone."""

from __future__ import annotations

from typing import Any

from pipelines.plan.rollback import plan_rollback
from pipelines.plan.table_commits import TableCommit, TableFacts


def commit(version: int, run: str = "", operation: str = "MERGE", **more: Any) -> TableCommit:
    return TableCommit(version, operation, run, f"batch of {run}" if run else "", "s.g.t", **more)


def restore(version: int, to: int | None, run: str = "rollback") -> TableCommit:
    return TableCommit(version, "RESTORE", run, restored_to=to)


def table(*commits: TableCommit) -> TableFacts:
    return TableFacts("s.g.t", "/lake/t", tuple(reversed(commits)))


def log(run: str = "r1", *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"run_id": run, "steps": list(steps), **more}


def step(name: str, status: str = "success", **more: Any) -> dict[str, Any]:
    return {"id": name, "status": status, "destination": None, **more}


def test_a_table_goes_back_to_the_version_before_the_runs_first_commit() -> None:
    plan = plan_rollback(
        log(), [table(commit(3, "r0"), commit(4, "r1"), commit(5, "r1", "WRITE"))], []
    )
    (undo,) = plan.undos
    assert (undo.now, undo.to, [one.version for one in undo.undone]) == (5, 3, [5, 4])
    assert undo.batches == (("batch of r1", "s.g.t"),)
    assert plan.obstacles == ()


def test_a_table_that_the_run_made_is_removed() -> None:
    assert plan_rollback(log(), [table(commit(0, "r1"))], []).undos[0].to is None


def test_commits_of_others_since_stand_in_the_way_but_not_maintenance() -> None:
    since = (commit(2, "r2"), commit(3, "", "DELETE"), commit(4, "", "OPTIMIZE"))
    plan = plan_rollback(log(), [table(commit(0, "r0"), commit(1, "r1"), *since)], [])
    assert [(one.kind, one.can_be_forced) for one in plan.obstacles] == [("later_write", True)] * 2
    assert "run r2 has committed version 2 (MERGE)" in plan.obstacles[0].message
    assert "a foreign writer has committed version 3 (DELETE)" in plan.obstacles[1].message
    assert plan.refusals(force=True) == ()
    assert plan.undos[0].to == 0


def test_what_a_restore_undid_does_not_count() -> None:
    rolled_back = table(commit(0, "r0"), commit(1, "r1"), restore(2, 0))
    plan = plan_rollback(log(), [rolled_back], [])
    assert (plan.undos, plan.as_before) == ((), ("s.g.t",))

    later_undone = table(commit(0, "r0"), commit(1, "r1"), commit(2, "r2"), restore(3, 1))
    plan = plan_rollback(log(), [later_undone], [])
    assert plan.obstacles == ()
    assert (plan.undos[0].now, plan.undos[0].to) == (3, 0)

    forward = table(commit(0, "r0"), commit(1, "r1"), restore(2, 0), restore(3, 1))
    assert plan_rollback(log(), [forward], []).undos[0].to == 0


def test_a_restore_to_a_time_hides_what_was_before() -> None:
    plan = plan_rollback(log(), [table(commit(0, "r1"), restore(1, None))], [])
    assert plan.undos == ()


def test_what_later_runs_made_of_the_rows_stands_in_the_way() -> None:
    tables = [table(commit(0, "r0"), commit(1, "r1"), restore(2, 0), commit(3, "r1"))]
    read = {"upstream_versions": {"s.g.t": 3, "s.g.other": 9}}
    later = [
        log("r2", step("s.g.made", **read), step("s.g.same", "unchanged", **read)),
        log("r3", step("s.g.early", upstream_versions={"s.g.t": 2})),
        log("r4", step("s.g.undone", **read), rolled_back_at="2026-11-23T00:00:00Z"),
    ]
    plan = plan_rollback(log(), tables, later)
    assert [(one.kind, one.step) for one in plan.obstacles] == [("built_on", "s.g.made")]
    assert plan.obstacles[0].message.startswith("run r2 has made it of s.g.t (version 3)")


def test_files_cannot_be_put_back() -> None:
    files = step("s.g.report", destination={"format": "csv", "path": "/lake/report"})
    view = step("s.g.view", destination={"format": "view", "path": "v"})
    plan = plan_rollback(log("r1", files, view), [], [])
    assert [(one.kind, one.step) for one in plan.obstacles] == [("files", "s.g.report")]


def test_a_table_that_is_gone_cannot_come_back_unless_the_run_made_it() -> None:
    gone = TableFacts("s.g.t", "/lake/t", (), is_there=False)
    had = {"format": "delta", "path": "/lake/t", "version_before": 3, "version_after": 4}
    plan = plan_rollback(log("r1", step("s.g.t", destination=had)), [gone], [])
    assert [(one.kind, one.can_be_forced) for one in plan.obstacles] == [("table_gone", True)]
    made = {**had, "version_before": None}
    plan = plan_rollback(log("r1", step("s.g.t", destination=made)), [gone], [])
    assert (plan.obstacles, plan.as_before) == ((), ("s.g.t",))
