"""Folders put in the place of others by renames: all of them or none, and journaled."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import BackupError, UsageError
from pipelines.execution.backups.copies import sync_folder

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore


@dataclass(frozen=True)
class Swap:
    """One place, and what is to stand there.

    Attributes:
        path: the place.
        is_filled: whether something was staged for it; else nothing is to stand there.
    """

    path: str
    is_filled: bool

    @property
    def place(self) -> Path:
        """The place."""
        return Path(self.path)

    @property
    def staged(self) -> Path:
        """Where what is to stand there waits."""
        return Path(f"{self.path}.__restored")

    @property
    def aside(self) -> Path:
        """Where what stood there is kept until all is swapped."""
        return Path(f"{self.path}.__replaced")

    def forward(self) -> None:
        """Swaps; what was done of it before, by a process that was killed, stays."""
        if self.is_filled and not _is_there(self.staged):
            return
        if _is_there(self.place):
            self.place.rename(self.aside)
        if self.is_filled:
            self.staged.rename(self.place)
        _sync(self.place.parent)

    def back(self) -> None:
        """Undoes it, as far as it was done."""
        if self.is_filled and not _is_there(self.staged):
            self.place.rename(self.staged)
        if _is_there(self.aside):
            self.aside.rename(self.place)
        _sync(self.place.parent)


@dataclass(frozen=True)
class RestoreRecord:
    """A restore whose swaps were begun.

    Attributes:
        backup: the backup, absolute.
        began_at: when, UTC, ISO 8601.
        swaps: all of them.
    """

    backup: str
    began_at: str
    swaps: tuple[Swap, ...]


class RestoreJournal:
    """Word of the one restore that may be under way, beside a pipeline's checkpoint folder.

    Not in it: what is in there is swapped too.

    Args:
        files: where checkpoints are kept.
        path: the pipeline's checkpoint folder.
    """

    def __init__(self, files: FileStore, path: str) -> None:
        self._files, self._file = files, f"{path.rstrip('/')}.__restore.json"

    def open_record(self) -> RestoreRecord | None:
        """The restore that was begun and not ended; None where there is none."""
        text = self._files.read(self._file)
        if text is None:
            return None
        said = json.loads(text)
        return RestoreRecord(**{**said, "swaps": tuple(Swap(**one) for one in said["swaps"])})

    def begin(self, record: RestoreRecord) -> None:
        """Notes what is about to be swapped."""
        self._files.write(self._file, json.dumps(asdict(record), indent=1))

    def end(self) -> None:
        """All is swapped, or nothing."""
        self._files.remove(self._file)

    def refuse_if_open(self) -> None:
        """Raises UsageError while a restore is half done: tables do not fit one another then."""
        record = self.open_record()
        if record is not None:
            raise UsageError(
                f"a restore of {record.backup} was begun and not ended",
                where=self._file,
                hint=f"end it first: pipeline restore {record.backup}",
            )


def carry_out(record: RestoreRecord, journal: RestoreJournal) -> None:
    """Does the swaps of ``record``, then lets go of what stood there before.

    Raises:
        BackupError: one could not be done, and all are undone; or not all, which it says.
    """
    done: list[Swap] = []
    for swap in record.swaps:
        try:
            done.append(swap)
            swap.forward()
        except OSError as error:
            _undo(done, record, error)
            with suppress(OSError):  # they are in nobody's way, and the next restore clears them
                clear_staged(record.swaps)
            journal.end()
            raise BackupError(
                f"not restored, and all is as it was: {error.strerror}", where=swap.path
            ) from error
    for swap in record.swaps:
        _remove(swap.aside)
    journal.end()


def clear_staged(swaps: Iterable[Swap]) -> None:
    """Removes what waits to be swapped."""
    for swap in swaps:
        _remove(swap.staged)


def _undo(done: list[Swap], record: RestoreRecord, cause: OSError) -> None:
    failed = []
    for swap in reversed(done):
        try:
            swap.back()
        except OSError as error:
            failed.append(f"{swap.path}: {error.strerror}")
    if failed:
        raise BackupError(
            f"not restored ({cause.strerror}), and not all could be put back:\n      "
            + "\n      ".join(failed),
            hint=f"when that is mended: pipeline restore {record.backup}",
        ) from cause


def _is_there(path: Path) -> bool:
    return os.path.lexists(path)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _sync(folder: Path) -> None:
    if folder.is_dir():
        sync_folder(folder)
