"""Small runs: which rows they take, and that no lakehouse but the scratch place is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import UsageError
from pipelines.execution import sampling
from pipelines.execution.sampling import choose_sample, take_none
from pipelines.plan.small_run import SmallRun
from pipelines.results import CheckStatus
from pipelines.utils.sql_runner import DeltaLog

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import DataFrame, SparkSession

    from tests.conftest import Project

# --- which keys -------------------------------------------------------------------------------

PUPILS = 300


@pytest.fixture(scope="module")
def pupils(spark: SparkSession) -> DataFrame:
    return spark.range(PUPILS).selectExpr("cast(id as int) as StudentUSI", "id % 7 as grade")


def _keys(frame: DataFrame, column: str) -> set[int]:
    return {int(float(row[0])) for row in frame.select(column).distinct().collect()}


@pytest.mark.parametrize("most_listed", [1_000, 5], ids=["listed", "by_hash"])
def test_sample_when_a_key_has_other_types_then_takes_the_same_keys_of_every_table(
    pupils: DataFrame, most_listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sampling, "MOST_LISTED", most_listed)
    sample = choose_sample(20, ["studentusi"], lambda: [pupils])
    taken = _keys(sample(pupils), "StudentUSI")
    assert len(taken) == 20
    for kind in ("bigint", "smallint", "decimal(18,0)", "decimal(9,2)", "double", "string"):
        other = pupils.selectExpr("grade", f"cast(StudentUSI as {kind}) as studentusi")
        assert _keys(sample(other), "studentusi") == taken, kind
    padded = pupils.selectExpr("concat(' ', StudentUSI, '  ') as StudentUSI")
    assert sample(padded).count() == 20
    narrow = pupils.where("StudentUSI < 100").selectExpr("cast(StudentUSI as tinyint) StudentUSI")
    assert _keys(sample(narrow), "StudentUSI") == {key for key in taken if key < 100}


def test_sample_when_taken_again_then_is_the_same_and_a_larger_one_holds_the_smaller(
    pupils: DataFrame,
) -> None:
    def taken(size: int | float) -> set[int]:
        sources = [pupils.orderBy("grade").repartition(3)]
        return _keys(choose_sample(size, ["StudentUSI"], lambda: sources)(pupils), "StudentUSI")

    assert taken(30) == taken(30)
    assert taken(10) < taken(30)
    tenth = taken(0.1)
    assert 10 <= len(tenth) <= 60
    assert taken(0.05) < tenth
    assert taken(PUPILS * 2) == set(range(PUPILS))


def test_sample_when_a_source_has_several_keys_or_none_then_the_first_counts_or_all_rows(
    pupils: DataFrame, spark: SparkSession
) -> None:
    staff = spark.range(50).selectExpr("cast(id as string) as StaffUSI")
    schools = spark.range(9).toDF("SchoolId")
    sample = choose_sample(5, ["StudentUSI", "StaffUSI"], lambda: iter([schools, pupils, staff]))
    assert sample(staff).count() == 5
    assert sample(schools).count() == 9
    both = pupils.selectExpr("StudentUSI", "'nobody' as StaffUSI")
    assert _keys(sample(both), "StudentUSI") == _keys(sample(pupils), "StudentUSI")
    unkeyed = pupils.selectExpr("cast(null as int) as StudentUSI")
    assert sample(unkeyed).count() == 0


def test_sample_when_no_source_has_the_key_then_says_so(pupils: DataFrame) -> None:
    with pytest.raises(UsageError, match="no source of the flow has the sampling key 'Usi'"):
        choose_sample(5, ["Usi"], lambda: [pupils])
    assert choose_sample(0.5, ["Usi"], lambda: [])(pupils).count() == PUPILS


# --- from a database --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def database(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database of a hundred pupils, each with two enrollments."""
    url = f"jdbc:derby:{tmp_path_factory.mktemp('derby')}/ods"
    jvm: Any = spark._jvm
    connection = jvm.java.sql.DriverManager.getConnection(f"{url};create=true")
    statement = connection.createStatement()
    statement.execute("create schema edfi")
    statement.execute("create table edfi.Student (StudentUSI int primary key, Name varchar(9))")
    statement.execute("create table edfi.Enrollment (StudentUSI decimal(18,0), SchoolId int)")
    statement.execute("create table edfi.School (SchoolId int)")
    numbers = range(100)
    for sql in (
        "insert into edfi.Student values " + ", ".join(f"({n}, 'P{n}')" for n in numbers),
        "insert into edfi.Enrollment values " + ", ".join(f"({n}, 1), ({n}, 2)" for n in numbers),
        "insert into edfi.School values 1, 2",
    ):
        statement.execute(sql)
    statement.close()
    connection.close()
    return url


def _pushed(frame: DataFrame) -> str:
    plan: Any = frame._jdf.queryExecution().executedPlan()
    return str(plan.toString())


def test_read_when_few_keys_are_taken_then_the_database_is_asked_for_these_only(
    spark: SparkSession, database: str
) -> None:
    from dataclasses import replace

    from pipelines.utils.datasource import DataSource

    whole = DataSource("ods", url=database)
    sample = choose_sample(3, ["StudentUSI"], lambda: [whole.read(spark, "edfi.Student")])
    for table in ("edfi.Student", "edfi.Enrollment"):
        read = replace(whole, take=sample).read(spark, table)
        assert "PushedFilters: [*In(STUDENTUSI" in _pushed(read), table
        assert {int(row[0]) for row in read.collect()} == _keys(
            sample(whole.read(spark, "edfi.Student")), "STUDENTUSI"
        )
    assert replace(whole, take=sample).read(spark, "edfi.School").count() == 2


def test_read_when_no_rows_are_taken_then_the_database_is_not_asked_for_any(
    spark: SparkSession, database: str
) -> None:
    from dataclasses import replace

    from pipelines.utils.datasource import DataSource

    none = replace(DataSource("ods", url=database), take=take_none)
    sql = "select StudentUSI, 1 / (StudentUSI - StudentUSI) as Broken from edfi.Student"
    read = none.read(spark, query_text=sql)
    assert read.dtypes == [("STUDENTUSI", "int"), ("BROKEN", "int")]
    assert read.collect() == []
    assert "JDBC" not in _pushed(read)


STEPS = """
- name: schools
  source: {datasource: ods, table: edfi.School}
  destination: {path: "{{ base_path }}/schools"}
- name: students
  source: {datasource: ods, table: edfi.Student}
  destination: {path: "{{ base_path }}/students"}
  dq_checks: [dq/row_count.sql, dq/none_if_empty.sql]
- name: scripted
  script: ingestion/enrollments.py
  destination: {path: "{{ base_path }}/scripted"}
- name: grades
  pre_views: [{name: sheet, format: csv, path: in/grades.csv, options: {header: true}}]
  source: {type: delta, query: "select * from sheet"}
  destination: {path: "{{ base_path }}/grades"}
- name: joined
  depends_on: [students, scripted]
  source: {type: delta, query: "select scripted.* from scripted join students on scripted.STUDENTUSI = students.STUDENTUSI"}
  destination: {path: "{{ base_path }}/joined", mode: merge, keys: [STUDENTUSI, SCHOOLID]}
"""  # noqa: E501
FILES = {
    "dq/row_count.sql": "-- expect: value >= 1\nselect count(*) as value from students\n",
    "dq/none_if_empty.sql": "-- returns: value\n-- expect: value >= 1\n"
    "select count(*) from students having count(*) > 0\n",
    "in/grades.csv": "StudentUSI,grade\n" + "".join(f"{n},{n % 5}\n" for n in range(100)),
    "ingestion/enrollments.py": """\
        def ingest(spark, context):
            return context.datasources["ods"].read(spark, "edfi.Enrollment")
        """,
}


@pytest.fixture(scope="module")
def made(project: Callable[..., Project], database: str) -> Project:
    head = f"""
    sample: {{keys: [StudentUSI]}}
    datasources:
      ods: {{type: jdbc, url: "{database}"}}
    """
    return project(STEPS, head, FILES)


def _lakehouse(made: Project, kind: str) -> Path:
    return made.root / ".cache/scratch/toy" / f"test-{kind}" / "lakehouse"


def _table(made: Project, folder: Path | str) -> DataFrame:
    return made.spark.read.format("delta").load(str(folder))


def _files(folder: Path) -> Mapping[str, tuple[int, int]]:
    """Every file below ``folder`` with its size and time."""
    return {
        str(file.relative_to(folder)): (file.stat().st_size, file.stat().st_mtime_ns)
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_empty_run_when_all_steps_run_then_every_table_is_there_and_no_check_is_judged(
    made: Project,
) -> None:
    ran = made.run(small=SmallRun(empty=True))
    assert ran.result.exit_code == 0
    assert set(ran.statuses.values()) == {"success"}
    for name in ran.statuses:
        table = _table(made, _lakehouse(made, "empty") / name)
        assert table.count() == 0, name
        assert len(table.columns) >= 1
    assert {(check.status, check.value) for check in ran["students"].checks} == {
        (CheckStatus.NOT_JUDGED, 0),
        (CheckStatus.NOT_JUDGED, None),
    }
    assert ran.result.warnings == ()
    assert not (made.root / "lake").exists()
    assert not (made.root / "pipelines/logs").exists()
    log = ran.result.as_dict()
    assert (log["run_kind"], log["scratch"]) == (
        "empty",
        str(_lakehouse(made, "empty").parent),
    )
    assert Path(ran.result.run.log_file).is_file()


def test_empty_run_when_a_check_is_broken_then_the_step_fails(
    project: Callable[..., Project],
) -> None:
    broken = project(
        """
        - name: base
          source: {type: csv, path: in.csv, options: {header: true}}
          destination: {path: "{{ base_path }}/base"}
          dq_checks: [dq/broken.sql]
        """,
        files={"in.csv": "id\n1\n", "dq/broken.sql": "select count(nobody) as value from base\n"},
    )
    ran = broken.run(small=SmallRun(empty=True))
    assert ran["base"].status.value == "failed"
    assert ran.result.exit_code == 1


def test_sampled_run_when_tables_are_joined_then_no_row_lacks_its_student(made: Project) -> None:
    ran = made.run(small=SmallRun(sample=7))
    assert ran.result.exit_code == 0, ran.statuses
    lake = _lakehouse(made, "sample-7")
    students = _keys(_table(made, lake / "students"), "STUDENTUSI")
    assert len(students) == 7
    assert _keys(_table(made, lake / "scripted"), "STUDENTUSI") == students
    assert _keys(_table(made, lake / "grades"), "StudentUSI") == students
    assert _table(made, lake / "joined").count() == 14
    assert _table(made, lake / "schools").count() == 2
    elsewhere = made.root / "elsewhere"
    again = SmallRun(sample=7, scratch=str(elsewhere))
    made.run(small=again, select=("+joined",), batch_id="b2")
    assert _keys(_table(made, elsewhere / "lakehouse/students"), "STUDENTUSI") == students


def test_small_run_when_repeated_then_begins_anew_unless_told_to_resume(made: Project) -> None:
    small = SmallRun(sample=0.2)
    made.run(small=small, select=("students", "schools"))
    again = made.run(small=small, resume=True)
    assert again.statuses["students"] == "checkpointed"
    assert again.statuses["joined"] == "success"
    anew = made.run(small=small, select=("students",))
    assert anew.statuses["students"] == "success"
    assert not (_lakehouse(made, "sample-0.2") / "joined").exists()
    with pytest.raises(UsageError, match="was made for toy, test, sample"):
        made.run(
            small=SmallRun(empty=True, scratch=str(_lakehouse(made, "sample-0.2").parent)),
            resume=True,
        )


# --- on clones --------------------------------------------------------------------------------

CONFIG = """
default_environment: test
environments:
  test: {base_path: lake, metadata: {enabled: false}}
  prod: {base_path: prod_lake, metadata: {enabled: false}, logs: {path: prod_logs}}
"""
CLONED = """
- name: base
  source: {type: csv, path: in/base.csv, options: {header: true, inferSchema: true}}
  destination: {path: "{{ base_path }}/base"}
- name: merged
  depends_on: [base]
  source: {type: delta, query: "select id, name from base"}
  destination: {path: "{{ base_path }}/merged", mode: merge, keys: [id]}
- name: export
  depends_on: [base]
  source: {type: delta, query: "select id from base"}
  destination: {format: parquet, path: "{{ base_path }}/export", mode: append}
- name: gated
  depends_on: [merged]
  source: {type: delta, query: "select id from merged"}
  destination: {path: "{{ base_path }}/gated"}
  dq_checks: [{file: dq/few.sql, expect: "value <= 3"}]
- name: reader
  depends_on: [export]
  source: {type: delta, query: "select count(*) as n from export"}
  destination: {path: "{{ base_path }}/reader"}
"""


@pytest.fixture
def prod(project: Callable[..., Project]) -> Project:
    """A project whose environment `prod` has run once, and whose input has changed since."""
    there = project(CLONED, files={"in/base.csv": "id,name\n1,a\n2,b\n3,c\n"})
    there.write("pipelines/pipelines_config.yaml", CONFIG)
    there.write("dq/few.sql", "select count(*) as value from gated\n")
    ran = there.run(env="prod")
    assert ran.result.exit_code == 0
    there.write("in/base.csv", "id,name\n1,changed\n4,new\n")
    return there


@pytest.mark.long
def test_clones_when_written_merged_and_undone_then_the_original_is_untouched(
    prod: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _files(prod.root / "prod_lake")
    logs = _files(prod.root / "prod_logs")
    ran = prod.run(small=SmallRun(clone_from="prod"), batch_id="b1")
    assert ran.statuses == {
        "base": "success",
        "merged": "success",
        "export": "success",
        "gated": "dq_failed",
        "reader": "success",
    }
    assert ran.result.exit_code == 3
    lake = _lakehouse(prod, "clone-of-prod")

    def rows(name: str) -> list[tuple[Any, ...]]:
        return sorted(tuple(row) for row in _table(prod, lake / name).collect())

    assert rows("base") == [(1, "changed"), (4, "new")]
    assert rows("merged") == [(1, "changed"), (2, "b"), (3, "c"), (4, "new")]
    assert rows("gated") == [(1,), (2,), (3,)]
    assert rows("reader") == [(5,)]
    assert _files(prod.root / "prod_lake") == before
    assert _files(prod.root / "prod_logs") == logs
    assert not (prod.root / "lake").exists()
    told = capsys.readouterr()
    assert "tables cloned from 'prod': 5" in told.err
    assert told.out == ""


@pytest.mark.long
def test_clones_when_few_steps_are_selected_then_the_rest_is_read_as_it_stands_there(
    prod: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    shutil.rmtree(prod.root / "prod_lake/merged")
    before = _files(prod.root / "prod_lake")
    ran = prod.run(small=SmallRun(clone_from="prod"), select=("merged",))
    assert ran["merged"].status.value == "success"
    lake = _lakehouse(prod, "clone-of-prod")
    merged = sorted(tuple(row) for row in _table(prod, lake / "merged").collect())
    assert merged == [(1, "a"), (2, "b"), (3, "c")]
    assert DeltaLog(prod.spark, str(lake / "base")).commit(0).operation == "CLONE"
    assert not list((lake / "base").glob("*.parquet")), "its files are prod's"
    assert {file.name for file in lake.iterdir()} == {"base", "merged", "_checkpoints"}
    assert "'prod' has no table yet of stage.group.merged" in capsys.readouterr().err
    assert _files(prod.root / "prod_lake") == before


def test_small_run_when_it_reads_a_table_of_others_then_finds_it_where_it_is(
    project: Callable[..., Project],
) -> None:
    there = project(
        """
        - name: base
          source: {type: delta, path: "{{ base_path }}/of_others"}
          destination: {path: "{{ base_path }}/base"}
        - name: landed
          source: {datasource: landing, table: a.csv}
          destination: {path: "{{ base_path }}/landed"}
        """,
        """
        sample: {keys: [id]}
        datasources:
          landing: {type: csv, path: "{{ base_path }}/landing", options: {header: true}}
        """,
        {"lake/landing/a.csv": "id\n1\n9\n"},
    )
    there.put("of_others", "select explode(sequence(1, 9)) as id")
    ran = there.run(small=SmallRun(sample=0.999999))
    assert ran.result.exit_code == 0, ran.statuses
    assert ran["base"].counts.written == 9
    assert ran["landed"].counts.written == 2
    assert not Path(there.path("base")).exists()
