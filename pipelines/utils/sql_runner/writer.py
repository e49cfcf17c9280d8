"""Writes rows to a destination in one commit: Delta tables by mode, other formats staged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.errors import DestinationError, SchemaMismatchError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructType

MAX_LINES = 20


@dataclass(frozen=True)
class WriteOptions:
    """How a Delta table is written.

    Attributes:
        mode: ``overwrite``, ``append`` or ``replace_partitions``.
        replace_where: with `overwrite`, which rows of the table give way; empty is all.
        schema_policy: ``strict``, ``evolve`` or ``overwrite``.
        cluster_by: for a table that this write makes or replaces as a whole.
        options: Spark writer options, passed on as they are.
        properties: of the table, where this write makes or replaces it as a whole.
    """

    mode: str = "overwrite"
    schema_policy: str = "strict"
    replace_where: str = ""
    partition_by: tuple[str, ...] = ()
    cluster_by: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)


def write_delta(frame: DataFrame, path: str, how: WriteOptions) -> None:
    """Writes ``frame`` to the Delta table at ``path`` in one commit."""
    if how.cluster_by:
        _replace_clustered(frame, path, how)
        return
    writer = frame.write.format("delta")
    writer = writer.mode("append" if how.mode == "append" else "overwrite")
    if how.mode == "replace_partitions":
        writer = writer.option("partitionOverwriteMode", "dynamic")
    if how.replace_where:
        writer = writer.option("replaceWhere", how.replace_where)
    if how.schema_policy == "overwrite":
        writer = writer.option("overwriteSchema", "true")
    elif how.schema_policy == "evolve":
        writer = writer.option("mergeSchema", "true")
    if how.partition_by:
        writer = writer.partitionBy(*how.partition_by)
    for name, value in {**how.properties, **how.options}.items():
        writer = writer.option(name, _option_text(value))
    writer.save(path)


def _replace_clustered(frame: DataFrame, path: str, how: WriteOptions) -> None:
    """By SQL: Delta drops the DataFrame writer's `clusterBy` on a path without a word."""
    view = "__clustered_rows"
    frame.createOrReplaceTempView(view)
    table, *names = ("`" + name.replace("`", "``") + "`" for name in (path, *how.cluster_by))
    pairs, properties = (
        ", ".join(f"{_quoted(name)} = {_quoted(_option_text(value))}" for name, value in given)
        for given in (how.options.items(), how.properties.items())
    )
    frame.sparkSession.sql(
        f"create or replace table delta.{table} using delta "
        + (f"options ({pairs}) " if pairs else "")
        + (f"tblproperties ({properties}) " if properties else "")
        + f"cluster by ({', '.join(names)}) as select * from {view}"
    )


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def check_schema(
    found: StructType, existing: StructType | None, policy: str, *, where: str = ""
) -> None:
    """Compares the result's columns with the destination's; names without case, types exactly.

    Args:
        found: columns of the result.
        existing: columns of the destination; None where there is none yet.
        policy: ``strict`` allows no difference, ``evolve`` allows new columns, ``overwrite`` all.
        where: the step, for the message.

    Raises:
        SchemaMismatchError: the difference, column by column.
        DestinationError: a column without a type, or two columns of one name.
    """
    names = [name.lower() for name in found.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DestinationError(
            f"the result has two columns called {', '.join(twice)}",
            where=where,
            hint="give one of them another name with 'as'",
        )
    untyped = [column.name for column in found if column.dataType.typeName() == "void"]
    if untyped:
        raise DestinationError(
            f"column {', '.join(untyped)} has no type",
            where=where,
            hint="cast the null: cast(null as string) as …",
        )
    if existing is None or policy == "overwrite":
        return
    new = {column.name.lower(): column for column in found}
    old = {column.name.lower(): column for column in existing}
    lines = []
    if policy == "strict":
        lines += [f"+ {c.name} {c.dataType.simpleString()}" for n, c in new.items() if n not in old]
        lines += [f"- {c.name} {c.dataType.simpleString()}" for n, c in old.items() if n not in new]
    for name, column in new.items():
        before = old.get(name)
        if before is not None and _type(before) != _type(column):
            lines.append(f"~ {before.name} {_type(before)} -> {_type(column)}")
    if lines:
        more = len(lines) - MAX_LINES
        shown = lines[:MAX_LINES] + ([f"… and {more} more"] if more > 0 else [])
        raise SchemaMismatchError(
            "the result's columns are not the destination's:\n      " + "\n      ".join(shown),
            where=where,
            hint="mend the SQL, or set destination.schema to evolve or overwrite",
        )


def _type(column: Any) -> str:
    return str(column.dataType.simpleString())


def _option_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
