"""The SQL tests of a project: read, bound to the steps of their flows, and run in one session."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.analysed import analyse
from pipelines.errors import FlowError, SelectionError, SqlTestError, UsageError
from pipelines.execution.sql_tests import bind_case, result_of, run_case
from pipelines.plan.plan import Action
from pipelines.prepared import Options, PreparedFlow
from pipelines.results import SqlTestStatus
from pipelines.spark_start import start_spark
from pipelines.spec.loader import find_project_dir
from pipelines.spec.sql_test_files import find_test_files, load_cases

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.execution.session import SparkSession
    from pipelines.execution.sql_tests import BoundCase
    from pipelines.lineage.flow_columns import Analysis
    from pipelines.plan.compile import CompiledStep
    from pipelines.results import SqlTestResult
    from pipelines.spec.sql_test_files import SqlCase


@dataclass(frozen=True)
class _Planned:
    """A case, its flow for the day and variables of the case, and its step there."""

    case: SqlCase
    prepared: PreparedFlow
    step: CompiledStep


def run_sql_tests(
    named: Sequence[Path] = (),
    options: Options | None = None,
    *,
    keyword: str = "",
    sources: str = "auto",
    fail_fast: bool = False,
    spark: SparkSession | None = None,
) -> Iterator[SqlTestResult]:
    """Runs SQL tests, in the order of their files; each result is given as it comes.

    Args:
        named: files and folders; without any those below `tests/sql` of the project.
        options: environment, config and project; `select` chooses by the step under test.
        keyword: only tests whose names hold it, in any case.
        sources: whose word counts for the columns of sources: ``auto``, ``recorded`` or
            ``database``.
        fail_fast: leave out what comes after the first test that fails.
        spark: a session to work in; without it one is started, and stopped.

    Raises:
        UsageError: there is nothing to run.
        SqlTestError: with all that is wrong with the files; no test was run then.
    """
    asked = options or Options()
    root = (asked.project_dir or find_project_dir(Path.cwd())).resolve()
    cases, faults = load_cases(find_test_files(named, root), root)
    wanted = [
        planned
        for planned in _planned(cases, faults, replace(asked, project_dir=root, resume=False))
        if keyword.lower() in planned.case.spec.name.lower()
        and planned.step.planned.action is Action.RUN
    ]
    if not wanted:
        raise UsageError(
            f"none of the {len(cases)} SQL tests is chosen", hint="look at --select and -k"
        )
    with _session(wanted[0].prepared, spark) as session:
        stopped = False
        for bound in _bound(wanted, sources, session):
            if stopped:
                yield result_of(bound, SqlTestStatus.NOT_RUN)
                continue
            result = run_case(session, bound)
            yield result
            stopped = fail_fast and result.is_broken


def _planned(
    cases: Sequence[SqlCase], faults: Sequence[Finding], options: Options
) -> list[_Planned]:
    """Every case with its step; a flow is rendered once for each day and set of variables.

    Raises:
        SqlTestError: with all that is wrong and can be told without Spark, ``faults`` first.
        SelectionError: the selection fits no step of any flow.
    """
    flows: dict[str, PreparedFlow | Exception] = {}
    findings: dict[Finding, None] = dict.fromkeys(faults)
    unfit: dict[str, SelectionError] = {}
    planned = []
    for case in cases:
        key = f"{case.flow} {case.run_date} {_text(case.vars)}"
        if key not in flows:
            flows[key] = _prepared(case, options)
        prepared = flows[key]
        if isinstance(prepared, SelectionError):
            unfit[case.flow] = prepared
        elif isinstance(prepared, FlowError):
            findings |= dict.fromkeys(prepared.findings)
        elif isinstance(prepared, UsageError):
            place = case.document.finding(
                "unknown-flow", prepared.message, ("flow",), hint=prepared.hint
            )
            findings[place] = None
        elif isinstance(prepared, PreparedFlow):
            found = _step(case, prepared)
            if isinstance(found, _Planned):
                planned.append(found)
            else:
                findings[found] = None
    if findings:
        raise SqlTestError(_by_place(findings))
    if unfit and not planned:
        raise next(iter(unfit.values()))
    return planned


def _prepared(case: SqlCase, options: Options) -> PreparedFlow | UsageError:
    """The flow of a case for its day and variables; the error where it is broken."""
    prepared = PreparedFlow(
        case.flow, replace(options, run_date=case.run_date, vars=dict(case.vars))
    )
    try:
        prepared.checked()
    except (FlowError, SelectionError) as error:
        return error
    except UsageError as error:
        if "flow" in prepared.__dict__:  # it was found: the config, or the project, is wrong
            raise
        return error
    return prepared


def _step(case: SqlCase, prepared: PreparedFlow) -> _Planned | Finding:
    """A case with its step, or why it cannot have it."""
    try:
        step = prepared.step(case.spec.step)
    except UsageError as error:
        return case.finding("unknown-step", error.message, "step", hint=error.hint)
    if step.settings.script is not None:
        return case.finding(
            "untestable-step",
            f"{step.id} is a script, which reads by itself: only SQL can be given views",
            "step",
            hint="test its ingest(spark, context) in Python",
        )
    return _Planned(case, prepared, step)


def _bound(wanted: Sequence[_Planned], sources: str, session: SparkSession) -> Iterator[BoundCase]:
    """Every case with rows of the right types; a flow is analysed once for each set of variables.

    Raises:
        SqlTestError: with all that does not fit.
    """
    analyses: dict[str, Analysis] = {}
    found, findings = [], []
    for planned in wanted:
        key = f"{planned.case.flow} {_text(planned.case.vars)}"
        if key not in analyses:
            analyses[key] = analyse(planned.prepared, sources=sources, spark=session)
        prepared = planned.prepared
        bound, problems = bind_case(
            planned.case, planned.step, prepared.compiled, analyses[key], session,
            prepared.statements.tables,
        )  # fmt: skip
        findings += problems
        if bound is not None:
            found.append(bound)
    if findings:
        raise SqlTestError(findings)
    return iter(found)


@contextmanager
def _session(prepared: PreparedFlow, given: SparkSession | None) -> Iterator[SparkSession]:
    session = given or start_spark(prepared)
    try:
        yield session
    finally:
        if given is None:
            session.stop()


def _by_place(findings: Collection[Finding]) -> list[Finding]:
    """``findings`` by line; the files stay in the order in which they come."""
    files = {file: n for n, file in enumerate(dict.fromkeys(one.file for one in findings))}
    return sorted(findings, key=lambda one: (files[one.file], one.line, one.column))


def _text(variables: object) -> str:
    return json.dumps(variables, sort_keys=True)
