"""What is wrong with steps that read a part of their inputs: where it goes, and what it is of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.plan.changes import (
    PART_MODES,
    changes_read,
    has_watermarks,
    keeps_parts,
    reads_in_part,
)

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.plan.graph import Place
    from pipelines.plan.table_checks import Tables
    from pipelines.spec.incremental import Incremental


def check_parts(compiled: CompiledPlan, tables: Tables) -> Iterator[Finding]:
    """What would lose or double rows, or has no changes to read.

    Args:
        compiled: the plan.
        tables: tells the tables of a statement.
    """
    for step in compiled.steps.values():
        if reads_in_part(step, compiled.plan.graph):
            yield from _modes(step, compiled, tables)
            yield from _appends(step, compiled)
            yield from _upstream(step, compiled)


def _modes(step: CompiledStep, compiled: CompiledPlan, tables: Tables) -> Iterator[Finding]:
    document, destination = compiled.plan.flow.document, step.settings.destination
    place: Place = (*step.node.place, "destination")
    writes_itself = step.sql is not None and bool(tables(step.sql.text).writes)
    if not has_watermarks(step) and not keeps_parts(destination) and not writes_itself:
        yield document.finding(
            "all-changes",
            f"{step.id} reads changes, and is made anew each time (mode '{destination.mode}'): "
            "all rows come",
            place,
            severity="warning",
            hint="read the whole, or write a Delta table by keys",
        )
    elif destination.path is None or destination.format != "delta":
        yield document.finding(
            "part-read",
            f"{step.id} reads only what changed, and {_kind(step)} keeps no word of up to where",
            place,
            hint="write a Delta table: its commits say it",
        )
    elif destination.mode not in PART_MODES and not writes_itself:
        yield document.finding(
            "part-read",
            f"{step.id} reads only what changed, and mode '{destination.mode}' would keep "
            "nothing else",
            (*place, "mode") if "mode" in destination.model_fields_set else place,
            hint=f"choose one of {', '.join(PART_MODES)}",
        )
    source = step.settings.source
    if destination.mode == "replace_partitions" and source is not None and source.incremental:
        yield document.finding(
            "part-partitions",
            f"{step.id} replaces whole partitions by what is new of its source",
            (*place, "mode"),
            severity="warning",
            hint="let the SQL read the touched partitions whole: the source whole, and what is "
            "new of it as a pre_view",
        )


def _appends(step: CompiledStep, compiled: CompiledPlan) -> Iterator[Finding]:
    if step.settings.destination.mode != "append":
        return
    for incremental, place in _incremental(step):
        for key in ("overlap", "full_every_days"):
            if getattr(incremental, key) is not None:
                yield compiled.plan.flow.document.finding(
                    "part-read",
                    f"'{key}' reads rows again, and mode 'append' would double them",
                    (*place, key),
                    hint="take it out, or choose a mode that goes by keys",
                )


def _upstream(step: CompiledStep, compiled: CompiledPlan) -> Iterator[Finding]:
    graph, document = compiled.plan.graph, compiled.plan.flow.document
    own = {view.name.lower() for view in step.settings.pre_views}
    for step_id, view in changes_read(step, graph).items():
        destination = graph.steps[step_id].step.destination
        if destination.path is None or destination.format != "delta":
            yield document.finding(
                "part-read",
                f"{step.id} reads the changes of {step_id}, which writes no Delta table",
                step.node.place,
                hint=f"read all of it, as source('{graph.steps[step_id].step.name}')",
            )
        names = own | {graph.steps[one].step.name.lower() for one in graph.ancestors(step.id)}
        if view.lower() in names:
            yield document.finding(
                "name-clash",
                f"{view!r} is the view of the changes of {step_id}, and of something else",
                step.node.place,
                hint="rename the other one",
            )


def _incremental(step: CompiledStep) -> Iterator[tuple[Incremental, Place]]:
    place, source = step.node.place, step.settings.source
    if source is not None and source.incremental is not None:
        yield source.incremental, (*place, "source", "incremental")
    for number, view in enumerate(step.settings.pre_views):
        if view.incremental is not None:
            yield view.incremental, (*place, "pre_views", number, "incremental")


def _kind(step: CompiledStep) -> str:
    destination = step.settings.destination
    return "a view" if destination.path is None else f"format '{destination.format}'"
