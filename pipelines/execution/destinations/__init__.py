"""Where a step's rows go, as the commit protocol needs it: write once, check, keep or undo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.execution.destinations.delta import DeltaTarget
from pipelines.execution.destinations.files import FilesTarget
from pipelines.execution.destinations.target import Target
from pipelines.execution.destinations.view import ViewTarget

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.execution.context import RunContext
    from pipelines.plan.compile import CompiledStep

__all__ = ["Target", "open_target"]


def open_target(
    session: SparkSession,
    step: CompiledStep,
    context: RunContext,
    read: Mapping[str, str] | None = None,
) -> Target:
    """The destination of ``step``; ``read`` tells the outputs that it reads, by step id."""
    destination = step.settings.destination
    stamp = context.stamp(step, read or {})
    if destination.view is not None:
        return ViewTarget(session, step, context, stamp)
    if destination.format == "delta":
        return DeltaTarget(session, step, context, stamp)
    return FilesTarget(session, step, context, stamp)
