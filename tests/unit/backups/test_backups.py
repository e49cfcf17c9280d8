"""Backups and restores of a small lakehouse by the command line: tables, files, checkpoints."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arro3.core import Array, DataType, Table
from deltalake import DeltaTable, write_deltalake

from pipelines.errors import StorageError
from pipelines.execution.backups import copies
from pipelines.execution.files import LocalFiles
from pipelines.execution.lock import RunLock
from pipelines.run_pipeline import main

CONFIG = """\
default_environment: test
environments:
  test: {base_path: lake}
  far: {base_path: "s3a://bucket/lake"}
  spare: {base_path: spare}
"""
FLOW = """\
pipeline:
  name: toy
  stages:
    - name: bronze
      publish: true
      groups:
        - name: load
          steps:
            - name: people
              source: {type: csv, path: in/people}
              destination: {path: "{{ base_path }}/bronze/people", mode: append}
            - name: later
              source: {type: csv, path: in/people}
              destination: {path: "{{ base_path }}/bronze/later"}
            - name: report
              source: {type: csv, path: in/people}
              destination: {path: "{{ base_path }}/report", format: csv}
"""
CHECKPOINTS = "_checkpoints/toy"
RELEASES = "_releases/toy/bronze"


def commit(path: Path, *ids: int) -> None:
    rows = Table.from_pydict({"id": Array(list(ids), type=DataType.int64())})
    write_deltalake(str(path), rows, mode="append")


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


class Lakehouse:
    """A project and its lakehouse after a run of batch `b1`."""

    def __init__(self, root: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.root, self.lake, self._capsys = root, root / "lake", capsys
        put(root / "pipelines/pipelines_config.yaml", CONFIG)
        put(root / "pipelines/flows/main_flow.yaml", FLOW)
        commit(self.lake / "bronze/people", 1, 2)
        commit(self.lake / "_metadata/pipeline_runs", 1)
        put(self.lake / "report/part-0.csv", "1")
        put(self.lake / "report/_stamp.json", "{}")
        inputs = {f"{self.lake}/given": 3, "/elsewhere": 1}
        put(self.lake / CHECKPOINTS / "b1/_batch.json", json.dumps({"inputs": inputs}))
        put(self.lake / CHECKPOINTS / "b1/bronze.load.people.json", "{}")
        put(self.lake / CHECKPOINTS / "_intervals.json", "{}")
        put(self.lake / CHECKPOINTS / ".lock", "")
        put(self.lake / RELEASES / "current.json", "{1}")

    def next_run(self) -> None:
        """What a run of batch `b2` leaves."""
        commit(self.lake / "bronze/people", 3)
        commit(self.lake / "bronze/later", 9)
        commit(self.lake / "_metadata/pipeline_runs", 2)
        put(self.lake / "report/part-0.csv", "2")
        put(self.lake / "report.__previous/part-0.csv", "1")
        put(self.lake / CHECKPOINTS / "b2/_batch.json", "{}")
        put(self.lake / CHECKPOINTS / "_intervals.json", "{2}")
        put(self.lake / RELEASES / "r2.json", "{2}")
        put(self.lake / RELEASES / "current.json", "{2}")

    def state(self, lake: Path | None = None) -> dict[str, Any]:
        """All that the lakehouse holds; of tables version and files."""
        lake = lake or self.lake
        files = sorted(one for one in lake.rglob("*") if one.is_file() and one.name != ".lock")
        return {str(file.relative_to(lake)): file.read_bytes() for file in files}

    def call(self, *words: str, code: int = 0) -> str:
        """What a command says that ends with ``code``."""
        with pytest.raises(SystemExit) as ended:
            main([*words, "--project-dir", str(self.root)])
        told = self._capsys.readouterr()
        assert ended.value.code == code, told
        return told.out + told.err

    def backup(self, *words: str) -> Path:
        before = set(self.backups())
        self.call("backup", "--to", str(self.root / "backups"), *words)
        return next(one for one in self.backups() if one not in before)

    def backups(self) -> list[Path]:
        """All that stands in the folder of backups, hidden ones too."""
        place = self.root / "backups"
        return sorted(place.iterdir()) if place.is_dir() else []


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Lakehouse:
    return Lakehouse(tmp_path, capsys)


def test_a_restore_in_place_gives_back_all_but_the_record_of_runs(made: Lakehouse) -> None:
    before = made.state()
    taken = made.backup()
    made.next_run()
    runs = {name: data for name, data in made.state().items() if name.startswith("_metadata")}
    assert "restored" in made.call("restore", str(taken), "--yes")
    kept = {name: data for name, data in before.items() if not name.startswith("_metadata")}
    assert made.state() == {**kept, **runs}
    assert (made.lake / CHECKPOINTS / ".lock").exists()


def test_a_restore_to_an_empty_place_gives_the_same_and_batches_read_there(
    made: Lakehouse,
) -> None:
    before, place = made.state(), made.root / "new/lake"
    taken = made.backup()
    made.call("restore", str(taken), "--to", str(place))
    after, record = made.state(place), f"{CHECKPOINTS}/b1/_batch.json"
    assert json.loads(after.pop(record)) == {"inputs": {f"{place}/given": 3, "/elsewhere": 1}}
    assert after == {name: data for name, data in before.items() if name != record}
    assert DeltaTable(str(place / "bronze/people")).version() == 0
    assert "it is not empty" in made.call("restore", str(taken), "--to", str(place), code=2)


def test_a_restore_into_another_environment_fills_the_lakehouse_of_that(made: Lakehouse) -> None:
    made.call("restore", str(made.backup()), "--yes", "--env", "spare")
    assert made.state(made.root / "spare").keys() == made.state().keys()


def test_a_restore_when_a_table_is_not_in_the_backup_then_it_stays_and_is_told(
    made: Lakehouse,
) -> None:
    taken = made.backup()
    flow = made.root / "pipelines/flows/main_flow.yaml"
    flow.write_text(flow.read_text().replace("bronze/later", "bronze/added"))
    commit(made.lake / "bronze/added", 1)
    told = made.call("restore", str(taken), "--yes")
    assert f"! {made.lake}/bronze/added is not in the backup and stays" in told
    assert (made.lake / "bronze/added").exists()


def test_a_second_backup_links_what_has_not_changed(made: Lakehouse) -> None:
    first = made.backup()
    made.next_run()
    second = made.backup()

    def same(name: str) -> bool:
        return (first / "lakehouse" / name).samefile(second / "lakehouse" / name)

    assert same("bronze/people/_delta_log/00000000000000000000.json")
    assert same(f"{CHECKPOINTS}/b1/bronze.load.people.json")
    assert not same("report/part-0.csv")
    assert not same(f"{CHECKPOINTS}/_intervals.json")
    assert not (first / "lakehouse/report/part-0.csv").samefile(made.lake / "report/part-0.csv")
    for one in (first, second):
        assert "all as they were taken" in made.call("backup", "--verify", str(one))
    full = made.backup("--full")
    log = "lakehouse/bronze/people/_delta_log/00000000000000000000.json"
    assert not (full / log).samefile(second / log)


def test_the_manifest_says_versions_rows_and_hashes(made: Lakehouse) -> None:
    made.next_run()
    said = json.loads((made.backup() / "manifest.json").read_text())
    parts = {part["name"]: part for part in said["parts"]}
    people = parts["bronze.load.people"]
    assert (people["version"], people["rows"], len(people["files"])) == (1, 3, 4)
    assert {len(file["sha256"]) for part in said["parts"] for file in part["files"]} == {64}
    assert parts["bronze.load.report (previous)"]["is_there"]
    assert not parts["bronze.load.report (staged)"]["is_there"]
    assert (said["pipeline"], said["environment"]) == ("toy", "test")


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-1] + b"x"), "has another content"),
        (lambda file: file.write_bytes(b""), "has 0 bytes instead of"),
        (lambda file: file.unlink(), "is missing"),
        (lambda file: put(file.with_name("more"), ""), "more is not of the backup"),
    ],
    ids=["changed", "cut off", "gone", "added"],
)
def test_a_damaged_backup_is_told_and_a_restore_of_it_touches_nothing(
    made: Lakehouse, damage: Callable[[Path], object], told: str
) -> None:
    taken = made.backup()
    made.next_run()
    before = made.state()
    file = next((taken / "lakehouse/bronze/people").glob("*.parquet"))
    damage(file)
    assert told in made.call("backup", "--verify", str(taken), code=1)
    assert told in made.call("restore", str(taken), "--dry-run", code=1)
    if told in ("has another content", "has 0 bytes instead of"):
        assert "the backup is damaged" in made.call("restore", str(taken), "--yes", code=1)
        made.call("restore", str(taken), "--to", str(made.root / "new"), code=1)
    assert made.state() == before
    assert not (made.root / "new").exists()


def test_a_backup_when_the_disk_is_full_then_nothing_is_left_of_it(
    made: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = made.backup()

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    made.next_run()
    with monkeypatch.context() as patch:
        patch.setattr(copies.os, "fsync", full)  # type: ignore[attr-defined]
        told = made.call("backup", "--to", str(made.root / "backups"), code=1)
        assert "No space left on device" in told
        assert "make room there" in told
        before = made.state()
        assert "all is as it was" in made.call("restore", str(first), "--yes", code=1)
    assert made.state() == before
    assert made.backups() == [first]


def test_a_restore_when_its_journal_cannot_be_written_then_nothing_is_left_beside_the_tables(
    made: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = made.backup()
    made.next_run()
    before = made.state()

    def refused(self: LocalFiles, path: str, text: str) -> None:
        raise StorageError("No space left on device", where=path)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "write", refused)
        assert "No space left" in made.call("restore", str(taken), "--yes", code=1)
    assert made.state() == before
    assert not list(made.lake.rglob("*.__restored"))


def test_a_backup_when_an_earlier_one_was_killed_then_that_is_none_and_is_cleared_away(
    made: Lakehouse,
) -> None:
    first = made.backup()
    left = first.with_name(f".{first.name}.partial")
    first.rename(left)
    assert "no backup" in made.call("restore", str(made.root / "backups"), "--yes", code=1)
    second = made.backup()
    assert made.backups() == [second]
    told = made.call("backup", "--verify", str(made.root / "backups"), code=1)
    assert f"the newest is {second}" in told


def test_a_run_at_work_keeps_backups_and_restores_away(made: Lakehouse) -> None:
    taken = made.backup()
    with RunLock(made.lake / CHECKPOINTS / ".lock", {"run_id": "r1"}):
        assert "run_id r1" in made.call("backup", "--to", str(made.root / "b2"), code=4)
        assert "run_id r1" in made.call("restore", str(taken), "--yes", code=4)
    assert not (made.root / "b2").exists()


def test_a_restore_that_was_begun_keeps_runs_and_backups_away_until_the_same_words_end_it(
    made: Lakehouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, taken = made.state(), made.backup()
    other = made.backup()
    made.next_run()
    rename, count = Path.rename, [0]

    def killed(self: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] > 3:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", killed)
        made.call("restore", str(taken), "--yes", code=130)
    hint = f"end it first: pipeline restore {taken}"
    assert hint in made.call("run", code=2)
    assert hint in made.call("backup", "--to", str(made.root / "backups"), code=2)
    assert hint in made.call("restore", str(other), "--yes", code=2)
    assert "as an earlier call had begun" in made.call("restore", str(taken), "--yes")
    kept = {name for name in made.state() if not name.startswith("_metadata")}
    assert kept == {name for name in before if not name.startswith("_metadata")}


def test_a_backup_when_a_rollback_is_half_done_then_is_refused(made: Lakehouse) -> None:
    record = {"rollback_id": "x", "run_id": "r1", "began_at": "", "undos": [], "markers": {}}
    LocalFiles().write(str(made.lake / CHECKPOINTS / "_rollback.json"), json.dumps(record))
    told = made.call("backup", "--to", str(made.root / "backups"), code=2)
    assert "pipeline rollback r1" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["backup"], "a backup takes --to DIR, or --verify BACKUP"),
        (["backup", "--to", "{root}/lake/backups"], "backups would be in the lakehouse itself"),
        (["backup", "--to", "{root}/b", "--env", "far"], "not on this machine's file system"),
        (["restore", "{taken}"], "give --yes"),
    ],
)
def test_what_cannot_be_is_refused(made: Lakehouse, words: list[str], told: str) -> None:
    taken = made.backup()
    given = [word.format(root=made.root, taken=taken) for word in words]
    assert told in made.call(*given, code=2)


def test_a_backup_of_another_pipeline_is_not_put_back(made: Lakehouse) -> None:
    taken = made.backup()
    flow = made.root / "pipelines/flows/main_flow.yaml"
    flow.write_text(flow.read_text().replace("name: toy", "name: other"))
    assert "is of pipeline 'toy', the flow is 'other'" in made.call(
        "restore", str(taken), "--yes", code=2
    )


def test_a_table_outside_of_the_lakehouse_goes_back_to_where_it_was_only(made: Lakehouse) -> None:
    outside = made.root / "outside/people"
    flow = made.root / "pipelines/flows/main_flow.yaml"
    flow.write_text(flow.read_text().replace("{{ base_path }}/bronze/people", str(outside)))
    shutil.copytree(made.lake / "bronze/people", outside)
    taken = made.backup()
    commit(outside, 7)
    told = made.call("restore", str(taken), "--to", str(made.root / "new"), code=2)
    assert "was outside of the lakehouse" in told
    made.call("restore", str(taken), "--yes", "--env", "spare", code=2)
    made.call("restore", str(taken), "--yes")
    assert DeltaTable(str(outside)).version() == 0
