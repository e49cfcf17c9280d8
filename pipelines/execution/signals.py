"""Signals to stop, and a closed terminal: the first ends the run in order, the next at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.errors import StepCancelledError

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Listens from entering to leaving; only the main thread can be asked to.

    Runs on other threads share what the main thread hears.

    Attributes:
        received: number of the signal that came; None while none has.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._is_starting = False
        self._stops: tuple[Callable[[], None], ...] = ()
        self._lock = threading.Lock()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Signals:
        """Begins to listen."""
        if threading.current_thread() is threading.main_thread():
            found = {number: signal.getsignal(number) for number in _WATCHED}
            # What the caller ignores, as `nohup` does, stays ignored.
            self._before = {n: told for n, told in found.items() if told is not signal.SIG_IGN}
            self.listen()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Listens no longer."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Listens again: PySpark's context puts a handler of its own in place."""
        for number in self._before:
            signal.signal(number, self._handle)

    @contextmanager
    def starting(self, *, is_needed: bool = True) -> Iterator[None]:
        """Lets the main thread start Spark, which only an interruption can end.

        Args:
            is_needed: whether Spark is still to be started; else any thread may ask.

        Raises:
            StepCancelledError: a signal came meanwhile, and there was nothing to stop.
        """
        self._is_starting = is_needed
        try:
            yield
        finally:
            self._is_starting = False
        if is_needed:
            self.listen()

    @contextmanager
    def stopping(self, stop: Callable[[], None]) -> Iterator[None]:
        """Calls ``stop``, on a thread of its own, when a signal comes, or at once if one has."""
        with self._lock:
            self._stops = (*self._stops, stop)
        try:
            if self.received is not None:
                stop()
            yield
        finally:
            with self._lock:
                self._stops = tuple(one for one in self._stops if one != stop)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        stops = self._stops  # whole without the lock, which this thread may hold
        if stops:
            for stop in stops:
                threading.Thread(target=stop, name="stop", daemon=True).start()
        elif self._is_starting:
            raise StepCancelledError("the run was stopped while Spark was starting")
