"""The journal of a rollback comes back as it was written, and says when it is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import UsageError
from pipelines.execution.audits.journal import RollbackJournal, RollbackRecord
from pipelines.execution.files import LocalFiles
from pipelines.plan.rollback import TableUndo
from pipelines.plan.table_commits import TableCommit

RECORD = RollbackRecord(
    "rollback-1",
    "r1",
    "2026-11-23T00:00:00Z",
    (TableUndo("s.g.t", "/lake/t", 2, None, (TableCommit(0, "WRITE", "r1", "b1", "s.g.t"),)),),
    {"/lake/_checkpoints/b1/s.g.t.json": "{}"},
)


def test_an_open_rollback_is_read_as_it_was_begun_and_refuses_others(tmp_path: Path) -> None:
    journal = RollbackJournal(LocalFiles(), str(tmp_path))
    journal.refuse_if_open()
    journal.begin(RECORD)
    assert journal.open_record() == RECORD
    with pytest.raises(UsageError, match="a rollback of run r1 was begun and not ended") as told:
        journal.refuse_if_open()
    assert told.value.hint == "end it first: pipeline rollback r1"


def test_an_ended_rollback_is_kept_with_its_outcome(tmp_path: Path) -> None:
    journal = RollbackJournal(LocalFiles(), str(tmp_path))
    journal.begin(RECORD)
    journal.end(RECORD, finished_at="2026-11-23T00:01:00Z", is_done=False)
    assert journal.open_record() is None
    assert '"outcome": "undone"' in (tmp_path / "_rollbacks/rollback-1.json").read_text()
