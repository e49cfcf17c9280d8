"""Makes the student hub of the bronze students: one row per trimmed StudentUniqueId.

As a step of a flow that has a step ``students`` upstream, or alone:

    python -m ingestion.silver.transform_hub_student --students /tmp/students \
        --output /tmp/hub_student
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import Column, DataFrame


def ingest(spark: SparkSession, context: object) -> DataFrame:
    """The students seen in the upstream view ``students``; the step adds the new ones."""
    del context  # all that is needed is in the view
    return hub_students(spark.table("students"))


def hub_students(students: DataFrame) -> DataFrame:
    """The first row per business key by load date and record source; blank keys stay behind."""
    first = Window.partitionBy("student_hk").orderBy(
        "load_date", "record_source", "student_unique_id"
    )
    return (
        students.select(
            hash_key(F.col("student_unique_id")).alias("student_hk"),
            F.trim("student_unique_id").alias("student_unique_id"),
            "load_date",
            "record_source",
        )
        .where(F.col("student_hk").isNotNull())
        .withColumn("position", F.row_number().over(first))
        .where(F.col("position") == 1)
        .drop("position")
    )


def hash_key(column: Column) -> Column:
    r"""Hash key of one business key, null if it is blank.

    The recipe of ``pipelines/sql_templates/macros/hash.sql.j2``: trimmed, in upper case, ``\``,
    ``|`` and ``^`` escaped, SHA-256 in hexadecimal digits.
    """
    text = F.trim(F.upper(column.cast("string")))
    escaped = F.when(text != "", text)
    for mark in ("\\", "|", "^"):
        escaped = F.replace(escaped, F.lit(mark), F.lit("\\" + mark))
    return F.sha2(escaped, 256)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads a Delta table of students and writes the hub anew."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--students", required=True, help="folder of the bronze table")
    parser.add_argument("--output", required=True, help="folder of the hub")
    words = parser.parse_args(arguments)
    spark = _plain_session()
    try:
        students = spark.read.format("delta").load(words.students)
        hub_students(students).write.format("delta").mode("overwrite").save(words.output)
    finally:
        spark.stop()


def _plain_session() -> SparkSession:
    extension = "io.delta.sql.DeltaSparkSessionExtension"
    catalog = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    builder: Any = SparkSession.builder.appName("transform_hub_student")
    builder = builder.config("spark.sql.extensions", extension)
    builder = builder.config("spark.sql.catalog.spark_catalog", catalog)
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    spark: SparkSession = configure_spark_with_delta_pip(builder).getOrCreate()
    return spark


if __name__ == "__main__":
    main()
