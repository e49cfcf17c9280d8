"""Which commits of a Delta table a step made in its batch, and whether they may be taken back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pipelines.errors import DestinationError
from pipelines.plan.table_commits import FORGET_ID, HARMLESS

if TYPE_CHECKING:
    from pipelines.execution.checkpoints import BatchRecord
    from pipelines.utils.sql_runner import Commit, DeltaLog

_CLOCK_SKEW_MS = 24 * 60 * 60 * 1000
"""A batch's commits may seem older than the batch: by so much if a fast clock was set right."""


class OwnCommits:
    """One step's commits of one batch, told by what the engine stamped on them.

    Args:
        log: of the table.
        step_id: whose commits.
        batch: in which they were made.
        path: of the table, for errors.
    """

    def __init__(self, log: DeltaLog, step_id: str, batch: BatchRecord, path: str) -> None:
        self._log, self._path = log, path
        self._batch, self._mark = batch, (batch.batch_id, step_id)

    def of_batch(self) -> list[Commit]:
        """All that stand, newest first; those of earlier runs of the batch too."""
        own: list[Commit] = []
        for commit in self._log.standing():
            if commit.timestamp_ms < self._batch.started_at_ms - _CLOCK_SKEW_MS:
                break
            if self._is_own(commit):
                own.append(commit)
        return own

    def since(self, version: int | None) -> list[Commit]:
        """Those after a version that stand, newest first; None is before the first version."""
        return self._own_of(self._log.standing(after=-1 if version is None else version))

    def just_made(self, version: int | None) -> list[Commit]:
        """The same right after a write of this process, which needs no look at the disk for it."""
        newest = self._log.version_known()
        after = -1 if version is None else version
        return self._own_of(self._log.standing(after=after, newest=newest))

    def _own_of(self, commits: Iterable[Commit]) -> list[Commit]:
        return [commit for commit in commits if self._is_own(commit)]

    def newest_after_erasures(self, version: int) -> int:
        """``version``, or the newest where all that came since it erased persons."""
        since = list(self._log.standing(after=version))
        return since[0].version if since and all(map(_is_erasure, since)) else version

    def refuse_to_take_back(self, own: Sequence[Commit]) -> None:
        """An error where going back to before ``own``, newest first, would undo more than those.

        Raises:
            DestinationError: names the commit of another writer that would be lost, or the
                erasure of a person whom it would bring back.
        """
        since = list(self._log.standing(after=own[-1].version))
        for commit in since:
            if _is_erasure(commit):
                raise DestinationError(
                    f"cannot undo version {own[0].version}: version {commit.version} erased a "
                    f"person ({commit.user_metadata[FORGET_ID]}), whom this would bring back",
                    where=self._path,
                    hint="run it again with --no-resume, or as another batch",
                )
        for other in since:
            if self._is_own(other) or other.operation in HARMLESS:
                continue
            run = other.user_metadata.get("run_id", "unknown")
            raise DestinationError(
                f"cannot undo version {own[0].version}: version {other.version} "
                f"({other.operation}, run {run}) was committed by another writer meanwhile",
                where=self._path,
                hint="look at both, and undo by hand what is wrong",
            )

    def _is_own(self, commit: Commit) -> bool:
        said = commit.user_metadata
        return (said.get("batch_id"), said.get("step")) == self._mark


def version_before(own: Sequence[Commit]) -> int | None:
    """The version before the oldest of commits, newest first; None where that made the table."""
    return own[-1].version - 1 if own[-1].version else None


def _is_erasure(commit: Commit) -> bool:
    return FORGET_ID in commit.user_metadata
