"""Builds a student dimension without history: one row per student, names and age ready to show.

As a step of a flow that has steps ``students`` and ``hub_student`` upstream, or alone:

    python -m ingestion.gold.build_dim_student_profile --students /tmp/students \
        --hub-student /tmp/hub_student --output /tmp/dim_student_profile
"""

from __future__ import annotations

import argparse
from datetime import date
from typing import TYPE_CHECKING, Any, Protocol

from delta import configure_spark_with_delta_pip
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import DataFrame

MONTHS_IN_YEAR = 12


class _Context(Protocol):
    @property
    def run_date(self) -> Any: ...


def ingest(spark: SparkSession, context: _Context) -> DataFrame:
    """Profiles of the students in the upstream views ``hub_student`` and ``students``."""
    latest = latest_students(spark.table("students"))
    return student_profiles(spark.table("hub_student"), latest, str(context.run_date))


def latest_students(students: DataFrame) -> DataFrame:
    """One row per business key (as ``student_key``): the entry that changed last."""
    newest = Window.partitionBy("student_key").orderBy(
        F.col("change_version").desc_nulls_last(), F.col("student_usi").desc()
    )
    return (
        students.withColumn("student_key", F.upper(F.trim("student_unique_id")))
        .where(F.col("student_key") != "")
        .withColumn("position", F.row_number().over(newest))
        .where(F.col("position") == 1)
        .drop("position")
    )


def student_profiles(hub_student: DataFrame, latest: DataFrame, run_date: str) -> DataFrame:
    """Names, display name, birth date and age of the students of the hub.

    Args:
        hub_student: ``student_hk`` and ``student_unique_id``; the hash key is the row's key here.
        latest: what :func:`latest_students` gives; a student of the hub may be missing from it.
        run_date: ISO date; ages are as of it, and it becomes ``load_date``.
    """
    hub = hub_student.select(
        "student_hk",
        F.col("student_unique_id").alias("hub_unique_id"),
        F.upper(F.col("student_unique_id")).alias("student_key"),
    )
    age = F.floor(F.months_between(F.lit(run_date), "birth_date") / MONTHS_IN_YEAR).cast("int")
    return hub.join(latest, "student_key", "left").select(
        F.col("student_hk").alias("dim_student_profile_id"),
        F.col("hub_unique_id").alias("student_unique_id"),
        _full_name("first_name", "middle_name", "last_name").alias("full_name"),
        _full_name(
            F.coalesce("preferred_first_name", "first_name"),
            F.coalesce("preferred_last_name", "last_name"),
        ).alias("display_name"),
        "birth_date",
        F.when(age >= 0, age).alias("age_years"),
        F.when(F.col("student_usi").isNull(), "left_the_ods")
        .otherwise("in_the_ods")
        .alias("status"),
        F.lit(run_date).cast("timestamp").alias("load_date"),
    )


def _full_name(*parts: Any) -> Any:
    """The parts that are there, joined by blanks; ``Unknown`` if none is."""
    name = F.concat_ws(" ", *(F.when(F.trim(part) != "", F.trim(part)) for part in parts))
    return F.when(name != "", name).otherwise("Unknown")


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads Delta tables of students and hub and writes the dimension anew."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--students", required=True, help="folder of the bronze table")
    parser.add_argument("--hub-student", required=True, help="folder of the hub")
    parser.add_argument("--output", required=True, help="folder of the dimension")
    parser.add_argument("--run-date", default=date.today().isoformat())
    words = parser.parse_args(arguments)
    spark = _plain_session()
    try:
        hub = spark.read.format("delta").load(words.hub_student)
        latest = latest_students(spark.read.format("delta").load(words.students))
        profiles = student_profiles(hub, latest, words.run_date)
        profiles.write.format("delta").mode("overwrite").save(words.output)
    finally:
        spark.stop()


def _plain_session() -> SparkSession:
    extension = "io.delta.sql.DeltaSparkSessionExtension"
    catalog = "org.apache.spark.sql.delta.catalog.DeltaCatalog"
    builder: Any = SparkSession.builder.appName("build_dim_student_profile")
    builder = builder.config("spark.sql.extensions", extension)
    builder = builder.config("spark.sql.catalog.spark_catalog", catalog)
    builder = builder.config("spark.sql.session.timeZone", "UTC")
    spark: SparkSession = configure_spark_with_delta_pip(builder).getOrCreate()
    return spark


if __name__ == "__main__":
    main()
