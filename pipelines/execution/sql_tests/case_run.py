"""One bound case run on Spark, in a session of its own, and judged."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.errors import PipelineError
from pipelines.execution.checking import runnable_check
from pipelines.execution.contracts import broken_promise_told, with_promises_kept
from pipelines.execution.handlers import query_product
from pipelines.execution.masks import with_masks
from pipelines.execution.session import clone_session
from pipelines.execution.sql_tests.comparison import compare_rows
from pipelines.execution.sql_tests.frames import frame_of, values_of
from pipelines.results import CheckSaid, CheckStatus, RowsDiff, SqlTestResult, SqlTestStatus
from pipelines.utils import dq_checks
from pipelines.utils.sql_runner import as_sql_error, columns_of, computed, run_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.sql_tests.binding import BoundCase
    from pipelines.execution.sql_tests.typed_rows import BoundRows

# A few rows are one task's work; splitting them takes longer than computing them.
_TINY = {"spark.sql.shuffle.partitions": "1", "spark.sql.adaptive.enabled": "false"}
TEST_KEY = "key of the SQL tests"
"""Of mask `hmac` in SQL tests, which look up no secret."""
_FINDS = frozenset({CheckStatus.FAILED, CheckStatus.WARNED})


@dataclass(frozen=True)
class _Verdict:
    status: SqlTestStatus
    message: str = ""
    diff: RowsDiff | None = None
    checks: tuple[CheckSaid, ...] = ()


def run_case(spark: SparkSession, bound: BoundCase) -> SqlTestResult:
    """How ``bound`` ends; what its step raises is part of that.

    Args:
        spark: what its session is cloned from.
        bound: the case.
    """
    started = time.monotonic()
    session = clone_session(spark, _TINY)
    try:
        frame = _result(session, bound)
    except Exception as error:
        verdict = _broken(error, bound)
    else:
        verdict = _judged(session, frame, bound)
    is_passed = verdict.status is SqlTestStatus.PASSED
    return replace(
        result_of(bound, verdict.status),
        duration_seconds=time.monotonic() - started,
        message=verdict.message,
        diff=verdict.diff,
        checks=verdict.checks,
        empty_views=() if is_passed else bound.empty_views,
    )


def result_of(bound: BoundCase, status: SqlTestStatus) -> SqlTestResult:
    """``bound`` as a result that tells no more than ``status``."""
    case = bound.case
    return SqlTestResult(
        name=case.spec.name,
        description=case.spec.description,
        file=case.document.file,
        line=case.document.locate((*case.place, "name"))[0],
        flow=case.flow,
        step=bound.step.id,
        status=status,
    )


def _result(session: SparkSession, bound: BoundCase) -> DataFrame:
    """The rows of the step, computed; its views are made in the order of a run."""
    step = bound.step
    own = step.settings.name
    for name, rows in bound.views.items():
        if name != own:
            _frame(session, rows).createOrReplaceTempView(name)
    for name, sql in step.pre_view_sql.items():
        made = run_query(session, sql.text, file=sql.file or f"pre_view {name}")
        made.createOrReplaceTempView(name)
    if own in bound.views:
        _frame(session, bound.views[own]).createOrReplaceTempView(own)
    masked = with_masks(session, step, query_product(session, step), lambda: TEST_KEY)
    product = with_promises_kept(session, step, masked)
    if product.frame is None:
        raise PipelineError(f"the SQL of {step.id} is no query")
    with broken_promise_told(step):
        return computed(product.frame)[0]


def _frame(session: SparkSession, rows: BoundRows) -> DataFrame:
    return frame_of(session, rows.columns, rows.named, rows.rows)


def _broken(error: Exception, bound: BoundCase) -> _Verdict:
    """The verdict where the step broke, which may be what is expected."""
    sql = bound.step.sql
    told = (
        error if isinstance(error, PipelineError) else as_sql_error(error, sql.file if sql else "")
    )
    wanted = bound.case.spec.expect_error
    if wanted is None:
        return _Verdict(SqlTestStatus.ERROR, str(told))
    if wanted.lower() in told.message.lower() or wanted == getattr(told, "condition", ""):
        return _Verdict(SqlTestStatus.PASSED)
    return _Verdict(SqlTestStatus.FAILED, f"expected an error with {wanted!r}, found: {told}")


def _judged(session: SparkSession, frame: DataFrame, bound: BoundCase) -> _Verdict:
    """The verdict on the rows that came out."""
    spec = bound.case.spec
    if spec.expect_error is not None:
        message = f"expected an error with {spec.expect_error!r}, and the step gave "
        return _Verdict(SqlTestStatus.FAILED, f"{message}{frame.count()} rows")
    diff = None
    try:
        if spec.expect is not None:
            if bound.expected is None:
                raise PipelineError(f"the columns of {bound.step.id} could not be told beforehand")
            expected = frame_of(
                session, columns_of(frame.schema), bound.expected.named, bound.expected.rows
            )
            diff = compare_rows(
                bound.compared,
                values_of(expected, bound.compared),
                values_of(frame, bound.compared),
                ordered=spec.expect.ordered,
                tolerance=spec.expect.tolerance,
            )
        said = _checks_said(session, frame, bound)
    except Exception as error:
        told = error if isinstance(error, PipelineError) else as_sql_error(error)
        return _Verdict(SqlTestStatus.ERROR, str(told), diff)
    passed = diff is None and not said
    return _Verdict(SqlTestStatus.PASSED if passed else SqlTestStatus.FAILED, "", diff, said)


def _checks_said(
    session: SparkSession, frame: DataFrame, bound: BoundCase
) -> tuple[CheckSaid, ...]:
    """What checks said that is not as expected; they see the step's rows under its name."""
    frame.createOrReplaceTempView(bound.step.settings.name)
    said = []
    for check, expected in bound.checks:
        asked = runnable_check(bound.step, check, True)
        shown = tuple(dict.fromkeys((*asked.show, *frame.columns)))  # made-up rows hide nothing
        result = dq_checks.run_check(session, replace(asked, show=shown))
        if (result.status in _FINDS) == (expected == "fails"):
            continue
        message = result.message or f"{result.value}, expected {result.expectation}"
        said.append(CheckSaid(result.file, expected, message, result.sample))
    return tuple(said)
