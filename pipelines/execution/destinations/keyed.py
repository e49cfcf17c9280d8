"""SQL of the modes that go by keys: the engine's templates, or the project's of the same name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.errors import DestinationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

    from pipelines.plan.compile import CompiledStep
    from pipelines.utils.sql_loader import SqlLoader

_SOURCE_VIEW = "__step_result"
_TEMPLATES = {"merge": "scd1"}
_NOT_COMPARABLE = ("map", "variant", "geometry", "geography")


def keyed_sql(
    loader: SqlLoader,
    step: CompiledStep,
    frame: DataFrame,
    target: str | None,
    existing: StructType | None,
) -> str:
    """The statement of ``step``'s mode.

    Args:
        loader: renders the template.
        step: gives mode and keys.
        frame: the step's rows; gets a view of its session.
        target: SQL name of the table; None where it is made anew.
        existing: the table's columns; None where it is made anew.

    Raises:
        DestinationError: a key is not a column of ``frame``.
    """
    destination, columns = step.settings.destination, frame.columns
    keys = [_same_name(key, columns, step.id) for key in destination.keys]
    others = [column for column in frame.schema if column.name not in keys]
    comparable = [column.name for column in others if _is_comparable(column.dataType)]
    there = {name.lower() for name in existing.names} if existing is not None else set()
    frame.createOrReplaceTempView(_SOURCE_VIEW)
    template = f"{_TEMPLATES.get(destination.mode, destination.mode)}.sql.j2"
    names = {
        "source": _SOURCE_VIEW,
        "target": target,
        "columns": columns,
        "keys": keys,
        "compared": [name for name in comparable if name.lower() in there],
        "added": [column.name for column in others if column.name.lower() not in there],
        "always_differ": len(comparable) < len(others),
        "order_by": comparable,
        "sequence_by": destination.sequence_by,
        "duplicate_message": f"{step.id}: a key stands twice at the same instant",
    }
    return loader.render_text(f"{{% include '{template}' %}}", names, file=template)


def _same_name(key: str, columns: Sequence[str], step_id: str) -> str:
    for column in columns:
        if column.lower() == key.lower():
            return column
    raise DestinationError(
        f"key {key!r} is not a column of the result",
        where=step_id,
        hint=f"columns: {', '.join(columns)}",
    )


def _is_comparable(data_type: DataType) -> bool:
    """Whether Spark can compare and order values of ``data_type``."""
    from pyspark.sql.types import ArrayType, StructType

    if isinstance(data_type, ArrayType):
        return _is_comparable(data_type.elementType)
    if isinstance(data_type, StructType):
        return all(_is_comparable(column.dataType) for column in data_type)
    return data_type.typeName() not in _NOT_COMPARABLE
