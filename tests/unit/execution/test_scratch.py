"""The scratch place: where it is, whose it is, and what is never emptied."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.execution.files import LocalFiles
from pipelines.execution.scratch import Scratch, choose_scratch
from pipelines.plan.small_run import SmallRun
from tests.fakes import FilesInMemory

CACHE = Path("/project/.cache")
EMPTY = SmallRun(empty=True)


def _chosen(small: SmallRun, *lakes: str) -> Scratch:
    named = list(zip(("dev", "prod"), lakes, strict=False))
    return choose_scratch(small, named, CACHE, "edfi")


def test_scratch_when_none_is_asked_for_then_is_in_the_cache_one_a_kind() -> None:
    empty = _chosen(EMPTY, "/lake")
    assert empty.root == "/project/.cache/scratch/edfi/dev-empty"
    assert empty.base_path == f"{empty.root}/lakehouse"
    both = _chosen(SmallRun(sample=0.01, clone_from="pr/od"), "/lake", "/prod")
    assert both.root == "/project/.cache/scratch/edfi/dev-sample-0.01-clone-of-pr-od"


def test_scratch_when_the_lakehouse_is_remote_then_is_beside_its_tables() -> None:
    chosen = _chosen(EMPTY, "s3a://bucket/lake/")
    assert chosen.root == "s3a://bucket/lake/_scratch/edfi/dev-empty"
    assert chosen.folder == CACHE / "scratch/edfi/dev-empty"
    assert chosen.lock_file.parent == chosen.folder


def test_scratch_when_spark_works_on_many_machines_then_is_where_all_of_them_find_it() -> None:
    chosen = choose_scratch(EMPTY, [("prod", "/mnt/lake")], CACHE, "edfi", is_one_machine=False)
    assert chosen.root == "/mnt/lake/_scratch/edfi/prod-empty"
    assert chosen.folder == Path(chosen.root)


def test_scratch_when_asked_for_then_is_there() -> None:
    asked = SmallRun(empty=True, scratch="/elsewhere/")
    assert _chosen(asked, "s3a://bucket/lake").base_path == "/elsewhere/lakehouse"


@pytest.mark.parametrize("lakes", [("/a/lakehouse",), ("/b", "/a/lakehouse/prod")])
def test_scratch_when_a_lakehouse_lies_in_it_then_is_refused(lakes: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match="would be the scratch place"):
        _chosen(SmallRun(empty=True, scratch="/a"), *lakes)


def test_make_when_it_is_made_again_then_only_its_tables_are_removed() -> None:
    scratch = Scratch("/s", Path("/s"), "edfi", "dev", "empty")
    files = FilesInMemory()
    scratch.make(files, goes_on=False)
    files.texts |= {"/s/lakehouse/bronze/x": "row", "/s/logs/run.json": "{}"}
    scratch.make(files, goes_on=True)
    assert "/s/lakehouse/bronze/x" in files.texts
    scratch.make(files, goes_on=False)
    assert set(files.texts) == {"/s/_scratch.json", "/s/logs/run.json"}


def test_make_when_something_else_stands_there_then_nothing_is_removed(tmp_path: Path) -> None:
    table = tmp_path / "lakehouse" / "bronze"
    table.mkdir(parents=True)
    scratch = Scratch(str(tmp_path), tmp_path, "edfi", "dev", "empty")
    with pytest.raises(UsageError, match="no small run has made what stands in it"):
        scratch.make(LocalFiles(), goes_on=False)
    assert table.is_dir()
    table.rmdir()
    table.parent.rmdir()
    scratch.make(LocalFiles(), goes_on=False)
    table.mkdir(parents=True)
    scratch.make(LocalFiles(), goes_on=False)
    assert not table.parent.exists()


def test_check_when_a_run_of_another_kind_is_to_go_on_then_says_whose_it_is() -> None:
    files = FilesInMemory()
    Scratch("/s", Path("/s"), "edfi", "dev", "sample 100").make(files, goes_on=False)
    other = Scratch("/s", Path("/s"), "edfi", "dev", "sample 1000")
    with pytest.raises(UsageError, match="was made for edfi, dev, sample 100"):
        other.check(files, goes_on=True)
    other.check(files, goes_on=False)
