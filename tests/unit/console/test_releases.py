"""Releases and maintenance as people read them."""

from __future__ import annotations

from pipelines.console import maintenance_text, release_list_text, stage_releases_text
from pipelines.results import StageRelease
from pipelines.results.maintenance import Maintained, TableMaintained


def test_outcomes_when_told_then_each_says_what_readers_see_and_why() -> None:
    told = stage_releases_text(
        (
            StageRelease("gold", "released", "R2", "", {"a": 1, "b": 2}, "reporting"),
            StageRelease("mart", "stands", "R1", "no views"),
            StageRelease("raw", "held_back", "R1", "s.g.t ended as failed"),
            StageRelease("new", "held_back", "", "the run was stopped"),
        )
    )
    assert told.splitlines() == [
        "gold released: R2, 2 tables, views in reporting",
        "mart stands as released: R1 (no views)",
        "raw not released: s.g.t ended as failed; readers go on with R1",
        "new not released: the run was stopped",
    ]


def test_a_stage_when_all_was_withdrawn_then_the_list_says_that_readers_see_nothing() -> None:
    assert release_list_text({"gold": []}, {"gold": ""}) == "gold  (readers see nothing)"


def test_maintenance_when_told_then_says_what_went_who_holds_files_and_what_failed() -> None:
    tables = (
        TableMaintained("s.g.a", "/a", True, 12, 1, 7, 200, "release R1 reads version 3"),
        TableMaintained("s.g.b", "/b", errors=("optimized: the disk is full",)),
        TableMaintained("s.g.c", "/c", is_there=False),
        TableMaintained("s.g.d", "/d", notes=("batch b reads version 1, which its log lacks",)),
    )
    done = Maintained("m", False, tables, (("gold", "R0"),), ("b1", "b2"), ())
    text = maintenance_text(done, width=120, color=False)
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "s.g.a ✓ ok 12 files into 1 7 files 200" in lines
    assert "s.g.b ✗ failed - - -" in lines
    assert "s.g.c - not there" in lines
    assert "✗ s.g.b optimized: the disk is full" in lines
    assert "! s.g.d batch b reads version 1, which its log lacks" in lines
    assert "s.g.a files stay longer: release R1 reads version 3" in lines
    assert lines[-2:] == ["1 release gone: gold R0", "2 batches gone: b1, b2"]
    assert not done.is_well
