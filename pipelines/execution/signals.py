"""Signals to stop, and a closed terminal: the first ends the run in order, the next at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pipelines.errors import StepCancelledError

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Signals:
    """Listens from entering to leaving; only the main thread can be asked to.

    Attributes:
        received: number of the signal that came; None while none has.
        stop: called, on a thread of its own, when one comes; while there is nothing to call,
            the main thread is interrupted where ``is_starting``.
        is_starting: whether the main thread is starting Spark, which nothing else can end.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self.stop: Callable[[], None] | None = None
        self.is_starting = False
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

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = number
        if self.stop is not None:
            threading.Thread(target=self.stop, name="stop", daemon=True).start()
        elif self.is_starting:
            raise StepCancelledError("the run was stopped while Spark was starting")
