"""The result of a step: its attempts, rows, checks and destination."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.results.clock import utc_text
from pipelines.results.status import CheckStatus, Status

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.results.check import CheckResult, ErrorInfo


@dataclass(frozen=True)
class Attempt:
    """One try of a step; ``error`` is None where it succeeded."""

    number: int
    started_at: datetime
    duration_seconds: float
    error: ErrorInfo | None = None

    def as_dict(self) -> dict[str, Any]:
        """The attempt with JSON types only."""
        return {
            "number": self.number,
            "started_at": utc_text(self.started_at),
            "duration_seconds": round(self.duration_seconds, 3),
            "error": self.error.as_dict() if self.error else None,
        }


@dataclass(frozen=True)
class DestinationState:
    """Where a step wrote; versions are Delta's, None for other formats and for views."""

    format: str
    path: str
    version_before: int | None = None
    version_after: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The destination with JSON types only."""
        return {
            "format": self.format,
            "path": self.path,
            "version_before": self.version_before,
            "version_after": self.version_after,
        }


@dataclass(frozen=True)
class WriteCounts:
    """Rows that a write touched; None where the format cannot tell."""

    written: int | None = None
    updated: int | None = None
    deleted: int | None = None


@dataclass(frozen=True)
class StepResult:
    """What became of one step.

    Attributes:
        id: ``stage.group.step``.
        reason: why it was skipped, blocked or checkpointed; empty otherwise.
        upstream_versions: version of each upstream table that the step read, by step id.
        explain: the plans that ``debug: true`` asked for; empty otherwise.
        notes: what a user should know though nothing is wrong, such as that all was read again.
    """

    id: str
    stage: str
    group: str
    name: str
    status: Status
    started_at: datetime | None = None
    finished_at: datetime | None = None
    attempts: tuple[Attempt, ...] = ()
    counts: WriteCounts = WriteCounts()
    destination: DestinationState | None = None
    sql_sha256: str = ""
    fingerprint: str = ""
    upstream_versions: Mapping[str, int | None] = field(default_factory=dict)
    checks: tuple[CheckResult, ...] = ()
    error: ErrorInfo | None = None
    reason: str = ""
    explain: str = ""
    notes: tuple[str, ...] = ()

    @property
    def duration_seconds(self) -> float:
        """Wall time from the first attempt's start to the end; 0 if it never started."""
        if self.started_at is None or self.finished_at is None:
            return 0.0
        return (self.finished_at - self.started_at).total_seconds()

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Checks that warned."""
        return tuple(check for check in self.checks if check.status is CheckStatus.WARNED)

    def as_dict(self) -> dict[str, Any]:
        """The step as the run log keeps it."""
        return {
            "id": self.id,
            "stage": self.stage,
            "group": self.group,
            "name": self.name,
            "status": self.status.value,
            "reason": self.reason,
            "started_at": utc_text(self.started_at),
            "finished_at": utc_text(self.finished_at),
            "duration_seconds": round(self.duration_seconds, 3),
            "attempts": [attempt.as_dict() for attempt in self.attempts],
            "rows_written": self.counts.written,
            "rows_updated": self.counts.updated,
            "rows_deleted": self.counts.deleted,
            "destination": self.destination.as_dict() if self.destination else None,
            "sql_sha256": self.sql_sha256,
            "fingerprint": self.fingerprint,
            "upstream_versions": dict(self.upstream_versions),
            "dq": [check.as_dict() for check in self.checks],
            "error": self.error.as_dict() if self.error else None,
            "explain": self.explain,
            "notes": list(self.notes),
        }
