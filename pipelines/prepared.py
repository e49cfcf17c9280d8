"""A flow in one environment, up to where Spark begins: read, planned, rendered, judged."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cache, cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import (
    FlowError,
    SecretStoreDownError,
    SecretStoreError,
    UsageError,
    near_names,
)
from pipelines.execution.checkpoints import BatchRecord, CheckpointStore, Marker
from pipelines.execution.connections import Connections
from pipelines.execution.files import LocalFiles, cache_folder, is_local, local_path
from pipelines.execution.lock import Hold, held
from pipelines.execution.resume import Decision, decide_all
from pipelines.execution.surroundings import Surroundings
from pipelines.execution.versions import project_at
from pipelines.lineage.known_statements import KnownStatements
from pipelines.plan.checks import check_plan, in_file_order
from pipelines.plan.compile import CompiledPlan, CompiledStep, compile_plan
from pipelines.plan.graph import Graph
from pipelines.plan.plan import RunRequest, build_plan
from pipelines.plan.selection import History
from pipelines.plan.windows import window_at
from pipelines.results import utc_now
from pipelines.spec.flow import Flow
from pipelines.spec.loader import find_flow_file, load_flow
from pipelines.utils.sql_loader import SqlLoader

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.plan.small_run import SmallRun
    from pipelines.plan.windows import Window
    from pipelines.spec.config import Environment


_LEASE_SECONDS = 60.0


def generate_batch_id(configured: str | None = None, now: Callable[[], datetime] = utc_now) -> str:
    """The batch's name: what was configured, else the time in UTC, as ``20261123T105824Z``."""
    return configured or now().strftime("%Y%m%dT%H%M%SZ")


def generate_run_id(moment: datetime) -> str:
    """A run's name: the time in UTC and six random digits, so that names sort by time."""
    return f"{moment.strftime('%Y%m%dT%H%M%SZ')}-{os.urandom(3).hex()}"


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
    resume: bool | None = None
    full_refresh: bool = False
    threads: int = 0
    fail_fast: bool = False
    debug: bool = False
    against: str | None = None
    small: SmallRun | None = None
    mode: str | None = None
    window: Window | None = None

    @property
    def goes_on(self) -> bool:
        """Whether what the batch has done already is left out.

        A full refresh does it all anew, and so does a small run that is not told to resume.
        """
        resume = self.small is None if self.resume is None else self.resume
        return resume and not self.full_refresh


class PreparedFlow:
    """One flow in one environment, ready to be validated and planned; nothing here starts Spark.

    Args:
        flow: name of a flow below `pipelines/flows/`, or the path of its file.
        options: what is asked of it.
        now: the clock.
    """

    def __init__(
        self,
        flow: str | Path,
        options: Options | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self.options = options or Options()
        self._flow_name, self._now = str(flow), now
        self._graph: Graph | None = None

    @cached_property
    def flow(self) -> Flow:
        """The flow. Raises FlowError with every finding of its file."""
        root = self.options.project_dir
        return load_flow(find_flow_file(self._flow_name, root), root)

    @cached_property
    def surroundings(self) -> Surroundings:
        """The environments that the run reads and writes."""
        return Surroundings(
            self.flow.project_dir,
            self.flow.pipeline.name,
            self.loader,
            config=self.options.config,
            env=self.options.env,
            small=self.options.small,
        )

    @property
    def environment(self) -> Environment:
        """The environment's settings. Raises ConfigError with every finding of the config."""
        return self.surroundings.written

    @cached_property
    def loader(self) -> SqlLoader:
        """The template engine of the project."""
        return SqlLoader(self.flow.project_dir)

    @cached_property
    def connections(self) -> Connections:
        """Datasources, addresses and secrets."""
        return Connections(
            self.environment,
            self.flow.project_dir,
            self.loader,
            cache(lambda: self.surroundings.at_sources(self.compiled)),
        )

    @cached_property
    def statements(self) -> KnownStatements:
        """The tables of statements, those that were read before among them."""
        return KnownStatements(self.cache_folder / "statements.json")

    @property
    def log_folder(self) -> Path:
        """Where the JSON logs are."""
        return self.environment.logs.folder(self.flow.project_dir)

    @property
    def cache_folder(self) -> Path:
        """Where jars and Spark's own files are kept."""
        return cache_folder(self.flow.project_dir)

    @property
    def lock_file(self) -> Path:
        """Beside the checkpoints; where other machines reach those, a file of this machine."""
        if self.surroundings.scratch is not None:
            return self.surroundings.scratch.lock_file
        path = self.compiled.checkpoint.path
        if self.lease_seconds is None:
            return local_path(path) / ".lock"
        return self.log_folder / "locks" / f"{sha256(path.encode()).hexdigest()[:16]}.lock"

    @property
    def lease_seconds(self) -> float | None:
        """How long a lease holds; None where the lock of this machine is enough."""
        said = self.environment.lock.lease_seconds
        return _LEASE_SECONDS if said is None and not is_local(self._leased) else said

    def run_lock(self, holder: Mapping[str, Any]) -> AbstractContextManager[Hold]:
        """Holds the lock of all that writes to the lakehouse of the flow, for ``holder``."""
        return held(self.lock_file, f"{self._leased}.lease", self.lease_seconds, holder)

    @property
    def _leased(self) -> str:
        """What a lease is for; it lies beside it."""
        scratch = self.surroundings.scratch
        return self.compiled.checkpoint.path if scratch is None else scratch.root

    @cached_property
    def compiled(self) -> CompiledPlan:
        """The plan, rendered; of a resumed batch with the day and variables that it began with."""
        asked, moment = self.options, self._now()
        policy, day = self.flow.pipeline.run, asked.run_date or moment.date()
        mode, window = asked.mode or policy.mode, asked.window
        if mode == "history" and window is None:
            window = window_at(day, policy.window)
        request = RunRequest(
            run_id=generate_run_id(moment),
            run_date=day,
            batch_id=asked.batch_id,
            vars=asked.vars,
            select=asked.select,
            exclude=asked.exclude,
            full_refresh=asked.full_refresh,
            debug=asked.debug,
            small=asked.small,
            mode=mode,
            given_window=window,
        )
        compiled = self._compile(request, asked.batch_id)
        store = self._local_checkpoints(compiled)
        record = store.batch(compiled.batch_id) if store and asked.goes_on else None
        return self._resumed(compiled, record)

    def findings(self) -> tuple[Finding, ...]:
        """Everything that is wrong and can be told without Spark; errors and warnings.

        Raises:
            FlowError: too much is wrong for warnings to be worth looking for.
        """
        judged = self._judged  # first: it tells most where the flow itself is broken
        return (*judged, *self._secret_findings())

    def _secret_findings(self) -> Iterator[Finding]:
        """A warning for each secret that no provider has, and each provider that is mute."""
        looked_in = ", ".join(self.environment.secrets.providers)
        told = set()
        for name in sorted(self.compiled.secrets):
            try:
                if not self.connections.has_secret(name):
                    message = f"secret {name!r} is asked for, and no provider has it"
                    yield self._secret_finding("missing-secret", message, f"looked in: {looked_in}")
            except SecretStoreError as error:
                if error.message not in told:
                    told.add(error.message)
                    yield self._secret_finding("unchecked-secret", error.message, error.hint)
                if isinstance(error, SecretStoreDownError):
                    return

    def _secret_finding(self, code: str, message: str, hint: str) -> Finding:
        return self.flow.document.finding(
            code, message, ("pipeline",), severity="warning", hint=hint
        )

    def checked(self) -> CompiledPlan:
        """The compiled plan.

        Raises:
            FlowError: with every error that was found.
        """
        errors = [finding for finding in self._judged if finding.severity == "error"]
        if errors:
            raise FlowError(errors)
        return self.compiled

    @cached_property
    def _judged(self) -> tuple[Finding, ...]:
        """The plan's findings; where the flow or its graph is broken, these and the rest's."""
        found: list[Finding] = []
        left = self
        while True:
            try:
                steps = left.compiled.steps.values()
                left.statements.read_ahead(sql.text for step in steps for sql in step.statements)
                judged = check_plan(left.compiled, left.statements.tables)
                left.statements.save()
            except FlowError as error:
                found += error.findings
                left = copy(left)  # what is left of the flow is judged, and never run
                if isinstance(error.partial, Flow):
                    left.flow = error.partial
                elif isinstance(error.partial, Graph):
                    left._graph = error.partial
                else:
                    raise FlowError(found) from None
                continue
            if found:
                raise FlowError(in_file_order((*found, *judged)))
            return judged

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
        plan = build_plan(self.flow, request, self._history(request), self._graph)
        if batch_id is None and self.flow.pipeline.batch_id is None:
            batch_id = generate_batch_id(now=self._now)
        return self.surroundings.compile(plan, batch_id)

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
        if request == compiled.plan.request and record.batch_id == compiled.batch_id:
            return compiled
        return self._compile(request, record.batch_id)

    def _history(self, request: RunRequest) -> History | None:
        """The past, where a selection asks for it."""
        asked = " ".join((*request.select, *request.exclude))
        if "result:" not in asked and "state:" not in asked:
            return None
        from pipelines.sinks.run_log import last_run

        name, environment = self.surroundings.home
        folder = environment.logs.folder(self.flow.project_dir)
        last = last_run(folder, self.flow.pipeline.name, name)
        done = {step["id"]: step for step in last["steps"]} if last else {}
        statuses = {step_id: step["status"] for step_id, step in done.items()} if last else None
        if self.options.against is None:
            then = {step_id: step.get("fingerprint") for step_id, step in done.items()}
        else:
            with self.other_version() as other:
                then = {} if other is None else other.fingerprints(request)
        now = self.fingerprints(request)
        modified = {step_id for step_id, print_ in now.items() if then.get(step_id) != print_}
        return History(statuses, frozenset(modified))

    def fingerprints(self, request: RunRequest) -> dict[str, str]:
        """Of every step, were all selected."""
        name, environment = self.surroundings.home
        plan = build_plan(self.flow, replace(request, select=(), exclude=()))
        compiled = compile_plan(plan, self.loader, name, environment, request.batch_id or "")
        return {step_id: step.fingerprint for step_id, step in compiled.steps.items()}

    @contextmanager
    def other_version(self) -> Iterator[PreparedFlow | None]:
        """The flow as it is in `options.against`; None where it does not exist there.

        Raises:
            UsageError: there is no such version.
        """
        project = self.flow.project_dir
        with project_at(project, self.options.against or "") as folder:
            file = folder / self.flow.path.relative_to(project)
            options = replace(
                self.options, project_dir=folder, against=None, select=(), exclude=(), resume=False
            )
            yield PreparedFlow(file, options, now=self._now) if file.exists() else None

    def _local_checkpoints(self, compiled: CompiledPlan) -> CheckpointStore | None:
        checkpoint = compiled.checkpoint
        if not checkpoint.enabled or not is_local(checkpoint.path):
            return None
        return CheckpointStore(LocalFiles(), checkpoint.path)
