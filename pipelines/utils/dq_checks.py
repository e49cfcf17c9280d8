"""Data quality checks: SQL that gives a number or the offending rows, run and judged."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from pipelines.errors import DataQualityError
from pipelines.results import CheckResult, CheckStatus
from pipelines.spec.expectations import Expectation
from pipelines.utils.sql_runner import as_sql_error, run_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SAMPLE_ROWS = 5
_NO_ROWS: tuple[Mapping[str, Any], ...] = ()
_TELLING = frozenset({CheckStatus.WARNED, CheckStatus.FAILED})
DEFAULT_EXPECTATION = Expectation("value = 0", ((("=", 0.0),),))
_THROUGH = frozenset({"Project", "Sort", "GlobalLimit", "LocalLimit", "WithCTE", "SubqueryAlias"})


@dataclass(frozen=True)
class Check:
    """A check to run.

    Attributes:
        file: names it in results.
        sql: one statement.
        expectation: what its number, or its count of rows, must be.
        severity: ``error`` or ``warn``.
        warn_at: warn from this number on.
        error_at: fail from this number on.
        returns: ``value``, ``rows``, or empty: the statement's form tells.
        show: columns whose values may stand in a sample as they are.
        judged: whether what it gives counts; over no rows it says nothing.
    """

    file: str
    sql: str
    expectation: Expectation | None = None
    severity: str = "error"
    warn_at: float | None = None
    error_at: float | None = None
    returns: str = ""
    show: tuple[str, ...] = ()
    description: str = ""
    owner: str = ""
    judged: bool = True


def run_check(spark: SparkSession, check: Check) -> CheckResult:
    """``check`` run in ``spark`` and judged.

    Only a check that finds something costs a second statement, to count what it found.

    Raises:
        SqlError: the statement cannot be run; a check that cannot run has not passed.
    """
    started = time.monotonic()
    frame = run_query(spark, check.sql, file=check.file)
    try:
        if gives_a_value(frame, check.returns):
            value, sample = _value(frame, check.file, may_be_missing=not check.judged), _NO_ROWS
        else:
            value, sample = _offenders(frame, check.show)
    except DataQualityError:
        raise
    except Exception as error:
        raise as_sql_error(error, check.file) from error
    status, expectation = judge(check, value)
    if not check.judged:
        status = CheckStatus.NOT_JUDGED
    return CheckResult(
        file=check.file,
        status=status,
        value=value,
        expectation=expectation,
        severity=check.severity,
        duration_seconds=time.monotonic() - started,
        sample=sample if status in _TELLING else (),
        message=_message(value, expectation, bool(sample)) if status in _TELLING else "",
        description=check.description,
        owner=check.owner,
    )


def enforce(results: Iterable[CheckResult]) -> None:
    """Nothing if no check failed.

    Raises:
        DataQualityError: names every check that failed, with its number.
    """
    failed = [result for result in results if result.status is CheckStatus.FAILED]
    if failed:
        told = "; ".join(f"{result.file}: {result.message}" for result in failed)
        raise DataQualityError(
            f"{len(failed)} check{'s' * (len(failed) != 1)} failed: {told}",
            hint="look at the sample in the run log: pipeline show last",
        )


def judge(check: Check, value: float | None) -> tuple[CheckStatus, str]:
    """The status that ``value`` means for ``check``, and the expectation in words.

    A null is never as expected: a check over no rows must say what it wants, as in
    `coalesce(max(x), 0)`.
    """
    if check.warn_at is not None or check.error_at is not None:
        limits = [("error_at", check.error_at), ("warn_at", check.warn_at)]
        words = ", ".join(f"{name} {_plain(limit)}" for name, limit in limits if limit is not None)
        status = CheckStatus.PASSED
        if check.warn_at is not None and value is not None and value >= check.warn_at:
            status = CheckStatus.WARNED
        if value is None or (check.error_at is not None and value >= check.error_at):
            status = CheckStatus.FAILED
        return status, words
    expectation = check.expectation or DEFAULT_EXPECTATION
    if value is not None and expectation.holds(value):
        return CheckStatus.PASSED, expectation.text
    failed = CheckStatus.FAILED if check.severity == "error" else CheckStatus.WARNED
    return failed, expectation.text


def gives_a_value(frame: DataFrame, returns: str = "") -> bool:
    """Whether the statement is one aggregate without `group by`, or its header says so."""
    if returns:
        return returns == "value"
    if len(frame.columns) != 1:
        return False
    plan: Any = frame._jdf.queryExecution().analyzed()
    while plan.nodeName() in _THROUGH and plan.children().size() >= 1:
        children = plan.children()
        plan = children.apply(children.size() - 1 if plan.nodeName() == "WithCTE" else 0)
        if plan.nodeName() == "WithCTE":
            plan = plan.plan()
    return bool(plan.nodeName() == "Aggregate" and plan.groupingExpressions().isEmpty())


def mask(value: Any) -> Any:
    """What may be told of a value without telling it: nothing, yes or no, or its kind and size."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return f"<text of {len(value)}>"
    if isinstance(value, datetime | date):
        return "<date>"
    if isinstance(value, int | float):
        return "<number>"
    return f"<{type(value).__name__}>"


def _value(frame: DataFrame, file: str, *, may_be_missing: bool) -> float | int | None:
    rows = frame.limit(2).collect()
    if not rows and may_be_missing:
        return None
    if len(rows) != 1:
        raise DataQualityError(f"{file} gave {len(rows)} rows where one number was expected")
    number = rows[0][0]
    if number is None or isinstance(number, int):
        return None if number is None else int(number)
    try:
        return float(number)
    except (TypeError, ValueError):
        raise DataQualityError(
            f"{file} gave {type(number).__name__} where a number was expected",
            hint="head it '-- returns: rows' if it lists offending rows",
        ) from None


def _offenders(frame: DataFrame, show: Sequence[str]) -> tuple[int, tuple[Mapping[str, Any], ...]]:
    rows = frame.limit(SAMPLE_ROWS + 1).collect()
    count = len(rows) if len(rows) <= SAMPLE_ROWS else frame.count()
    shown = {name.lower() for name in show}
    sample = tuple(
        {
            name: _json_value(value) if name.lower() in shown else mask(value)
            for name, value in row.asDict().items()
        }
        for row in rows[:SAMPLE_ROWS]
    )
    return count, sample


def _json_value(value: Any) -> Any:
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _message(value: float | None, expectation: str, is_rows: bool) -> str:
    told = "null" if value is None else _plain(value)
    found = f"{told} offending rows" if is_rows else f"the value is {told}"
    return f"{found}, expected {expectation}"


def _plain(number: float) -> str:
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:g}"
