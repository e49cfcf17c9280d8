"""A row whose values no plan shows, nor the Spark UI or the history of a Delta table.

A literal would be shown by all of them. This row is that of an RDD: they tell that there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


def hidden_row(session: SparkSession, values: Mapping[str, bytes]) -> DataFrame:
    """One row with ``values`` by the names of its columns, all of them binary."""
    from pyspark.sql import DataFrame
    from pyspark.sql.types import BinaryType, StructField, StructType

    jvm: Any = session._jvm
    context: Any = session.sparkContext
    java: Any = session._jsparkSession
    row = context._gateway.new_array(jvm.java.lang.Object, len(values))
    for place, value in enumerate(values.values()):
        row[place] = bytearray(value)
    rows = jvm.java.util.ArrayList()
    rows.add(getattr(jvm, "org.apache.spark.sql.RowFactory").create(row))
    schema = StructType([StructField(name, BinaryType()) for name in values])
    java_schema = getattr(jvm, "org.apache.spark.sql.types.DataType").fromJson(schema.json())
    return DataFrame(java.createDataFrame(context._jsc.parallelize(rows, 1), java_schema), session)
