"""How many things a run does at once: its steps, and checks where those leave room."""

from __future__ import annotations

import threading
from typing import Final

DEFAULT_THREADS: Final = 4


class Slots:
    """Counts what is at work; safe for threads.

    Steps take a slot each, as many as the scheduler starts. What only makes a step faster takes
    one that no step has.

    Args:
        limit: things at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._taken = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Takes a slot for a step."""
        with self._lock:
            self._taken += 1

    def take_spare(self) -> bool:
        """Takes a slot if one is left."""
        with self._lock:
            is_left = self._taken < self.limit
            self._taken += is_left
        return is_left

    def give_back(self) -> None:
        """Lets go of a slot."""
        with self._lock:
            self._taken -= 1

    @property
    def are_short(self) -> bool:
        """Whether steps have begun that a slot taken before is missing for."""
        return self._taken > self.limit
