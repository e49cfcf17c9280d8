"""The lineage graph: which table or column is made of which, walked up or down."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.lineage.flow_columns import AnalysedStep

# Stands for what decides which rows a table has: filters, joins and groups.
ROWS = "(rows)"


@dataclass(frozen=True, order=True)
class LineageNode:
    """A column; a whole table where ``column`` is empty.

    Attributes:
        table: a step's id, or a source such as ``edfi_ods: edfi.Student``.
        column: its name; `ROWS` for what decides the table's rows.
    """

    table: str
    column: str = ""

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else self.table


Edge = tuple[LineageNode, LineageNode]


class LineageGraph:
    """Tables or columns, and what each is made of; names of columns are told without case.

    Args:
        edges: pairs of a node and one that is made of it.
        nodes: those that stand alone, too; where two spell one column differently, the first
            spelling given counts.
    """

    def __init__(self, edges: Iterable[Edge], nodes: Iterable[LineageNode] = ()) -> None:
        self._spelling: dict[tuple[str, str], LineageNode] = {}
        self._above: dict[LineageNode, list[LineageNode]] = defaultdict(list)
        self._below: dict[LineageNode, list[LineageNode]] = defaultdict(list)
        for node in nodes:
            self._known(node)
        for edge in sorted(edges):
            source, target = map(self._known, edge)
            if source != target and source not in self._above[target]:
                self._above[target].append(source)
                self._below[source].append(target)

    def __contains__(self, node: LineageNode) -> bool:
        return (node.table, node.column.lower()) in self._spelling

    def columns(self, table: str) -> list[str]:
        """The columns of a table, as they are spelt."""
        return [node.column for node in self._spelling.values() if node.table == table]

    def next_to(self, node: LineageNode, *, upstream: bool) -> list[LineageNode]:
        """What ``node`` is made of, or what is made of it."""
        return list((self._above if upstream else self._below).get(self._known(node), ()))

    def edges_from(
        self, start: LineageNode, *, upstream: bool, depth: int | None = None
    ) -> Iterator[Edge]:
        """The edges on the ways from ``start``, nearest first, each once, as they point.

        Args:
            start: where to begin.
            upstream: whether to follow what things are made of; else what is made of them.
            depth: how many edges far; None is all the way.
        """
        layer, seen = [self._known(start)], {self._known(start)}
        while layer and (depth is None or depth > 0):
            following = []
            for node in layer:
                for other in self.next_to(node, upstream=upstream):
                    yield (other, node) if upstream else (node, other)
                    if other not in seen:
                        seen.add(other)
                        following.append(other)
            layer = following
            depth = None if depth is None else depth - 1

    def _known(self, node: LineageNode) -> LineageNode:
        return self._spelling.setdefault((node.table, node.column.lower()), node)


def column_graph(steps: Mapping[str, AnalysedStep]) -> LineageGraph:
    """The columns of an analysed flow; steps whose statement was not followed stand alone."""
    nodes = [
        LineageNode(step.id, column.name)
        for step in steps.values()
        for column in step.columns or ()
    ]
    return LineageGraph((edge for step in steps.values() for edge in _edges(step)), nodes)


def _edges(step: AnalysedStep) -> Iterator[Edge]:
    if step.comes_from is None:
        return
    origins = {name.lower(): origin for name, origin in step.views.items()}
    parts = [*step.comes_from.values.items(), (ROWS, step.comes_from.rows)]
    for column, made_of in parts:
        for ref in made_of:
            origin = origins.get(ref.table.lower())
            if origin is not None:
                yield LineageNode(origin, ref.column), LineageNode(step.id, column)
