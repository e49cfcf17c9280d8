"""A person erased from every table of a flow, and not brought back by what runs next."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.audited import forget, roll_back
from pipelines.errors import RollbackError, UsageError
from pipelines.execution.audits import forget as erasing
from pipelines.execution.files import LocalFiles
from pipelines.execution.releases.store import ReleaseStore
from pipelines.prepared import Options, PreparedFlow

WHO = "canary-4711"
HEAD = """
privacy:
  subject:
    keys: {uid: [people], usi: [people], hk: [hub]}
    columns: {seats: {pupil: usi}}
    skip: [kept]
"""
FLOW = """
    - name: people
      source:
        {type: delta, path: "{{ base_path }}/given", incremental: {column: ver}}
      destination: {path: "{{ base_path }}/people", mode: scd1, keys: [usi]}
    - name: hub
      depends_on: [people]
      source: {type: delta, query: sql/hub.sql}
      destination: {path: "{{ base_path }}/hub", mode: insert_new, keys: [hk]}
    - name: seats
      depends_on: [people]
      source: {type: delta, query: sql/seats.sql}
      destination: {path: "{{ base_path }}/seats"}
    - name: kept
      depends_on: [people]
      source: {type: delta, query: "select count(*) as usi from people"}
      destination: {path: "{{ base_path }}/kept"}
    - name: facts
      depends_on: [hub, people]
      source: {type: delta, query: sql/facts.sql}
      destination: {path: "{{ base_path }}/facts", mode: scd1, keys: [hk]}
"""
FILES = {
    "sql/hub.sql": (
        "select distinct sha2(trim(uid), 256) as hk, trim(uid) as uid from people__changes "
        "where _change_type <> 'delete'"
    ),
    "sql/seats.sql": "select usi as pupil, city from people",
    "sql/facts.sql": (
        "select hk, max(city) as city from hub inner join people on hub.uid = trim(people.uid) "
        "group by hk"
    ),
}
ROWS = f"(1, '{WHO}', 'Paris', 10), (2, 'other', 'Rome', 11), (3, ' {WHO} ', 'Oslo', 12)"
VECTORS = "spark.databricks.delta.properties.defaults.enableDeletionVectors"
TABLES = ("people", "hub", "seats", "facts")


@pytest.fixture
def made(project: Any) -> Any:
    made = project(FLOW, HEAD, files=FILES)
    made.put("given", f"select * from values {ROWS} as t(usi, uid, city, ver)")
    return made


def erased(made: Any, value: str = WHO, key: str = "uid", **more: Any) -> Any:
    prepared = PreparedFlow("main_flow", Options(project_dir=made.root))
    return forget(prepared, key, value, spark=made.spark, **more)


def rows(made: Any) -> dict[str, int]:
    return {name: len(made.rows(name)) for name in TABLES}


def counts(erasure: Any) -> dict[str, int]:
    return {one.step.rpartition(".")[2]: one.rows for one in erasure.plan.tables}


def test_person_is_erased_from_every_table_and_stays_so(
    made: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    made.spark.conf.set(VECTORS, "true")
    try:
        made.run()
    finally:
        made.spark.conf.unset(VECTORS)
    before = rows(made)
    looked = erased(made, dry_run=True)
    expected = {"people": 2, "hub": 1, "seats": 2, "facts": 1}
    assert (looked.is_done, counts(looked), rows(made)) == (False, expected, before)
    assert dict(looked.plan.found) == {"uid": 1, "usi": 2, "hk": 1}
    assert looked.plan.without == ("stage.group.kept",)
    assert erased(made, agree=lambda plan: plan.rows == 0).declined
    assert rows(made) == before

    done = erased(made)
    left = {name: before[name] - gone for name, gone in expected.items()}
    assert (done.is_done, counts(done), rows(made)) == (True, expected, left)
    log = json.loads(Path(done.log).read_text(encoding="utf-8"))
    assert [(one["step"], one["rows"]) for one in log["tables"]][-1] == ("stage.group.people", 2)
    for name in TABLES:
        newest = made.log(name).commit(made.log(name).version())
        assert newest.user_metadata["forget_id"] == done.forget_id
        files = made.spark.read.format("delta").load(made.path(name)).inputFiles()
        assert WHO not in str(made.spark.read.parquet(*files).collect())
    left_behind = [*made.root.rglob("_delta_log/*.json"), *made.root.rglob("logs/**/*.json")]
    told = [file.read_text(encoding="utf-8") for file in left_behind]
    of_erasure = [text for text in told if done.forget_id in text]
    assert len(of_erasure) > len(TABLES)
    assert WHO not in "".join((*of_erasure, *capfd.readouterr()))
    assert log["value_sha256"] in "".join(of_erasure)

    assert not erased(made).is_done  # nothing is left to erase
    again = made.run()
    assert set(again.statuses.values()) == {"checkpointed"}
    made.put("given", "select 4 as usi, 'new' as uid, 'Bern' as city, 13 as ver", mode="append")
    made.run(batch_id="b2")
    assert rows(made) == {name: number + 1 for name, number in left.items()}


@pytest.mark.long
def test_erasure_that_is_killed_is_ended_by_the_same_words_and_no_others(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    made.run()
    whole, real = rows(made), erasing._erase

    def kill(session: Any, held: Any, *rest: Any) -> None:
        if held.table.name == "hub":
            raise KeyboardInterrupt
        real(session, held, *rest)

    monkeypatch.setattr(erasing, "_erase", kill)
    with pytest.raises(KeyboardInterrupt):
        erased(made)
    monkeypatch.undo()
    assert rows(made)["people"] == whole["people"]
    assert rows(made)["seats"] < whole["seats"]

    with pytest.raises(UsageError, match="was begun and not ended"):
        made.run(batch_id="b2")
    with pytest.raises(UsageError, match="was begun and not ended"):
        erased(made, "other")
    done = erased(made)
    assert done.went_on
    assert counts(done) == {"people": 2, "hub": 1, "seats": 2, "facts": 1}
    assert rows(made) == {"people": 1, "hub": 1, "seats": 1, "facts": 1}
    assert made.run(batch_id="b2").result.exit_code == 0


def test_batch_that_goes_on_after_an_erasure_reads_no_older_version(made: Any) -> None:
    made.write("sql/facts.sql", "select hk, raise_error('no') as city from hub")
    assert made.run().statuses["facts"] == "failed"
    erased(made)
    made.write("sql/facts.sql", FILES["sql/facts.sql"])
    made.marker("people").unlink()  # as if killed between commit and marker
    made.run()
    assert rows(made) == {"people": 1, "hub": 1, "seats": 1, "facts": 1}


@pytest.mark.long
def test_erasure_is_not_undone_by_a_rollback_not_even_by_force(made: Any) -> None:
    run_id = made.run().result.run.run_id
    done = erased(made, "1", key="usi")
    left = rows(made)
    with pytest.raises(RollbackError, match=f"erasure {done.forget_id} has committed") as refused:
        roll_back(run_id, Options(project_dir=made.root), force=True, spark=made.spark)
    assert "--force" not in str(refused.value)
    assert rows(made) == left


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [("uidd", "1", "did you mean 'uid'"), ("uid", " ", "no value was given")],
)
def test_words_that_name_nobody_are_refused(made: Any, key: str, value: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        erased(made, value, key=key)


@pytest.mark.long
def test_releases_follow_the_erasure_and_older_ones_are_withdrawn(
    made: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    flow = made.root / "pipelines/flows/main_flow.yaml"
    text = flow.read_text(encoding="utf-8")
    flow.write_text(text.replace("- name: stage\n", "- name: stage\n      publish: true\n"))
    made.run(batch_id="b1")
    made.put("given", f"select 1 as usi, '{WHO}' as uid, 'Lyon' as city, 13 as ver", mode="append")
    made.run(batch_id="b2")
    store = ReleaseStore(LocalFiles(), str(made.root / "lake"), "toy")
    newest, oldest = store.releases("stage")
    assert store.current("stage").release == newest

    def kill(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(ReleaseStore, "save", kill)
        erased(made)
    done = erased(made)
    assert (done.went_on, done.is_well) == (True, True)

    shown = store.current("stage").release
    assert shown is not None
    assert [one.release_id for one in store.releases("stage")] == [newest.release_id]
    assert shown == store.releases("stage")[0] != newest
    for table in shown.tables:
        reader = made.spark.read.format("delta").option("versionAsOf", table.version)
        told = reader.load(table.place(store.base_path)).collect()
        assert len(told) == len(made.rows(table.name))
        assert WHO not in str(told)
    assert (made.root / f"lake/_releases/toy/stage/withdrawn/{oldest.release_id}.json").exists()
    again = made.run(batch_id="b2").result
    assert again.exit_code == 0
    assert store.current("stage").release == shown
