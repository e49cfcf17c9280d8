"""What a small run does between its empty scratch place and its first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pipelines.execution.clones import bring_clones, clones_needed
from pipelines.execution.inputs import raw_sources
from pipelines.execution.sampling import choose_sample, take_none

if TYPE_CHECKING:
    from pipelines.execution.context import RunContext
    from pipelines.plan.compile import CompiledPlan


def start_small_run(
    context: RunContext, there: Callable[[CompiledPlan], CompiledPlan]
) -> tuple[str, ...]:
    """Brings the clones and settles which rows are taken.

    Args:
        context: of the run; its ``take`` is set.
        there: gives the plan as it is in the environment that is cloned from.

    Returns:
        What a user should know of it, a line each.

    Raises:
        UsageError: no source has a sampling key.
        PipelineError: a source cannot be read, or a table cannot be cloned.
    """
    small = context.compiled.plan.request.small
    if small is None:
        return ()
    told: tuple[str, ...] = ()
    if small.clone_from is not None:
        needed = clones_needed(context.compiled, there(context.compiled))
        brought = bring_clones(context.spark, needed, context.slots.limit)
        missing = [one.step_id for one in brought]
        told = (f"tables cloned from {small.clone_from!r}: {len(needed) - len(missing)}",)
        if missing:
            told += (f"{small.clone_from!r} has no table yet of {', '.join(missing)}",)
    if small.empty:
        context.take = take_none
    elif small.sample is not None:
        keys = context.compiled.plan.flow.pipeline.sample.keys
        context.take = choose_sample(
            small.sample, keys, lambda: raw_sources(context.spark, context)
        )
    return told
