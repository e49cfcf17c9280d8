"""Releases and maintenance on real Delta tables: what readers see, and what must not go."""

from __future__ import annotations

import json
import shutil
from datetime import timedelta
from typing import Any

import pytest

from pipelines.audited import roll_back
from pipelines.errors import LockHeldError
from pipelines.execution.lock import RunLock
from pipelines.execution.releases.store import ReleaseStore
from pipelines.maintained import maintain
from pipelines.plan.small_run import SmallRun
from pipelines.prepared import Options, PreparedFlow
from pipelines.released import ReleasedFlow
from pipelines.results import utc_now

CONFIG = """
default_environment: test
environments:
  test:
    base_path: lake
    metadata: {enabled: false}
    spark: {conf: {spark.sql.catalogImplementation: hive}}
"""
FLOW = """\
pipeline:
  name: toy
  default_retry: {attempts: 1}
  maintenance: {keep: {releases: 1}}
  stages:
    - name: stage
      publish: {schema: reporting}
      groups:
        - name: group
          steps:
            - name: people
              source: {type: delta, path: "{{ base_path }}/given", query: sql/people.sql}
              destination: {path: "{{ base_path }}/people"}
              dq_checks: [dq/few.sql]
            - name: cities
              depends_on: [people]
              source: {type: delta, query: sql/cities.sql}
              destination: {path: "{{ base_path }}/cities"}
"""
FILES = {
    "pipelines/pipelines_config.yaml": CONFIG,
    "pipelines/flows/main_flow.yaml": FLOW,
    "sql/people.sql": "select id, city from people",
    "sql/cities.sql": "select city, count(*) as people from people group by city",
    "dq/few.sql": "-- expect: value < 3\nselect count(*) as value from people",
}


def given(made: Any, *cities: str) -> None:
    rows = ", ".join(f"({number}, '{city}')" for number, city in enumerate(cities))
    made.put("given", f"select * from values {rows} as t(id, city)")


def seen(made: Any, table: str) -> list[Any]:
    """What readers of the metastore see of a column."""
    return sorted(
        row.city for row in made.spark.sql(f"select city from reporting.{table}").collect()
    )


def current(made: Any) -> dict[str, Any]:
    file = made.root / "lake/_releases/toy/stage/current.json"
    said: dict[str, Any] = json.loads(file.read_text())
    return said


def maintained(made: Any, *, is_well: bool = True, **more: Any) -> Any:
    prepared = PreparedFlow("main_flow", Options(project_dir=made.root))
    done = maintain(prepared, spark=made.spark, **more)
    assert done.is_well is is_well, done.as_dict()
    return {table.name.split(".")[-1]: table for table in done.tables}


@pytest.fixture
def made(project: Any) -> Any:
    made = project(files=FILES)
    yield made
    made.spark.sql("drop schema if exists reporting cascade")


def test_readers_when_a_later_run_fails_its_checks_then_go_on_with_what_was_released(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    given(made, "Rome")
    assert made.run(small=SmallRun(empty=True)).result.releases == ()
    first = made.run()
    (told,) = first.result.releases
    assert (told.status, told.tables) == (
        "released",
        {"stage.group.people": 0, "stage.group.cities": 0},
    )
    (again,) = made.run().result.releases  # all is checkpointed
    assert (again.status, again.release_id) == ("stands", told.release_id)

    given(made, "Rome", "Oslo", "Bern")
    bad = made.run(batch_id="b2").result
    assert bad.exit_code == 3
    (held,) = bad.as_dict()["releases"]
    assert (held["status"], held["release_id"]) == ("held_back", told.release_id)
    assert "stage.group.people ended as dq_failed" in held["reason"]
    assert seen(made, "people") == ["Rome"]

    given(made, "Rome", "Oslo")
    with monkeypatch.context() as patch:
        patch.setattr(ReleaseStore, "point", _dies)  # after the views, before the file that says so
        broken = made.pipeline(batch_id="b3")
        broken.spark = made.spark
        result = broken.run()
    assert (result.exit_code, result.releases[0].status) == (1, "failed")
    assert current(made)["release_id"] == told.release_id
    (mended,) = made.run(batch_id="b3").result.releases
    assert (mended.status, mended.release_id) == ("stands", result.run.run_id)
    assert current(made)["release_id"] == result.run.run_id
    assert seen(made, "people") == seen(made, "cities") == ["Oslo", "Rome"]

    readers = ReleasedFlow(PreparedFlow("main_flow", Options(project_dir=made.root)), made.spark)
    readers.roll_back()
    assert seen(made, "people") == ["Rome"]
    (back,) = made.run(batch_id="b3").result.releases
    assert (back.status, back.release_id) == ("held_back", told.release_id)
    assert "was taken back" in back.reason


@pytest.mark.long
def test_a_rollback_when_the_run_is_released_then_it_is_withdrawn_also_after_maintenance(
    made: Any,
) -> None:
    given(made, "Rome")
    first = made.run().result.run.run_id
    given(made, "Rome", "Oslo")
    made.spark.conf.set("spark.sql.shuffle.partitions", "2")
    second = made.run(batch_id="b2").result.run.run_id
    made.spark.sql(f"insert into delta.`{made.path('cities')}` values ('none', 0)").collect()

    with (
        RunLock(PreparedFlow("main_flow", Options(project_dir=made.root)).lock_file, {}),
        pytest.raises(LockHeldError),
    ):
        maintained(made)
    assert maintained(made, is_dry=True)["cities"].files_joined == 2
    assert maintained(made)["cities"].files_joined == 2
    assert made.commits("cities")[0] == "OPTIMIZE"
    assert {one.release_id for one in _releases(made)} == {second}, "one is kept"

    options = Options(project_dir=made.root)
    done = roll_back(second, options, spark=made.spark, force=True)
    assert done.plan.releases == (("stage", second),)
    assert (made.rows("people"), made.rows("cities")) == ([(0, "Rome")], [("Rome", 1)])
    assert current(made)["release_id"] is None
    assert made.spark.sql("show views in reporting").collect() == []
    assert first != second

    (told,) = made.run(batch_id="b2").result.releases
    assert told.status == "released"
    assert seen(made, "people") == ["Oslo", "Rome"]


@pytest.mark.long
def test_vacuum_when_a_release_or_the_newest_batch_reads_old_files_then_they_stay(
    made: Any,
) -> None:
    flow = FLOW.replace("{keep:", "{vacuum: {retain_hours: 0}, keep:")
    own = '/people", maintenance: {vacuum: {allow_short: true}}}'
    made.write("pipelines/flows/main_flow.yaml", flow.replace('/people"}', own))
    given(made, "Rome")
    made.run()
    made.put("people", "select 7 as id, 'Nowhere' as city")  # by somebody else
    made.put("people", "select 8 as id, 'Nowhere' as city")
    pinned = made.rows("people", versionAsOf="0")

    tables = maintained(made, is_well=False)
    assert "retention" in tables["cities"].errors[0], "Delta's own check refuses none at all"
    kept = tables["people"]
    assert kept.errors == ()
    assert "reads version 0" in kept.held_by
    assert kept.files_deleted == 0
    assert made.rows("people", versionAsOf="0") == pinned

    # Once nobody reads them any more: the batch and the release are gone.
    for left in ("_checkpoints/toy/b1", "_releases"):
        shutil.rmtree(made.path(left))
    later = utc_now() + timedelta(hours=1)
    dry = maintained(made, is_well=False, is_dry=True, now=lambda: later)["people"]
    assert (dry.files_deleted, dry.held_by) == (2, "")
    maintained(made, is_well=False, now=lambda: later)
    with pytest.raises(Exception, match=r"FILE_NOT_EXIST|does not exist|FileNotFound"):
        made.rows("people", versionAsOf="0")


@pytest.mark.long
def test_an_edited_step_when_its_table_was_optimized_since_then_its_write_is_undone_all_the_same(
    made: Any,
) -> None:
    given(made, "Rome")
    made.run()
    given(made, "Rome", "Oslo")
    made.run(batch_id="b2")
    made.spark.sql(f"optimize delta.`{made.path('people')}`").collect()
    made.write("sql/people.sql", "select id, upper(city) as city from people")
    assert made.run(batch_id="b2").statuses == {"people": "success", "cities": "success"}
    assert made.rows("people") == [(0, "ROME"), (1, "OSLO")]


def _dies(*_: Any) -> None:
    raise OSError("the storage went down")


def _releases(made: Any) -> Any:
    prepared = PreparedFlow("main_flow", Options(project_dir=made.root))
    return ReleasedFlow(prepared, made.spark).known()[0]["stage"]
