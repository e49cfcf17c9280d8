"""What keeps a run from starting: a rollback, a restore or an erasure begun and not ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.execution.audits.forget_journal import ForgetJournal
from pipelines.execution.audits.journal import RollbackJournal
from pipelines.execution.backups.swaps import RestoreJournal

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore

_JOURNALS = (RollbackJournal, RestoreJournal, ForgetJournal)


def refuse_half_done(files: FileStore, path: str, *, but: type[Any] | None = None) -> None:
    """Raises UsageError while the tables of the pipeline with checkpoints at ``path`` do not fit.

    The message says what ends that.

    Args:
        files: where checkpoints are kept.
        path: the checkpoint folder.
        but: the journal of which the caller sees to by itself.
    """
    for journal in _JOURNALS:
        if journal is not but:
            journal(files, path).refuse_if_open()
