"""What the runs of one process share: signals, the session's end, and turns at tables."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.execution.lock import Hold

if TYPE_CHECKING:
    from pipelines.execution.signals import Signals
    from pipelines.spec.steps import Destination


class Turns:
    """Turns at tables, for runs side by side.

    Delta lets only one of two writes that replace rows of a table through where they overlap in
    time; the other would have to begin again, and might never win. Appends, and windows that are
    partitions, do not meet.
    """

    def __init__(self) -> None:
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def at(self, destination: Destination) -> AbstractContextManager[object]:
        """Waits for the turn to write to ``destination``, and holds it until it is left."""
        folders = [name.lower() for name in destination.partition_by]
        is_apart = (destination.window_column or "").lower() in folders
        if destination.path is None or destination.mode == "append" or is_apart:
            return nullcontext()
        with self._lock:
            return self._turns.setdefault(destination.path, threading.Lock())


@dataclass(frozen=True)
class Together:
    """What the runs of one process share.

    Attributes:
        stack: stops the session that one of them starts, when all are done.
        signals: heard by the main thread for all of them.
        turns: taken where they run side by side; None where they run one after another.
        hold: of the run lock.
    """

    stack: ExitStack
    signals: Signals
    turns: Turns | None = None
    hold: Hold = field(default_factory=Hold)
