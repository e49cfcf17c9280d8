"""One step from its first attempt to its result and marker."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.errors import DataQualityError, StepCancelledError
from pipelines.execution.attempt import Outcome, abandon, run_attempt
from pipelines.execution.checkpoints import Marker
from pipelines.execution.resume import unreached
from pipelines.execution.retry import call_with_retry, describe_failure
from pipelines.execution.session import end_of_java
from pipelines.results import (
    Attempt,
    AttemptFailed,
    ErrorInfo,
    Event,
    Status,
    StepResult,
    StepStarted,
    utc_text,
)

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.execution.context import Output, RunContext
    from pipelines.execution.watch import Watch
    from pipelines.plan.compile import CompiledStep


def run_step(
    step: CompiledStep,
    context: RunContext,
    watch: Watch,
    tell: Callable[[Event], object],
    now: Callable[[], datetime],
) -> StepResult:
    """Runs ``step`` with its retries; a success is in ``context.outputs`` and has its marker.

    Args:
        step: the step.
        context: of the run.
        watch: times and cancels its attempts.
        tell: called with the start and with each failed attempt that another one follows.
        now: the clock.
    """
    return _StepRun(step, context, watch, tell, now).result()


class _StepRun:
    def __init__(
        self,
        step: CompiledStep,
        context: RunContext,
        watch: Watch,
        tell: Callable[[Event], object],
        now: Callable[[], datetime],
    ) -> None:
        self.step, self.context, self.watch, self.tell, self.now = step, context, watch, tell, now
        self.started = self.attempt_started = now()
        self.attempts: list[Attempt] = []

    def result(self) -> StepResult:
        self.tell(StepStarted(self.step.id, self.started))
        try:
            outcome = call_with_retry(
                self._attempt,
                self.step.retry,
                sleep=self.watch.sleep,
                on_failure=self._on_failure,
                is_stopped=self.watch.stopped.is_set,
            )
        except Exception as error:
            return self._failed(error)
        return self._finished(outcome)

    def _attempt(self, number: int) -> Outcome:
        with self.context.turn(self.step):
            self.attempt_started = self.now()
            try:
                with self.watch.attempt(self.step.id, self.step.timeout_seconds):
                    return run_attempt(self.step, self.context, number)
            except Exception as error:
                ended = end_of_java(self.context.spark, error)
                if ended is None:
                    raise
                raise ended from error

    def _on_failure(self, number: int, error: BaseException, wait_seconds: float) -> None:
        attempt = self._note(describe_failure(error, self.context.redact))
        self.tell(AttemptFailed(self.step.id, attempt, wait_seconds, self.now()))

    def _note(self, error: ErrorInfo | None) -> Attempt:
        seconds = (self.now() - self.attempt_started).total_seconds()
        number = len(self.attempts) + 1
        self.attempts.append(Attempt(number, self.attempt_started, seconds, error))
        return self.attempts[-1]

    def _ended(self, status: Status, error: ErrorInfo | None) -> StepResult:
        return replace(
            unreached(self.step, "", status),
            started_at=self.started,
            finished_at=self.now(),
            attempts=tuple(self.attempts),
            error=error,
        )

    def _failed(self, error: Exception) -> StepResult:
        info = describe_failure(error, self.context.redact)
        self._note(info)
        status = Status.FAILED
        if isinstance(error, StepCancelledError):
            status = Status.CANCELLED
        elif isinstance(error, DataQualityError):
            status = Status.DQ_FAILED
        return self._ended(status, self._abandoned(info))

    def _abandoned(self, info: ErrorInfo) -> ErrorInfo:
        """Undoes what the step's attempts left; a failure to do so is added to the message."""
        if end_of_java(self.context.spark):
            return info  # the next run of the batch looks at what is there
        try:
            with self.context.turn(self.step), self.watch.cleaning_up(self.step.id):
                abandon(self.step, self.context)
        except Exception as error:
            ended = end_of_java(self.context.spark, error)
            more = describe_failure(ended or error, self.context.redact)
            if ended is not None:  # the next run of the batch looks at what is there
                return replace(info, message=f"{info.message}; {more.message}", hint=more.hint)
            return replace(
                info, message=f"{info.message}; and undoing its write failed: {more.message}"
            )
        return info

    def _finished(self, outcome: Outcome) -> StepResult:
        failure = describe_failure(outcome.failed, self.context.redact) if outcome.failed else None
        self._note(failure)
        status = Status.SUCCESS if outcome.changed else Status.UNCHANGED
        result = replace(
            self._ended(status if failure is None else Status.DQ_FAILED, failure),
            counts=outcome.counts,
            destination=outcome.destination,
            upstream_versions={one: output.version for one, output in outcome.read.items()},
            checks=outcome.checks,
            explain=outcome.explain,
            notes=outcome.notes,
        )
        if outcome.output is not None:
            self.context.outputs[self.step.id] = outcome.output
            self._mark(result, outcome.output, outcome.read)
        return replace(result, finished_at=self.now())

    def _mark(self, result: StepResult, output: Output, read: dict[str, Output]) -> None:
        context = self.context
        if context.checkpoints is None or self.step.settings.destination.view:
            return
        marker = Marker(
            run_id=context.compiled.plan.request.run_id,
            finished_at=utc_text(self.now()) or "",
            fingerprint=self.step.fingerprint,
            version_after=output.version,
            upstream_versions=dict(result.upstream_versions),
            identity=output.identity,
            read={step_id: one.identity for step_id, one in read.items()},
        )
        context.refuse_if_lost()
        context.checkpoints.save_marker(context.compiled.batch_id, self.step.id, marker)
