"""Which table is made of which, told from the statements without Spark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.lineage.graph import Edge, LineageGraph, LineageNode
from pipelines.plan.changes import names_of
from pipelines.spec.steps import label_of

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.plan.table_checks import Tables


def table_graph(compiled: CompiledPlan, tables: Tables) -> LineageGraph:
    """The tables of ``compiled``: a step is made of what its statements read, not its checks.

    A script, and SQL that cannot be read, is taken to be made of all that the step waits for.

    Args:
        compiled: the plan.
        tables: tells the tables of a statement.
    """
    givers: dict[str, list[str]] = defaultdict(list)
    for step_id, node in compiled.plan.graph.steps.items():
        for name in names_of(node.step):
            givers[name].append(step_id)
    writers = {
        step.settings.destination.path: step.id
        for step in compiled.steps.values()
        if step.settings.destination.path is not None
    }
    edges = [
        edge
        for step in compiled.steps.values()
        for edge in _edges(step, compiled, givers, writers, tables)
    ]
    return LineageGraph(edges, (LineageNode(step_id) for step_id in compiled.steps))


def _edges(
    step: CompiledStep,
    compiled: CompiledPlan,
    givers: dict[str, list[str]],
    writers: dict[str, str],
    tables: Tables,
) -> Iterator[Edge]:
    own = LineageNode(step.id)
    settings, graph = step.settings, compiled.plan.graph
    for part in (*settings.pre_views, settings.source):
        if part is not None and part.datasource is not None:
            yield LineageNode(label_of(part)), own
        elif part is not None and part.path is not None:
            yield LineageNode(writers.get(part.path, part.path)), own
    found = [tables(sql.text) for sql in step.queries]
    if settings.script is not None or any(one.problem for one in found):
        for parent in graph.parents(step.id):
            yield LineageNode(parent), own
        return
    above = graph.ancestors(step.id)
    for use in (use for one in found for use in one.reads if not use.schema):
        for giver in givers.get(use.name.lower(), ()):
            if giver in above:
                yield LineageNode(giver), own
