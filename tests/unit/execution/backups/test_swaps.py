"""Folders swapped by renames: all or none, whatever dies or breaks in between."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from pipelines.errors import BackupError, UsageError
from pipelines.execution.backups.swaps import RestoreJournal, RestoreRecord, Swap, carry_out
from pipelines.execution.files import LocalFiles
from pipelines.execution.half_done import refuse_half_done

OLD = {"a/f": "old a", "b/f": "old b", "gone/f": "old"}
NEW = {"a/f": "new a", "b/f": "new b", "added/f": "new"}


class Killed(BaseException):
    """The process ends here; nothing of ours catches it."""


def texts(root: Path) -> dict[str, str]:
    files = (file for file in root.rglob("f") if file.is_file())
    return {str(file.relative_to(root)): file.read_text() for file in files}


def prepared(root: Path) -> tuple[RestoreRecord, RestoreJournal]:
    """What a restore has staged and noted when it begins to swap."""
    swaps = [Swap(str(root / name), name != "gone") for name in ("a", "added", "b", "gone")]
    for name, text in OLD.items():
        file = root / name
        file.parent.mkdir(parents=True)
        file.write_text(text)
    for swap in swaps:
        if swap.is_filled:
            swap.staged.mkdir(parents=True)
            (swap.staged / "f").write_text(NEW[f"{swap.place.name}/f"])
    journal = RestoreJournal(LocalFiles(), str(root / "_checkpoints/toy"))
    record = RestoreRecord("/backups/one", "now", tuple(swaps))
    journal.begin(record)
    return record, journal


def breaks_at(patch: pytest.MonkeyPatch, number: int, error: BaseException, then: bool) -> None:
    """Lets the rename of that number break, before it is done or right after."""
    rename, count = Path.rename, [0]

    def broken(self: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] == number and not then:
            raise error
        done = rename(self, target)
        if count[0] == number:
            raise error
        return done

    patch.setattr(Path, "rename", broken)


@pytest.mark.parametrize("then", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("number", range(1, 7))
def test_a_restore_when_killed_at_a_rename_then_the_same_again_ends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, then: bool
) -> None:
    record, journal = prepared(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        breaks_at(patch, number, Killed(), then)
        carry_out(record, journal)
    with pytest.raises(UsageError) as refused:
        refuse_half_done(LocalFiles(), str(tmp_path / "_checkpoints/toy"))
    assert refused.value.hint == "end it first: pipeline restore /backups/one"
    left = journal.open_record()
    assert left == record
    carry_out(left, journal)
    assert texts(tmp_path) == NEW
    assert journal.open_record() is None


@pytest.mark.parametrize("number", range(1, 7))
def test_a_restore_when_a_rename_is_refused_then_all_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    record, journal = prepared(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(BackupError, match="all is as it was"):
        breaks_at(patch, number, OSError(errno.EACCES, "Permission denied"), then=False)
        carry_out(record, journal)
    assert texts(tmp_path) == OLD
    refuse_half_done(LocalFiles(), str(tmp_path / "_checkpoints/toy"))


def test_a_restore_when_it_cannot_be_put_back_either_then_it_says_so_and_stays_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, journal = prepared(tmp_path)
    rename, count = Path.rename, [0]

    def refused(self: Path, target: Path) -> Path:
        count[0] += 1
        if count[0] > 3:
            raise OSError(errno.EACCES, "Permission denied")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(BackupError, match="not all could be put back"):
            carry_out(record, journal)
    assert journal.open_record() == record
    carry_out(record, journal)
    assert texts(tmp_path) == NEW
