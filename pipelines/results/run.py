"""The result of a run, and how its status and exit code follow from its steps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.results.clock import utc_text
from pipelines.results.status import Status

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.results.check import CheckResult, ErrorInfo
    from pipelines.results.release import StageRelease
    from pipelines.results.step import StepResult

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class RunInfo:
    """What is known of a run when it starts; ``log_file`` is where its JSON log will be.

    ``kind`` is ``regular``, or how the run is small; ``scratch`` is where it writes then.
    """

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
    kind: str = "regular"
    scratch: str = ""


@dataclass(frozen=True)
class RunResult:
    """What became of a run.

    Attributes:
        run: what was known at the start.
        status: ``success``, ``failed``, ``dq_failed``, ``cancelled`` or ``interrupted``.
        exit_code: the process's exit code; None while it runs.
        steps: one result a step, in the flow's order.
        error: why the run as a whole broke, apart from its steps.
        releases: what became of releasing each published stage.
    """

    run: RunInfo
    status: Status
    exit_code: int | None
    finished_at: datetime | None
    steps: tuple[StepResult, ...]
    error: ErrorInfo | None = None
    releases: tuple[StageRelease, ...] = ()

    @classmethod
    def collect(
        cls,
        run: RunInfo,
        steps: Iterable[StepResult],
        *,
        finished_at: datetime,
        signal_number: int | None = None,
        error: ErrorInfo | None = None,
        releases: tuple[StageRelease, ...] = (),
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
        return cls(run, status, code, finished_at, results, error, releases)

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
            "run_kind": run.kind,
            "scratch": run.scratch or None,
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
            "releases": [release.as_dict() for release in self.releases],
            "steps": [step.as_dict() for step in self.steps],
        }
