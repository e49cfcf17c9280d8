"""Extracts the students of an Ed-Fi ODS over JDBC, one row per row of ``edfi.Student``.

As a step of a flow, by ``script:``, or alone:

    python -m ingestion.bronze.extract_students_jdbc --url jdbc:postgresql://localhost/EdFi_Ods \
        --driver org.postgresql.Driver --user edfi --password-env EDFI_PASSWORD \
        --output /tmp/students
"""

from __future__ import annotations

import argparse
import os
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame

TABLE = "edfi.Student"
RECORD_SOURCE = "edfi_ods"
COLUMNS = (
    ("StudentUSI", "student_usi", "int"),
    ("StudentUniqueId", "student_unique_id", "string"),
    ("FirstName", "first_name", "string"),
    ("MiddleName", "middle_name", "string"),
    ("LastSurname", "last_name", "string"),
    ("GenerationCodeSuffix", "generation_code_suffix", "string"),
    ("PreferredFirstName", "preferred_first_name", "string"),
    ("PreferredLastSurname", "preferred_last_name", "string"),
    ("BirthDate", "birth_date", "date"),
    ("BirthSexDescriptorId", "birth_sex_descriptor_id", "int"),
    ("Id", "resource_id", "string"),
    ("CreateDate", "create_date", "timestamp"),
    ("LastModifiedDate", "last_modified_date", "timestamp"),
    ("ChangeVersion", "change_version", "bigint"),
)


class _DataSource(Protocol):
    def read(self, spark: SparkSession, table: str) -> DataFrame: ...


class _Context(Protocol):
    @property
    def run_date(self) -> Any: ...
    @property
    def params(self) -> Mapping[str, Any]: ...
    @property
    def datasources(self) -> Mapping[str, _DataSource]: ...


def ingest(spark: SparkSession, context: _Context) -> DataFrame:
    """Students of the datasource that ``params.datasource`` names, by default ``edfi_ods``."""
    datasource = context.datasources[context.params.get("datasource", "edfi_ods")]
    return typed_students(datasource.read(spark, TABLE), str(context.run_date))


def typed_students(raw: DataFrame, run_date: str) -> DataFrame:
    """Rows of ``edfi.Student`` with types and names of our own, whatever the engine's casing.

    Args:
        raw: as JDBC gives it.
        run_date: ISO date; becomes ``load_date``.
    """
    return raw.select(
        *(F.col(source).cast(kind).alias(name) for source, name, kind in COLUMNS),
        F.lit(run_date).cast("timestamp").alias("load_date"),
        F.lit(RECORD_SOURCE).alias("record_source"),
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the students once and writes them as a Delta table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--url", required=True, help="JDBC address, without user and password")
    parser.add_argument("--driver", help="class of the JDBC driver")
    parser.add_argument("--user")
    parser.add_argument("--password-env", help="environment variable that holds the password")
    parser.add_argument("--output", required=True, help="folder of the table")
    parser.add_argument("--run-date", default=date.today().isoformat())
    parser.add_argument("--package", action="append", default=[], help="Maven name of a driver")
    words = parser.parse_args(arguments)
    options = {"url": words.url, "driver": words.driver, "user": words.user, "dbtable": TABLE}
    if words.password_env:
        options["password"] = os.environ[words.password_env]
    spark = _plain_session(words.package)
    try:
        given = {key: value for key, value in options.items() if value is not None}
        raw = spark.read.format("jdbc").options(**given).load()
        students = typed_students(raw, words.run_date)
        students.write.format("delta").mode("overwrite").save(words.output)
    finally:
        spark.stop()


def _plain_session(packages: Sequence[str]) -> SparkSession:
    extension = "io.delta.sql.DeltaSparkSessionExtension"
    catalog = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    builder: Any = SparkSession.builder.appName("extract_students_jdbc")
    builder = builder.config("spark.sql.extensions", extension)
    builder = builder.config("spark.sql.catalog.spark_catalog", catalog)
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    spark: SparkSession = configure_spark_with_delta_pip(builder, list(packages)).getOrCreate()
    return spark


if __name__ == "__main__":
    main()
