"""What a table's log says of its commits, and which of them still count."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

HARMLESS = frozenset({"OPTIMIZE", "VACUUM START", "VACUUM END", "REORG", "COMPUTE STATS"})
"""Operations that move rows between files, and change none."""
FORGET_ID = "forget_id"
"""In the stamp of a commit: that it erased a person, and must not be undone."""


@dataclass(frozen=True)
class TableCommit:
    """One commit of a table, as its log tells it; empty words where it does not.

    Attributes:
        version: that it made.
        operation: Delta's word.
        run_id: the run that made it; empty for a foreign writer.
        batch_id: the run's batch.
        step: the step's id.
        forget_id: the erasure of a person that made it; empty for all others.
        restored_to: for a RESTORE the version that it went back to; None if it does not tell.
    """

    version: int
    operation: str
    run_id: str = ""
    batch_id: str = ""
    step: str = ""
    forget_id: str = ""
    restored_to: int | None = None

    @property
    def writer(self) -> str:
        """Who made it, for people."""
        if self.forget_id:
            return f"erasure {self.forget_id}"
        return f"run {self.run_id}" if self.run_id else "a foreign writer"


@dataclass(frozen=True)
class TableFacts:
    """What is known of a table that a run wrote.

    Attributes:
        step: id of the step that writes it.
        path: where it is.
        commits: newest first, back to before the run.
        is_there: whether there is a table.
    """

    step: str
    path: str
    commits: tuple[TableCommit, ...]
    is_there: bool = True


def standing(commits: Sequence[TableCommit], at: int | None = None) -> Iterator[TableCommit]:
    """The commits that count for version ``at``, newest first, less what a RESTORE undid.

    Args:
        commits: newest first.
        at: a version; None is the newest.

    They end at a RESTORE that does not tell where it went back to.
    """
    limit = at
    for commit in commits:
        if limit is not None and commit.version > limit:
            continue
        if commit.operation == "RESTORE":
            if commit.restored_to is None:
                return
            limit = commit.restored_to
            continue
        yield commit
