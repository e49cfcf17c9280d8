"""Personal data of an analysed flow: the class of each column, and why it has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.lineage.classes import ANY, Classes, TableOrigins
from pipelines.lineage.graph import LineageNode
from pipelines.spec.privacy import ANY_TABLE, highest, lowest
from pipelines.spec.steps import label_of

if TYPE_CHECKING:
    from pipelines.lineage.classes import ColumnClass
    from pipelines.lineage.flow_columns import Analysis
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.spec.privacy import Classification
    from pipelines.spec.steps import PreView, Source


@dataclass(frozen=True)
class PrivateColumn:
    """A column of the flow with its class, for people and machines.

    Attributes:
        table: id of the step.
        column: its name; empty where nobody knows which columns the table has.
        what: its class, and why.
        path: the columns that the class came along, the nearest first.
        limit: the highest class that may stand in the table; None where nothing is said.
    """

    table: str
    column: str
    what: ColumnClass
    path: tuple[LineageNode, ...]
    limit: Classification | None

    @property
    def reason(self) -> str:
        """Why it has its class, in a few words."""
        origin = self.path[-1] if self.path else None
        why = {
            "declared": "declared",
            "declassified": f"declassified: {self.what.reason}",
            "masked": f"mask {self.what.mask}, over {self.what.made_of}",
            "made": "made of no column",
            "not followed": "not followed: the highest that it may read",
            "not classified": "nothing is said of it",
            "source": "of",
        }[self.what.why]
        if origin is None or self.what.why in ("made", "not classified"):
            return why
        return f"{why} {origin}" if self.what.why == "source" else f"{why}; of {origin}"

    def as_dict(self) -> dict[str, Any]:
        """The column with JSON types only."""
        return {
            "table": self.table,
            "column": self.column or None,
            "classification": self.what.classification,
            "why": self.what.why,
            "reason": self.what.reason or None,
            "mask": self.what.mask or None,
            "made_of": self.what.made_of,
            "path": [str(node) for node in self.path],
            "max_classification": self.limit,
        }


def speaks_of_privacy(compiled: CompiledPlan) -> bool:
    """Whether anything of the flow or its environment is classified, masked or limited."""
    flow = compiled.plan.flow.pipeline
    if any(
        one.get("classification") or one.get("columns") for one in compiled.datasources.values()
    ):
        return True
    limits = [compiled.environment.max_classification]
    for stage in flow.stages:
        limits += [stage.max_classification, *(group.max_classification for group in stage.groups)]
    return any(limits) or any(
        step.settings.destination.max_classification is not None
        or any(one.classification or one.mask for one in step.settings.columns)
        for step in compiled.steps.values()
    )


def classes_of(compiled: CompiledPlan, analysis: Analysis) -> Classes:
    """The classes of the columns of ``analysis``, which has followed them."""
    writers = {
        step.settings.destination.path: step.id
        for step in compiled.steps.values()
        if step.settings.destination.path is not None
    }
    sources = _sources(compiled)
    origins = {
        step.id: TableOrigins(
            step.settings.columns,
            tuple(writers.get(table, table) for table in _reads(step, compiled, sources)),
            writers,
        )
        for step in compiled.steps.values()
    }
    return Classes(analysis.steps, origins, sources)


def private_columns(compiled: CompiledPlan, analysis: Analysis) -> Iterator[PrivateColumn]:
    """Every column that the flow writes, in the order of the DAG and its tables."""
    classes = classes_of(compiled, analysis)
    for step_id, analysed in analysis.steps.items():
        limit = limit_of(compiled, compiled.steps[step_id])
        named = {one.name.lower(): one.name for one in analysed.columns or ()}
        for name, what in classes.of_table(step_id).items():
            node = LineageNode(step_id, name)
            path = tuple(classes.path(node))[1:]
            yield PrivateColumn(step_id, named.get(name, name), what, path, limit)


def limit_of(compiled: CompiledPlan, step: CompiledStep) -> Classification | None:
    """The highest class that ``step`` may write: the lowest of all that is said."""
    return lowest(
        (
            step.settings.destination.max_classification,
            step.node.group.max_classification,
            step.node.stage.max_classification,
            compiled.environment.max_classification,
        )
    )


def _sources(compiled: CompiledPlan) -> dict[str, dict[str, Classification]]:
    """Classes by source and column, those of all tables of a datasource among them."""
    found: dict[str, dict[str, Classification]] = {}
    for step in compiled.steps.values():
        for raw in _raw(step):
            settings = compiled.datasources.get(raw.datasource or "")
            if settings is None:
                continue
            by_table = {
                table.lower(): columns for table, columns in (settings.get("columns") or {}).items()
            }
            said: dict[str, Classification] = {}
            if settings.get("classification"):
                said[ANY] = settings["classification"]
            for table in (ANY_TABLE, (raw.table or "").lower()):
                columns = by_table.get(table) or {}
                said |= {column.lower(): one for column, one in columns.items()}
            found[label_of(raw)] = said
    return found


def _raw(step: CompiledStep) -> Iterator[Source | PreView]:
    for part in (*step.settings.pre_views, step.settings.source):
        if part is not None and (part.datasource is not None or part.path is not None):
            yield part


def _reads(
    step: CompiledStep, compiled: CompiledPlan, sources: dict[str, dict[str, Classification]]
) -> Iterator[str]:
    """All that ``step`` may read; of a script that is every datasource too."""
    yield from sorted(compiled.plan.graph.ancestors(step.id))
    yield from (label_of(raw) for raw in _raw(step))
    if step.settings.script is not None:
        for name, settings in compiled.datasources.items():
            whole = sources.setdefault(f"{name}: any table", {})
            if settings.get("classification"):
                whole[ANY] = settings["classification"]
            for columns in (settings.get("columns") or {}).values():
                for column, said in columns.items():
                    key = column.lower()
                    whole[key] = highest((said, whole.get(key, said)))
            yield f"{name}: any table"
