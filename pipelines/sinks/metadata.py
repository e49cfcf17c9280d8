"""The Delta tables that record runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.results import Event, RunFinished

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.utils.metadata_logger import MetadataLogger


class MetadataSink:
    """Records a run when it has ended.

    Args:
        logger: writes the tables.
        redact: takes secrets out of messages.
    """

    def __init__(self, logger: MetadataLogger, redact: Callable[[str], str] = str) -> None:
        self._logger, self._redact = logger, redact

    def handle(self, event: Event) -> None:
        """Writes at the end of the run."""
        if isinstance(event, RunFinished):
            self._logger.write(event.result.as_dict(), self._redact)
