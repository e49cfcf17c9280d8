"""What a change does to columns: those that came, went or changed type, and who reads them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.lineage.graph import LineageNode, column_graph

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.lineage.flow_columns import Analysis


@dataclass(frozen=True)
class ColumnChange:
    """A column of a step's table that is not what it was.

    Attributes:
        step_id: the step.
        column: its name.
        before: its type; empty where it was not there.
        after: its type; empty where it is not there any more.
        read_by: what was made of it downstream, at any distance; empty for a new one.
    """

    step_id: str
    column: str
    before: str
    after: str
    read_by: tuple[LineageNode, ...] = ()


@dataclass(frozen=True)
class Impact:
    """What a change of a flow does.

    Attributes:
        changes: of columns, by step in the order of the DAG.
        broken: errors that the flow has now and had not before.
    """

    changes: tuple[ColumnChange, ...]
    broken: tuple[Finding, ...]


def impact_between(then: Analysis | None, now: Analysis) -> Impact:
    """What became different from ``then`` to ``now``; all is new where there was nothing."""
    before = {} if then is None else then.steps
    known = set() if then is None else {(one.code, one.message) for one in then.findings}
    broken = tuple(
        one
        for one in now.findings
        if one.severity == "error" and (one.code, one.message) not in known
    )
    if then is None:
        return Impact((), broken)
    graph = column_graph(before)
    changes = []
    for step_id in dict.fromkeys((*before, *now.steps)):
        for name, was, is_now in _differences(then, now, step_id):
            node = LineageNode(step_id, name)
            read_by = [edge[1] for edge in graph.edges_from(node, upstream=False)] if was else []
            changes.append(ColumnChange(step_id, name, was, is_now, tuple(dict.fromkeys(read_by))))
    return Impact(tuple(changes), broken)


def _differences(then: Analysis, now: Analysis, step_id: str) -> Iterator[tuple[str, str, str]]:
    """Name, type before and type now of columns that differ; none where either is not known."""
    was = then.steps[step_id].columns if step_id in then.steps else ()
    is_now = now.steps[step_id].columns if step_id in now.steps else ()
    if was is None or is_now is None:
        return
    old = {column.name.lower(): column for column in was}
    new = {column.name.lower(): column for column in is_now}
    for key in dict.fromkeys((*old, *new)):
        before = old[key].type if key in old else ""
        after = new[key].type if key in new else ""
        if before != after:
            yield (old.get(key) or new[key]).name, before, after
