"""Runs a plan: starts each step when all that it waits for is done, and tells of it in events."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING

from pipelines.execution.context import Output, RunContext
from pipelines.execution.resume import (
    Decision,
    decide,
    destination_exists,
    left_out_result,
    unreached,
)
from pipelines.execution.retry import describe_failure
from pipelines.execution.step_run import run_step
from pipelines.plan.plan import Action
from pipelines.results import ErrorInfo, Event, Status, StepFinished, StepResult, utc_now

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.execution.watch import Watch
    from pipelines.plan.compile import CompiledStep

_LOOK_SECONDS = 0.5


def run_plan(
    context: RunContext,
    watch: Watch,
    *,
    fail_fast: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> Iterator[Event]:
    """Runs the steps of ``context``'s plan and yields what happens, as it happens.

    Args:
        context: what the steps share, and how many of them go side by side.
        watch: times and cancels attempts; stopping it ends the run early, with all steps told of.
        fail_fast: whether the first failure stops the rest.
        now: the clock.
    """
    yield from _Run(context, watch, fail_fast, now).events()


class _Run:
    """The scheduling of one run; all but `_work` happens on the caller's thread."""

    def __init__(
        self,
        context: RunContext,
        watch: Watch,
        fail_fast: bool,
        now: Callable[[], datetime],
    ) -> None:
        self.context, self.watch, self.now = context, watch, now
        self.fail_fast = fail_fast
        self.graph = context.compiled.plan.graph
        self.sorter = self.graph.sorter()
        self.happened: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.broken: dict[str, str] = {}
        self.waiting: list[tuple[int, int, CompiledStep]] = []
        self.came = 0
        self.at_work: dict[str, CompiledStep] = {}

    def events(self) -> Iterator[Event]:
        while self.sorter.is_active():
            for node in self._in_order(self.sorter.get_ready()):
                yield from self._take(node)
            while self.waiting and len(self.at_work) < self.context.slots.limit:
                self._start(heappop(self.waiting)[-1])
            if self.at_work:
                event = self._next_event()
                yield event
                if isinstance(event, StepFinished):
                    del self.at_work[event.result.id]
                    self.context.slots.give_back()
                    self._done(event.result)

    def _start(self, step: CompiledStep) -> None:
        self.at_work[step.id] = step
        self.context.slots.take()
        # What hangs for ever in a driver's socket must not keep a stopped process from its end.
        threading.Thread(target=self._work, args=(step,), name=step.id, daemon=True).start()

    def _next_event(self) -> Event:
        """What happens next; a stopped step that does not come back is given up."""
        while True:
            with suppress(queue.Empty):
                return self.happened.get(timeout=_LOOK_SECONDS)
            for step_id in self.watch.given_up() & self.at_work.keys():
                return StepFinished(self._given_up(self.at_work[step_id]), self.now())

    def _given_up(self, step: CompiledStep) -> StepResult:
        error = ErrorInfo(
            "StepCancelledError",
            f"{self.watch.why_stopped}, and the step did not come back; "
            "the next run of the batch looks at what it left",
        )
        return replace(unreached(step, "", Status.CANCELLED), finished_at=self.now(), error=error)

    def _in_order(self, nodes: tuple[str, ...]) -> list[str]:
        """Steps in the flow's order, barriers first."""
        steps = self.graph.steps
        ready = set(nodes)
        return [n for n in nodes if n not in steps] + [
            step_id for step_id in steps if step_id in ready
        ]

    def _take(self, node: str) -> Iterator[Event]:
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
            self._put_in_line(step)
            return
        result = left_out_result(step, decision, self.now())
        yield StepFinished(result, self.now())
        self._done(result)

    def _put_in_line(self, step: CompiledStep) -> None:
        """Lets ``step`` wait for a slot: the critical path first, as nothing makes up its delay."""
        self.came += 1
        heappush(self.waiting, (-self.graph.path_lengths[step.id], self.came, step))

    def _cause_above(self, node: str) -> str:
        """The failed step that ``node`` cannot go on without; empty if there is none."""
        return next((self.broken[n] for n in self.graph.waits_for[node] if n in self.broken), "")

    def _decision(self, step: CompiledStep, cause: str) -> Decision | None:
        if step.planned.action is not Action.SKIP:
            if cause:
                return Decision(Status.BLOCKED, f"{cause} did not succeed")
            if self.watch.stopped.is_set():
                return Decision(Status.CANCELLED, self.watch.why_stopped)
        return self._decision_by_marker(step)

    def _decision_by_marker(self, step: CompiledStep) -> Decision | None:
        """What the batch's marker says; what it wrote then is what steps downstream read."""
        context = self.context
        marker = None
        if context.checkpoints is not None and context.is_resumed:
            marker = context.checkpoints.marker(context.compiled.batch_id, step.id)
        exists = partial(destination_exists, step, marker, context.files)
        outputs = context.outputs.items()
        identities = {step_id: output.identity for step_id, output in outputs if output.identity}
        decision = decide(step, marker, identities, destination_exists=exists)
        destination = step.settings.destination
        if decision is None or decision.marker is None or destination.path is None:
            return decision
        if decision.status is Status.CHECKPOINTED or exists():
            context.outputs[step.id] = Output(
                destination.format,
                destination.path,
                decision.marker.version_after,
                identity=decision.marker.identity,
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
        """On a thread of its own: the step, attempt by attempt, to its final event."""
        try:
            result = run_step(step, self.context, self.watch, self.happened.put, self.now)
        except BaseException as error:  # the run must not wait for ever for this step's end
            info = ErrorInfo(type(error).__name__, "the step broke, and so did telling of it")
            with suppress(Exception):
                info = describe_failure(error, self.context.redact)
            result = replace(unreached(step, "", Status.FAILED), finished_at=self.now(), error=info)
        self.happened.put(StepFinished(result, self.now()))
