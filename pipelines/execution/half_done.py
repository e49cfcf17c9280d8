"""What keeps a run from starting: a rollback or a restore that was begun and not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.execution.audits.journal import RollbackJournal
from pipelines.execution.backups.swaps import RestoreJournal

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore


def refuse_half_done(files: FileStore, path: str) -> None:
    """Raises UsageError while the tables of the pipeline with checkpoints at ``path`` do not fit.

    The message says what ends that.
    """
    RollbackJournal(files, path).refuse_if_open()
    RestoreJournal(files, path).refuse_if_open()
