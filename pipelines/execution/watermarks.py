"""Up to where a source was read: bounds taken before its rows, and kept with the commit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import reduce
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeAlias

from pipelines.errors import StepError
from pipelines.execution.inputs import read_highest, read_raw
from pipelines.spec.incremental import misfit_of, read_overlap
from pipelines.utils.sql_loader import quoted_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructField

    from pipelines.execution.context import RunContext
    from pipelines.plan.compile import CompiledStep
    from pipelines.plan.windows import Window
    from pipelines.spec.incremental import Incremental
    from pipelines.spec.steps import PreView, Source

_NUMBERS = ("byte", "short", "integer", "long", "decimal", "float", "double")
_TIMES = ("timestamp", "timestamp_ntz")
_GRAIN = timedelta(microseconds=1)
"""Spark's own; a database that is finer must not lose what lies between two of its ticks."""
_COARSE = ("datetime", "smalldatetime")
"""Types of SQL Server that refuse a literal finer than a millisecond."""
_Value: TypeAlias = Any  # a Decimal, a date or a datetime, as the column has it


@dataclass(frozen=True)
class Watermark:
    """Up to where one source of a step was read.

    Attributes:
        column: that it is read by.
        of: what tells the source and the column from others.
        value: the highest that was read, as text; None where there was nothing.
        type: of the column, in Spark's words.
        at: when the bound was taken, UTC, ISO 8601.
        full_at: the run date when all of it was read last.
    """

    column: str
    of: str
    value: str | None
    type: str
    at: str
    full_at: str

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Watermark:
        """A watermark as a commit says it."""
        return cls(**{name: said[name] for name in cls.__dataclass_fields__})

    def said(self) -> dict[str, Any]:
        """The watermark with JSON types only."""
        return asdict(self)


@dataclass(frozen=True)
class Part:
    """The rows of one source that a step reads this time.

    Attributes:
        view: their name in SQL.
        rows: they, bounded; nothing is read yet.
        is_empty: whether it is known that there are none.
        is_new: whether some are above the watermark.
        mark: up to where they reach.
        notes: what a user should know of them.
        is_window: whether they are those of a window of the past.
    """

    view: str
    rows: DataFrame
    is_empty: bool
    is_new: bool
    mark: Watermark
    notes: tuple[str, ...] = ()
    is_window: bool = False


@dataclass(frozen=True)
class WatchedSource:
    """A source that is read by a watermark, and the view that its rows get."""

    view: str
    what: Source | PreView
    incremental: Incremental

    @property
    def of(self) -> str:
        """What tells it from another source, and from itself by another column."""
        what = self.what
        parts = (what.datasource, what.table, what.query_text, what.path, self.incremental.column)
        return sha256(repr(parts).encode()).hexdigest()[:16]


def watched_sources(step: CompiledStep) -> Iterator[WatchedSource]:
    """What ``step`` reads by watermarks."""
    for view in step.settings.pre_views:
        if view.incremental is not None:
            yield WatchedSource(view.name, view, view.incremental)
    source = step.settings.source
    if source is not None and source.incremental is not None:
        yield WatchedSource(step.settings.name, source, source.incremental)


def read_part(
    session: SparkSession,
    source: WatchedSource,
    context: RunContext,
    last: Watermark | None,
    *,
    appends: bool,
    at: datetime,
) -> Part:
    """What of ``source`` is to be read: above the watermark, up to the highest value of now.

    Args:
        session: the step's.
        source: the source.
        context: of the run.
        last: up to where it was read; None reads from the start.
        appends: whether a row that is read twice would be doubled: rows without a value of the
            column are left out then.
        at: now.

    Raises:
        StepError: the column is not there, does not grow, or the overlap does not suit it.
        DatasourceError: the source cannot be reached.
    """
    rows = read_raw(session, source.what, context)
    column = _column_of(rows, source)
    kind = column.dataType.typeName()
    request = context.compiled.plan.request
    if request.mode == "history" and kind in ("date", *_TIMES):
        return _window_part(rows, source, column, last, request.window, at, appends=appends)
    low = _value(last.value, kind) if last is not None else None
    text = _highest(session, source, column, context)
    high = _value(text, kind)
    notes = []
    if high is not None and low is not None and high < low:
        notes.append(
            f"{source.view}: the highest {column.name} is {text}, below the watermark "
            f"{last.value if last else ''}; if the source was put back, --full-refresh reads all"
        )
    is_new = high is not None and (low is None or high > low)
    overlap = _overlap(source, kind, appends)
    takes_nulls = column.nullable and not appends
    if column.nullable and appends and last is None:
        notes.append(f"{source.view}: rows without {column.name} are not read")
    top = _later(high, low)
    if kind != "date" and isinstance(top, datetime) and top.date() > at.date() + timedelta(days=1):
        notes.append(f"{source.view}: the watermark {top} is in the future")
    is_empty = not takes_nulls and not is_new and (overlap is None or low is None)
    today = str(context.compiled.names["run_date"])
    mark = Watermark(
        column.name,
        source.of,
        text if is_new or last is None else last.value,
        column.dataType.simpleString(),
        at.isoformat(timespec="seconds"),
        today if last is None else last.full_at,
    )
    bounded = _bounded(rows, column, _below(low, overlap), top, takes_nulls, is_empty=is_empty)
    return Part(source.view, bounded, is_empty, is_new, mark, tuple(notes))


def _window_part(
    rows: DataFrame,
    source: WatchedSource,
    column: StructField,
    last: Watermark | None,
    window: Window,
    at: datetime,
    *,
    appends: bool,
) -> Part:
    """The rows of a window of the past; daily runs go on from the end of the newest one.

    Rows without a value come with every window, but where they would be doubled.
    """
    from pyspark.sql import functions as f

    kind = column.dataType.typeName()
    start, end = (f.lit(str(day)).cast(column.dataType) for day in (window.start, window.end))
    own = rows[quoted_name(column.name)]
    inside = (own >= start) & (own < end)
    top: date = window.last
    if kind != "date":
        top = datetime.combine(window.end, datetime.min.time()) - _GRAIN
    low = _value(last.value, kind) if last is not None else None
    is_new = low is None or top > low
    mark = Watermark(
        column.name,
        source.of,
        str(top) if is_new or last is None else last.value,
        column.dataType.simpleString(),
        at.isoformat(timespec="seconds"),
        str(window.last) if last is None else last.full_at,
    )
    takes_nulls = column.nullable and not appends
    bounded = rows.where(inside | own.isNull() if takes_nulls else inside)
    return Part(source.view, bounded, is_empty=False, is_new=is_new, mark=mark, is_window=True)


def _column_of(rows: DataFrame, source: WatchedSource) -> StructField:
    types = {one.name: one.dataType.simpleString() for one in rows.schema}
    wrong = misfit_of(source.incremental, types)
    if wrong is not None:
        hint = f"did you mean {wrong.near[0]!r}?" if wrong.near else wrong.hint
        raise StepError(f"{source.view} {wrong.message}", hint=hint)
    name = source.incremental.column.lower()
    return next(one for one in rows.schema if one.name.lower() == name)


def _highest(
    session: SparkSession, source: WatchedSource, column: StructField, context: RunContext
) -> str | None:
    """The highest value of now as text."""
    from pyspark.sql import functions as f

    top = f.col("highest").cast(column.dataType)
    is_time = column.dataType.typeName() in _TIMES
    text = f.date_format(top, "yyyy-MM-dd HH:mm:ss.SSSSSS") if is_time else top.cast("string")
    row = read_highest(session, source.what, column.name, context).select(text).collect()[0]
    return None if row[0] is None else str(row[0])


def _value(text: str | None, kind: str) -> _Value | None:
    if text is None:
        return None
    if kind in _NUMBERS:
        return Decimal(text)
    return date.fromisoformat(text) if kind == "date" else datetime.fromisoformat(text)


def _overlap(source: WatchedSource, kind: str, appends: bool) -> Decimal | timedelta | None:
    """How far below the watermark is read again; by days, the last one may not have been over."""
    overlap = read_overlap(source.incremental.overlap)
    if kind == "date" and overlap is None and not appends:
        return timedelta(days=1)
    return overlap


def _below(low: _Value | None, overlap: Decimal | timedelta | None) -> _Value | None:
    if low is None or overlap is None:
        return low
    try:
        return low - overlap
    except OverflowError:
        return None


def _later(high: _Value | None, low: _Value | None) -> _Value | None:
    """The upper bound; with an overlap rows are read again though nothing is above."""
    return max((one for one in (high, low) if one is not None), default=None)


def _bounded(
    rows: DataFrame,
    column: StructField,
    low: _Value | None,
    high: _Value | None,
    takes_nulls: bool,
    *,
    is_empty: bool,
) -> DataFrame:
    """The rows above ``low``, up to ``high``: a condition that a database can answer."""
    from pyspark.sql import functions as f

    if is_empty:
        return rows.limit(0)
    own = rows[quoted_name(column.name)]

    def literal(value: _Value) -> Any:
        return f.lit(str(value)).cast(column.dataType)

    def ends_at(value: _Value) -> bool:
        """Whether rows may be compared with the very value: none can lie within its tick."""
        if not isinstance(value, datetime) or value == datetime.max:
            return True
        is_coarse = column.metadata.get("jdbcClientType") in _COARSE
        return is_coarse and value.microsecond % 1000 == 0

    tests = []
    if high is not None:
        tests += [own <= literal(high) if ends_at(high) else own < literal(high + _GRAIN)]
    if high is not None and low is not None:
        tests += [own > literal(low) if ends_at(low) else own >= literal(low + _GRAIN)]
    if not tests:
        return rows.where(own.isNull()) if takes_nulls else rows.limit(0)
    condition = reduce(lambda one, other: one & other, tests)
    return rows.where(condition | own.isNull() if takes_nulls else condition)
