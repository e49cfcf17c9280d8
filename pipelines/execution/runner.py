"""Runs a plan: starts each step when all that it waits for is done, and tells of it in events."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pipelines.errors import DataQualityError, StepCancelledError
from pipelines.execution.attempt import Outcome, abandon, run_attempt
from pipelines.execution.checkpoints import Marker
from pipelines.execution.context import Output, RunContext
from pipelines.execution.resume import (
    Decision,
    decide,
    destination_exists,
    left_out_result,
    unreached,
)
from pipelines.execution.retry import call_with_retry, describe_failure
from pipelines.plan.plan import Action
from pipelines.results import (
    Attempt,
    AttemptFailed,
    ErrorInfo,
    Event,
    Status,
    StepFinished,
    StepResult,
    StepStarted,
    utc_now,
    utc_text,
)

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.execution.watch import Watch
    from pipelines.plan.compile import CompiledStep

DEFAULT_THREADS = 4


def run_plan(
    context: RunContext,
    watch: Watch,
    *,
    threads: int = DEFAULT_THREADS,
    fail_fast: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> Iterator[Event]:
    """Runs the steps of ``context``'s plan and yields what happens, as it happens.

    Args:
        context: what the steps share.
        watch: times and cancels attempts; stopping it ends the run early, with all steps told of.
        threads: steps side by side.
        fail_fast: whether the first failure stops the rest.
        now: the clock.
    """
    run = _Run(context, watch, fail_fast, now)
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="step") as pool:
        yield from run.events(pool)


class _Run:
    """The scheduling of one run; all but `_work` happens on the caller's thread."""

    def __init__(
        self,
        context: RunContext,
        watch: Watch,
        fail_fast: bool,
        now: Callable[[], datetime],
    ) -> None:
        self.context, self.watch, self.fail_fast, self.now = context, watch, fail_fast, now
        self.graph = context.compiled.plan.graph
        self.sorter = self.graph.sorter()
        self.happened: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.broken: dict[str, str] = {}
        self.running = 0

    def events(self, pool: ThreadPoolExecutor) -> Iterator[Event]:
        while self.sorter.is_active():
            for node in self._in_order(self.sorter.get_ready()):
                yield from self._take(node, pool)
            if self.running:
                event = self.happened.get()
                yield event
                if isinstance(event, StepFinished):
                    self.running -= 1
                    self._done(event.result)

    def _in_order(self, nodes: tuple[str, ...]) -> list[str]:
        """Steps in the flow's order, barriers first."""
        steps = self.graph.steps
        ready = set(nodes)
        return [n for n in nodes if n not in steps] + [
            step_id for step_id in steps if step_id in ready
        ]

    def _take(self, node: str, pool: ThreadPoolExecutor) -> Iterator[Event]:
        """Starts ``node``, or says why it does not start."""
        cause = self._cause_above(node)
        if node not in self.graph.steps:
            if cause:
                self.broken[node] = cause
            self.sorter.done(node)
            return
        step = self.context.compiled.steps[node]
        decision = self._decision(step, cause)
        if decision is not None and decision.status is Status.BLOCKED:
            self.broken[node] = cause
        if decision is None:
            self.running += 1
            pool.submit(self._work, step)
            return
        result = left_out_result(step, decision, self.now())
        yield StepFinished(result, self.now())
        self._done(result)

    def _cause_above(self, node: str) -> str:
        """The failed step that ``node`` cannot go on without; empty if there is none."""
        return next((self.broken[n] for n in self.graph.waits_for[node] if n in self.broken), "")

    def _decision(self, step: CompiledStep, cause: str) -> Decision | None:
        if step.planned.action is Action.SKIP:
            return Decision(Status.SKIPPED, step.planned.reason)
        if cause:
            return Decision(Status.BLOCKED, f"{cause} did not succeed")
        if self.watch.stopped.is_set():
            return Decision(Status.CANCELLED, "the run was stopped")
        context = self.context
        marker = None
        if context.checkpoints is not None and context.is_resumed:
            marker = context.checkpoints.marker(context.compiled.batch_id, step.id)
        fresh = frozenset(step_id for step_id, output in context.outputs.items() if output.is_fresh)
        exists = partial(destination_exists, step, marker, context.files)
        decision = decide(step, marker, fresh, destination_exists=exists)
        if decision is not None and decision.marker is not None:
            destination = step.settings.destination
            context.outputs[step.id] = Output(
                destination.format,
                destination.path or "",
                decision.marker.version_after,
                is_fresh=False,
                options=destination.options,
            )
        return decision

    def _done(self, result: StepResult) -> None:
        settings = self.context.compiled.steps[result.id].settings
        if not result.status.is_ok:
            is_own_failure = result.status in (Status.FAILED, Status.DQ_FAILED)
            if not (is_own_failure and settings.on_failure == "continue"):
                self.broken.setdefault(result.id, result.id)
            if is_own_failure and self.fail_fast:
                self.watch.stop()
        self.sorter.done(result.id)

    def _work(self, step: CompiledStep) -> None:
        """On a thread of the pool: the step, attempt by attempt, to its final event."""
        try:
            result = self._run_step(step)
        except BaseException as error:  # the run must not wait for ever for this step's end
            info = ErrorInfo(type(error).__name__, "the step broke, and so did telling of it")
            with suppress(Exception):
                info = describe_failure(error, self.context.redact)
            result = replace(unreached(step, "", Status.FAILED), finished_at=self.now(), error=info)
        self.happened.put(StepFinished(result, self.now()))

    def _run_step(self, step: CompiledStep) -> StepResult:
        started = self.now()
        attempts: list[Attempt] = []
        self.happened.put(StepStarted(step.id, started))
        attempt_started = [started]

        def one_attempt(number: int) -> Outcome:
            attempt_started[0] = self.now()
            with self.watch.attempt(step.id, step.timeout_seconds):
                return run_attempt(step, self.context, number)

        def note(number: int, info: ErrorInfo | None) -> Attempt:
            seconds = (self.now() - attempt_started[0]).total_seconds()
            attempts.append(Attempt(number, attempt_started[0], seconds, info))
            return attempts[-1]

        def on_failure(number: int, error: BaseException, wait: float) -> None:
            attempt = note(number, describe_failure(error, self.context.redact))
            self.happened.put(AttemptFailed(step.id, attempt, wait, self.now()))

        try:
            outcome = call_with_retry(
                one_attempt,
                step.retry,
                sleep=self.watch.sleep,
                on_failure=on_failure,
                is_stopped=self.watch.stopped.is_set,
            )
        except Exception as error:
            info = describe_failure(error, self.context.redact)
            note(len(attempts) + 1, info)
            status = Status.FAILED
            if isinstance(error, StepCancelledError):
                status = Status.CANCELLED
            elif isinstance(error, DataQualityError):
                status = Status.DQ_FAILED
            return replace(
                unreached(step, "", status),
                error=self._abandoned(step, info),
                finished_at=self.now(),
                started_at=started,
                attempts=tuple(attempts),
            )
        failure = describe_failure(outcome.failed, self.context.redact) if outcome.failed else None
        note(len(attempts) + 1, failure)
        return self._finished(step, outcome, started, tuple(attempts))

    def _abandoned(self, step: CompiledStep, info: ErrorInfo) -> ErrorInfo:
        """Undoes what the step's attempts left; a failure to do so is added to the message."""
        try:
            with self.watch.cleaning_up(step.id):
                abandon(step, self.context)
        except Exception as error:
            more = describe_failure(error, self.context.redact)
            return replace(
                info, message=f"{info.message}; and undoing its write failed: {more.message}"
            )
        return info

    def _finished(
        self,
        step: CompiledStep,
        outcome: Outcome,
        started: datetime,
        attempts: tuple[Attempt, ...],
    ) -> StepResult:
        status = Status.SUCCESS if outcome.changed else Status.UNCHANGED
        if outcome.failed is not None:
            status = Status.DQ_FAILED
        result = replace(
            unreached(step, "", status),
            error=attempts[-1].error,
            started_at=started,
            attempts=attempts,
            counts=outcome.counts,
            destination=outcome.destination,
            upstream_versions=outcome.upstream_versions,
            checks=outcome.checks,
            explain=outcome.explain,
        )
        if outcome.failed is None:
            outputs = self.context.outputs
            output = outcome.output
            if step.settings.destination.view:
                above = outcome.upstream_versions
                is_fresh = any(outputs[one].is_fresh for one in above if one in outputs)
                output = replace(output, is_fresh=is_fresh)
            outputs[step.id] = output
            self._mark(step, result)
        return replace(result, finished_at=self.now())

    def _mark(self, step: CompiledStep, result: StepResult) -> None:
        context = self.context
        if context.checkpoints is None or step.settings.destination.view:
            return
        destination = result.destination
        marker = Marker(
            run_id=context.compiled.plan.request.run_id,
            finished_at=utc_text(self.now()) or "",
            fingerprint=step.fingerprint,
            version_after=destination.version_after if destination else None,
            upstream_versions=dict(result.upstream_versions),
        )
        context.checkpoints.save_marker(context.compiled.batch_id, step.id, marker)
