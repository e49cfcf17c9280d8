"""Statements told apart, errors dug out of Java, Delta's log read back, files swapped in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import SqlError
from pipelines.execution.retry import judge_failure
from pipelines.results import WriteCounts
from pipelines.utils.sql_runner import (
    DeltaLog,
    StagedFiles,
    StatementKind,
    as_sql_error,
    explain,
    has_rows,
    kept_rows,
    parse,
    run_query,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from pipelines.utils.sql_runner import Commit
    from tests.conftest import Project

QUERY, OTHER = StatementKind.QUERY, StatementKind.OTHER


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("select 1", QUERY),
        ("-- note\n/* more */ select 1 -- end", QUERY),
        ("with a as (select 1 as id) select * from a", QUERY),
        ("with a as (with b as (select 1) select * from b) select * from a", QUERY),
        ("values (1), (2)", QUERY),
        ("from a select *", QUERY),
        ("table a", QUERY),
        ("(select 1) union all (select 2) order by 1 limit 1", QUERY),
        ("insert into a select 1", StatementKind.INSERT),
        ("insert into a (id) values (1)", StatementKind.INSERT),
        ("insert overwrite a select 1", StatementKind.INSERT),
        ("insert into delta.`/some/path` select 1", StatementKind.INSERT),
        ("with b as (select 1) insert into a select * from b", StatementKind.INSERT),
        ("from b insert into a select *", StatementKind.INSERT),
        (
            "merge into a using b on a.id = b.id when matched then update set *",
            StatementKind.MERGE,
        ),
        ("update a set id = 1 where id = 2", StatementKind.UPDATE),
        ("delete from a where id = 1", StatementKind.DELETE),
        ("create table a (id int) using delta", OTHER),
        ("create or replace table a using delta as select 1", OTHER),
        ("create or replace temporary view a as select 1", OTHER),
        ("drop table a", OTHER),
        ("truncate table a", OTHER),
        ("alter table a add columns (b int)", OTHER),
        ("set spark.sql.shuffle.partitions = 1", OTHER),
        ("optimize delta.`/some/path`", OTHER),
        ("vacuum delta.`/some/path`", OTHER),
        ("restore table a to version as of 1", OTHER),
        ("use somewhere", OTHER),
        ("show tables", OTHER),
        ("describe table a", OTHER),
        ("explain select 1", OTHER),
        ("cache table a", OTHER),
        ("refresh table a", OTHER),
    ],
)
def test_parse_when_given_a_statement_then_tells_its_kind(
    spark: SparkSession, sql: str, kind: StatementKind
) -> None:
    assert parse(spark, sql) is kind
    assert kind.changes_a_table is (kind not in (QUERY, OTHER))


@pytest.mark.parametrize(
    ("sql", "place"),
    [
        ("select id\nfrom a\nwhere id = = 1", "3:12"),
        ("selec 1", "1:1"),
        ("select 1; select 2", "1:11"),
        ("select * frm a", "1:14"),
    ],
)
def test_parse_when_the_syntax_is_wrong_then_the_place_is_file_line_and_column(
    spark: SparkSession, sql: str, place: str
) -> None:
    with pytest.raises(SqlError) as raised:
        parse(spark, sql, file="sql/a.sql")
    assert raised.value.where == f"sql/a.sql:{place}"
    assert raised.value.condition == "PARSE_SYNTAX_ERROR"
    assert "\n" not in raised.value.message


def test_query_when_a_table_is_missing_then_says_which_and_where(spark: SparkSession) -> None:
    with pytest.raises(SqlError) as raised:
        run_query(spark, "select *\nfrom nowhere", file="sql/a.sql")
    error = raised.value
    assert (error.where, error.condition) == ("sql/a.sql:2:6", "TABLE_OR_VIEW_NOT_FOUND")
    assert error.sql_state == "42P01"
    assert "`nowhere`" in error.message
    assert "SQLSTATE" not in error.message
    assert judge_failure(error).transient is False


def test_query_when_a_column_is_missing_then_near_names_are_told(spark: SparkSession) -> None:
    with pytest.raises(SqlError) as raised:
        run_query(spark, "select nam from (select 1 as name)")
    assert raised.value.condition == "UNRESOLVED_COLUMN.WITH_SUGGESTION"
    assert "`name`" in raised.value.message
    assert raised.value.where == "line 1, column 8"


@pytest.mark.parametrize(
    ("expression", "condition"),
    [
        ("cast(secret as int)", "CAST_INVALID_INPUT"),
        ("to_date(secret, 'yyyy-MM-dd')", "CANNOT_PARSE_TIMESTAMP"),
        ("cast(concat('\\'', secret) as date)", "CAST_INVALID_INPUT"),
        ("cast(concat('\"', secret) as double)", "CAST_INVALID_INPUT"),
    ],
)
def test_error_when_it_quotes_a_row_then_the_value_is_masked(
    spark: SparkSession, expression: str, condition: str
) -> None:
    frame = run_query(spark, f"select {expression} as x from values ('Ada Lovelace') as t (secret)")
    with pytest.raises(Exception, match="Ada") as raised:
        frame.collect()
    error = as_sql_error(raised.value)
    assert error.condition.startswith(condition)
    assert "Ada" not in str(error)
    assert "Lovelace" not in str(error)
    assert judge_failure(raised.value).transient is False


def test_error_when_a_constraint_quotes_a_row_then_the_values_are_masked(
    project: Callable[..., Project],
) -> None:
    made = project()
    made.put("checked", "select 'Ada' as name, 1 as id")
    table = f"delta.`{made.path('checked')}`"
    made.spark.sql(f"alter table {table} add constraint positive check (id > 0)")
    with pytest.raises(SqlError) as raised:
        run_query(made.spark, f"insert into {table} values ('Lovelace', -1815)")
    assert raised.value.condition.startswith("DELTA_VIOLATE_CONSTRAINT_WITH_VALUES")
    assert "positive" in raised.value.message
    assert "Lovelace" not in raised.value.message
    assert "1815" not in raised.value.message


def test_error_when_it_comes_out_of_a_failed_merge_then_the_cause_is_dug_out(
    project: Callable[..., Project],
) -> None:
    made = project()
    made.put("target", "select 1 as id, 'a' as name")
    table = f"delta.`{made.path('target')}`"
    with pytest.raises(SqlError) as raised:
        run_query(
            made.spark,
            f"merge into {table} as t using (select 1 as id) as s on t.id = s.id "
            "when matched then update set name = s.nope",
        )
    assert "nope" in raised.value.message
    assert "Cannot find main error class" not in raised.value.message
    with pytest.raises(SqlError) as raised:
        run_query(
            made.spark,
            f"merge into {table} as t using (values (1, 'b'), (1, 'c') as s (id, name)) as s "
            "on t.id = s.id when matched then update set *",
        )
    assert raised.value.condition == "DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE"
    assert judge_failure(raised.value).transient is False


def test_error_when_another_writer_was_faster_then_passes_by_itself(
    project: Callable[..., Project], spark: SparkSession
) -> None:
    made = project()
    made.put("shared", "select 1 as id")
    jvm: Any = spark._jvm
    errors = jvm.org.apache.spark.sql.delta.DeltaErrors
    error = errors.concurrentWriteException(jvm.scala.Option.empty())
    cause = type("Raised", (Exception,), {"java_exception": error})("concurrent")
    assert judge_failure(cause).transient is True


def test_error_when_the_jvm_has_ended_then_that_is_told() -> None:
    from py4j.protocol import Py4JNetworkError

    class Gone:
        def __getattr__(self, name: str) -> Any:
            raise Py4JNetworkError("Error while sending or receiving")

    raised = type("Raised", (Exception,), {"java_exception": Gone()})("lost")
    assert as_sql_error(raised).message == "Spark's JVM has ended"
    assert judge_failure(raised).transient is False
    lost = ConnectionError("while handling it")
    lost.__context__ = raised
    assert as_sql_error(lost).message == "Spark's JVM has ended"


def test_explain_when_asked_then_shows_logical_and_physical_plan(spark: SparkSession) -> None:
    text = explain(spark.sql("select id from range(3) where id > 1"))
    assert "== Analyzed Logical Plan ==" in text
    assert "== Physical Plan ==" in text


@pytest.mark.parametrize("rows", [3, 1_000, 1_001, 20_000])
def test_kept_rows_when_made_from_kept_rows_then_their_plan_does_not_grow(
    spark: SparkSession, rows: int
) -> None:
    session = spark.newSession()  # whose views are its own
    frame = session.sql(f"select id, sha1(cast(id as string)) as text from range({rows})")
    sizes = []
    for _ in range(4):
        frame, count = kept_rows(frame)
        assert count == rows == frame.where("text = sha1(cast(id as string))").count()
        frame.createOrReplaceTempView("kept")
        frame = session.sql(
            "select a.id, b.text from kept as a inner join kept as b on a.id = b.id"
        )
        sizes.append(len(explain(frame)))
    assert sizes[-1] < 1.1 * sizes[0]


def test_kept_rows_when_they_take_up_much_then_are_cached_and_not_in_the_driver(
    spark: SparkSession,
) -> None:
    kept, count = kept_rows(spark.sql("select id, repeat(uuid(), 400) as t from range(2000)"))
    assert count == 2_000
    assert kept.is_cached
    kept.unpersist()


@pytest.mark.parametrize("wanted", range(9))
def test_has_rows_when_one_partition_has_some_then_finds_them(
    spark: SparkSession, wanted: int
) -> None:
    assert has_rows(spark.range(0, 8, 1, 8).where(f"id = {wanted}")) == (wanted < 8)


# --- Delta's log -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(project: Callable[..., Project]) -> Project:
    """A table with a commit of every kind."""
    made = project()
    spark = made.spark
    made.put("t", "select id, 'a' as name from range(0, 4, 1, 1)")
    made.put("t", "select id, 'b' as name from range(10, 12, 1, 1)", "append")
    path = f"delta.`{made.path('t')}`"
    for statement in (
        f"update {path} set name = 'c' where id < 2",
        f"delete from {path} where id = 3",
        f"merge into {path} as t using (values (0L, 'd'), (2L, 'x'), (7L, 'e') as s (id, name)) "
        "as s on t.id = s.id when matched and s.name = 'x' then delete "
        "when matched then update set * when not matched then insert *",
        f"restore table {path} to version as of 1",
        f"insert overwrite {path} select 5L, 'z'",
    ):
        spark.sql(statement).collect()
    return made


def test_log_when_read_back_then_agrees_with_deltas_own_history(table: Project) -> None:
    from delta import DeltaTable

    history = DeltaTable.forPath(table.spark, table.path("t")).history().collect()
    told: list[Commit] = list(table.log("t").commits_back(0))
    assert [commit.version for commit in told] == list(range(6, -1, -1))
    for commit, row in zip(told, history, strict=True):
        assert (commit.version, commit.operation) == (row.version, row.operation)
        assert dict(commit.metrics) == row.operationMetrics
        assert abs(commit.timestamp_ms - row.timestamp.timestamp() * 1000) < 60_000


@pytest.mark.parametrize(
    ("version", "operation", "counts"),
    [
        (0, "WRITE", WriteCounts(4, 0, 0)),
        (1, "WRITE", WriteCounts(2, 0, 0)),
        (2, "UPDATE", WriteCounts(0, 2, 0)),
        (3, "DELETE", WriteCounts(0, 0, 1)),
        (4, "MERGE", WriteCounts(1, 1, 1)),
        (5, "RESTORE", WriteCounts(None, None, None)),
        (6, "WRITE", WriteCounts(1, 0, 0)),
    ],
)
def test_commit_when_asked_for_its_counts_then_they_are_what_happened(
    table: Project, version: int, operation: str, counts: WriteCounts
) -> None:
    commit = table.log("t").commit(version)
    assert (commit.operation, commit.counts) == (operation, counts)


def test_log_when_looked_back_then_stops_at_the_moment_given(table: Project) -> None:
    log = table.log("t")
    since = log.commit(4).timestamp_ms
    assert [commit.version for commit in log.commits_back(since)] == [6, 5, 4]
    assert list(log.commits_back(log.commit(6).timestamp_ms + 1)) == []
    assert (log.version(), log.has_version(6), log.has_version(7)) == (6, True, False)
    assert log.schema().simpleString() == "struct<id:bigint,name:string>"


def test_commit_when_its_writer_said_something_else_than_json_then_says_nothing(
    project: Callable[..., Project],
) -> None:
    made = project()
    frame = made.spark.sql("select 1 as id")
    for said in ("not json", "[1]", '{"run_id": "r1"}'):
        writer = frame.write.format("delta").mode("append").option("userMetadata", said)
        writer.save(made.path("t"))
    assert [dict(commit.user_metadata) for commit in made.log("t").commits_back(0)] == [
        {"run_id": "r1"}, {}, {},
    ]  # fmt: skip


@pytest.mark.long
def test_log_when_the_table_is_restored_and_removed_then_tells_so(
    project: Callable[..., Project],
) -> None:
    made = project()
    path = made.path("with `odd` name")
    log = DeltaLog(made.spark, path)
    assert log.version() is None
    assert list(log.commits_back(0)) == []
    for number in (1, 2):
        frame = made.spark.sql(f"select {number} as id")
        frame.write.format("delta").mode("overwrite").save(path)
    log.restore(0)
    assert log.version() == 2
    assert made.spark.read.format("delta").load(path).collect()[0].id == 1
    log.remove()
    assert log.version() is None
    assert not Path(path).exists()
    made.spark.sql("select 9 as id").write.format("delta").save(path)
    assert log.version() == 0


# --- staged files ----------------------------------------------------------------------------


def test_staged_files_when_a_swap_broke_halfway_then_recover_puts_the_old_ones_back(
    project: Callable[..., Project],
) -> None:
    made = project()
    files = StagedFiles(made.spark, made.path("f"), "json")
    files.stage(made.spark.sql("select 1 as id"), {"run_id": "r1"})
    assert not files.exists()
    files.swap()
    files.stage(made.spark.sql("select 2 as id"), {"run_id": "r2"})
    assert files.rows(staged=True).collect()[0].id == 2
    assert files.rows().collect()[0].id == 1
    Path(files.path).rename(files.previous)
    files.recover()
    assert files.rows().collect()[0].id == 1
    assert files.stamp() == {"run_id": "r1"}
    assert not Path(files.staged).exists()
    assert not Path(files.previous).exists()


def test_staged_files_when_the_swap_was_done_but_not_cleaned_up_then_the_new_ones_stay(
    project: Callable[..., Project],
) -> None:
    made = project()
    files = StagedFiles(made.spark, made.path("f"), "orc")
    files.stage(made.spark.sql("select 2 as id"), {"run_id": "r2"})
    files.swap()
    Path(files.previous).mkdir()
    files.recover()
    assert files.rows().collect()[0].id == 2
    assert not Path(files.previous).exists()
    (Path(files.path) / "._stamp.json.crc").unlink()
    (Path(files.path) / "_stamp.json").write_text("{torn", encoding="utf-8")
    assert files.stamp() == {}
