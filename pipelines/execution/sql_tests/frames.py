"""Rows of a case as a table of Spark, and rows of Spark as values that can be compared."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING

from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import empty_frame

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.lineage.columns import Column
    from pipelines.results.sql_tests import Row

Literals = tuple[str, ...]
_MOMENT = "yyyy-MM-dd HH:mm:ss.SSSSSS"
_JSON = {
    "ignoreNullFields": "false",
    "dateFormat": "yyyy-MM-dd",
    "timestampFormat": _MOMENT,
    "timestampNTZFormat": _MOMENT,
}


def frame_of(
    session: SparkSession, columns: Sequence[Column], named: Sequence[str], rows: Sequence[Literals]
) -> DataFrame:
    """A table of ``columns`` that holds ``rows``; made without a job.

    Args:
        session: the session.
        columns: of the table.
        named: names, in lower case, of the columns that the rows have; the others are null.
        rows: expressions of SQL, one for each of the columns named.
    """
    if not rows or not named:
        frame = empty_frame(session, columns)
        if rows:  # rows that name no column are rows all the same
            nulls = ", ".join(
                f"cast(null as {one.type}) as {quoted_name(one.name)}" for one in columns
            )
            frame = session.sql(f"select {nulls} from range({len(rows)})")
        return frame
    places = {name: f"c{number}" for number, name in enumerate(named)}
    values = ", ".join(f"({', '.join(row)})" for row in rows)
    chosen = ", ".join(
        f"cast({places.get(one.name.lower(), 'null')} as {one.type}) as {quoted_name(one.name)}"
        for one in columns
    )
    names = ", ".join(places.values())
    return session.sql(f"select {chosen} from values {values} as given ({names})")


def values_of(frame: DataFrame, columns: Iterable[str]) -> list[Row]:
    """The values of ``columns`` in each row; any case of their names will do.

    Numbers with a fraction are `Decimal`, days and times texts in the session's time zone, bytes
    texts of hexadecimal digits, structs and maps mappings.
    """
    from pyspark.sql import functions as f

    place = {name.lower(): f"c{number}" for number, name in enumerate(frame.columns)}
    plain = frame.toDF(*place.values())
    shown = []
    for field in plain.schema:
        kind, column = field.dataType.typeName(), f.col(field.name)
        if kind == "binary":
            column = f.hex(column)
        elif kind.startswith("timestamp"):
            column = column.cast("string")
        shown.append(column.alias(field.name))
    text = f.to_json(f.struct(*shown), _JSON)
    wanted = [place[name.lower()] for name in columns]
    found = (json.loads(row[0], parse_float=Decimal) for row in plain.select(text).collect())
    return [tuple(row[name] for name in wanted) for row in found]
