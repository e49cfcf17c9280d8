"""What a batch has done already, known before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING

from pipelines.execution.runner import Decision, decide

if TYPE_CHECKING:
    from pipelines.execution.checkpoints import Marker
    from pipelines.plan.compile import CompiledPlan, CompiledStep


def decide_all(
    compiled: CompiledPlan,
    marker: Callable[[str], Marker | None],
    destination_exists: Callable[[CompiledStep, Marker | None], bool],
) -> Mapping[str, Decision | None]:
    """For every step whether it is left out, as far as can be told beforehand; None where it runs.

    A view is no work by itself: where all that read it are done, it is not made either.
    """
    decisions: dict[str, Decision | None] = {}
    fresh: set[str] = set()
    for step_id in compiled.plan.graph.order:
        step = compiled.steps[step_id]
        found = marker(step_id)
        exists = partial(destination_exists, step, found)
        decision = decide(step, found, frozenset(fresh), destination_exists=exists)
        decisions[step_id] = decision
        is_view = step.settings.destination.view is not None
        if decision is None and (not is_view or fresh & compiled.plan.graph.ancestors(step_id)):
            fresh.add(step_id)
    return decisions


def has_work(compiled: CompiledPlan, decisions: Mapping[str, Decision | None]) -> bool:
    """Whether any step has to write."""
    return any(
        decision is None and not compiled.steps[step_id].settings.destination.view
        for step_id, decision in decisions.items()
    )
