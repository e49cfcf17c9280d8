"""The run lock: one run of a pipeline on a lakehouse at a time."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import LockHeldError, StorageError

if TYPE_CHECKING:
    from types import TracebackType


class RunLock:
    """A file that the operating system locks for as long as this process lives.

    A process that dies, however, frees it; nothing stale can block.

    Args:
        file: the lock's file; made where it is missing.
        holder: who is asking, as others shall read it.
    """

    def __init__(self, file: Path, holder: Mapping[str, Any]) -> None:
        self._file, self._holder = file, dict(holder)
        self._handle: int | None = None

    def __enter__(self) -> RunLock:
        """Takes the lock.

        Raises:
            LockHeldError: another run has it; names the run, its process and since when.
            StorageError: its file cannot be written.
        """
        try:
            return self._taken()
        except OSError as error:
            raise StorageError.of(error, self._file) from error

    def _taken(self) -> RunLock:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self._file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            said = _read_holder(handle)
            os.close(handle)
            who = ", ".join(f"{key} {value}" for key, value in said.items()) or "unknown"
            raise LockHeldError(
                f"another run of this pipeline is at work: {who}",
                where=str(self._file),
                hint="wait for it, or stop that process",
            ) from None
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, json.dumps(self._holder).encode(), 0)
        except OSError:
            os.close(handle)
            raise
        self._handle = handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Frees the lock."""
        if self._handle is not None:
            os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None


def _read_holder(handle: int) -> dict[str, Any]:
    try:
        said = json.loads(os.pread(handle, 10_000, 0) or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
