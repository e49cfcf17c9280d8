"""A rollback as text: what goes back to where, what stands in the way, what became of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.console.words import clean, counted

if TYPE_CHECKING:
    from pipelines.plan.rollback import RollbackPlan, TableUndo


def rollback_text(plan: RollbackPlan, outcome: str = "") -> str:
    """What rolling back a run takes, a line a table, and ``outcome`` as the last line."""
    lines = [f"run {plan.run_id}"]
    for undo in plan.undos:
        to = f"version {undo.to}" if undo.to is not None else "removed: the run made it"
        lines.append(f"  {undo.step}: version {undo.now} -> {to}{_others(undo, plan.run_id)}")
    lines += [f"  {step}: holds nothing of the run" for step in plan.as_before]
    lines += [f"  {stage}: release {name} is withdrawn" for stage, name in plan.releases]
    lines += [
        f"  ! {one.step}: {one.message}" + ("" if one.can_be_forced else " (not even by --force)")
        for one in plan.obstacles
    ]
    if not plan.undos:
        lines.append("  nothing to put back")
    return clean("\n".join([*lines, outcome] if outcome else lines))


def _others(undo: TableUndo, run_id: str) -> str:
    others = sum(commit.run_id != run_id for commit in undo.undone)
    return f", with {counted(others, 'commit')} of others" if others else ""
