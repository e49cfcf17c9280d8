"""The main flow on the embedded ODS, on no rows and on a sample of its students."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.pipeline import Options, Pipeline
from pipelines.plan.small_run import SmallRun
from pipelines.sample_ods import derby

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import DataFrame, SparkSession

    from pipelines.results import RunResult

ROOT = Path(__file__).resolve().parents[2]
STUDENTS = 60
OWN_ROWS = {"dim_student", "dim_school", "dim_date"}
"""Tables whose SQL adds rows of its own: unknown members, and the days of the year."""


@pytest.fixture(scope="module")
def ods(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("ods") / "ods"
    derby.create(folder, STUDENTS, 7)
    return derby.jdbc_url(folder)


@pytest.fixture
def run(
    spark: SparkSession, ods: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[SmallRun], RunResult]:
    """Runs the main flow; its own lakehouse and logs would be in ``tmp_path``."""
    monkeypatch.delenv("PIPELINE_ENV", raising=False)
    monkeypatch.setenv("PIPELINE__BASE_PATH", str(tmp_path / "lake"))
    monkeypatch.setenv("PIPELINE__LOGS__PATH", str(tmp_path / "logs"))
    monkeypatch.setenv("PIPELINE__DATASOURCES__EDFI_ODS__URL", ods)

    def made(small: SmallRun) -> RunResult:
        result = Pipeline("main_flow", Options(project_dir=ROOT, small=small), spark=spark).run()
        assert result.error is None, result.error
        assert {path.name for path in tmp_path.iterdir()} == {"scratch"}
        return result

    return made


def _table(spark: SparkSession, result: RunResult, name: str) -> DataFrame:
    step = next(step for step in result.steps if step.name == name)
    assert step.destination is not None
    return spark.read.format("delta").load(step.destination.path)


@pytest.mark.long
def test_main_flow_when_run_on_no_rows_then_every_table_is_there_without_any(
    run: Callable[[SmallRun], RunResult], spark: SparkSession, tmp_path: Path
) -> None:
    result = run(SmallRun(empty=True, scratch=str(tmp_path / "scratch")))
    assert {step.status.value for step in result.steps} == {"success"}
    assert result.exit_code == 0
    counts = {step.name: _table(spark, result, step.name).count() for step in result.steps}
    assert len(counts) == 18
    assert {name for name, count in counts.items() if count} == OWN_ROWS
    assert counts["dim_student"] == counts["dim_school"] == 1
    checks = [check for step in result.steps for check in step.checks]
    assert {check.status.value for check in checks} == {"not_judged"}


@pytest.mark.long
def test_main_flow_when_run_on_a_sample_then_no_row_refers_to_a_student_outside_of_it(
    run: Callable[[SmallRun], RunResult], spark: SparkSession, tmp_path: Path
) -> None:
    result = run(SmallRun(sample=12, scratch=str(tmp_path / "scratch")))
    assert result.exit_code == 0
    students = _table(spark, result, "students")
    assert students.select("student_usi").distinct().count() == 12
    enrollments = _table(spark, result, "enrollments")
    assert enrollments.count() > 12
    assert enrollments.join(students, "student_usi", "left_anti").count() == 0
    assert students.join(enrollments, "student_usi", "left_anti").count() == 0
    assert _table(spark, result, "schools").count() > 1
    fact = _table(spark, result, "fact_enrollment")
    assert fact.count() > 12
    lost = fact.join(_table(spark, result, "dim_student"), "dim_student_id", "left_anti")
    assert lost.count() == 0
