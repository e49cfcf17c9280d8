"""Which steps read only what changed in the tables of others, and by which views."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pipelines.lineage.columns import Column
from pipelines.spec.steps import KEYED_MODES

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipelines.plan.compile import CompiledPlan, CompiledStep, Sql
    from pipelines.plan.graph import Graph
    from pipelines.spec.steps import Destination, Step

CHANGE_COLUMNS = (
    Column("_change_type", "string"),
    Column("_commit_version", "bigint"),
    Column("_commit_timestamp", "timestamp"),
)
"""What a view of changes has besides the columns of the table; the names are Delta's."""
PART_MODES = (*sorted(KEYED_MODES), "append", "replace_partitions")
"""Modes that keep what was written before beside what is new."""
_SUFFIX = "__changes"
_VIEW = re.compile(rf"\w+{_SUFFIX}\b", re.IGNORECASE)


def changes_view(name: str) -> str:
    """The view with the rows that changed in the table of the step called ``name``."""
    return f"{name}{_SUFFIX}"


def names_of(step: Step) -> frozenset[str]:
    """The names, in lower case, by which SQL downstream may read ``step`` or its changes."""
    names = {step.name, changes_view(step.name), step.destination.view or step.name}
    return frozenset(name.lower() for name in names)


def changes_read(step: CompiledStep, graph: Graph) -> dict[str, str]:
    """The steps upstream whose changes the SQL of ``step`` reads, by id, with the views."""
    return _changes_in(step.queries, step, graph)


def changes_seen(step: CompiledStep, graph: Graph) -> dict[str, str]:
    """The same of its SQL and its checks; what only checks name is to them as if all had come."""
    return _changes_in(step.statements, step, graph)


def _changes_in(statements: Iterable[Sql], step: CompiledStep, graph: Graph) -> dict[str, str]:
    words = {word.lower() for sql in statements for word in _VIEW.findall(sql.text)}
    if not words:
        return {}
    above = graph.ancestors(step.id)
    views = {one: changes_view(node.step.name) for one, node in graph.steps.items() if one in above}
    return {step_id: view for step_id, view in views.items() if view.lower() in words}


def changes_wanted(compiled: CompiledPlan) -> frozenset[str]:
    """The steps, by id, whose changes some step of the flow reads."""
    graph = compiled.plan.graph
    return frozenset(
        step_id for step in compiled.steps.values() for step_id in changes_read(step, graph)
    )


def reads_in_part(step: CompiledStep, graph: Graph) -> bool:
    """Whether ``step`` may read a part of an input: by a watermark, or by its changes."""
    return has_watermarks(step) or bool(changes_read(step, graph))


def has_watermarks(step: CompiledStep) -> bool:
    """Whether ``step`` reads a source by a watermark."""
    parts = (step.settings.source, *step.settings.pre_views)
    return any(part is not None and part.incremental is not None for part in parts)


def keeps_parts(destination: Destination) -> bool:
    """Whether ``destination`` keeps rows of before, and says up to where they were read."""
    is_table = destination.path is not None and destination.format == "delta"
    return is_table and destination.mode in PART_MODES
