"""The run lock: one run of a pipeline on a lakehouse at a time, on this machine and on others."""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import LockHeldError, StorageError
from pipelines.execution.files import LocalFiles, is_local
from pipelines.execution.lease import Lease, LeaseFiles, RenewedLease

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


class Hold:
    """What a process holds of a lakehouse: this machine's lock, and a lease where others reach it.

    Args:
        make_lease: the lease on a storage; None where this machine's lock is enough.
    """

    def __init__(self, make_lease: Callable[[LeaseFiles], Lease] | None = None) -> None:
        self._make_lease = make_lease
        self._lease: RenewedLease | None = None
        self._one = threading.Lock()

    @property
    def is_open(self) -> bool:
        """Whether a lease is still to be taken."""
        return self._make_lease is not None and self._lease is None

    def take(self, files: LeaseFiles, stack: ExitStack) -> None:
        """Takes the lease, if there is to be one and it is not taken yet, until ``stack`` ends.

        Raises:
            LockHeldError: another machine has it.
        """
        with self._one:
            if self._make_lease is not None and self._lease is None:
                self._lease = stack.enter_context(RenewedLease(self._make_lease(files)))

    @property
    def why_lost(self) -> str:
        """Why it does not hold any more, without a look at the storage; empty while it does."""
        return self._lease.why_lost if self._lease is not None else ""

    def refuse_if_lost(self) -> None:
        """Nothing, if no other run can be at work: to be asked right before each commit.

        Raises:
            LockLostError: one can.
        """
        if self._lease is not None:
            self._lease.refuse_if_lost()


@contextmanager
def held(
    file: Path, folder: str, lease_seconds: float | None, holder: Mapping[str, Any]
) -> Iterator[Hold]:
    """Holds the lock of this machine, and with it a lease where there is to be one.

    A lease on a storage that only Spark reaches is still to be taken.

    Args:
        file: of this machine's lock.
        folder: of the lease.
        lease_seconds: how long it holds; None: there is to be none.
        holder: who is asking, as others shall read it.

    Raises:
        LockHeldError: another one has it.
    """

    def lease(files: LeaseFiles) -> Lease:
        return Lease(files, folder, holder, seconds=lease_seconds or 0)

    with ExitStack() as stack:
        stack.enter_context(RunLock(file, holder))
        hold = Hold(lease if lease_seconds is not None else None)
        if is_local(folder):
            hold.take(LocalFiles(), stack)
        yield hold


def _read_holder(handle: int) -> dict[str, Any]:
    try:
        said = json.loads(os.pread(handle, 10_000, 0) or b"{}")
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}
