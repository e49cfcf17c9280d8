"""How long files are kept, told from a table's log as it lies on the disk."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.execution.maintenance import retention
from pipelines.execution.maintenance.retention import Retention, retention_of
from pipelines.plan.maintenance import Pin, TableWork
from pipelines.spec.policies import VacuumPolicy

HOUR = 3_600_000
NOW = 1_000 * HOUR
WEEK = 168


class Files:
    """What Spark would tell of the table's files."""

    oldest: int | None = None

    def __init__(self, _session: Any, _path: str) -> None:
        pass

    def tombstone_ms(self) -> int:
        return WEEK * HOUR

    def oldest_lost(self, _version: int, _newest: int) -> int | None:
        return self.oldest


@pytest.fixture(autouse=True)
def files(monkeypatch: pytest.MonkeyPatch) -> type[Files]:
    monkeypatch.setattr(retention, "TableFiles", Files)
    monkeypatch.setattr(Files, "oldest", None)
    return Files


def commit(table: Path, version: int, hours_ago: float, *removed_hours_ago: float) -> None:
    def at(hours: float) -> int:
        return int(NOW - hours * HOUR)

    actions: list[dict[str, Any]] = [
        {"remove": {"path": "part-0", "deletionTimestamp": at(hours)}}
        for hours in removed_hours_ago
    ]
    actions.append({"commitInfo": {"timestamp": at(hours_ago), "operation": "WRITE"}})
    file = table / f"_delta_log/{version:020d}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join(json.dumps(action) for action in actions))


def kept(table: Path, newest: int, *pins: int, least: float = 24) -> Retention:
    policy = VacuumPolicy(retain_hours=least)
    work = TableWork("t", str(table), True, policy, tuple(Pin(one, f"R{one}") for one in pins))
    return retention_of(None, work, newest, NOW)  # type: ignore[arg-type]


def test_a_pinned_version_when_superseded_then_files_removed_since_stay(tmp_path: Path) -> None:
    for version, hours in enumerate((90, 70, 50, 30)):
        commit(tmp_path, version, hours)
    assert kept(tmp_path, 3) == Retention(24)
    assert kept(tmp_path, 3, 3) == Retention(24)
    assert kept(tmp_path, 3, 2) == Retention(31, "R2 reads version 2")
    assert kept(tmp_path, 3, 2, 1) == Retention(51, "R1 reads version 1")
    assert kept(tmp_path, 3, 1, least=60) == Retention(60)


def test_a_removal_when_noted_before_its_commit_then_it_counts(tmp_path: Path) -> None:
    commit(tmp_path, 0, 90)
    commit(tmp_path, 1, 30, 34.5, 31)
    commit(tmp_path, 2, 20, 40)  # its job began before version 1 was there
    assert kept(tmp_path, 2, 1).hours == 41
    assert kept(tmp_path, 2, 0).hours == 41


def test_a_pin_when_older_than_delta_remembers_removals_then_the_files_age_decides(
    tmp_path: Path, files: type[Files], monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(tmp_path, 0, 400)
    commit(tmp_path, 1, WEEK - 2)
    assert kept(tmp_path, 1, 0).hours == WEEK - 1
    commit(tmp_path, 1, WEEK)
    assert kept(tmp_path, 1, 0) == Retention(24), "no file of it would be lost"
    monkeypatch.setattr(files, "oldest", NOW - 400 * HOUR)
    assert kept(tmp_path, 1, 0).hours == 401


def test_a_pin_when_its_log_is_gone_then_it_is_told_and_does_not_hold(tmp_path: Path) -> None:
    commit(tmp_path, 5, 90)
    commit(tmp_path, 6, 30)
    found = kept(tmp_path, 6, 2, 5, 9)
    assert (found.hours, found.held_by) == (31, "R5 reads version 5")
    assert found.lost == (
        "R2 reads version 2, which its log lacks",
        "R9 reads version 9, which is not there",
    )
