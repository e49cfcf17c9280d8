"""The class of every column of a flow: that of what it is made of, its mask, its declaration."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from pipelines.lineage.graph import LineageNode
from pipelines.spec.privacy import DEFAULT_CLASS, MASKED_CLASS, Classification, rank

if TYPE_CHECKING:
    from pipelines.lineage.columns import ColumnRef
    from pipelines.lineage.flow_columns import AnalysedStep
    from pipelines.spec.steps import ColumnContract

ANY = ""
"""Stands for the columns of a table of which nobody knows which it has."""


@dataclass(frozen=True)
class ColumnClass:
    """What a column is, and why.

    Attributes:
        classification: its class.
        why: ``declared``, ``declassified``, ``masked``, ``source``, ``made`` (of no column),
            ``not followed`` (of a script and the like: the highest that it may read), or
            ``not classified``.
        origin: the column that its class comes from, one step up; None where none.
        made_of: the highest class of what it is made of, before its mask and declaration.
        mask: applied to it; empty for none.
        reason: why it was declassified.
        is_lowered: whether a declaration would lower it, and does not count.
    """

    classification: Classification
    why: str
    origin: LineageNode | None = None
    made_of: Classification = "public"
    mask: str = ""
    reason: str = ""
    is_lowered: bool = False


@dataclass(frozen=True)
class TableOrigins:
    """What a table is made of, and what is declared of it.

    Attributes:
        contracts: of its columns.
        reads: tables and sources that it may be made of, where nobody can follow it.
        names: what each source of the analysis is, where it is the table of a step.
    """

    contracts: Sequence[ColumnContract] = ()
    reads: tuple[str, ...] = ()
    names: Mapping[str, str] = field(default_factory=dict)


class Classes:
    """The classes of an analysed flow.

    Args:
        steps: by id, in the order of the DAG, with their lineage.
        origins: by step id.
        sources: classes by source and lower-case name of a column; `ANY` for all others of it.
    """

    def __init__(
        self,
        steps: Mapping[str, AnalysedStep],
        origins: Mapping[str, TableOrigins],
        sources: Mapping[str, Mapping[str, Classification]],
    ) -> None:
        self._steps, self._origins, self._sources = steps, origins, sources
        self._known: dict[str, dict[str, ColumnClass]] = {}
        is_new = True
        while is_new:  # a step may read the files of one that comes later, or its own
            is_new = False
            for step in steps.values():
                found = self._table(step)
                is_new = is_new or found != self._known.get(step.id)
                self._known[step.id] = found

    def of_table(self, step_id: str) -> Mapping[str, ColumnClass]:
        """The classes of a step's columns, by lower-case name."""
        return self._known[step_id]

    def of(self, node: LineageNode) -> ColumnClass:
        """What a column of a step or source is."""
        known = self._known.get(node.table)
        if known is not None:
            unknown = ColumnClass(DEFAULT_CLASS, "not classified", made_of=DEFAULT_CLASS)
            return known.get(node.column.lower()) or known.get(ANY, unknown)
        said = self._sources.get(node.table, {})
        found = said.get(node.column.lower(), said.get(ANY))
        why = "not classified" if found is None else "declared"
        return ColumnClass(found or DEFAULT_CLASS, why, made_of=found or DEFAULT_CLASS)

    def of_refs(
        self, refs: Iterable[ColumnRef], views: Mapping[str, str], unknown: ColumnClass
    ) -> ColumnClass:
        """What a value made of ``refs`` is.

        Args:
            refs: columns of views.
            views: what each view is, by name.
            unknown: what a column of any other view is.
        """
        told = {name.lower(): origin for name, origin in views.items()}
        named = sorted(refs)
        found = [
            self._from(LineageNode(told[ref.table.lower()], ref.column))
            if ref.table.lower() in told
            else unknown
            for ref in named
        ]
        return max(found, key=_weight, default=ColumnClass("public", "made"))

    def path(self, node: LineageNode) -> Iterator[LineageNode]:
        """The columns that a class came along, from ``node`` back to where it was told."""
        seen: set[LineageNode] = set()
        at: LineageNode | None = node
        while at is not None and at not in seen:
            yield at
            seen.add(at)
            at = self.of(at).origin

    def highest_of(self, tables: Iterable[str]) -> ColumnClass:
        """The highest class that stands in any of ``tables``."""
        nodes = [
            LineageNode(table, column)
            for table in tables
            for column in self._known.get(table) or self._sources.get(table) or (ANY,)
        ]
        if not nodes:
            return ColumnClass("public", "not followed")
        origin = max(nodes, key=lambda node: _weight(self.of(node)))
        found = self._from(origin)
        return found if found.why == "not classified" else replace(found, why="not followed")

    def _from(self, origin: LineageNode) -> ColumnClass:
        found = self.of(origin)
        why = "not classified" if found.why == "not classified" else "source"
        return ColumnClass(found.classification, why, origin, made_of=found.classification)

    def _table(self, step: AnalysedStep) -> dict[str, ColumnClass]:
        origins = self._origins[step.id]
        declared = {one.name.lower(): one for one in origins.contracts}
        views = {view: origins.names.get(what, what) for view, what in step.views.items()}
        unknown = self.highest_of(origins.reads)
        refs = {} if step.comes_from is None else {
            name.lower(): made_of for name, made_of in step.comes_from.values.items()
        }  # fmt: skip
        found = {}
        for name in [one.name.lower() for one in step.columns or ()] or [ANY, *declared]:
            base = self.of_refs(refs[name], views, unknown) if name in refs else unknown
            found[name] = _judged(base, declared.get(name))
        return found


def _weight(found: ColumnClass) -> tuple[int, bool]:
    """What counts among several: the highest class, and a word of somebody before none."""
    return rank(found.classification), found.why != "not classified"


def _judged(base: ColumnClass, said: ColumnContract | None) -> ColumnClass:
    """``base`` once its mask and its declaration have had their say."""
    found = base
    if said is not None and said.mask is not None:
        left = min(MASKED_CLASS[said.mask], base.made_of, key=rank)
        found = replace(base, classification=left, why="masked", mask=said.mask)
    if said is None or said.classification is None:
        return found
    wanted = said.classification
    if rank(wanted) > rank(found.classification):
        return replace(found, classification=wanted, why="declared", origin=None)
    if rank(wanted) == rank(found.classification):
        return found if found.why == "masked" else replace(found, why="declared")
    if said.declassify is not None:
        return replace(found, classification=wanted, why="declassified", reason=said.declassify)
    if found.why == "not classified":  # nobody has said anything that this would lower
        return replace(found, classification=wanted, why="declared")
    return replace(found, is_lowered=True)
