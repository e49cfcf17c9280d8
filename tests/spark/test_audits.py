"""Rolling back runs, comparing tables, and asking who wrote which row, on real Delta tables."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipelines.audited import Asked, blame_of, diff_of, roll_back
from pipelines.console import blame_text, diff_text
from pipelines.errors import RollbackError, UsageError
from pipelines.execution.audits import rollback as rolling
from pipelines.execution.audits.table_files import TableFiles
from pipelines.prepared import Options, PreparedFlow
from pipelines.sinks.run_log import read_run

FLOW = """
    - name: people
      source: {type: delta, path: "{{ base_path }}/given", query: sql/people.sql}
      destination:
        path: "{{ base_path }}/people"
        mode: scd1
        keys: [id]
      columns:
        - {name: city, classification: public}
    - name: cities
      depends_on: [people]
      source: {type: delta, query: sql/cities.sql}
      destination: {path: "{{ base_path }}/cities"}
"""
FILES = {
    "sql/people.sql": "select id, name, city from people",
    "sql/cities.sql": "select city, count(*) as people from people group by city",
}


def given(project: Any, *rows: str) -> None:
    values = ", ".join(rows)
    project.put("given", f"select * from values {values} as t(id, name, city)")


def lake(project: Any) -> dict[str, Any]:
    """The rows of every table; None where there is none."""
    tables = ("people", "cities")
    return {
        name: project.rows(name) if Path(project.path(name)).exists() else None for name in tables
    }


def blamed(made: Any, **asked: Any) -> Any:
    prepared = PreparedFlow("main_flow", Options(project_dir=made.root))
    return blame_of(prepared, "people", spark=made.spark, **asked)


@dataclass(frozen=True)
class Twice:
    """A project after two runs, and what its tables held after each."""

    project: Any
    runs: tuple[str, str]
    before: dict[str, Any]
    after: dict[str, Any]

    def rolled(self, number: int, **more: Any) -> Any:
        options = Options(project_dir=self.project.root)
        return roll_back(self.runs[number], options, spark=self.project.spark, **more)

    def copied(self, root: Path) -> Twice:
        """The same elsewhere."""
        shutil.copytree(self.project.root, root, dirs_exist_ok=True)
        for file in (root / "pipelines/logs").glob("*.json"):
            file.write_text(file.read_text().replace(str(self.project.root), str(root)))
        return replace(self, project=replace(self.project, root=root))


@pytest.fixture(scope="module")
def ran_twice(project: Any) -> Twice:
    made = project(FLOW, files=FILES)
    given(made, "(1, 'Ada', 'Paris')", "(2, 'Bo', 'Rome')")
    first, before = made.run(), lake(made)
    given(made, "(1, 'Ada', 'Oslo')", "(3, 'Cy', 'Rome')")
    second = made.run(batch_id="b2")
    runs = first.result.run.run_id, second.result.run.run_id
    return Twice(made, runs, before, lake(made))


@pytest.fixture
def twice(ran_twice: Twice, tmp_path: Path) -> Twice:
    return ran_twice.copied(tmp_path)


def test_a_run_is_put_back_as_a_whole_and_runs_again(twice: Twice) -> None:
    made = twice.project
    assert twice.rolled(1, dry_run=True).is_well
    assert lake(made) == twice.after

    done = twice.rolled(1)
    assert (done.is_done, lake(made)) == (True, twice.before)
    assert not made.marker("people", "b2").exists()
    noted = read_run(made.root / "pipelines/logs", twice.runs[1])
    assert noted["rolled_back_by"] == done.rollback_id
    assert made.log("people").commit(2).user_metadata["rolled_back"] == twice.runs[1]
    again = twice.rolled(1)
    assert (again.plan.undos, again.is_done, again.is_well) == ((), False, True)

    made.run(batch_id="b2")
    assert lake(made) == twice.after


def test_a_rollback_that_later_runs_have_built_on_is_refused_unless_forced(twice: Twice) -> None:
    made, (first, second) = twice.project, twice.runs
    with pytest.raises(RollbackError) as refused:
        twice.rolled(0)
    said = str(refused.value)
    assert f"people: run {second} has committed version 1 (MERGE) since" in said
    assert f"cities: run {second} has made it of stage.group.people (version 1)" in said
    assert refused.value.hint == "--force goes on all the same"
    assert lake(made) == twice.after

    forced = twice.rolled(0, force=True)
    assert lake(made) == {"people": None, "cities": None}
    assert {undo.to for undo in forced.plan.undos} == {None}
    assert forced.plan.run_id == first


def test_a_rollback_in_a_copy_of_the_project_does_not_touch_the_tables_of_the_original(
    ran_twice: Twice, tmp_path: Path
) -> None:
    shutil.copytree(ran_twice.project.root, tmp_path, dirs_exist_ok=True)
    with pytest.raises(RollbackError) as refused:
        roll_back(ran_twice.runs[1], Options(project_dir=tmp_path), spark=ran_twice.project.spark)
    assert f"stage.group.people: {ran_twice.project.path('people')}" in str(refused.value)
    assert "copied or moved" in refused.value.hint
    assert lake(ran_twice.project) == ran_twice.after


@pytest.mark.long
def test_a_rollback_that_fails_or_is_killed_leaves_all_or_nothing(
    twice: Twice, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, real = twice.project, rolling._undo

    def broken_by(error: BaseException) -> None:
        def undo(session: Any, record: Any, one: Any) -> None:
            if one.step.endswith("cities"):
                raise error
            real(session, record, one)

        monkeypatch.setattr(rolling, "_undo", undo)

    broken_by(OSError("disk full"))
    with pytest.raises(RollbackError, match=r"all tables are as they were: .*disk full"):
        twice.rolled(1)
    assert lake(made) == twice.after
    assert made.marker("people", "b2").exists()

    broken_by(KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        twice.rolled(1)
    assert lake(made)["people"] == twice.before["people"]
    with pytest.raises(UsageError, match="a rollback of run"):
        made.run(batch_id="b3")

    monkeypatch.setattr(rolling, "_undo", real)
    assert twice.rolled(1).went_on
    assert lake(made) == twice.before


def test_what_vacuum_took_cannot_be_put_back(twice: Twice) -> None:
    made = twice.project
    there = {Path(file).name for file in _files(made, "cities", 1)}
    for file in Path(made.path("cities")).glob("*.parquet"):
        if file.name not in there:
            file.unlink()
    with pytest.raises(RollbackError) as refused:
        twice.rolled(1, force=True)
    assert "files of version 0 are gone" in str(refused.value)
    assert refused.value.hint == ""
    assert lake(made) == twice.after


def test_blame_names_run_batch_and_statement(twice: Twice) -> None:
    found = blamed(twice.project, where="id <> 2")
    assert {one.run_id: one.rows for one in found.authors} == {twice.runs[1]: 2}
    author = found.authors[0]
    assert (author.sql_file, author.sql_is_current) == ("sql/people.sql", True)
    assert author.batch_id == "b2"
    twice.project.write("sql/people.sql", FILES["sql/people.sql"] + " where true")
    assert blamed(twice.project).authors[0].sql_is_current is False


def _files(project: Any, table: str, version: int) -> list[str]:
    reader = project.spark.read.format("delta").option("versionAsOf", version)
    return list(reader.load(project.path(table)).inputFiles())


LIVES = """
    - name: people
      source: {type: delta, path: "{{ base_path }}/given"}
      destination: {path: "{{ base_path }}/people", mode: scd1, keys: [id]}
      columns:
        - {name: city, classification: public}
        - {name: score, classification: public}
"""


@pytest.fixture(scope="module")
def lived(project: Any) -> Any:
    """A table with keys in three files, changed in one of them, then in its columns."""
    made = project(LIVES)
    table = f"delta.`{made.path('people')}`"
    for statement in (
        f"create table {table} (id int, name string, city string, score double) using delta "
        "partitioned by (city) tblproperties (delta.enableRowTracking = true, "
        "delta.enableChangeDataFeed = true)",
        f"insert into {table} select /*+ repartition(1) */ * from values "
        "(1, 'Ada', 'Paris', 0.5), (2, 'Bo', 'Rome', double('NaN')), "
        "(null, 'Cy', 'Rome', 0.3), (4, 'Di', 'Oslo', 1)",
        f"update {table} set score = 0.1d + 0.2d, name = 'Si' where id is null",
        f"insert into {table} values (5, 'Ed', 'Rome', null)",
        f"delete from {table} where id = 4",
    ):
        made.spark.sql(statement).collect()
    made.put("other", "select id, name, city, cast(score as string) as score, 1 as extra from "
             f"{table} union all select 5, 'Ed', 'Rome', null, 1")  # fmt: skip
    return made


def diffed(made: Any, **asked: Any) -> Any:
    prepared = PreparedFlow("main_flow", Options(project_dir=made.root))
    return diff_of(prepared, "people", Asked(**asked), spark=made.spark)


def test_a_diff_reads_only_the_files_that_are_not_in_both(lived: Any) -> None:
    found = diffed(lived, versions=(1, 4))
    assert (found.added, found.removed, found.changed) == (1, 1, 1)
    assert found.changed_columns == {"name": 1, "score": 1}
    assert (found.files_read, found.files) == (4, 5)
    samples = {row.kind: row for row in found.samples}
    assert samples["changed"].keys == {"id": None}
    assert samples["changed"].cells == {
        "name": ("<text of 2>", "<text of 2>"),
        "score": (0.3, 0.30000000000000004),
    }
    text = diff_text(found)
    assert "id=null  name: <text of 2> -> <text of 2>, score: 0.3 -> 0.30000000000000004" in text
    assert "Si" not in text
    assert "Si" in diff_text(diffed(lived, versions=(1, 4), show_values=True))
    same = diffed(lived, versions=(4,))
    assert (same.is_same, same.files_read) == (True, 0)
    appended = diffed(lived, versions=(2, 3))
    assert (appended.added, appended.removed, appended.files_read) == (1, 0, 1)


@pytest.mark.long
def test_a_diff_with_a_clone_reads_what_was_written_to_it(lived: Any) -> None:
    table, clone = (f"delta.`{lived.path(name)}`" for name in ("people", "clone"))
    properties = "tblproperties (delta.enableDeletionVectors = true)"
    lived.spark.sql(f"create table {clone} shallow clone {table} {properties}").collect()
    same = diffed(lived, against="lake/clone")
    assert (same.is_same, same.files_read) == (True, 0)
    lived.spark.sql(f"delete from {clone} where id = 2").collect()
    found = diffed(lived, against="lake/clone")
    assert (found.added, found.removed, found.changed) == (0, 1, 0)
    assert (found.files_read, found.files) == (2, 4)  # one file, with and without the row


@pytest.mark.long
def test_a_diff_of_other_columns_and_keys_that_do_not_tell_rows_apart(lived: Any) -> None:
    found = diffed(lived, against="lake/other", limit=1)
    assert [(one.name, one.before, one.after) for one in found.columns] == [
        ("score", "double", "string"),
        ("extra", None, "int"),
    ]
    assert (found.added, found.removed, found.changed) == (1, 0, 0)
    assert found.notes == ("id do not tell rows apart: they are compared as wholes",)
    assert diffed(lived, against="lake/other", keys=("Name", "score", "city")).keys == ()
    with pytest.raises(UsageError, match="key 'nam' is not a column of both"):
        diffed(lived, versions=(0, 1), keys=("nam",))
    with pytest.raises(UsageError, match="has no version 9"):
        diffed(lived, versions=(9,))
    with pytest.raises(UsageError, match="do not go together"):
        diffed(lived, versions=(1,), runs=("x",))


def test_blame_names_the_commit_of_each_row_by_what_the_table_keeps(
    project: Any, lived: Any
) -> None:
    made = project(LIVES)
    shutil.copytree(lived.path("people"), made.path("people"))
    table = f"delta.`{made.path('people')}`"
    made.spark.sql(f"optimize {table}").collect()
    wrote = {(None, 2), (1, 1), (2, 1), (5, 3)}

    def told() -> tuple[str, set[Any]]:
        found = blamed(made)
        assert all(one.is_exact for one in found.authors)
        return found.source, {(row.values["id"], row.version) for row in found.samples}

    assert told() == ("row tracking", wrote)
    made.spark.sql(f"alter table {table} set tblproperties (delta.enableRowTracking = false)")
    assert told() == ("change data feed", wrote)
    made.spark.sql(f"alter table {table} set tblproperties (delta.enableChangeDataFeed = false)")
    found = blamed(made, where="city = 'Rome'", limit=0)
    assert [(one.version, one.rows, one.is_exact) for one in found.authors] == [(5, 3, False)]
    text = blame_text(found)
    assert "3 rows where city = 'Rome'" in text
    assert "3 rows at the latest by version 5, OPTIMIZE" in text
    with pytest.raises(UsageError, match="--where 'town = 1': "):
        blamed(made, where="town = 1")


def test_files_are_told_on_a_thread_where_no_session_is_active(project: Any) -> None:
    made = project("")
    made.put("one", "select 1 as id")
    java: Any = getattr(made.spark._jvm, "org.apache.spark.sql.classic.SparkSession")

    def told() -> int:
        java.clearActiveSession()
        java.clearDefaultSession()
        return len(TableFiles(made.spark, made.path("one")).keys(0))

    try:
        with ThreadPoolExecutor(1) as pool:
            assert pool.submit(told).result() == 1
    finally:
        java.setDefaultSession(made.spark._jsparkSession)
