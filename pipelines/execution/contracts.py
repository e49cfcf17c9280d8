"""What a step promises of its columns: compared with what it gives, and kept while it writes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.errors import DataQualityError, SchemaMismatchError, near_names
from pipelines.lineage.columns import Column
from pipelines.utils.sql_loader import quoted_name, sql_literal
from pipelines.utils.sql_runner import as_sql_error, type_of

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType

    from pipelines.execution.handlers import Product
    from pipelines.plan.compile import CompiledStep
    from pipelines.spec.steps import ColumnContract

_BROKEN = "a promise of 'columns' is broken: "


def promised_types(
    session: SparkSession, promised: Sequence[ColumnContract]
) -> list[DataType | None]:
    """The type that each promise names; None where it names none.

    Raises:
        StepError: a type that Spark does not know.
    """
    return [
        type_of(session, Column(one.name, one.type)) if one.type is not None else None
        for one in promised
    ]


def with_promises_kept(session: SparkSession, step: CompiledStep, product: Product) -> Product:
    """``product``, whose rows break the write where they are not as the step promises.

    Raises:
        SchemaMismatchError: a column is missing or of another type.
    """
    promised = step.settings.columns
    if product.frame is None or not promised:
        return product
    check_columns(session, step, product.frame.schema)
    return replace(product, frame=guarded(product.frame, promised))


def check_columns(session: SparkSession, step: CompiledStep, found: StructType) -> None:
    """Nothing where ``found`` has the columns that ``step`` promises.

    Raises:
        SchemaMismatchError: every promise that is broken.
    """
    promised = step.settings.columns
    problems = list(broken_promises(found, promised, promised_types(session, promised)))
    if problems:
        told = "; ".join(message for _, message, _ in problems)
        raise SchemaMismatchError(told, where=step.id, hint="mend the SQL, or 'columns'")


def check_written(session: SparkSession, step: CompiledStep, rows: Callable[[], DataFrame]) -> None:
    """Looks whether a statement that writes by itself has kept the promises of ``step``.

    Args:
        session: the step's.
        step: the step.
        rows: gives the rows of its destination.

    Raises:
        SchemaMismatchError: a column is missing or of another type.
        Exception: Spark's, where a row is not as promised.
    """
    if step.settings.columns:
        frame = rows()
        check_columns(session, step, frame.schema)
        guarded(frame, step.settings.columns).write.format("noop").mode("overwrite").save()


@contextmanager
def broken_promise_told(step: CompiledStep) -> Iterator[None]:
    """Turns what a broken promise raises within a write into a failed gate of data quality.

    Raises:
        DataQualityError: the promise; nothing was written.
    """
    try:
        yield
    except Exception as error:
        told = as_sql_error(error)
        if not step.settings.columns or _BROKEN not in told.message:
            raise
        raise DataQualityError(
            told.message[told.message.index(_BROKEN) :],
            where=step.id,
            hint="the table is as it was; mend the rows, or take the promise back",
        ) from error


def broken_promises(
    found: StructType, promised: Sequence[ColumnContract], types: Sequence[DataType | None]
) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """What the columns of a result are not that they should be.

    Args:
        found: the result's columns.
        promised: the step's contract.
        types: of each promised column; None where any will do.

    Yields:
        The number of the promise, what is wrong, and near names.
    """
    by_name = {column.name.lower(): column for column in found}
    for number, (promise, data_type) in enumerate(zip(promised, types, strict=True)):
        column = by_name.get(promise.name.lower())
        if column is None:
            near = near_names(promise.name, found.names)
            yield number, f"column {promise.name!r} is promised, and the result has none", near
        elif data_type is not None and data_type.simpleString() != column.dataType.simpleString():
            is_now, should = column.dataType.simpleString(), data_type.simpleString()
            yield number, f"column {promise.name!r} is {is_now}, and {should} is promised", ()


def guarded(frame: DataFrame, promised: Sequence[ColumnContract]) -> DataFrame:
    """``frame``, which breaks while it is computed where it holds what is promised not to be.

    Nothing is computed twice: a null or a second row of a value raises within the write itself,
    so that no commit is made.
    """
    from pyspark.sql.functions import expr

    by_name = {name.lower(): name for name in frame.columns}
    tests = []
    for promise in promised:
        name = by_name[promise.name.lower()]
        column = quoted_name(name)
        if not promise.nullable:
            tests.append((f"{column} is null", f"{_BROKEN}{name} is null"))
        if promise.unique:
            twice = f"{column} is not null and count(1) over (partition by {column}) > 1"
            tests.append((twice, f"{_BROKEN}{name} is not unique"))
    if not tests:
        return frame
    first = frame.columns[0]
    broken = " ".join(f"when {test} then raise_error({sql_literal(told)})" for test, told in tests)
    return frame.withColumn(first, expr(f"case {broken} else {quoted_name(first)} end"))
