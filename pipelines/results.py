"""What happened: the frozen results of checks, steps and runs, and the events that carry them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from enum import Enum
from typing import Any, TypeAlias

SCHEMA_VERSION = 1


class Status(str, Enum):
    """How a step ended, or where it stands; the run log's words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    DQ_FAILED = "dq_failed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    CHECKPOINTED = "checkpointed"
    UNCHANGED = "unchanged"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"

    @property
    def is_ok(self) -> bool:
        """Whether what depends on the step may go on."""
        return self in _OK

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the step in this run."""
        return self not in (Status.PENDING, Status.RUNNING)


NOT_SELECTED = "not selected"
"""The reason of a step that the selection leaves out."""
_OK = frozenset({Status.SUCCESS, Status.SKIPPED, Status.CHECKPOINTED, Status.UNCHANGED})


class CheckStatus(str, Enum):
    """How a data quality check ended."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    ERROR = "error"


@dataclass(frozen=True)
class ErrorInfo:
    """An error as the logs keep it: no stack, no secret, no row values.

    Attributes:
        type: class of the error, or Spark's error condition.
        message: what happened.
        transient: whether trying again could help; None if nobody asked.
        verdict: why it was judged so, such as ``SQLSTATE 08001``.
        hint: one thing to do.
    """

    type: str
    message: str
    transient: bool | None = None
    verdict: str = ""
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The error with JSON types only."""
        return {
            "type": self.type,
            "message": self.message,
            "transient": self.transient,
            "verdict": self.verdict,
            "hint": self.hint,
        }


@dataclass(frozen=True)
class CheckResult:
    """One data quality check of one step.

    Attributes:
        file: the check's SQL file, as the flow names it.
        status: how it ended.
        value: the number it gave, or the count of offending rows.
        expectation: what was asked of the value.
        severity: ``error`` or ``warn``.
        duration_seconds: wall time.
        sample: a few offending rows, personal data masked.
        message: why it failed or could not run.
        description: the check's own words for what it guards.
        owner: whom to ask.
    """

    file: str
    status: CheckStatus
    value: float | int | None
    expectation: str
    severity: str
    duration_seconds: float
    sample: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    description: str = ""
    owner: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The check with JSON types only."""
        return {
            "file": self.file,
            "status": self.status.value,
            "value": self.value,
            "expectation": self.expectation,
            "severity": self.severity,
            "duration_seconds": round(self.duration_seconds, 3),
            "sample": [dict(row) for row in self.sample],
            "message": self.message,
            "description": self.description,
            "owner": self.owner,
        }


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
        }


@dataclass(frozen=True)
class RunInfo:
    """What is known of a run when it starts; ``log_file`` is where its JSON log will be."""

    run_id: str
    batch_id: str
    pipeline: str
    flow: str
    flow_sha256: str
    environment: str
    mode: str
    window: tuple[str, str]
    started_at: datetime
    user: str
    host: str
    git_commit: str
    versions: Mapping[str, str]
    pid: int
    step_ids: tuple[str, ...] = ()
    log_file: str = ""


@dataclass(frozen=True)
class RunStarted:
    """The run has begun; the lock is held."""

    run: RunInfo
    at: datetime


@dataclass(frozen=True)
class StepStarted:
    """A step's first attempt has begun."""

    step_id: str
    at: datetime


@dataclass(frozen=True)
class AttemptFailed:
    """An attempt failed and another one follows after ``wait_seconds``."""

    step_id: str
    attempt: Attempt
    wait_seconds: float
    at: datetime


@dataclass(frozen=True)
class StepFinished:
    """A step has come to an end, whichever."""

    result: StepResult
    at: datetime


@dataclass(frozen=True)
class RunFinished:
    """The run has come to an end; nothing follows."""

    result: RunResult
    at: datetime


@dataclass(frozen=True)
class RunResult:
    """What became of a run.

    Attributes:
        run: what was known at the start.
        status: ``success``, ``failed``, ``dq_failed``, ``cancelled`` or ``interrupted``.
        exit_code: the process's exit code; None while it runs.
        steps: one result a step, in the flow's order.
        error: why the run as a whole broke, apart from its steps.
    """

    run: RunInfo
    status: Status
    exit_code: int | None
    finished_at: datetime | None
    steps: tuple[StepResult, ...]
    error: ErrorInfo | None = None

    @classmethod
    def collect(
        cls,
        run: RunInfo,
        steps: Iterable[StepResult],
        *,
        finished_at: datetime,
        signal_number: int | None = None,
        error: ErrorInfo | None = None,
    ) -> RunResult:
        """The run's result out of its steps': the status and exit code follow from them.

        A signal wins (128 + its number); then a step or the run that failed (1); then a
        quality gate (3); else 0.
        """
        order = {step_id: number for number, step_id in enumerate(run.step_ids)}
        results = tuple(sorted(steps, key=lambda step: order.get(step.id, len(order))))
        statuses = {step.status for step in results}
        if signal_number is not None:
            status, code = Status.CANCELLED, 128 + signal_number
        elif error is not None or statuses & {
            Status.FAILED,
            Status.INTERRUPTED,
            Status.CANCELLED,
        }:
            status, code = Status.FAILED, 1
        elif Status.DQ_FAILED in statuses:
            status, code = Status.DQ_FAILED, 3
        else:
            status, code = Status.SUCCESS, 0
        return cls(run, status, code, finished_at, results, error)

    @property
    def duration_seconds(self) -> float:
        """Wall time; 0 while the run goes on."""
        if self.finished_at is None:
            return 0.0
        return (self.finished_at - self.run.started_at).total_seconds()

    @property
    def warnings(self) -> tuple[CheckResult, ...]:
        """Checks that warned, over all steps."""
        return tuple(check for step in self.steps for check in step.warnings)

    def as_dict(self) -> dict[str, Any]:
        """The run log, format ``schema_version`` 1: JSON types only."""
        run = self.run
        return {
            "schema_version": SCHEMA_VERSION,
            "run_id": run.run_id,
            "batch_id": run.batch_id,
            "pipeline": run.pipeline,
            "flow": run.flow,
            "flow_sha256": run.flow_sha256,
            "environment": run.environment,
            "mode": run.mode,
            "window": list(run.window),
            "status": self.status.value,
            "exit_code": self.exit_code,
            "started_at": utc_text(run.started_at),
            "finished_at": utc_text(self.finished_at),
            "duration_seconds": round(self.duration_seconds, 3),
            "user": run.user,
            "host": run.host,
            "pid": run.pid,
            "git_commit": run.git_commit,
            "versions": dict(run.versions),
            "error": self.error.as_dict() if self.error else None,
            "steps": [step.as_dict() for step in self.steps],
        }


Event: TypeAlias = RunStarted | StepStarted | AttemptFailed | StepFinished | RunFinished


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(timezone.utc)


def utc_text(moment: datetime | None) -> str | None:
    """``moment`` in UTC as ISO 8601 with milliseconds and ``Z``; None stays None."""
    if moment is None:
        return None
    text = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
