"""The engine: one straight path from a flow's YAML to the results of its run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property, partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import FlowError, UsageError, near_names
from pipelines.execution.checkpoints import BatchRecord, CheckpointStore, Marker
from pipelines.execution.connections import Connections
from pipelines.execution.files import (
    FileStore,
    HadoopFiles,
    LocalFiles,
    cache_folder,
    is_local,
    local_path,
)
from pipelines.execution.lock import RunLock
from pipelines.execution.resume import Decision, decide_all, has_work, left_out, unreached
from pipelines.execution.run_info import describe_run, new_run_id
from pipelines.execution.signals import Signals
from pipelines.plan.checks import check_plan
from pipelines.plan.compile import CompiledPlan, CompiledStep, absolute_path, compile_plan
from pipelines.plan.plan import RunRequest, build_plan
from pipelines.plan.selection import History
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
)
from pipelines.sinks.run_log import RunLogSink, last_run, mark_interrupted
from pipelines.spec.loader import find_flow_file, find_project_dir, load_environment, load_flow
from pipelines.utils.sql_loader import SqlLoader

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.execution.context import RunContext
    from pipelines.execution.session import SparkSession
    from pipelines.sinks.base import Sink
    from pipelines.spec.config import Environment
    from pipelines.spec.flow import Flow


def generate_batch_id(configured: str | None = None, now: Callable[[], datetime] = utc_now) -> str:
    """The batch's name: what was configured, else the time in UTC, as ``20261123T105824Z``."""
    return configured or now().strftime("%Y%m%dT%H%M%SZ")


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


def log_folder(project_dir: Path | None, config: Path | None, env: str | None) -> Path:
    """Where the JSON logs of an environment are; no flow is looked at."""
    root = project_dir or find_project_dir(Path.cwd())
    _, environment = load_environment(root, config_file=config, name=env)
    return root / Path(environment.logs.path).expanduser()


@dataclass(frozen=True)
class Options:
    """What a user may ask of a run, apart from the flow; the CLI's options by the same names."""

    env: str | None = None
    config: Path | None = None
    project_dir: Path | None = None
    batch_id: str | None = None
    run_date: date | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    resume: bool = True
    full_refresh: bool = False
    threads: int = 0
    fail_fast: bool = False
    debug: bool = False

    @property
    def goes_on(self) -> bool:
        """Whether what the batch has done already is left out; a full refresh does it all anew."""
        return self.resume and not self.full_refresh


class Pipeline:
    """One flow in one environment, ready to be validated, planned and run.

    Args:
        flow: name of a flow below `pipelines/flows/`, or the path of its file.
        options: what is asked of it.
        sinks: told of all that happens, besides the logs that the environment asks for.
        spark: a session to work in; without it the run starts its own, and stops it.
        now: the clock.
    """

    def __init__(
        self,
        flow: str | Path,
        options: Options | None = None,
        *,
        sinks: Sequence[Sink] = (),
        spark: SparkSession | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.options = options or Options()
        self._flow_name, self._sinks, self._spark, self._now = str(flow), sinks, spark, now
        self._told: set[str] = set()

    def run(self) -> RunResult:
        """Runs the flow; every failure of a step is in the result.

        Raises:
            UsageError: something is wrong with the flow, config or options; nothing was started.
            LockHeldError: another run of this pipeline is at work.
        """
        compiled = self.checked()
        info = describe_run(compiled, self._now(), self.log_folder)
        with RunLock(self._lock_file, _holder(info)), ExitStack() as stack:
            self._attempt(partial(mark_interrupted, self.log_folder, info.pipeline))
            sinks = self._all_sinks(stack)
            for event in self._events(info, stack):
                for sink in sinks:
                    self._attempt(partial(sink.handle, event))
                if isinstance(event, RunFinished):
                    result = event.result
        return result

    # --- what is known without Spark -------------------------------------------------------

    @cached_property
    def flow(self) -> Flow:
        """The flow. Raises FlowError with every finding of its file."""
        root = self.options.project_dir
        return load_flow(find_flow_file(self._flow_name, root), root)

    @cached_property
    def _chosen_environment(self) -> tuple[str, Environment]:
        return load_environment(
            self.flow.project_dir, config_file=self.options.config, name=self.options.env
        )

    @property
    def environment(self) -> Environment:
        """The environment's settings. Raises ConfigError with every finding of the config."""
        return self._chosen_environment[1]

    @cached_property
    def loader(self) -> SqlLoader:
        """The template engine of the project."""
        return SqlLoader(self.flow.project_dir)

    @cached_property
    def connections(self) -> Connections:
        """Datasources, addresses and secrets."""
        return Connections(
            self.environment, self.flow.project_dir, self.loader, lambda: self.compiled
        )

    @property
    def log_folder(self) -> Path:
        """Where the JSON logs are."""
        return self.flow.project_dir / Path(self.environment.logs.path).expanduser()

    @property
    def cache_folder(self) -> Path:
        """Where jars and Spark's own files are kept."""
        return cache_folder(self.flow.project_dir)

    @cached_property
    def compiled(self) -> CompiledPlan:
        """The plan, rendered; of a resumed batch with the day and variables that it began with."""
        asked, moment = self.options, self._now()
        request = RunRequest(
            run_id=new_run_id(moment),
            run_date=asked.run_date or moment.date(),
            batch_id=asked.batch_id,
            vars=asked.vars,
            select=asked.select,
            exclude=asked.exclude,
            resume=asked.resume,
            full_refresh=asked.full_refresh,
            threads=asked.threads,
            fail_fast=asked.fail_fast,
            debug=asked.debug,
        )
        compiled = self._compile(request, asked.batch_id)
        store = self._local_checkpoints(compiled)
        record = store.batch(compiled.batch_id) if store and asked.goes_on else None
        return self._resumed(compiled, record)

    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong and can be told without Spark; errors and warnings."""
        looked_in = ", ".join(self.environment.secrets.providers)
        missing = [
            self.flow.document.finding(
                "missing-secret",
                f"secret {name!r} is asked for, and no provider has it",
                ("pipeline",),
                severity="warning",
                hint=f"looked in: {looked_in}",
            )
            for name in sorted(self.compiled.secrets)
            if not self.connections.has_secret(name)
        ]
        return (*check_plan(self.compiled), *missing)

    def checked(self) -> CompiledPlan:
        """The compiled plan.

        Raises:
            FlowError: with every error that was found.
        """
        errors = [finding for finding in check_plan(self.compiled) if finding.severity == "error"]
        if errors:
            raise FlowError(errors)
        return self.compiled

    def decisions(self) -> Mapping[str, Decision | None]:
        """For every step whether the run would leave it out, and why; None where it runs."""
        compiled = self.checked()
        store = self._local_checkpoints(compiled)
        if not self.options.goes_on or (store and store.batch(compiled.batch_id) is None):
            store = None

        def marker(step_id: str) -> Marker | None:
            return store.marker(compiled.batch_id, step_id) if store else None

        return decide_all(compiled, marker, LocalFiles())

    def step(self, name: str) -> CompiledStep:
        """The compiled step called ``name``, or `stage.group.step`.

        Raises:
            UsageError: there is none; near names are offered.
        """
        steps = self.checked().steps
        fits = [step for step in steps.values() if name in (step.id, step.node.step.name)]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise UsageError(f"{name!r} fits {' and '.join(step.id for step in fits)}")
        near = near_names(name, [*steps, *(step.node.step.name for step in steps.values())])
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise UsageError(f"no step is called {name!r}", hint=hint)

    def _compile(self, request: RunRequest, batch_id: str | None) -> CompiledPlan:
        name, environment = self._chosen_environment
        plan = build_plan(self.flow, request, self._history(request))
        if batch_id is None and self.flow.pipeline.batch_id is None:
            batch_id = generate_batch_id(now=self._now)
        return compile_plan(plan, self.loader, name, environment, batch_id)

    def _resumed(self, compiled: CompiledPlan, record: BatchRecord | None) -> CompiledPlan:
        """``compiled`` as its batch began, where it did."""
        if record is None:
            return compiled
        began = date.fromisoformat(record.run_date)
        if self.options.run_date not in (None, began):
            raise UsageError(
                f"batch {record.batch_id!r} was begun for {began}, not {self.options.run_date}",
                hint="leave --run-date out, or give --no-resume or another --batch-id",
            )
        request = compiled.plan.request
        request = replace(request, run_date=began, vars={**record.vars, **request.vars})
        return self._compile(request, record.batch_id)

    def _history(self, request: RunRequest) -> History | None:
        """The past, where a selection asks for it."""
        asked = " ".join((*request.select, *request.exclude))
        if "result:" not in asked and "state:" not in asked:
            return None
        name, environment = self._chosen_environment
        last = last_run(self.log_folder, self.flow.pipeline.name, name)
        then = {step["id"]: step for step in last["steps"]} if last else {}
        plan = build_plan(self.flow, replace(request, select=(), exclude=()))
        now = compile_plan(plan, self.loader, name, environment, request.batch_id or "").steps
        modified = frozenset(
            step_id
            for step_id, step in now.items()
            if then.get(step_id, {}).get("fingerprint") != step.fingerprint
        )
        statuses = {step_id: step["status"] for step_id, step in then.items()} if last else None
        return History(statuses, modified)

    # --- the run ---------------------------------------------------------------------------

    def _events(self, info: RunInfo, stack: ExitStack) -> Iterator[Event]:
        """The events of the whole run, its start and its end; no step's failure raises here."""
        yield RunStarted(info, info.started_at)
        steps: dict[str, StepResult] = {}
        broken: ErrorInfo | None = None
        signals = stack.enter_context(Signals())
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
        end = self._now()
        result = RunResult.collect(
            info,
            steps.values(),
            finished_at=end,
            signal_number=signals.received,
            error=broken,
        )
        yield RunFinished(result, end)

    def _step_events(self, stack: ExitStack, signals: Signals) -> Iterator[Event]:
        """The steps' events; no Spark is started where the batch has nothing left to do."""
        compiled = self.compiled
        decisions = self.decisions()
        if not has_work(compiled, decisions):
            for result in left_out(compiled, decisions, self._now()):
                yield StepFinished(result, self._now())
            return
        from pipelines.execution.runner import DEFAULT_THREADS, run_plan
        from pipelines.execution.watch import Watch

        signals.is_starting = True
        context = self._context(compiled, stack)
        signals.is_starting = False
        signals.listen()
        watch = Watch(context.spark.sparkContext)
        stack.callback(watch.close)
        signals.stop = watch.stop
        if signals.received is not None:
            watch.stop()
        yield from run_plan(
            context,
            watch,
            threads=self.options.threads or DEFAULT_THREADS,
            fail_fast=self.options.fail_fast,
            now=self._now,
        )

    def _context(self, compiled: CompiledPlan, stack: ExitStack) -> RunContext:
        """What the steps share, with Spark started and the batch begun or taken up again."""
        from pipelines.execution.context import RunContext

        spark = self._session(compiled, stack)
        checkpoint = compiled.checkpoint
        is_near = is_local(checkpoint.path) and is_local(compiled.base_path)
        files: FileStore = LocalFiles() if is_near else HadoopFiles(spark)
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
        return RunContext(
            compiled,
            spark,
            self.loader,
            self.connections.datasource,
            store,
            begun,
            files=files,
            is_resumed=record is not None,
            redact=self.connections.redact,
        )

    def _session(self, compiled: CompiledPlan, stack: ExitStack) -> SparkSession:
        """The given session, or one of the run's own, stopped with the run."""
        if self._spark is not None:
            return self._spark
        from pipelines.execution.jars import DEFAULT_PACKAGES, jar_cache, resolve_jars
        from pipelines.execution.session import start_session

        settings = self.environment.spark
        jars: Sequence[Path] = ()
        if settings.master is not None:
            jars = resolve_jars(
                jar_cache(self.flow.project_dir), (*DEFAULT_PACKAGES, *settings.packages)
            )
        conf = {
            key: self.loader.render_text(str(value), compiled.names)
            if isinstance(value, str)
            else value
            for key, value in settings.conf.items()
        }
        session = start_session(
            self.flow.pipeline.name,
            settings.master,
            conf,
            jars,
            folder=self.cache_folder / "spark",
            debug=self.options.debug,
        )
        stack.callback(self._attempt, session.stop)
        self._spark = session
        stack.callback(setattr, self, "_spark", None)
        return session

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
            files = LocalFiles() if near else HadoopFiles(self._session(compiled, stack))
            files.write(f"{path}/{name}", text)

        copy_to = upload if folder else None
        sinks = [*self._sinks, RunLogSink(self.log_folder, redact=redact, copy_to=copy_to)]
        metadata = self.environment.metadata
        if metadata.enabled:
            path = self.loader.render_text(metadata.path, compiled.names)
            sinks.append(MetadataSink(MetadataLogger(path, metadata.storage_options), redact))
        sinks.append(NotificationSink(compiled.notifications, self.connections.address))
        return sinks

    def _attempt(self, action: Callable[[], object]) -> None:
        """Does ``action``; a failure is told on stderr once and fails nothing."""
        try:
            action()
        except Exception as error:
            text = self.connections.redact(f"{type(error).__name__}: {error}")
            if text not in self._told:
                self._told.add(text)
                sys.stderr.write(f"warning: {text}\n")

    def _local_checkpoints(self, compiled: CompiledPlan) -> CheckpointStore | None:
        checkpoint = compiled.checkpoint
        if not checkpoint.enabled or not is_local(checkpoint.path):
            return None
        return CheckpointStore(LocalFiles(), checkpoint.path)

    @property
    def _lock_file(self) -> Path:
        """Beside the checkpoints; for remote ones, a file of this machine."""
        path = self.compiled.checkpoint.path
        if is_local(path):
            return local_path(path) / ".lock"
        return self.log_folder / "locks" / f"{sha256(path.encode()).hexdigest()[:16]}.lock"


def _holder(info: RunInfo) -> dict[str, Any]:
    """What the run lock says of its holder."""
    since = info.started_at.isoformat(timespec="seconds")
    return {"run_id": info.run_id, "pid": info.pid, "host": info.host, "since": since}
