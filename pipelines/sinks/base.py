"""The one thing that every sink does: it takes the events of a run as they come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pipelines.results import Event


class Sink(Protocol):
    """Takes the events of one run, in order, from one thread.

    A sink may raise: the engine reports it once and goes on, since a sink never fails a run.
    """

    def handle(self, event: Event) -> None:
        """Takes ``event``; the last one of a run is ``RunFinished``."""
