"""A lock on storage that several machines share: its holder has to renew it, or loses it.

Each holding is a file of its own, `000007.json`, which only one can create; the highest number
counts, so that nobody ever removes or overwrites what another has made. Whether one is still
renewed is told by the storage's own clock: the time of change of its file, and that of a file that
is written to compare. The clocks of the machines need only go equally fast.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.errors import LockHeldError, LockLostError
from pipelines.results import utc_now, utc_text

if TYPE_CHECKING:
    from types import TracebackType

_NAME = re.compile(r"(\d{6,})\.json")
_MARGIN_SECONDS = 2.0
"""Storages tell times of change in whole seconds."""


class LeaseFiles(Protocol):
    """The storage that leases are on."""

    def read(self, path: str) -> str | None:
        """The text at ``path``; None where there is no file."""

    def create(self, path: str, text: str) -> bool:
        """Puts ``text`` at ``path`` and gives True; False where there is a file already."""

    def put(self, path: str, text: str) -> None:
        """Puts ``text`` at ``path``, whatever is there."""

    def remove(self, path: str) -> None:
        """Deletes a file."""

    def names(self, folder: str) -> list[str]:
        """The names of what is in ``folder``; none where there is no such folder."""

    def modified_seconds(self, path: str) -> float | None:
        """When a file was changed last, by the storage's clock; None where there is none."""


def awake_seconds() -> float:
    """Seconds that only grow, also while the machine sleeps, where it can tell."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


@dataclass(frozen=True)
class _Said:
    """What a file of a lease says; of one that cannot be read nothing but that it is there."""

    token: str = ""
    holder: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    renewals: int = 0
    is_released: bool = False


class Lease:
    """The lease in a folder, taken, renewed, asked for and given back by one holder.

    Args:
        files: the storage.
        folder: of the lease; made where it is missing.
        holder: who is asking, as others shall read it.
        seconds: for which it holds after it was renewed last.
        clock: seconds that only grow.
    """

    def __init__(
        self,
        files: LeaseFiles,
        folder: str,
        holder: Mapping[str, Any],
        *,
        seconds: float,
        clock: Callable[[], float] = awake_seconds,
    ) -> None:
        self._files, self.folder = files, folder.rstrip("/")
        self._holder, self.seconds, self._clock = dict(holder), seconds, clock
        self._token, self._number, self._renewals = uuid.uuid4().hex, 0, 0
        self._until, self._why_lost = 0.0, ""
        self._writing = threading.Lock()

    def take(self) -> None:
        """Takes the lease, without waiting.

        Raises:
            LockHeldError: another one has it; names it, and how long it has at most if it is dead.
            OSError: the storage cannot be reached.
        """
        began = self._clock()
        before, said = self._newest()
        if said is not None and not said.is_released:
            left = self._seconds_left(before, said)
            if left > 0:
                raise self._held(said, left)
        if not self._files.create(self._path(before + 1), self._text()):
            raise self._held(self._read(before + 1), self.seconds)
        self._number, self._until = before + 1, began + self.seconds
        # Its holder may have renewed it since: then one of us sees what the other has done.
        if said is not None and self._read(before) != said:
            self.release()
            raise self._held(said, said.seconds)
        try:
            self._confirm()
        except LockLostError:
            raise self._held(self._newest()[1] or _Said(), self.seconds) from None
        for number in self._numbers():
            if number < self._number:
                self._files.remove(self._path(number))

    def renew(self) -> None:
        """Renews the lease.

        Raises:
            LockLostError: its time was up, or another one has it.
            OSError: the storage cannot be reached; it holds until its time is up.
        """
        began = self._clock()
        self._refuse_if_over()
        self._confirm()
        self._renewals += 1
        with self._writing:
            self._files.put(self._path(self._number), self._text())
            self._confirm()
        self._until = began + self.seconds

    def refuse_if_lost(self) -> None:
        """Nothing, if nobody else can hold it now.

        Raises:
            LockLostError: its time is up, or another one has it.
        """
        self._refuse_if_over()
        # Not while our own file is being written: a storage may show it empty then.
        if not self._writing.acquire(timeout=max(self._until - self._clock(), 0)):
            self._refuse_if_over()
            return
        try:
            self._confirm()
        except LockLostError:
            raise
        except Exception:  # it does not answer; until our time is up nobody else takes the lease
            self._refuse_if_over()
        finally:
            self._writing.release()

    @property
    def why_lost(self) -> str:
        """Why it does not hold any more, without a look at the storage; empty while it does."""
        if not self._why_lost and self._clock() >= self._until:
            self._why_lost = f"it could not be renewed for {self.seconds:g} s"
        return self._why_lost

    def release(self) -> None:
        """Gives it back, if it still holds; others need not wait then."""
        if self._number and not self.why_lost:
            self._files.put(self._path(self._number), self._text(is_released=True))
            self._why_lost = "it was given back"

    def _refuse_if_over(self) -> None:
        if self.why_lost:
            raise LockLostError(
                f"the run lock was lost: {self.why_lost}; nothing more is written",
                where=self.folder,
                hint="run it again: it goes on where it stopped",
            )

    def _confirm(self) -> None:
        """Nothing, if ours is the newest and still as we made it."""
        number, said = self._newest()
        if number != self._number or said is None or said.token != self._token:
            who = _words(said.holder) if said is not None else "unknown"
            self._why_lost = self._why_lost or f"another one has taken it: {who}"
            self._refuse_if_over()

    def _seconds_left(self, number: int, said: _Said) -> float:
        """How long a holding may still be valid, by the storage's clock."""
        probe = f"{self.folder}/probe-{self._token}"
        self._files.put(probe, "")
        try:
            now = self._files.modified_seconds(probe)
            then = self._files.modified_seconds(self._path(number))
        finally:
            self._files.remove(probe)
        seconds = said.seconds or self.seconds
        if now is None or then is None:
            return seconds
        return seconds + _MARGIN_SECONDS - (now - then)

    def _held(self, said: _Said, left: float) -> LockHeldError:
        return LockHeldError(
            f"another run of this pipeline is at work: {_words(said.holder)}",
            where=self.folder,
            hint=f"wait for it, or stop it; if it is dead, its lease ends in {max(left, 1):.0f} s",
        )

    def _newest(self) -> tuple[int, _Said | None]:
        numbers = self._numbers()
        return (numbers[-1], self._read(numbers[-1])) if numbers else (0, None)

    def _numbers(self) -> list[int]:
        found = (_NAME.fullmatch(name) for name in self._files.names(self.folder))
        return sorted(int(one[1]) for one in found if one is not None)

    def _read(self, number: int) -> _Said:
        try:
            said = json.loads(self._files.read(self._path(number)) or "")
            return _Said(
                str(said["token"]),
                dict(said["holder"]),
                float(said["lease_seconds"]),
                int(said["renewals"]),
                bool(said["is_released"]),
            )
        except (ValueError, KeyError, TypeError):
            return _Said()

    def _text(self, *, is_released: bool = False) -> str:
        said = {
            "token": self._token,
            "holder": self._holder,
            "lease_seconds": self.seconds,
            "renewals": self._renewals,
            "expires_at": utc_text(utc_now() + timedelta(seconds=self.seconds)),  # for people
            "is_released": is_released,
        }
        return json.dumps(said)

    def _path(self, number: int) -> str:
        return f"{self.folder}/{number:06d}.json"


class RenewedLease:
    """A lease that a thread renews from entering to leaving.

    Args:
        lease: the lease.
        every_seconds: how often; else three times as often as it needs.
    """

    def __init__(self, lease: Lease, every_seconds: float | None = None) -> None:
        self._lease, self._over = lease, threading.Event()
        self._every_seconds = every_seconds or lease.seconds / 3
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)

    def __enter__(self) -> RenewedLease:
        """Takes the lease.

        Raises:
            LockHeldError: another one has it.
            LockLostError: the storage refuses.
        """
        try:
            self._lease.take()
        except LockHeldError:
            raise
        except Exception as error:
            raise LockLostError(
                f"the run lock cannot be taken: {error}",
                where=self._lease.folder,
                hint="this user has to be able to write there, beside the checkpoints",
            ) from error
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Gives it back."""
        self._over.set()
        self._thread.join(timeout=self._lease.seconds)
        with suppress(Exception):  # a storage that does not answer any more: it ends by itself
            self._lease.release()

    @property
    def why_lost(self) -> str:
        """Why it does not hold any more; empty while it does."""
        return self._lease.why_lost

    def refuse_if_lost(self) -> None:
        """Raises LockLostError where it does not hold any more, by the storage too."""
        self._lease.refuse_if_lost()

    def _beat(self) -> None:
        wait = self._every_seconds
        while not self._over.wait(wait) and not self._lease.why_lost:
            try:
                self._lease.renew()
                wait = self._every_seconds
            except LockLostError:
                return  # whoever asks is told
            except Exception:  # the storage does not answer: tried again until the time is up
                wait = self._lease.seconds / 10


def _words(holder: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in holder.items()) or "unknown"
