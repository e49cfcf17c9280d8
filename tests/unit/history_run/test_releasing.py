"""What a history run releases at its end, from the logs of its windows."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from pipelines.history_run.releasing import NOT_OVER, held_back, results_of
from pipelines.plan.compile import CompiledPlan, compile_plan
from pipelines.plan.plan import RunRequest, build_plan
from pipelines.plan.windows import WindowRow, WindowState, window_at
from pipelines.results import NOT_SELECTED
from pipelines.spec.config import Environment
from pipelines.utils.sql_loader import SqlLoader
from tests.fakes import flow, group, stage, step


@pytest.fixture
def compiled() -> CompiledPlan:
    made = flow(stage("gold", group("g", step("a"), step("b")), publish={}))
    plan = build_plan(made, RunRequest(run_id="r1", run_date=date(2026, 11, 25)))
    return compile_plan(plan, SqlLoader(made.project_dir), "test", Environment(base_path="lake"))


def log(a: int | None, b: str | int = NOT_SELECTED, **more: Any) -> dict[str, Any]:
    def said(name: str, what: str | int | None) -> dict[str, Any]:
        is_left_out = isinstance(what, str)
        return {
            "id": f"gold.g.{name}",
            "status": "skipped" if is_left_out else "success",
            "reason": what if is_left_out else "",
            "destination": None if is_left_out else {"version_after": what},
        }

    return {"steps": [said("a", a), said("b", b)], **more}


def row(month: int, state: WindowState, reason: str = "") -> WindowRow:
    return WindowRow(window_at(date(2026, month, 1), "month"), state, reason)


def test_a_period_when_every_window_that_is_over_is_done_then_it_may_be_released(
    compiled: CompiledPlan,
) -> None:
    done, failed = row(1, WindowState.DONE, "--reprocess failed"), row(2, WindowState.FAILED)
    later = row(3, WindowState.MISSING, NOT_OVER)
    assert held_back(compiled, [done, later], is_stopped=False) == ()
    for rows, is_stopped, why in (
        ([done, failed, later], False, "1 of 2 windows are not done"),
        ([later], False, "no window is over yet"),
        ([done], True, "the run was stopped"),
    ):
        (told,) = held_back(compiled, rows, is_stopped=is_stopped)
        assert why in told.reason


def test_windows_when_they_ended_in_any_order_then_the_newest_version_of_each_counts(
    compiled: CompiledPlan,
) -> None:
    gone = log(9, 9, rolled_back_at="2026-11-25T00:00:00Z")
    found = results_of(compiled, [log(3, 7), log(5, 6), gone])
    left = {one: result.destination for one, result in found.items()}
    assert {one: at and at.version_after for one, at in left.items()} == {
        "gold.g.a": 5,
        "gold.g.b": 7,
    }
    without = results_of(compiled, [log(3, "its 'when' is false")])["gold.g.b"]
    assert (without.status.value, without.reason) == ("skipped", "its 'when' is false")
