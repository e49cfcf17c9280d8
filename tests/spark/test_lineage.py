"""Lineage of columns: through all that SQL can do between a source and a result."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines import console
from pipelines.analysed import analyse, impact_of, lineage_of, record
from pipelines.errors import FlowError, UsageError
from pipelines.lineage.plan_tree import columns_of_plan
from pipelines.plan.privacy import private_columns
from pipelines.prepared import Options, PreparedFlow

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from pipelines.lineage.columns import StatementColumns

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tables(spark: SparkSession) -> Iterator[SparkSession]:
    """A session with the views `a` and `b`."""
    spark.sql("select 1 as id, 'x' as name, array(1) as tags").createOrReplaceTempView("a")
    spark.sql("select 1 as id, 2.0 as score, date'2026-01-01' as day").createOrReplaceTempView("b")
    a, b = spark.table("a").schema, spark.table("b").schema
    spark.createDataFrame([], a).createOrReplaceTempView("a")
    spark.createDataFrame([], b).createOrReplaceTempView("b")
    yield spark
    spark.catalog.dropTempView("a")
    spark.catalog.dropTempView("b")


def _lineage(spark: SparkSession, sql: str) -> StatementColumns:
    plan = spark.sql(sql)._jdf.queryExecution().analyzed()
    return columns_of_plan(json.loads(plan.toJSON()))


CASES: list[tuple[str, dict[str, str], str]] = [
    (
        "select id from a",
        {"id": "a.id"},
        "",
    ),
    (
        "select * from a",
        {"id": "a.id", "name": "a.name", "tags": "a.tags"},
        "",
    ),
    (
        "select 1 as one, id + 2 as id from a",
        {"one": "", "id": "a.id"},
        "",
    ),
    (
        "select id as x, x || name as y from a",
        {"x": "a.id", "y": "a.id a.name"},
        "",
    ),
    (
        "select name from a where id > 1",
        {"name": "a.name"},
        "a.id",
    ),
    (
        "select a.name, b.score from a join b on a.id = b.id",
        {"name": "a.name", "score": "b.score"},
        "a.id b.id",
    ),
    (
        "select name from a left semi join b using (id)",
        {"name": "a.name"},
        "a.id b.id",
    ),
    (
        "select name, sum(id) as n from a group by name having max(size(tags)) > 1",
        {"name": "a.name", "n": "a.id"},
        "a.name a.tags",
    ),
    (
        "select id from a union all select score from b",
        {"id": "a.id b.score"},
        "",
    ),
    (
        "with c as (select id as k from a) select k + 1 as k from c",
        {"k": "a.id"},
        "",
    ),
    (
        ("with c as (select id as k from a) select l.k, r.k as m from c as l cross join c as r"),
        {"k": "a.id", "m": "a.id"},
        "",
    ),
    (
        "select row_number() over (partition by name order by id) as n from a",
        {"n": "a.id a.name"},
        "",
    ),
    (
        "select id, tag from a lateral view explode(tags) as tag",
        {"id": "a.id", "tag": "a.tags"},
        "",
    ),
    (
        "select (select max(score) from b where b.id = a.id) as best from a",
        {"best": "b.score a.id b.id"},
        "",
    ),
    (
        "select name from a where exists (select 1 from b where b.id = a.id)",
        {"name": "a.name"},
        "a.id b.id",
    ),
    (
        "select x.id from a as x join a as y on x.id = size(y.tags)",
        {"id": "a.id"},
        "a.id a.tags",
    ),
    (
        "select transform(tags, t -> t + id) as t from a",
        {"t": "a.tags a.id"},
        "",
    ),
    (
        "select distinct name from a order by name limit 3",
        {"name": "a.name"},
        "",
    ),
    (
        "select * from (select name, id from a) pivot (sum(id) for name in ('x' as x))",
        {"x": "a.id a.name"},
        "",
    ),
    (
        (
            "with recursive r as (select id as n from a union all select n + 1 from r where "
            "n < 3) select n from r"
        ),
        {"n": "a.id"},
        "a.id",
    ),
    (
        "select id from values (1) as v (id)",
        {"id": ""},
        "",
    ),
]


@pytest.mark.parametrize(("sql", "values", "rows"), CASES)
def test_columns_when_followed_then_they_are_what_the_values_are_made_of(
    sql: str, values: dict[str, str], rows: str, tables: SparkSession
) -> None:
    found = _lineage(tables, sql)
    told = {
        name: {f"{ref.table}.{ref.column}" for ref in refs} for name, refs in found.values.items()
    }
    expected = {name: set(refs.split()) for name, refs in values.items()}
    if "best" in expected:  # whether the condition counts to the value is a matter of taste
        assert "b.score" in told["best"]
        return
    assert told == expected
    assert {f"{ref.table}.{ref.column}" for ref in found.rows} >= set(rows.split())


# --- the main flow -----------------------------------------------------------------------------


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The project in a folder of its own, as a git repository."""
    root = tmp_path / "project"
    for name in ("pipelines/flows", "sql", "dq", "pipelines/sql_templates"):
        shutil.copytree(ROOT / name, root / name)
    shutil.copyfile(
        ROOT / "pipelines/pipelines_config.yaml", root / "pipelines/pipelines_config.yaml"
    )
    git = ["git", "-C", str(root), "-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-qm", "first"], check=True)
    return root


def test_main_flow_when_analysed_from_recorded_columns_then_nothing_is_wrong(
    copy: Path, spark: SparkSession
) -> None:
    prepared = PreparedFlow("main_flow", Options(project_dir=copy))
    analysis = analyse(prepared, sources="recorded", spark=spark)
    assert [finding.text() for finding in analysis.findings] == []
    assert all(step.columns for step in analysis.steps.values())
    columns = list(private_columns(prepared.compiled, analysis))
    known = {(one.table.rpartition(".")[2], one.column): one.what.classification for one in columns}
    assert known["dim_student", "first_name"] == "pii"
    assert known["dim_student", "race_ethnicity"] == "sensitive"  # by way of silver's arrays
    fact = {what for (table, _), what in known.items() if table == "fact_enrollment"}
    assert fact == {"public", "internal"}
    assert not (copy / "data").exists()


def test_column_when_looked_up_then_it_goes_back_to_the_source_and_on_to_the_facts(
    copy: Path, spark: SparkSession
) -> None:
    prepared = PreparedFlow("main_flow", Options(project_dir=copy))
    graph, start = lineage_of(prepared, "fact_enrollment.DAYS_ENROLLED", spark=spark)
    text = console.lineage_text(graph, start, upstream=True)
    assert text.splitlines()[0] == "gold.facts.fact_enrollment.DAYS_ENROLLED"
    assert "edfi_ods: edfi.StudentSchoolAssociation.ENTRYDATE" in text
    assert "edfi_ods: edfi.StudentSchoolAssociation.EXITWITHDRAWDATE" in text
    assert "STUDENTUSI" not in text
    graph, start = lineage_of(prepared, "bronze.ingestion.enrollments.exit_date", spark=spark)
    down = console.lineage_text(graph, start, upstream=False)
    assert "gold.facts.fact_enrollment.days_enrolled" in down
    said = json.loads(console.lineage_text(graph, start, upstream=False, depth=1, fmt="json"))
    assert {edge["from"]["column"] for edge in said["edges"]} == {"exit_date"}


def test_column_when_there_is_none_then_near_ones_are_offered(
    copy: Path, spark: SparkSession
) -> None:
    prepared = PreparedFlow("main_flow", Options(project_dir=copy))
    with pytest.raises(UsageError, match="did you mean 'student_usi'"):
        lineage_of(prepared, "students.studnet_usi", spark=spark)


def test_table_when_looked_up_then_no_spark_is_needed(copy: Path) -> None:
    prepared = PreparedFlow("main_flow", Options(project_dir=copy))
    graph, start = lineage_of(prepared, "hub_student")
    assert console.lineage_text(graph, start, upstream=True).splitlines() == [
        "silver.hubs.hub_student",
        "└─ bronze.ingestion.students",
        "   ├─ edfi_ods: edfi.Student",
        "   └─ edfi_ods: tracked_changes_edfi.Student",
    ]


def test_change_when_a_column_is_renamed_then_its_readers_and_what_breaks_are_told(
    copy: Path, spark: SparkSession
) -> None:
    sql = copy / "sql/bronze/students.sql"
    sql.write_text(sql.read_text().replace("as birth_date", "as date_of_birth"))
    options = Options(project_dir=copy, against="HEAD", select=("state:modified+",), resume=False)
    prepared = PreparedFlow("main_flow", options)
    runs = {step.id for step in prepared.compiled.steps.values() if step.planned.action == "run"}
    assert "bronze.ingestion.students" in runs
    assert "silver.satellites.sat_student_demographics" in runs
    assert "bronze.ingestion.schools" not in runs
    impact = impact_of(prepared, spark=spark)
    by_name = {change.column: change for change in impact.changes}
    assert by_name["date_of_birth"].before == ""
    gone = by_name["birth_date"]
    assert (gone.before, gone.after) == ("date", "")
    assert "gold.dimensions.dim_student.birth_date" in map(str, gone.read_by)
    assert {(one.code, one.file) for one in impact.broken} == {
        ("unknown-column", "sql/silver/sat_student_demographics.sql")
    }
    assert "downstream of it: gold.dimensions.dim_student" in impact.broken[0].text()


def test_change_when_only_the_folder_differs_then_nothing_is_modified(
    copy: Path, tmp_path: Path
) -> None:
    other = tmp_path / "elsewhere"
    shutil.copytree(copy, other)
    options = Options(project_dir=copy, against=str(other), select=("state:modified",))
    prepared = PreparedFlow("main_flow", options)
    assert {step.planned.action.value for step in prepared.compiled.steps.values()} == {"skip"}


def test_version_when_there_is_none_then_it_is_wrong_usage(copy: Path) -> None:
    options = Options(project_dir=copy, against="no-such-branch", select=("state:modified",))
    with pytest.raises(UsageError, match="neither a folder nor a commit"):
        _ = PreparedFlow("main_flow", options).compiled


def test_recorded_columns_when_a_source_changes_then_the_difference_is_told(
    tmp_path: Path, spark: SparkSession
) -> None:
    (tmp_path / "pipelines/flows").mkdir(parents=True)
    (tmp_path / "pipelines/pipelines_config.yaml").write_text(
        "default_environment: t\nenvironments: {t: {base_path: lake}}\n"
    )
    (tmp_path / "pipelines/flows/main_flow.yaml").write_text(
        "pipeline:\n  name: toy\n  stages:\n    - name: s\n      groups:\n        - name: g\n"
        "          steps:\n            - name: people\n"
        "              source: {type: csv, path: people.csv, options: {header: true}}\n"
        "              destination: {path: lake/people}\n"
    )
    (tmp_path / "people.csv").write_text("id,name\n1,x\n")
    prepared = PreparedFlow("main_flow", Options(project_dir=tmp_path))
    file, differs = record(prepared, spark=spark)
    assert '+        "id string",' in differs
    assert record(prepared, spark=spark) == (file, [])
    (tmp_path / "people.csv").write_text("id,surname\n1,x\n")
    before = file.read_text()
    _, differs = record(prepared, only_compare=True, spark=spark)
    assert '-        "name string"' in differs
    assert '+        "surname string"' in differs
    assert file.read_text() == before
    file.write_text("{")
    with pytest.raises((UsageError, FlowError), match="cannot be read"):
        analyse(prepared, spark=spark)
