"""Columns as Spark has them, and empty tables of given columns."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.errors import StepError
from pipelines.lineage.columns import Column

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import DataType, StructType


def columns_of(schema: StructType) -> tuple[Column, ...]:
    """The columns of ``schema``, their types in DDL that Spark reads back."""
    return tuple(Column(field.name, _ddl(field.dataType), bool(field.nullable)) for field in schema)


def columns_of_json(text: str) -> tuple[Column, ...]:
    """The columns of a schema in Spark's JSON, as Delta's log and the JVM write it."""
    from pyspark.sql.types import StructType

    return columns_of(StructType.fromJson(json.loads(text)))


def schema_of(session: SparkSession, columns: Iterable[Column]) -> StructType:
    """``columns`` as Spark's schema.

    Raises:
        StepError: a type that Spark does not know; names the column.
    """
    from pyspark.sql.types import StructType

    return StructType.fromJson(json.loads(_json_of(session, columns)))


def type_of(session: SparkSession, column: Column) -> DataType:
    """The type of ``column``. Raises StepError where Spark does not know it."""
    return schema_of(session, [column])[0].dataType


def empty_frame(session: SparkSession, columns: Sequence[Column]) -> DataFrame:
    """A table of ``columns`` without a row, made without a job."""
    from pyspark.sql import DataFrame

    jvm, java = session._jvm, session._jsparkSession
    types = getattr(jvm, "org.apache.spark.sql.types.DataType")
    schema = types.fromJson(_json_of(session, columns))
    rows = getattr(jvm, "java.util.ArrayList")()
    return DataFrame(java.createDataFrame(rows, schema), session)


def _json_of(session: SparkSession, columns: Iterable[Column]) -> str:
    """The JSON of the schema; plain types need no look into the JVM."""
    fields: list[dict[str, Any]] = [
        {
            "name": one.name,
            "type": _PLAIN.get(one.type.strip().lower()) or _json_type(session, one),
            "nullable": one.nullable,
            "metadata": {},
        }
        for one in columns
    ]
    return json.dumps({"type": "struct", "fields": fields})


def _json_type(session: SparkSession, column: Column) -> Any:
    """The type of ``column`` in Spark's JSON, by Spark's own reader of DDL."""
    jvm: Any = session._jvm
    try:
        return json.loads(
            getattr(jvm, "org.apache.spark.sql.types.DataType").fromDDL(column.type).json()
        )
    except Exception as error:
        raise StepError(
            f"column {column.name!r} has the type {column.type!r}, which Spark does not know",
            hint="write it as in SQL: string, bigint, decimal(10,2), array<string>",
        ) from error


def _ddl(data_type: DataType) -> str:
    """A type in DDL; names of fields are quoted, which Spark's own short form forgets."""
    from pyspark.sql.types import ArrayType, MapType, StructType

    if isinstance(data_type, ArrayType):
        return f"array<{_ddl(data_type.elementType)}>"
    if isinstance(data_type, MapType):
        return f"map<{_ddl(data_type.keyType)},{_ddl(data_type.valueType)}>"
    if isinstance(data_type, StructType):
        fields = (f"{_quoted(field.name)}:{_ddl(field.dataType)}" for field in data_type)
        return f"struct<{','.join(fields)}>"
    return data_type.simpleString()


def _quoted(name: str) -> str:
    return name if name.isidentifier() else "`" + name.replace("`", "``") + "`"


# DDL's word -> the word in Spark's JSON.
_PLAIN = {
    "string": "string", "boolean": "boolean", "tinyint": "byte", "smallint": "short",
    "int": "integer", "integer": "integer", "bigint": "long", "long": "long", "float": "float",
    "double": "double", "date": "date", "timestamp": "timestamp", "binary": "binary",
}  # fmt: skip
