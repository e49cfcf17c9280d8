"""What of an analysed flow is declared too low, or would show more than it may."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.plan.privacy import classes_of, private_columns
from pipelines.spec.privacy import PERSONAL, lowest, rank

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.lineage.classes import Classes, ColumnClass
    from pipelines.lineage.flow_columns import AnalysedStep, Analysis
    from pipelines.lineage.graph import LineageNode
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.plan.privacy import PrivateColumn
    from pipelines.spec.privacy import Classification

OF_PRIVACY = frozenset({"lowered-class", "max-classification", "shown-column"})
"""The codes of what is found here."""
_MOST_SHOWN: Classification = "internal"
"""The highest class that a sample may show."""
_MOST_NAMED = 4


def privacy_findings(compiled: CompiledPlan, analysis: Analysis) -> Iterator[Finding]:
    """What is declared too low, and what would show more than it may.

    Not of steps that are made of a source whose columns are not known, which is told already.
    """
    classes = classes_of(compiled, analysis)
    for column in private_columns(compiled, analysis):
        if analysis.steps[column.table].is_blind:
            continue
        step = compiled.steps[column.table]
        if column.what.is_lowered:
            yield _lowered(compiled, step, column)
        if column.limit is not None and rank(column.what.classification) > rank(column.limit):
            yield _too_high(compiled, step, column)
    for step_id, analysed in analysis.steps.items():
        if analysed.is_blind:
            continue
        step = compiled.steps[step_id]
        yield from _shown_by_checks(compiled, step, analysed, classes)
        yield from _shown_keys(compiled, step, classes)


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
