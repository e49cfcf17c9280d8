"""What a history run releases at its end: the newest that its windows have left of each table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.execution.resume import unreached
from pipelines.plan.windows import WindowState
from pipelines.results import NOT_SELECTED, DestinationState, StageRelease, Status
from pipelines.results.release import HELD_BACK

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.plan.windows import WindowRow
    from pipelines.results import StepResult

NOT_OVER = "it is not over"
"""The reason of a window that is left to daily runs."""


def held_back(
    compiled: CompiledPlan, rows: Sequence[WindowRow], *, is_stopped: bool
) -> tuple[StageRelease, ...]:
    """Why nothing may be released; empty where it may."""
    due = [row for row in rows if row.reason != NOT_OVER]
    open_ones = [row for row in due if row.state is not WindowState.DONE]
    why = "the run was stopped" if is_stopped else ""
    if open_ones and not why:
        first = open_ones[0].window
        why = f"{len(open_ones)} of {len(due)} windows are not done, the first is {first}"
    if not due and not why:
        why = "no window is over yet"
    return tuple(StageRelease(one, HELD_BACK, reason=why) for one in compiled.publishes if why)


def results_of(compiled: CompiledPlan, logs: Iterable[Mapping[str, Any]]) -> dict[str, StepResult]:
    """What windows that are done have left of each table, by step id, from their logs."""
    newest: dict[str, int] = {}
    skipped: dict[str, str] = {}
    for log in logs:
        if log.get("rolled_back_at"):
            continue
        for step in log["steps"]:
            version = (step.get("destination") or {}).get("version_after")
            if version is not None:
                newest[step["id"]] = max(version, newest.get(step["id"], version))
            elif step["status"] == Status.SKIPPED.value:
                skipped[step["id"]] = step.get("reason") or ""
    return {
        step.id: _result_of(step, newest.get(step.id), skipped.get(step.id, NOT_SELECTED))
        for step in compiled.steps.values()
    }


def _result_of(step: CompiledStep, version: int | None, reason: str) -> StepResult:
    if version is None:
        return unreached(step, reason, Status.SKIPPED)
    # As of a batch that was done before: what readers see never becomes older by it.
    at = DestinationState("delta", step.table, version, version)
    return replace(unreached(step, "", Status.CHECKPOINTED), destination=at)
