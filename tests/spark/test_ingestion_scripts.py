"""The example scripts: their pure parts, and `ingest` with a context of the engine's shape."""

from __future__ import annotations

import importlib
import subprocess
import sys
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import jinja2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

pytestmark = pytest.mark.spark

ROOT = Path(__file__).resolve().parents[2]
MODULES = (
    "ingestion.bronze.extract_students_jdbc",
    "ingestion.silver.transform_hub_student",
    "ingestion.gold.build_dim_student_profile",
)
RAW = (
    "STUDENTUSI int, STUDENTUNIQUEID string, FIRSTNAME string, MIDDLENAME string, "
    "LASTSURNAME string, GENERATIONCODESUFFIX string, PREFERREDFIRSTNAME string, "
    "PREFERREDLASTSURNAME string, BIRTHDATE date, BIRTHSEXDESCRIPTORID int, ID string, "
    "CREATEDATE timestamp, LASTMODIFIEDDATE timestamp, CHANGEVERSION bigint"
)
MOMENT = datetime(2026, 1, 1)


def _module(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module(name)


def _raw_row(usi: int, unique_id: str | None, first: str | None, version: int) -> tuple[Any, ...]:
    born = date(2010, 6, 15)
    names = (first, None, "Dyer", None, "Ty", None)
    return (usi, unique_id, *names, born, None, f"id-{usi}", MOMENT, MOMENT, version)


@pytest.fixture
def raw(spark: SparkSession) -> DataFrame:
    rows = [
        _raw_row(1, "604821", "Tyrone", 1),
        _raw_row(2, " 604821 ", "Tyrone B.", 2),
        _raw_row(3, "ab1", None, 3),
        _raw_row(4, "  ", "Blank", 4),
        _raw_row(5, None, "Null", 5),
    ]
    return spark.createDataFrame(rows, RAW)


def _reader(frame: DataFrame, tables: list[str]) -> Callable[..., DataFrame]:
    def read(_spark: SparkSession, table: str) -> DataFrame:
        tables.append(table)
        return frame

    return read


def test_ingest_students_when_names_are_upper_case_then_keeps_every_row_typed(
    spark: SparkSession, raw: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze = _module(MODULES[0], monkeypatch)
    tables: list[str] = []
    datasources = {"edfi_ods": SimpleNamespace(read=_reader(raw, tables))}
    context = SimpleNamespace(run_date="2026-11-23", params={}, datasources=datasources)
    students = bronze.ingest(spark, context)
    assert tables == ["edfi.Student"]
    assert students.count() == raw.count()
    types = dict(students.dtypes)
    assert list(types)[:2] == ["student_usi", "student_unique_id"]
    assert (types["birth_date"], types["change_version"]) == ("date", "bigint")
    assert students.select("load_date").distinct().collect()[0][0] == datetime(2026, 11, 23)


def test_ingest_students_when_compared_with_the_sql_then_columns_and_types_agree(
    spark: SparkSession, raw: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze = _module(MODULES[0], monkeypatch)
    raw.createOrReplaceTempView("students")
    gone = "OldStudentUSI int, NewStudentUSI int, ID string, CREATEDATE timestamp"
    deleted = spark.createDataFrame([], f"{gone}, CHANGEVERSION bigint")
    deleted.createOrReplaceTempView("deleted_students")
    sql = (ROOT / "sql" / "bronze" / "students.sql").read_text(encoding="utf-8")
    try:
        by_sql = spark.sql(sql).drop("is_deleted")
        own = bronze.typed_students(raw, "2026-11-23").drop("load_date", "record_source")
        assert by_sql.dtypes == own.dtypes
    finally:
        spark.catalog.dropTempView("students")
        spark.catalog.dropTempView("deleted_students")


def test_ingest_hub_when_keys_are_dirty_then_one_row_per_clean_key(
    spark: SparkSession, raw: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze, silver = (_module(name, monkeypatch) for name in MODULES[:2])
    bronze.typed_students(raw, "2026-11-23").createOrReplaceTempView("students")
    try:
        rows = silver.ingest(spark, SimpleNamespace()).collect()
    finally:
        spark.catalog.dropTempView("students")
    assert sorted(row.student_unique_id for row in rows) == ["604821", "ab1"]
    assert rows[0].asDict().keys() == {
        "student_hk", "student_unique_id", "load_date", "record_source",
    }  # fmt: skip


def test_hub_when_compared_with_the_sql_then_hashes_agree(
    spark: SparkSession, raw: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze, silver = (_module(name, monkeypatch) for name in MODULES[:2])
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([ROOT, ROOT / "pipelines" / "sql_templates"])
    )
    extra = spark.createDataFrame([_raw_row(6, "a|b^c\\d", "Odd", 6)], RAW)
    students = bronze.typed_students(raw.union(extra), "2026-11-23")
    changes = students.selectExpr("*", "'insert' as _change_type")
    changes.createOrReplaceTempView("students__changes")
    template = environment.get_template("sql/silver/hub_student.sql")
    try:
        by_sql = spark.sql(template.render(run_date="2026-11-23"))
        assert sorted(by_sql.collect()) == sorted(silver.hub_students(students).collect())
    finally:
        spark.catalog.dropTempView("students__changes")


def test_ingest_profile_when_a_student_is_entered_twice_then_the_last_change_counts(
    spark: SparkSession, raw: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze, silver, gold = (_module(name, monkeypatch) for name in MODULES)
    students = bronze.typed_students(raw, "2026-11-23")
    students.createOrReplaceTempView("students")
    silver.hub_students(students).createOrReplaceTempView("hub_student")
    try:
        frame = gold.ingest(spark, SimpleNamespace(run_date="2026-06-14"))
        rows = {row.student_unique_id: row for row in frame.collect()}
    finally:
        spark.catalog.dropTempView("students")
        spark.catalog.dropTempView("hub_student")
    assert set(rows) == {"604821", "ab1"}
    assert rows["604821"].full_name == "Tyrone B. Dyer"
    assert rows["604821"].display_name == "Ty Dyer"
    assert rows["604821"].age_years == 15
    assert rows["ab1"].full_name == "Dyer"
    assert rows["ab1"].status == "in_the_ods"


def test_profile_when_a_student_left_the_ods_then_stays_as_unknown(
    spark: SparkSession, raw: DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    bronze, silver, gold = (_module(name, monkeypatch) for name in MODULES)
    students = bronze.typed_students(raw, "2026-11-23")
    latest = gold.latest_students(students.where("student_usi = 3"))
    frame = gold.student_profiles(silver.hub_students(students), latest, "2026-11-23")
    row = frame.where("student_unique_id = '604821'").collect()[0]
    assert (row.full_name, row.age_years, row.status) == ("Unknown", None, "left_the_ods")


@pytest.mark.parametrize("module", MODULES)
def test_script_when_asked_for_help_then_needs_no_spark(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "--output" in done.stdout
