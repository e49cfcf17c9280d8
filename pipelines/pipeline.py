"""The engine: one straight path from a flow's YAML to the results of its run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import RunTimeoutError
from pipelines.execution.checkpoints import BatchRecord, CheckpointStore, Marker
from pipelines.execution.files import FileStore, HadoopFiles, LocalFiles, is_local, local_path
from pipelines.execution.half_done import refuse_half_done
from pipelines.execution.lock import Hold
from pipelines.execution.resume import has_work, left_out, unreached
from pipelines.execution.run_info import describe_run
from pipelines.execution.signals import Signals
from pipelines.plan.compile import absolute_path
from pipelines.prepared import Options, PreparedFlow, generate_batch_id
from pipelines.results import (
    ErrorInfo,
    Event,
    RunFinished,
    RunInfo,
    RunResult,
    RunStarted,
    StepFinished,
    StepResult,
    utc_now,
    utc_text,
)
from pipelines.sinks.run_log import RunLogSink, mark_interrupted

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.execution.context import RunContext
    from pipelines.execution.session import SparkSession
    from pipelines.execution.together import Together
    from pipelines.plan.compile import CompiledPlan
    from pipelines.results import StageRelease
    from pipelines.sinks.base import Sink

__all__ = [
    "Options",
    "Pipeline",
    "generate_batch_id",
    "is_step_checkpointed",
    "save_step_checkpoint",
]


def is_step_checkpointed(
    checkpoint_path: str | Path, batch_id: str, step_id: str, fingerprint: str | None = None
) -> bool:
    """Whether the batch has done the step, and, given a fingerprint, as it is now."""
    marker = CheckpointStore(LocalFiles(), str(checkpoint_path)).marker(batch_id, step_id)
    return marker is not None and fingerprint in (None, marker.fingerprint)


def save_step_checkpoint(
    checkpoint_path: str | Path, batch_id: str, step_id: str, marker: Marker
) -> Path:
    """Notes that the batch has done the step; returns the marker's file."""
    store = CheckpointStore(LocalFiles(), str(checkpoint_path))
    return local_path(store.save_marker(batch_id, step_id, marker))


class Pipeline(PreparedFlow):
    """A prepared flow that can be run.

    Args:
        flow: name of a flow below `pipelines/flows/`, or the path of its file.
        options: what is asked of it.
        sinks: told of all that happens, besides the logs that the environment asks for.
        spark: a session to work in; without it the run starts its own, and stops it.
        now: the clock.
        together: what it shares with other runs of the process; None: it is the only one.
    """

    def __init__(
        self,
        flow: str | Path,
        options: Options | None = None,
        *,
        sinks: Sequence[Sink] = (),
        spark: SparkSession | None = None,
        now: Callable[[], datetime] = utc_now,
        together: Together | None = None,
    ) -> None:
        super().__init__(flow, options, now=now)
        self._sinks, self.spark, self._together = sinks, spark, together
        self._hold = together.hold if together else Hold()
        self._told: set[str] = set()

    def run(self) -> RunResult:
        """Runs the flow; every failure of a step is in the result.

        Raises:
            UsageError: something is wrong with the flow, config or options; nothing was started.
            LockHeldError: another run of this pipeline is at work.
        """
        self.checked()
        scratch = self.surroundings.scratch
        if scratch is not None and is_local(scratch.root):
            scratch.check(LocalFiles(), goes_on=self.options.goes_on)
        with self.run_lock(lock_holder(self)) as self._hold:
            self.close_orphans()
            return self.run_locked()

    def close_orphans(self) -> None:
        """Ends the logs of runs that were killed, and clears up; for whoever holds the run lock."""
        self._attempt(partial(mark_interrupted, self.log_folder, self.flow.pipeline.name))
        path, files = self.compiled.checkpoint.path, LocalFiles()
        if is_local(path):
            store = CheckpointStore(files, path)
            for folder in (store.path, store.batch_folder(self.compiled.batch_id)):
                self._attempt(partial(files.sweep, folder))

    def run_locked(self) -> RunResult:
        """Runs the flow for a caller that holds the run lock, on any thread; else as `run`."""
        compiled = self.checked()
        info = self.info
        with ExitStack() as stack:
            if is_local(compiled.checkpoint.path):
                refuse_half_done(LocalFiles(), compiled.checkpoint.path)
            if self._hold.is_open:  # before anybody is told of a run that may not begin
                self._hold.take(HadoopFiles(self._session(stack)), stack)
            sinks = self._all_sinks(stack)
            for event in self._events(info, stack):
                for sink in sinks:
                    self._attempt(partial(sink.handle, event))
                if isinstance(event, RunFinished):
                    result = event.result
        return result

    @cached_property
    def info(self) -> RunInfo:
        """What is known of the run before it starts; it starts when this is asked for."""
        return describe_run(self.compiled, self._now(), self.log_folder)

    # --- the run ---------------------------------------------------------------------------

    def _events(self, info: RunInfo, stack: ExitStack) -> Iterator[Event]:
        """The events of the whole run, its start and its end; no step's failure raises here."""
        yield RunStarted(info, info.started_at)
        steps: dict[str, StepResult] = {}
        broken: ErrorInfo | None = None
        signals = self._together.signals if self._together else stack.enter_context(Signals())
        try:
            for event in self._step_events(stack, signals):
                if isinstance(event, StepFinished):
                    steps[event.result.id] = event.result
                yield event
        except Exception as error:
            from pipelines.execution.retry import describe_failure

            broken = describe_failure(error, self.connections.redact)
        for step_id, step in self.compiled.steps.items():
            steps.setdefault(step_id, unreached(step, "the run ended before it"))
        releases, failure = self._release(steps, stack, is_stopped=signals.received is not None)
        end = self._now()
        result = RunResult.collect(
            info,
            steps.values(),
            finished_at=end,
            signal_number=signals.received,
            error=broken or failure,
            releases=releases,
        )
        yield RunFinished(result, end)

    def _release(
        self, steps: Mapping[str, StepResult], stack: ExitStack, *, is_stopped: bool
    ) -> tuple[tuple[StageRelease, ...], ErrorInfo | None]:
        """What becomes of each published stage, and what broke."""
        if not self.compiled.publishes:
            return (), None
        from pipelines.execution.releases.publishing import release_after_run
        from pipelines.execution.retry import describe_failure

        told, broken = release_after_run(
            self.compiled,
            steps,
            partial(self._session, stack),
            at=utc_text(self._now()) or "",
            is_stopped=is_stopped,
        )
        return told, describe_failure(broken, self.connections.redact) if broken else None

    def _step_events(self, stack: ExitStack, signals: Signals) -> Iterator[Event]:
        """The steps' events; no Spark is started where the batch has nothing left to do.

        Raises:
            RunTimeoutError: the run's time was up before all steps were done; they are told of.
        """
        compiled = self.compiled
        decisions = self.decisions()
        if not has_work(compiled, decisions):
            for result in left_out(compiled, decisions, self._now()):
                yield StepFinished(result, self._now())
            return
        from pipelines.execution.runner import run_plan
        from pipelines.execution.watch import Watch

        with signals.starting(is_needed=self.spark is None):
            context = self._context(compiled, stack)
        limit = compiled.timeout_seconds
        so_far = (self._now() - self.info.started_at).total_seconds()
        left = None if limit is None else max(limit - so_far, 0)
        watch = Watch(
            context.spark.sparkContext, seconds_left=left, why_lost=lambda: self._hold.why_lost
        )
        stack.callback(watch.close)
        stack.enter_context(signals.stopping(watch.stop))
        yield from run_plan(context, watch, fail_fast=self.options.fail_fast, now=self._now)
        self._hold.refuse_if_lost()
        if watch.has_run_out:
            raise RunTimeoutError(
                f"the run was not done after {limit:g} s; what was not done was cancelled",
                where=f"pipeline {self.flow.pipeline.name}",
                hint="run it again to go on where it stopped, or raise pipeline.timeout_seconds",
            )

    def _context(self, compiled: CompiledPlan, stack: ExitStack) -> RunContext:
        """What the steps share, with Spark started and the batch begun or taken up again."""
        from pipelines.execution.context import RunContext

        spark = self._session(stack)
        checkpoint = compiled.checkpoint
        is_near = is_local(checkpoint.path) and is_local(compiled.base_path)
        files: FileStore = LocalFiles() if is_near else HadoopFiles(spark)
        scratch = self.surroundings.scratch
        if scratch is not None:
            scratch.make(files, goes_on=self.options.goes_on)
        store = CheckpointStore(files, checkpoint.path) if checkpoint.enabled else None
        record = store.batch(compiled.batch_id) if store and self.options.goes_on else None
        if not is_near:
            compiled = self._resumed(compiled, record)
        request = compiled.plan.request
        begun = record or BatchRecord(
            batch_id=compiled.batch_id,
            run_id=request.run_id,
            started_at_ms=int(self._now().timestamp() * 1000),
            run_date=request.run_date.isoformat(),
            vars=dict(request.vars),
        )
        if store and record is None:
            store.save_batch(begun)
        context = RunContext(
            compiled,
            spark,
            self.loader,
            self.connections.datasource,
            store,
            begun,
            files=files,
            is_resumed=record is not None,
            redact=self.connections.redact,
            hmac_key=self.connections.hmac_key,
            turns=self._together.turns if self._together else None,
            refuse_if_lost=self._hold.refuse_if_lost,
            threads=self.options.threads,
        )
        if scratch is not None:
            self._start_small(context)
        return context

    def _start_small(self, context: RunContext) -> None:
        """Fills the scratch place, and tells of it on stderr."""
        from pipelines.execution.small_start import start_small_run

        for line in start_small_run(context, self.surroundings.at_home):
            self._say(f"note: {line}")

    def _session(self, stack: ExitStack) -> SparkSession:
        """The given session, or one of the run's own, stopped with the run."""
        if self.spark is None:
            from pipelines.execution.session import stop_session
            from pipelines.spark_start import start_spark

            session = start_spark(self)
            owner = self._together.stack if self._together else stack
            owner.callback(self._attempt, partial(stop_session, session))
            self.spark = session
            owner.callback(setattr, self, "spark", None)
        return self.spark

    def _all_sinks(self, stack: ExitStack) -> list[Sink]:
        """The caller's sinks first, so that what people see does not wait for what is kept."""
        from pipelines.sinks.metadata import MetadataSink
        from pipelines.sinks.notifications import NotificationSink
        from pipelines.utils.metadata_logger import MetadataLogger

        compiled, redact = self.compiled, self.connections.redact
        folder = self.environment.logs.upload_to

        def upload(name: str, text: str) -> None:
            path = absolute_path(
                self.loader.render_text(folder or "", compiled.names), self.flow.project_dir
            )
            near = is_local(path)
            files = LocalFiles() if near else HadoopFiles(self._session(stack))
            files.write(f"{path}/{name}", text)

        copy_to = upload if folder else None
        sinks = [*self._sinks, RunLogSink(self.log_folder, redact=redact, copy_to=copy_to)]
        metadata = self.environment.metadata
        if metadata.enabled:
            path = self.loader.render_text(metadata.path, compiled.names)
            sinks.append(MetadataSink(MetadataLogger(path, metadata.storage_options), redact))
        notifications = compiled.notifications
        if compiled.plan.request.mode == "history":  # nobody wants word of each window
            notifications = notifications.model_copy(update={"on_success": ()})
        sinks.append(NotificationSink(notifications, self.connections.address))
        return sinks

    def _attempt(self, action: Callable[[], object]) -> None:
        """Does ``action``; a failure is told on stderr once and fails nothing."""
        try:
            action()
        except BrokenPipeError:
            return  # nobody reads any more; the run goes on
        except Exception as error:
            text = self.connections.redact(f"{type(error).__name__}: {error}")
            if text not in self._told:
                self._told.add(text)
                self._say(f"warning: {text}")

    def _say(self, text: str) -> None:
        with suppress(BrokenPipeError):
            sys.stderr.write(f"{text}\n")


def lock_holder(pipeline: Pipeline) -> dict[str, Any]:
    """What the run lock says of its holder."""
    info = pipeline.info
    since = info.started_at.isoformat(timespec="seconds")
    return {"run_id": info.run_id, "pid": info.pid, "host": info.host, "since": since}
