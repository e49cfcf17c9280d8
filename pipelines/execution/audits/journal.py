"""The journal of a rollback: what it set out to do, kept until it is done or undone."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from pipelines.errors import UsageError
from pipelines.plan.rollback import TableUndo
from pipelines.plan.table_commits import TableCommit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pipelines.execution.files import FileStore


@dataclass(frozen=True)
class RollbackRecord:
    """A rollback that was begun.

    Attributes:
        rollback_id: names it, and stamps its commits.
        run_id: the run that it rolls back.
        began_at: when, UTC, ISO 8601.
        undos: what is done to each table.
        markers: texts of the checkpoint markers that it takes away, by path.
    """

    rollback_id: str
    run_id: str
    began_at: str
    undos: tuple[TableUndo, ...]
    markers: Mapping[str, str] = field(default_factory=dict)


class RollbackJournal:
    """Word of the one rollback that may be under way, beside the checkpoints of a pipeline.

    Args:
        files: where checkpoints are kept.
        path: the pipeline's checkpoint folder.
    """

    def __init__(self, files: FileStore, path: str) -> None:
        self._files, self._path = files, path.rstrip("/")

    def open_record(self) -> RollbackRecord | None:
        """The rollback that was begun and not ended; None where there is none."""
        text = self._files.read(self._open_file)
        if text is None:
            return None
        said = json.loads(text)
        undos = tuple(
            TableUndo(**{**undo, "undone": tuple(TableCommit(**one) for one in undo["undone"])})
            for undo in said["undos"]
        )
        return RollbackRecord(**{**said, "undos": undos})

    def begin(self, record: RollbackRecord) -> None:
        """Notes what is about to be done."""
        self._files.write(self._open_file, json.dumps(asdict(record), indent=1))

    def end(self, record: RollbackRecord, *, finished_at: str, is_done: bool) -> None:
        """Puts the note with those of earlier rollbacks, done or undone."""
        outcome = "rolled back" if is_done else "undone"
        said = {**asdict(record), "finished_at": finished_at, "outcome": outcome}
        kept = f"{self._path}/_rollbacks/{record.rollback_id}.json"
        self._files.write(kept, json.dumps(said, indent=1))
        self._files.remove(self._open_file)

    def refuse_if_open(self) -> None:
        """Raises UsageError while a rollback is half done: tables do not fit one another then."""
        record = self.open_record()
        if record is not None:
            raise UsageError(
                f"a rollback of run {record.run_id} was begun and not ended",
                where=self._open_file,
                hint=f"end it first: pipeline rollback {record.run_id}",
            )

    @property
    def _open_file(self) -> str:
        return f"{self._path}/_rollback.json"
