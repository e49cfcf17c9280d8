"""Personal data of an analysed flow: the class of each column, and what would show too much."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.lineage.classes import ANY, Classes, TableOrigins
from pipelines.lineage.graph import LineageNode
from pipelines.spec.privacy import ANY_TABLE, PERSONAL, highest, lowest, rank
from pipelines.spec.steps import label_of

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.lineage.classes import ColumnClass
    from pipelines.lineage.flow_columns import AnalysedStep, Analysis
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.spec.privacy import Classification
    from pipelines.spec.steps import PreView, Source

_MOST_SHOWN: Classification = "internal"
"""The highest class that a sample may show."""
_MOST_NAMED = 4
OF_PRIVACY = frozenset({"lowered-class", "max-classification", "shown-column"})
"""The codes of what is found here."""


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


def privacy_findings(compiled: CompiledPlan, analysis: Analysis) -> Iterator[Finding]:
    """What is declared too low, and what would show more than it may."""
    classes = classes_of(compiled, analysis)
    for column in private_columns(compiled, analysis):
        step = compiled.steps[column.table]
        if column.what.is_lowered:
            yield _lowered(compiled, step, column)
        if column.limit is not None and rank(column.what.classification) > rank(column.limit):
            yield _too_high(compiled, step, column)
    for step_id, analysed in analysis.steps.items():
        step = compiled.steps[step_id]
        yield from _shown_by_checks(compiled, step, analysed, classes)
        yield from _shown_keys(compiled, step, classes)


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


def _lowered(compiled: CompiledPlan, step: CompiledStep, column: PrivateColumn) -> Finding:
    names = [one.name.lower() for one in step.settings.columns]
    number = names.index(column.column.lower())
    said = step.settings.columns[number].classification
    over = f" under its mask {column.what.mask!r}" if column.what.mask else ""
    return compiled.plan.flow.document.finding(
        "lowered-class",
        f"column {column.column!r} is declared {said}, and is {column.what.classification}{over}"
        f"{_way(column)}",
        (*step.node.place, "columns", number, "classification"),
        hint=("" if over else "mask it, or ") + 'say why it may be less: declassify: "…"',
    )


def _too_high(compiled: CompiledPlan, step: CompiledStep, column: PrivateColumn) -> Finding:
    environment = compiled.environment
    limits = [
        ("the destination", step.settings.destination.max_classification,
         (*step.node.place, "destination", "max_classification")),
        (f"group {step.node.group.name!r}", step.node.group.max_classification, step.node.place),
        (f"stage {step.node.stage.name!r}", step.node.stage.max_classification, step.node.place),
        (f"environment {compiled.environment_name!r}", environment.max_classification,
         step.node.place),
    ]  # fmt: skip
    who, place = next((who, place) for who, one, place in limits if one == column.limit)
    what = f"column {column.column!r}" if column.column else "a column of those nobody can tell"
    return compiled.plan.flow.document.finding(
        "max-classification",
        f"{what} of {step.id} is {column.what.classification}, and {who} takes no more than "
        f"{column.limit}{_way(column)}",
        place,
        hint=f"leave it out, or mask it: columns: [{{name: {column.column or '…'}, mask: hmac}}]",
    )


def _shown_by_checks(
    compiled: CompiledPlan, step: CompiledStep, analysed: AnalysedStep, classes: Classes
) -> Iterator[Finding]:
    limit = lowest((_MOST_SHOWN, compiled.environment.max_classification)) or _MOST_SHOWN
    public = {one.name.lower() for one in step.settings.columns if one.classification == "public"}
    views = {**analysed.views, step.settings.name: step.id}
    unknown = classes.highest_of((*analysed.views.values(), step.id))
    for number, columns in analysed.checks.items():
        check = step.checks[number]
        shown = public | {name.lower() for name in check.header.show}
        for name, refs in columns.values.items():
            what = classes.of_refs(refs, views, unknown)
            if name.lower() in shown and rank(what.classification) > rank(limit):
                yield check.sql.finding(
                    compiled.plan.flow.document,
                    (*step.node.place, "dq_checks", number),
                    "shown-column",
                    f"samples of the check would show {name!r}, which is {what.classification}"
                    + _way_text([what.origin, *_from(classes, what)]),
                    hint="take it out of '-- show:', or give the sample a key that tells nothing",
                )


def _shown_keys(compiled: CompiledPlan, step: CompiledStep, classes: Classes) -> Iterator[Finding]:
    """Keys that `diff` and `blame` would show, since nothing is declared of them."""
    said = {one.name.lower(): one.classification for one in step.settings.columns}
    table = classes.of_table(step.id)
    for key in step.settings.destination.keys:
        what = table.get(key.lower())
        declared = said.get(key.lower())
        if what is None or what.classification not in PERSONAL or declared in PERSONAL:
            continue
        if what.is_lowered:
            continue  # told already
        yield compiled.plan.flow.document.finding(
            "shown-column",
            f"'diff' and 'blame' would show key {key!r} of {step.id}, which is "
            f"{what.classification}{_way_text([what.origin, *_from(classes, what)])}",
            (*step.node.place, "destination", "keys"),
            hint=f"declare it: columns: [{{name: {key}, classification: {what.classification}}}]",
        )


def _from(classes: Classes, what: ColumnClass) -> list[LineageNode]:
    return list(classes.path(what.origin))[1:] if what.origin is not None else []


def _way(column: PrivateColumn) -> str:
    return _way_text(list(column.path))


def _way_text(path: list[LineageNode | None]) -> str:
    """Where a class comes from, ``, by a.b <- c.d``; the middle of a long way is left out."""
    known = [str(node) for node in path if node is not None]
    if len(known) > _MOST_NAMED:
        known = [*known[: _MOST_NAMED - 2], "…", known[-1]]
    return f", by {' <- '.join(known)}" if known else ""
