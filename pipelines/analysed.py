"""A prepared flow before Spark's analyzer: the dry run that needs a JVM, and still no data."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from difflib import unified_diff
from typing import TYPE_CHECKING

from pipelines.errors import FlowError, UsageError, near_names
from pipelines.execution.analysis import (
    SourceColumns,
    analyse_flow,
    raw_inputs,
    read_recorded,
    recorded_text,
)
from pipelines.execution.files import LocalFiles
from pipelines.lineage.graph import LineageNode, column_graph
from pipelines.lineage.impact import impact_between
from pipelines.plan.privacy import private_columns, speaks_of_privacy
from pipelines.plan.privacy_checks import OF_PRIVACY, privacy_findings
from pipelines.plan.table_lineage import table_graph
from pipelines.spark_start import start_spark

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from pipelines.errors import Finding
    from pipelines.execution.session import SparkSession
    from pipelines.lineage.flow_columns import Analysis
    from pipelines.lineage.graph import LineageGraph
    from pipelines.lineage.impact import Impact
    from pipelines.plan.privacy import PrivateColumn
    from pipelines.prepared import PreparedFlow

# What sqlglot guesses from the text, and Spark knows.
_GUESSED = frozenset({"unread-sql"})
_BETTER_TOLD = frozenset({"undeclared-input", "unknown-table"})


def recorded_file(prepared: PreparedFlow) -> Path:
    """Where the columns of a flow's sources are recorded: beside its file."""
    return prepared.flow.path.with_suffix(".sources.json")


def analyse(
    prepared: PreparedFlow,
    *,
    sources: str = "auto",
    with_lineage: bool = False,
    spark: SparkSession | None = None,
) -> Analysis:
    """The flow as Spark's analyzer sees it; its findings are those of `findings()` and Spark's.

    Args:
        prepared: the flow.
        sources: whose word counts for the columns of sources: ``auto``, ``recorded`` or
            ``database``.
        with_lineage: whether to follow columns through the statements too.
        spark: a session to work in; without it one is started, and stopped.

    Raises:
        FlowError: with what is wrong already without Spark.
    """
    compiled = prepared.checked()
    known = read_recorded(recorded_file(prepared))
    with _session(prepared, spark) as session:
        found = SourceColumns(session, prepared.connections.datasource, known, sources)
        follows = with_lineage or speaks_of_privacy(compiled)
        analysis = analyse_flow(compiled, session, found, with_lineage=follows)
    told = _joined(prepared.findings(), analysis.findings)
    if follows and not any(finding.severity == "error" for finding in told):
        told = (*told, *privacy_findings(compiled, analysis))
    redact = prepared.connections.redact
    told = tuple(
        replace(one, message=redact(one.message), hint=redact(one.hint)) for one in told
    )  # a database's own words are among them
    return replace(analysis, findings=told)


def record(
    prepared: PreparedFlow, *, only_compare: bool = False, spark: SparkSession | None = None
) -> tuple[Path, list[str]]:
    """Records the columns of a flow's sources as they are now, beside the flow.

    Args:
        prepared: the flow.
        only_compare: leave the file as it is.
        spark: a session to work in; without it one is started, and stopped.

    Returns:
        The file, and a line for each difference from what it said before.

    Raises:
        PipelineError: a source cannot be reached.
    """
    compiled, file = prepared.checked(), recorded_file(prepared)
    with _session(prepared, spark) as session:
        found = SourceColumns(session, prepared.connections.datasource, {}, "database")
        text = recorded_text(
            {raw.key: found.of(raw) for step in compiled.steps.values() for raw in raw_inputs(step)}
        )
    before = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    shown = str(file.relative_to(prepared.flow.project_dir))
    differs = list(unified_diff(before, text.splitlines(), shown, "the sources", n=1, lineterm=""))
    if differs and not only_compare:
        LocalFiles().write(str(file), text)
        file.chmod(0o644)
    return file, differs


def lineage_of(
    prepared: PreparedFlow, name: str, *, sources: str = "auto", spark: SparkSession | None = None
) -> tuple[LineageGraph, LineageNode]:
    """The graph that a step or a column stands in, and its node there.

    Args:
        prepared: the flow.
        name: a step, told from the statements without Spark; or `step.column`, told by Spark.
        sources: whose word counts for the columns of sources.
        spark: a session to work in; without it one is started where one is needed.

    Raises:
        UsageError: no step, or no column of a step, is called so.
        FlowError: a statement cannot be resolved.
    """
    compiled = prepared.checked()
    names = {alias for step in compiled.steps.values() for alias in (step.id, step.node.step.name)}
    table, dot, column = name.rpartition(".")
    if name in names or table not in names or not dot:
        step = prepared.step(name)
        return table_graph(compiled, prepared.statements.tables), LineageNode(step.id)
    step = prepared.step(table)
    analysis = analyse(prepared, sources=sources, with_lineage=True, spark=spark)
    errors = [finding for finding in analysis.findings if finding.severity == "error"]
    if errors:
        raise FlowError(errors)
    graph = column_graph(analysis.steps)
    node = LineageNode(step.id, column)
    if node not in graph:
        near = near_names(column, graph.columns(step.id))
        raise UsageError(
            f"{step.id} has no column {column!r}",
            hint=f"did you mean {' or '.join(map(repr, near))}?" if near
            else f"it has {', '.join(graph.columns(step.id))}",
        )  # fmt: skip
    return graph, node


def private_columns_of(
    prepared: PreparedFlow, *, sources: str = "auto", spark: SparkSession | None = None
) -> list[PrivateColumn]:
    """Every column that the flow writes, with its class and why it has it.

    Args:
        prepared: the flow.
        sources: whose word counts for the columns of sources.
        spark: a session to work in; without it one is started, and stopped.

    Raises:
        FlowError: a statement cannot be resolved; what is declared too low is no reason.
    """
    analysis = analyse(prepared, sources=sources, with_lineage=True, spark=spark)
    errors = [
        one for one in analysis.findings if one.severity == "error" and one.code not in OF_PRIVACY
    ]
    if errors:
        raise FlowError(errors)
    return list(private_columns(prepared.compiled, analysis))


def impact_of(
    prepared: PreparedFlow, *, sources: str = "auto", spark: SparkSession | None = None
) -> Impact:
    """What the flow does to columns that the version in `options.against` did not.

    Args:
        prepared: the flow.
        sources: whose word counts for the columns of sources.
        spark: a session to work in; without it one is started, and stopped.

    Raises:
        FlowError: the flow, or its other version, is broken without asking Spark.
    """
    with _session(prepared, spark) as session, prepared.other_version() as other:
        now = analyse(prepared, sources=sources, spark=session)
        then = None
        if other is not None:
            then = analyse(other, sources=sources, with_lineage=True, spark=session)
    return impact_between(then, now)


@contextmanager
def _session(prepared: PreparedFlow, given: SparkSession | None) -> Iterator[SparkSession]:
    from pipelines.execution.session import clone_session

    session = given or start_spark(prepared)
    try:
        yield clone_session(session, {})
    finally:
        if given is None:
            session.stop()


def _joined(static: Iterable[Finding], analysed: Iterable[Finding]) -> tuple[Finding, ...]:
    """All findings; where both speak of one line, sqlglot's words and Spark's certainty."""
    guesses = {(one.file, one.line): one for one in static if one.code in _BETTER_TOLD}
    found = []
    for one in analysed:
        guess = guesses.pop((one.file, one.line), None) if one.code == "unknown-table" else None
        found.append(replace(guess, severity="error") if guess is not None else one)
    sure = {(one.code, one.file, one.line) for one in found}
    kept = [
        one
        for one in static
        if one.code not in _GUESSED and (one.code, one.file, one.line) not in sure
    ]
    return (*kept, *found)
