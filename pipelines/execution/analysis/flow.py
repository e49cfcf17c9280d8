"""The walk through the DAG: each step's statements over the columns that the steps before give."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.errors import PipelineError
from pipelines.execution.analysis.checks import CheckAnalysis
from pipelines.execution.analysis.lakehouse import EmptyTables, EmptyViews
from pipelines.execution.analysis.sources import (
    Columns,
    Key,
    RawInput,
    SourceColumns,
    raw_inputs,
)
from pipelines.execution.analysis.step import StepAnalysis
from pipelines.execution.analysis.watched import unfit_to_watch
from pipelines.execution.reads import outputs_read
from pipelines.execution.session import clone_session
from pipelines.lineage.flow_columns import AnalysedStep, Analysis
from pipelines.plan.changes import CHANGE_COLUMNS, changes_seen

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.errors import Finding
    from pipelines.lineage.columns import StatementColumns
    from pipelines.plan.compile import CompiledPlan, CompiledStep

_MOST_NAMED = 5


def analyse_flow(
    compiled: CompiledPlan,
    session: SparkSession,
    sources: SourceColumns,
    *,
    with_lineage: bool = False,
) -> Analysis:
    """``compiled`` as Spark's analyzer sees it; no row is read and nothing is written.

    Args:
        compiled: the plan; all of its steps are looked at, selected or not.
        session: a session whose temp views may come and go.
        sources: gives the columns of what is read from outside.
        with_lineage: whether to follow columns through the statements too.
    """
    with ExitStack() as stack:
        tables = EmptyTables(session)
        stack.callback(tables.close)
        checks = CheckAnalysis(clone_session(session, {}), compiled.plan.flow.document)
        beside = stack.enter_context(ThreadPoolExecutor(max_workers=1))
        return _FlowAnalysis(
            compiled, session, sources, tables, with_lineage, checks, beside
        ).result()


class _FlowAnalysis:
    def __init__(
        self,
        compiled: CompiledPlan,
        session: SparkSession,
        sources: SourceColumns,
        tables: EmptyTables,
        with_lineage: bool,
        checks: CheckAnalysis,
        beside: ThreadPoolExecutor,
    ) -> None:
        self._compiled, self._session, self._sources = compiled, session, sources
        self._tables, self._with_lineage = tables, with_lineage
        self._checks, self._beside = checks, beside
        self._checked: dict[str, Future[list[Finding]]] = {}
        self._views = EmptyViews(session)
        self._done: dict[str, AnalysedStep] = {}
        self._raw: dict[Key, Columns] = {}
        self._findings: dict[str, list[Finding]] = {}
        self._told: list[PipelineError] = []

    def result(self) -> Analysis:
        for step_id in self._compiled.plan.graph.order:
            if step_id in self._compiled.steps:
                self._done[step_id] = self._step(self._compiled.steps[step_id])
        for step_id, checked in self._checked.items():
            self._findings[step_id] += checked.result()
        findings = (
            _with_followers(finding, self._followers(step_id))
            for step_id, found in self._findings.items()
            for finding in found
        )
        return Analysis(self._done, self._raw, tuple(findings))

    def _step(self, step: CompiledStep) -> AnalysedStep:
        found = self._findings[step.id] = []
        inputs, origins, unknown = self._inputs(step)
        analysis = StepAnalysis(
            self._session,
            self._compiled.plan.flow.document,
            step,
            inputs,
            unknown,
            self._tables,
            self._views,
        )
        done = analysis.result(self._with_lineage)
        found += analysis.findings
        checks: dict[int, StatementColumns] = {}
        if step.checks and done.columns is not None and not analysis.has_errors:
            self._checked[step.id] = self._beside.submit(
                self._checks.findings, step, analysis.seen, analysis.unknown - {step.settings.name},
                checks if self._with_lineage else None,
            )  # fmt: skip
        return replace(
            done,
            views={name: origins[name] for name in inputs},
            checks=checks,
            is_blind=self._is_blind(step),
        )

    def _inputs(
        self, step: CompiledStep
    ) -> tuple[dict[str, Columns], dict[str, str], frozenset[str]]:
        """The views of ``step`` that are known, what they are, and the names of those unknown."""
        inputs: dict[str, Columns] = {}
        origins: dict[str, str] = {}
        unknown: set[str] = set()
        changes = changes_seen(step, self._compiled.plan.graph)
        for upstream, names in outputs_read(step, self._compiled.plan.graph).items():
            columns = self._done[upstream].columns if upstream in self._done else None
            views: dict[str, Columns] = dict.fromkeys(names, ())
            if upstream in changes:
                views[changes[upstream]] = CHANGE_COLUMNS
            for name, added in views.items():
                if columns is None:
                    unknown.add(name)
                else:
                    inputs[name], origins[name] = (*columns, *added), upstream
        document = self._compiled.plan.flow.document
        for raw in raw_inputs(step):
            try:
                self._raw[raw.key] = inputs[raw.view] = self._sources.of(raw)
                origins[raw.view] = raw.label
                self._findings[step.id] += unfit_to_watch(raw, inputs[raw.view], document)
            except PipelineError as error:
                unknown.add(raw.view)
                if error not in self._told:  # a silent database is told of once
                    self._told.append(error)
                    self._findings[step.id].append(self._unknown(raw, error))
        return inputs, origins, frozenset(unknown)

    def _unknown(self, raw: RawInput, error: PipelineError) -> Finding:
        """What is said of a source whose columns are not to be had."""
        where = f" ({error.where})" if error.where else ""
        is_error = self._sources.must_answer
        record = "record them where they can be had: pipeline schema record"
        return self._compiled.plan.flow.document.finding(
            "silent-source" if is_error else "unknown-columns",
            f"the columns of {raw.label} are not known: {error.message}{where}",
            raw.place,
            severity="error" if is_error else "warning",
            hint=error.hint if is_error else "; or ".join(filter(None, (error.hint, record))),
        )

    def _is_blind(self, step: CompiledStep) -> bool:
        """Whether ``step`` is made of a source, at however far, whose columns are not known."""
        upstream = outputs_read(step, self._compiled.plan.graph)
        return any(raw.key not in self._raw for raw in raw_inputs(step)) or any(
            one in self._done and self._done[one].is_blind for one in upstream
        )

    def _followers(self, step_id: str) -> Sequence[str]:
        """The steps downstream, in the order in which they would run."""
        below = self._compiled.plan.graph.descendants(step_id)
        return [one for one in self._compiled.plan.graph.order if one in below]


def _with_followers(finding: Finding, followers: Sequence[str]) -> Finding:
    """An error with the steps that would not run because of it."""
    if finding.severity != "error" or not followers:
        return finding
    named = ", ".join(followers[:_MOST_NAMED])
    more = len(followers) - _MOST_NAMED
    told = f"downstream of it: {named}" + (f" and {more} more" if more > 0 else "")
    return replace(finding, hint=f"{finding.hint}; {told}" if finding.hint else told)
