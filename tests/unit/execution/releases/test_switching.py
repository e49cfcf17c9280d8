"""Manifests of releases: what readers find, whatever dies when."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pipelines.errors import ReleaseError
from pipelines.execution.releases import views
from pipelines.execution.releases.store import ReleaseStore, Standing
from pipelines.execution.releases.switching import Releases
from pipelines.results import Release, ReleasedTable
from tests.fakes import FilesInMemory

FOLDER = "/lake/_releases/toy/gold"


def release(name: str, version: int = 1, schema: str = "", table: str = "people") -> Release:
    tables = (ReleasedTable(f"gold.g.{table}", table, f"/lake/{table}", table, version),)
    return Release(name, "toy", "gold", "test", name, "b1", "2026-11-25", schema, tables)


class Shown:
    """Stands for the metastore: what was shown, and a death in the middle where asked for."""

    def __init__(self) -> None:
        self.shown: list[tuple[str | None, str | None]] = []
        self.dies = False

    def __call__(self, _session: Any, before: Any, now: Any, _base: str) -> None:
        if self.dies:
            raise OSError("the metastore went down")
        names = [one.release_id for one in before]
        self.shown.append((names[0] if names else None, now and now.release_id))


@pytest.fixture
def metastore(monkeypatch: pytest.MonkeyPatch) -> Shown:
    shown = Shown()
    monkeypatch.setattr(views, "show_views", shown)
    return shown


@pytest.fixture
def files() -> FilesInMemory:
    return FilesInMemory()


@pytest.fixture
def releases(files: FilesInMemory) -> Releases:
    def no_spark() -> Any:
        raise AssertionError("Spark was asked for")

    return Releases(ReleaseStore(files, "/lake", "toy"), no_spark)


def publish(releases: Releases, *made: Release) -> None:
    for one in made:
        releases.store.save(one)
        releases.switch("gold", Standing(one, "now", f"run {one.run_id}"))


def test_a_reader_when_something_is_released_then_finds_all_in_one_file(
    releases: Releases, files: FilesInMemory
) -> None:
    publish(releases, release("R1"), release("R2", 2))
    said = json.loads(files.texts[f"{FOLDER}/current.json"])
    assert said["release_id"] == "R2"
    assert said["tables"][0]["relative_path"] == "people"
    assert said["tables"][0]["version"] == 2
    assert [one.release_id for one in releases.store.releases("gold")] == ["R2", "R1"]
    assert releases.store.current("gold").release == release("R2", 2)


def test_a_reader_when_the_storage_goes_down_then_still_sees_the_release_before(
    releases: Releases, files: FilesInMemory
) -> None:
    publish(releases, release("R1"))
    releases.store.save(release("R2", 2))
    files.breaks_at = "between"
    with pytest.raises(OSError, match="went down"):
        releases.switch("gold", Standing(release("R2", 2)))
    assert releases.store.current("gold").release_id == "R1"


def test_views_when_changing_them_is_broken_off_then_the_next_call_does_the_rest(
    files: FilesInMemory, metastore: Shown
) -> None:
    releases = Releases(ReleaseStore(files, "/lake", "toy"), lambda: None)  # type: ignore[arg-type,return-value]
    publish(releases, release("R1", schema="bi"))
    metastore.dies = True
    with pytest.raises(OSError, match="metastore"):
        publish(releases, release("R2", 2, schema="bi"))
    assert releases.store.current("gold").release_id == "R1"

    metastore.dies = False
    assert releases.settle("gold")
    assert releases.store.current("gold").release_id == "R2"
    assert metastore.shown == [(None, "R1"), ("R1", "R2")]
    assert not releases.settle("gold")


def test_a_rollback_when_views_are_half_way_to_what_goes_then_they_go_back_and_not_forward(
    files: FilesInMemory, metastore: Shown
) -> None:
    releases = Releases(ReleaseStore(files, "/lake", "toy"), lambda: None)  # type: ignore[arg-type,return-value]
    publish(releases, release("R1", schema="bi"))
    metastore.dies = True
    with pytest.raises(OSError, match="metastore"):
        publish(releases, release("R2", 2, schema="bi"))
    metastore.dies = False
    releases.withdraw({"/lake/people": 2}, "rollback-1", "then")
    assert metastore.shown[-1] == ("R1", "R1")
    assert releases.store.current("gold").release_id == "R1"
    assert releases.store.open_switch("gold") is None


def test_going_back_when_done_then_what_was_left_is_remembered_until_gone_forward(
    releases: Releases,
) -> None:
    publish(releases, release("R1"), release("R2", 2), release("R3", 3))
    releases.go_back("gold", release("R1"), "then")
    standing = releases.store.current("gold")
    assert (standing.release_id, standing.taken_back) == ("R1", ("R2", "R3"))
    releases.go_back("gold", release("R3", 3), "then")
    assert releases.store.current("gold").taken_back == ()


def test_a_rollback_of_a_run_when_its_versions_are_released_then_they_are_withdrawn(
    releases: Releases, files: FilesInMemory
) -> None:
    publish(releases, release("R1"), release("R2", 2), release("R3", 3))
    releases.withdraw({"/lake/people": 2}, "rollback-1", "then")
    standing = releases.store.current("gold")
    assert (standing.release_id, standing.set_by) == ("R1", "rollback-1")
    assert [one.release_id for one in releases.store.releases("gold")] == ["R1"]
    assert json.loads(files.texts[f"{FOLDER}/withdrawn/R3.json"])["withdrawn_by"] == "rollback-1"

    releases.withdraw({"/lake/people": 0}, "rollback-2", "then")
    assert releases.store.current("gold").release is None
    assert json.loads(files.texts[f"{FOLDER}/current.json"])["tables"] == []


def test_a_rollback_of_a_run_when_readers_do_not_see_it_then_they_see_the_same(
    releases: Releases,
) -> None:
    publish(releases, release("R1"), release("R2", 2))
    releases.go_back("gold", release("R1"), "then")
    releases.withdraw({"/lake/people": 2}, "rollback-1", "later")
    assert releases.store.current("gold").release_id == "R1"
    assert releases.store.current("gold").since == "then"
    releases.withdraw({"/lake/other": 0}, "rollback-2", "later")
    assert [one.release_id for one in releases.store.releases("gold")] == ["R1"]


def test_a_release_when_another_went_back_to_was_bad_too_then_it_is_not_chosen(
    releases: Releases,
) -> None:
    publish(releases, release("R1"), release("R2", 2), release("R3", 3), release("R4", 4))
    standing = releases.store.current("gold")
    releases.store.point("gold", replace(standing, taken_back=("R3",)))
    releases.withdraw({"/lake/people": 4}, "rollback-1", "then")
    assert releases.store.current("gold").release_id == "R2"


def test_a_manifest_when_changed_by_hand_then_it_is_told_which(
    releases: Releases, files: FilesInMemory
) -> None:
    publish(releases, release("R1"))
    files.texts[f"{FOLDER}/current.json"] = "{}"
    with pytest.raises(ReleaseError) as broken:
        releases.store.current("gold")
    assert broken.value.where == f"{FOLDER}/current.json"
