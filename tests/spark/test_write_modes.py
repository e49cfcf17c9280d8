"""Every way to write: what stands there afterwards, and whether the counts tell the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from deltalake import DeltaTable, QueryBuilder
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.errors import DestinationError, SchemaMismatchError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType

    from pipelines.results import StepResult
    from tests.conftest import Project, Ran

# Each step's query gives one thing in batch 1 and another in batch 2; batch 3 is a full refresh.
MODES = """
- name: overwritten
  source: {type: delta, query: "select id from range({{ 3 if vars.n == 1 else 2 }})"}
  destination: {path: "{{ base_path }}/overwritten"}
- name: appended
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/appended", mode: append}
- name: ignored
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/ignored", mode: ignore}
- name: once
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/once", mode: error}
- name: replaced
  source:
    type: delta
    query: >-
      select * from values
      {{ "('a', 1), ('a', 2), ('b', 3)" if vars.n == 1 else "('b', 4), ('c', 5)" }} as t (part, id)
  destination: {path: "{{ base_path }}/replaced", mode: replace_partitions, partition_by: [part]}
- name: merged
  source:
    type: delta
    query: >-
      select * from values
      {{ "(1, 'same', 1), (2, null, 2), (3, 'old', 3), (null, 'nobody', 4), (5, null, 5)"
         if vars.n == 1 else
         "(1, 'same', 1), (2, null, 2), (3, 'new', 3), (null, 'someone', 4), (5, 'now', 5),
          (6, 'added', 6)" }} as t (id, name, amount)
  destination: {path: "{{ base_path }}/merged", mode: merge, keys: [ID]}
- name: unchanged
  source: {type: delta, query: "select * from values (1, null), (null, 'b') as t (id, name)"}
  destination: {path: "{{ base_path }}/unchanged", mode: scd1, keys: [id]}
- name: sequenced
  source:
    type: delta
    query: >-
      select * from values
      {{ "(1, 'first', 1), (1, 'newest', 9), (2, 'two', 5), (3, 'timeless', null), (4, 'four', 5)"
         if vars.n == 1 else
         "(1, 'late', 8), (2, 'again', 5), (3, 'timed', 1), (4, 'timeless', null), (7, 'new', 1)"
      }} as t (id, name, at)
  destination: {path: "{{ base_path }}/sequenced", mode: merge, keys: [id], sequence_by: at}
- name: ambiguous
  source:
    type: delta
    query: >-
      select * from values
      {{ "(1, 'a', 1)" if vars.n == 1 else "(1, 'secret', 2), (1, 'hidden', 2)" }}
      as t (id, name, at)
  destination: {path: "{{ base_path }}/ambiguous", mode: merge, keys: [id], sequence_by: at}
- name: ambiguous_first
  source: {type: delta, query: "select * from values (1, 'secret'), (1, 'hidden') as t (id, name)"}
  destination: {path: "{{ base_path }}/ambiguous_first", mode: scd1, keys: [id]}
- name: inserted
  source:
    type: delta
    query: >-
      select * from values
      {{ "(1, 'b', 2), (1, 'a', 9), (1, null, 0), (null, 'z', 1), (2, 'c', 1)"
         if vars.n == 1 else "(1, 'changed', 1), (null, 'y', 1), (3, 'e', 2), (3, 'd', 3)" }}
      as t (id, name, amount)
  destination: {path: "{{ base_path }}/inserted", mode: insert_new, keys: [id]}
- name: clustered
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/clustered", mode: append, cluster_by: [id]}
- name: clustered_anew
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/clustered_anew", cluster_by: [id, name]}
- name: clustered_in_small_files
  source: {type: delta, query: "select id from range(0, 3, 1, 1)"}
  destination:
    path: "{{ base_path }}/clustered_in_small_files"
    cluster_by: [id]
    options: {maxRecordsPerFile: 1}
- name: partitioned
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/partitioned", mode: append, partition_by: [name]}
- name: small_files
  source: {type: delta, query: "select id from range(0, 4, 1, 1)"}
  destination: {path: "{{ base_path }}/small_files", options: {maxRecordsPerFile: 1}}
- name: strict
  source:
    type: delta
    query: "{{ 'select 1 as id, 1 as gone' if vars.n == 1 else \\"select 'x' as id, 2.5d as new\\" }}"
  destination: {path: "{{ base_path }}/strict"}
- name: evolved
  source: {type: delta, query: "{{ 'select 1 as id, 1 as old' if vars.n == 1 else 'select 2 as id, 2 as new' }}"}
  destination: {path: "{{ base_path }}/evolved", mode: append, schema: evolve}
- name: evolved_by_merge
  source: {type: delta, query: "{{ 'select 1 as id, 1 as old' if vars.n == 1 else 'select 1 as id, 5 as old, 2 as new' }}"}
  destination: {path: "{{ base_path }}/evolved_by_merge", mode: merge, keys: [id], schema: evolve}
- name: retyped
  source: {type: delta, query: "{{ 'select 1 as id' if vars.n == 1 else \\"select 'x' as name\\" }}"}
  destination: {path: "{{ base_path }}/retyped", schema: overwrite}
- name: evolved_type
  source: {type: delta, query: "{{ 'select 1 as id' if vars.n == 1 else \\"select 'x' as id\\" }}"}
  destination: {path: "{{ base_path }}/evolved_type", schema: evolve}
"""  # noqa: E501
FULL_REFRESH = (
    "appended", "ignored", "once", "replaced", "merged", "sequenced", "inserted", "strict",
)  # fmt: skip


@pytest.fixture(scope="module")
def modes(project: Callable[..., Project]) -> tuple[Project, Ran, Ran]:
    made = project(MODES)
    first = made.run(batch_id="b1", vars={"n": 1})
    second = made.run(batch_id="b2", vars={"n": 2})
    return made, first, second


def _counts(step: StepResult) -> tuple[int | None, int | None, int | None]:
    return step.counts.written, step.counts.updated, step.counts.deleted


def _detail(made: Project, table: str) -> dict[str, Any]:
    row: dict[str, Any] = (
        made.spark.sql(f"describe detail delta.`{made.path(table)}`").collect()[0].asDict()
    )
    return row


def test_modes_when_the_tables_are_not_there_then_all_but_the_ambiguous_are_made(
    modes: tuple[Project, Ran, Ran],
) -> None:
    _, first, _ = modes
    failed = {name for name, status in first.statuses.items() if status != "success"}
    assert failed == {"ambiguous_first"}


@pytest.mark.parametrize(
    ("name", "rows", "first_written", "second_written"),
    [
        ("overwritten", [(0,), (1,)], 3, 2),
        ("appended", [(1,), (2,)], 1, 1),
        ("replaced", [("a", 1), ("a", 2), ("b", 4), ("c", 5)], 3, 2),
        ("evolved", [(1, 1, None), (2, None, 2)], 1, 1),
        ("retyped", [("x",)], 1, 1),
        ("small_files", [(0,), (1,), (2,), (3,)], 4, 4),
    ],
)
def test_mode_when_run_twice_then_rows_and_rows_written_are_right(
    modes: tuple[Project, Ran, Ran],
    name: str,
    rows: list[tuple[Any, ...]],
    first_written: int,
    second_written: int,
) -> None:
    made, first, second = modes
    assert made.rows(name) == rows
    assert first[name].counts.written == first_written
    assert second[name].counts.written == second_written


def test_ignore_when_the_table_is_there_then_it_stays_and_the_step_is_unchanged(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = modes
    assert made.rows("ignored") == [(1,)]
    assert second["ignored"].status.value == "unchanged"
    assert made.commits("ignored") == ["WRITE"]


def test_error_when_the_table_is_there_then_the_step_fails_and_it_stays(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = modes
    assert second["once"].status.value == "failed"
    assert second["once"].error is not None
    assert "exists already" in second["once"].error.message
    assert made.rows("once") == [(1,)]


def test_merge_when_keys_and_values_are_null_then_each_row_goes_where_it_belongs(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, first, second = modes
    assert _counts(first["merged"]) == (5, 0, 0)
    assert made.rows("merged") == [
        (1, "same", 1),
        (2, None, 2),
        (3, "new", 3),
        (5, "now", 5),
        (6, "added", 6),
        (None, "someone", 4),
    ]
    assert _counts(second["merged"]) == (1, 3, 0)


def test_merge_when_nothing_has_changed_then_no_file_is_written(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = modes
    assert made.rows("unchanged") == [(1, None), (None, "b")]
    assert second["unchanged"].counts.written in (0, None)
    assert second["unchanged"].counts.updated in (0, None)
    newest = next(made.log("unchanged").commits_back(0))
    assert newest.operation == "WRITE" or newest.metrics["numTargetFilesAdded"] == "0"


def test_merge_when_rows_have_an_order_then_the_newest_wins_and_older_ones_change_nothing(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, first, second = modes
    assert _counts(first["sequenced"]) == (4, 0, 0)
    assert made.rows("sequenced") == [
        (1, "newest", 9),
        (2, "again", 5),
        (3, "timed", 1),
        (4, "four", 5),
        (7, "new", 1),
    ]
    assert _counts(second["sequenced"]) == (1, 2, 0)


@pytest.mark.parametrize("name", ["ambiguous", "ambiguous_first"])
def test_merge_when_a_key_stands_twice_at_one_instant_then_fails_and_writes_nothing(
    modes: tuple[Project, Ran, Ran], name: str
) -> None:
    made, _, second = modes
    error = second[name].error
    assert second[name].status.value == "failed"
    assert error is not None
    assert f"stage.group.{name}: a key stands twice at the same instant" in error.message
    assert not {"secret", "hidden"} & set(error.message.split())
    assert error.transient is False
    if name == "ambiguous":
        assert made.rows(name) == [(1, "a", 1)]
        assert made.log(name).version() == 0
    else:
        assert made.log(name).version() is None


def test_insert_new_when_the_batch_has_duplicates_then_the_first_by_its_values_is_kept(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, first, second = modes
    assert made.rows("inserted") == [(1, "a", 9), (2, "c", 1), (3, "d", 3), (None, "z", 1)]
    assert _counts(first["inserted"]) == (3, 0, 0)
    assert _counts(second["inserted"]) == (1, 0, 0)


def test_layout_when_asked_for_then_the_table_has_it(modes: tuple[Project, Ran, Ran]) -> None:
    made, _, second = modes
    assert _detail(made, "clustered")["clusteringColumns"] == ["id"]
    assert _detail(made, "clustered_anew")["clusteringColumns"] == ["id", "name"]
    assert made.rows("clustered_anew") == [(2, "x")]
    assert _detail(made, "partitioned")["partitionColumns"] == ["name"]
    assert _detail(made, "replaced")["partitionColumns"] == ["part"]
    assert _detail(made, "small_files")["numFiles"] == 4
    assert _detail(made, "clustered_in_small_files")["clusteringColumns"] == ["id"]
    assert _detail(made, "clustered_in_small_files")["numFiles"] == 3
    for name in ("clustered", "partitioned"):
        assert second[name].status.value == "success"
        assert made.rows(name) == [(1, "x"), (2, "x")]


def test_schema_when_strict_then_the_error_shows_column_by_column_and_nothing_is_written(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = modes
    error = second["strict"].error
    assert second["strict"].status.value == "failed"
    assert error is not None
    assert error.type == SchemaMismatchError.__name__
    lines = [line.strip() for line in error.message.splitlines()[1:]]
    assert lines == ["+ new double", "- gone int", "~ id int -> string"]
    assert "evolve" in error.hint
    assert made.log("strict").version() == 0


def test_schema_when_it_evolves_by_merge_then_the_new_column_is_filled(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = modes
    assert made.rows("evolved_by_merge") == [(1, 5, 2)]
    assert _counts(second["evolved_by_merge"]) == (0, 1, 0)


def test_schema_when_it_evolves_then_a_changed_type_is_still_an_error(
    modes: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = modes
    error = second["evolved_type"].error
    assert error is not None
    assert "~ id int -> string" in error.message
    assert made.rows("evolved_type") == [(1,)]


@pytest.mark.long
def test_full_refresh_when_tables_are_there_then_each_is_built_anew_whatever_its_mode(
    project: Callable[..., Project],
) -> None:
    made = project(MODES)
    for name in FULL_REFRESH:
        made.put(name, "select 'before' as what")
    ran = made.run(vars={"n": 1}, select=(" ".join(FULL_REFRESH),), full_refresh=True)
    assert {ran[name].status.value for name in FULL_REFRESH} == {"success"}
    for name in ("appended", "ignored", "once"):
        assert made.rows(name) == [(1,)]
    assert made.rows("replaced") == [("a", 1), ("a", 2), ("b", 3)]
    assert _detail(made, "replaced")["partitionColumns"] == ["part"]
    assert len(made.rows("merged")) == 5
    assert (1, "newest", 9) in made.rows("sequenced")
    assert made.rows("inserted") == [(1, "a", 9), (2, "c", 1), (None, "z", 1)]
    assert {made.log(name).version() for name in FULL_REFRESH} == {1}


# --- columns, without Spark ------------------------------------------------------------------


def _columns(*names: str, kind: str = "integer") -> StructType:
    from pyspark.sql.types import StructType

    columns = StructType()
    for name in names:
        columns = columns.add(name, kind)
    return columns


def test_check_schema_when_two_columns_share_a_name_then_says_which() -> None:
    from pipelines.utils.sql_runner import check_schema

    with pytest.raises(DestinationError, match="two columns called name"):
        check_schema(_columns("id", "Name", "name"), None, "strict")


def test_check_schema_when_a_column_has_no_type_then_says_how_to_give_it_one() -> None:
    from pipelines.utils.sql_runner import check_schema

    with pytest.raises(DestinationError, match="column nothing has no type") as raised:
        check_schema(_columns("nothing", kind="void"), None, "overwrite")
    assert "cast(null as" in raised.value.hint


def test_check_schema_when_many_columns_differ_then_the_list_is_cut_and_says_how_many() -> None:
    from pipelines.utils.sql_runner import check_schema

    many = _columns(*(f"c{n}" for n in range(30)))
    with pytest.raises(SchemaMismatchError, match="and 11 more"):
        check_schema(many, _columns("id"), "strict")


def test_check_schema_when_only_case_and_order_differ_then_is_content() -> None:
    from pipelines.utils.sql_runner import check_schema

    check_schema(_columns("name", "ID"), _columns("id", "Name"), "strict")


# --- files -----------------------------------------------------------------------------------

FILES = """
- name: parquet_files
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/parquet_files", format: parquet, options: {compression: gzip}}
- name: parquet_appended
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/parquet_appended", format: parquet, mode: append}
- name: parquet_partitioned
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/parquet_partitioned", format: parquet, mode: append, partition_by: [name]}
- name: csv_files
  source: {type: delta, query: "select {{ vars.n }} as id, 'a;b' as name"}
  destination: {path: "{{ base_path }}/csv_files", format: csv, mode: append, options: {header: true, sep: ";"}}
- name: json_files
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/json_files", format: json, mode: ignore}
- name: orc_files
  source: {type: delta, query: "select {{ vars.n }} as id, 'x' as name"}
  destination: {path: "{{ base_path }}/orc_files", format: orc, mode: error}
- name: merge_into_files
  source: {type: delta, query: "delete from merge_into_files where id = 1"}
  destination: {path: "{{ base_path }}/merge_into_files", format: parquet}
- name: reader
  depends_on: [csv_files]
  source: {type: delta, query: "select * from csv_files"}
  destination: {path: "{{ base_path }}/reader"}
"""  # noqa: E501


@pytest.fixture(scope="module")
def files(project: Callable[..., Project]) -> tuple[Project, Ran, Ran]:
    made = project(FILES)
    first = made.run(batch_id="b1", vars={"n": 1})
    second = made.run(batch_id="b2", vars={"n": 2})
    return made, first, second


@pytest.mark.parametrize(
    ("name", "file_format", "rows", "status", "written"),
    [
        ("parquet_files", "parquet", [(2, "x")], "success", 1),
        ("parquet_appended", "parquet", [(1, "x"), (2, "x")], "success", 1),
        ("parquet_partitioned", "parquet", [(1, "x"), (2, "x")], "success", 1),
        ("csv_files", "csv", [("1", "a;b"), ("2", "a;b")], "success", 1),
        ("json_files", "json", [(1, "x")], "unchanged", None),
        ("orc_files", "orc", [(1, "x")], "failed", None),
    ],
)
def test_files_when_run_twice_then_rows_and_counts_are_right(
    files: tuple[Project, Ran, Ran],
    name: str,
    file_format: str,
    rows: list[tuple[Any, ...]],
    status: str,
    written: int | None,
) -> None:
    made, first, second = files
    options = {"header": "true", "sep": ";"} if file_format == "csv" else {}
    assert first[name].status.value == "success"
    assert second[name].status.value == status
    assert made.rows(name, file_format, **options) == rows
    assert (first[name].counts.written, second[name].counts.written) == (1, written)


def test_files_when_written_then_options_count_and_nothing_is_left_beside_them(
    files: tuple[Project, Ran, Ran],
) -> None:
    made, _, _ = files
    assert list(Path(made.path("parquet_files")).glob("*.gz.parquet"))
    assert list(Path(made.path("parquet_partitioned")).glob("name=x"))
    left = {path.name for path in (made.root / "lake").glob("*.__*")}
    appended = ("csv_files", "parquet_appended", "parquet_partitioned")
    assert left == {f"{name}.__previous" for name in appended}


def test_files_when_a_step_downstream_reads_them_then_with_their_own_options(
    files: tuple[Project, Ran, Ran],
) -> None:
    made, _, _ = files
    assert made.rows("reader") == [("1", "a;b"), ("2", "a;b")]


def test_files_when_a_statement_would_change_them_then_says_that_it_needs_delta(
    files: tuple[Project, Ran, Ran],
) -> None:
    _, first, _ = files
    error = first["merge_into_files"].error
    assert error is not None
    assert "DELETE needs a Delta table" in error.message


# --- statements that write by themselves -----------------------------------------------------

STATEMENTS = """
- name: merge_file
  source: {type: delta, query: sql/merge_file.sql}
  destination: {path: "{{ base_path }}/merge_file", partition_by: [part]}
- name: insert_file
  source: {type: delta, query: sql/insert_file.sql}
  destination: {path: "{{ base_path }}/insert_file", cluster_by: [id]}
- name: overwrite_file
  source: {type: delta, query: sql/overwrite_file.sql}
  destination: {path: "{{ base_path }}/overwrite_file"}
- name: update_file
  source: {type: delta, query: sql/update_file.sql}
  destination: {path: "{{ base_path }}/update_file"}
- name: delete_file
  source: {type: delta, query: sql/delete_file.sql}
  destination: {path: "{{ base_path }}/delete_file"}
- name: delete_nothing
  source: {type: delta, query: "delete from delete_nothing where id > 100"}
  destination: {path: "{{ base_path }}/delete_nothing"}
- name: update_missing
  source: {type: delta, query: "update update_missing set id = 1"}
  destination: {path: "{{ base_path }}/update_missing"}
- name: dropped
  source: {type: delta, query: "drop table if exists dropped"}
  destination: {path: "{{ base_path }}/dropped"}
"""
STATEMENT_FILES = {
    "sql/merge_file.sql": """\
        merge into merge_file as target
        using (
            select * from values (1, 'a', 'p'), ({{ vars.n }} + 1, 'b', 'q') as t (id, name, part)
        ) as source
        on target.id = source.id
        when matched and {{ vars.n }} = 2 then delete
        when not matched then insert *
        """,
    "sql/insert_file.sql": """\
        -- one statement a file
        insert into {{ destination }}
        select {{ vars.n }} as id, 'x' as name
        """,
    "sql/overwrite_file.sql": "insert overwrite overwrite_file select {{ vars.n }} as id",
    "sql/update_file.sql": "update update_file set name = 'new' where id >= 2",
    "sql/delete_file.sql": "delete from delete_file where id >= 2",
}


@pytest.fixture(scope="module")
def statements(project: Callable[..., Project]) -> tuple[Project, Ran, Ran]:
    made = project(STATEMENTS, files=STATEMENT_FILES)
    for name in ("update_file", "delete_file", "delete_nothing"):
        made.put(name, "select cast(id as int) as id, 'old' as name from range(1, 4)")
    first = made.run(batch_id="b1", vars={"n": 1})
    second = made.run(batch_id="b2", vars={"n": 2})
    return made, first, second


def test_merge_statement_when_the_table_is_missing_then_it_is_made_and_filled(
    statements: tuple[Project, Ran, Ran],
) -> None:
    made, first, second = statements
    assert first["merge_file"].error is None
    assert _counts(first["merge_file"]) == (2, 0, 0)
    assert _counts(second["merge_file"]) == (1, 0, 1)
    assert made.rows("merge_file") == [(2, "b", "q"), (3, "b", "q")]
    assert _detail(made, "merge_file")["partitionColumns"] == ["part"]


def test_insert_statement_when_the_table_is_missing_then_it_is_made_and_filled(
    statements: tuple[Project, Ran, Ran],
) -> None:
    made, first, second = statements
    assert first["insert_file"].error is None
    assert made.rows("insert_file") == [(1, "x"), (2, "x")]
    assert _detail(made, "insert_file")["clusteringColumns"] == ["id"]
    assert made.rows("overwrite_file") == [(2,)]
    for ran in (first, second):
        assert _counts(ran["insert_file"]) == (1, 0, 0)
        assert ran["overwrite_file"].counts.written == 1


def test_update_and_delete_statements_when_run_then_the_counts_are_right(
    statements: tuple[Project, Ran, Ran],
) -> None:
    made, first, _ = statements
    assert made.rows("update_file") == [(1, "old"), (2, "new"), (3, "new")]
    assert _counts(first["update_file"]) == (0, 2, 0)
    assert made.rows("delete_file") == [(1, "old")]
    assert _counts(first["delete_file"]) == (0, 0, 2)


def test_statement_when_it_hits_no_row_then_the_step_is_unchanged(
    statements: tuple[Project, Ran, Ran],
) -> None:
    made, first, second = statements
    assert first["delete_nothing"].status.value == "unchanged"
    assert second["delete_file"].status.value == "unchanged"
    assert made.log("delete_nothing").version() == 0


def test_update_statement_when_the_table_is_missing_then_says_what_can_make_it(
    statements: tuple[Project, Ran, Ran],
) -> None:
    made, first, _ = statements
    error = first["update_missing"].error
    assert error is not None
    assert "the table does not exist" in error.message
    assert "INSERT and MERGE" in error.hint
    assert not Path(made.path("update_missing")).exists()


def test_statement_when_it_is_of_another_kind_then_is_refused(
    statements: tuple[Project, Ran, Ran],
) -> None:
    _, first, _ = statements
    error = first["dropped"].error
    assert error is not None
    assert "one MERGE, INSERT, UPDATE or DELETE" in error.message


# --- against a model in plain Python ---------------------------------------------------------

Row = tuple[Any, Any, Any]
SMALL = st.sampled_from([None, 0, 1, 2, 3])
TEXT = st.sampled_from([None, "", "a", "b"])
BATCH = st.lists(st.tuples(SMALL, TEXT, SMALL), min_size=1, max_size=20)
KEYED = """
- name: newest
  source: {type: delta, query: sql/newest.sql}
  destination: {path: "{{ base_path }}/newest", mode: scd1, keys: [id], sequence_by: at}
- name: first_seen
  source: {type: delta, query: sql/first_seen.sql}
  destination: {path: "{{ base_path }}/first_seen", mode: insert_new, keys: [id]}
"""


def _low(value: Any) -> tuple[bool, Any]:
    """Sorts null before all values."""
    return value is not None, value


def _scd1(table: dict[Any, Row], batch: list[Row]) -> tuple[dict[Any, Row], int, int]:
    newest: dict[Any, Row] = {}
    for row in sorted(batch, key=lambda row: _low(row[2])):
        newest[row[0]] = row
    result, inserted, updated = dict(table), 0, 0
    for key, row in newest.items():
        old = table.get(key)
        if old is None:
            result[key], inserted = row, inserted + 1
        elif row != old and (old[2] is None or (row[2] is not None and row[2] >= old[2])):
            result[key], updated = row, updated + 1
    return result, inserted, updated


def _insert_new(table: dict[Any, Row], batch: list[Row]) -> dict[Any, Row]:
    def nulls_last(row: Row) -> list[tuple[bool, Any]]:
        return [(value is None, value) for value in row[1:]]

    result = dict(table)
    for row in sorted(batch, key=nulls_last):
        result.setdefault(row[0], row)
    return result


def _sql(rows: list[Row]) -> str:
    def literal(value: Any) -> str:
        return "null" if value is None else repr(value)

    values = ", ".join(f"({', '.join(map(literal, row))})" for row in rows)
    columns = "cast(id as int) as id, cast(name as string) as name, cast(at as int) as at"
    return f"select {columns} from values {values} as t (id, name, at)"


def _one_row_an_instant(batch: list[Row]) -> list[Row]:
    return list({(row[0], row[2]): row for row in batch}.values())


@settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
@given(batches=st.lists(BATCH, min_size=2, max_size=2))
def test_keyed_modes_when_given_any_batches_then_agree_with_the_model(
    project: Callable[..., Project], spark: SparkSession, batches: list[list[Row]]
) -> None:
    made = project(KEYED)
    newest: dict[Any, Row] = {}
    first_seen: dict[Any, Row] = {}
    for number, batch in enumerate(batches):
        ordered = _one_row_an_instant(batch)
        made.write("sql/newest.sql", _sql(ordered))
        made.write("sql/first_seen.sql", _sql(batch))
        ran = made.run(batch_id=f"b{number}")
        newest, inserted, updated = _scd1(newest, ordered)
        before, first_seen = len(first_seen), _insert_new(first_seen, batch)
        assert made.rows("newest") == sorted(newest.values(), key=repr)
        assert made.rows("first_seen") == sorted(first_seen.values(), key=repr)
        told = ran["newest"].counts
        assert ((told.written or 0), (told.updated or 0)) == (inserted, updated)
        assert (ran["first_seen"].counts.written or 0) == len(first_seen) - before


def test_times_when_they_are_far_then_other_readers_of_delta_read_them_as_they_are(
    project: Callable[..., Project],
) -> None:
    made = project("""
        - name: times
          source:
            type: delta
            query: >-
              select timestamp '0001-01-01 00:00' as first, timestamp '9999-12-31 00:00' as last
          destination: {path: "{{ base_path }}/times"}
    """)
    made.run()
    table = DeltaTable(str(made.path("times")))
    found = QueryBuilder().register("times", table).execute("select first, last from times")
    first, last = (column.to_pylist()[0] for column in found.read_all().columns)
    assert (first.year, last.year) == (1, 9999)
