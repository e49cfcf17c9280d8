"""What the steps of one run share, and what a script gets to see."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines.execution.reads import digest
from pipelines.execution.sampling import take_all
from pipelines.execution.slots import DEFAULT_THREADS, Slots
from pipelines.plan.changes import changes_wanted
from pipelines.utils.datasource import DataSource

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.checkpoints import BatchRecord, CheckpointStore
    from pipelines.execution.files import FileStore
    from pipelines.execution.sampling import Take
    from pipelines.execution.together import Turns
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.utils.sql_loader import SqlLoader


@dataclass(frozen=True)
class StepContext:
    """What `ingest(spark, context)` of a script may use.

    Attributes:
        params: the step's own values.
        datasources: by name; secrets are looked up when one is taken.
    """

    name: str
    stage: str
    group: str
    run_id: str
    batch_id: str
    run_date: str
    env: str
    base_path: str
    vars: Mapping[str, Any]
    params: Mapping[str, Any]
    datasources: Mapping[str, DataSource]


@dataclass(frozen=True)
class Output:
    """What a finished step gives to those downstream.

    Attributes:
        format: of the files; empty for a view.
        path: where they are; for a view the name under which all sessions see it.
        version: Delta version that readers are pinned to; None for other formats and views.
        identity: changes with the content; empty where nobody can tell.
    """

    format: str
    path: str
    version: int | None
    identity: str
    options: Mapping[str, Any] = field(default_factory=dict)


class RunContext:
    """The state that the steps of one run share; safe for threads.

    Args:
        compiled: the plan.
        spark: the run's session; each step works in a clone of it.
        loader: renders the engine's SQL templates.
        datasource: gives a datasource by name, its secrets looked up.
        checkpoints: the markers; None where checkpoints are off.
        batch: how the batch began.
        files: looks whether tables are there.
        is_resumed: whether the batch was begun by an earlier run.
        redact: takes secrets out of a text.
        hmac_key: gives the key of mask `hmac`, looked up when it is asked for.
        turns: at tables to which other runs of this process write meanwhile; None: no other does.
        refuse_if_lost: asked right before each commit and marker; raises LockLostError where
            another run may be at work.
        threads: how many things the run does at once; 0 for the usual number.

    Attributes:
        take: what of each raw source is read; to be set before steps run.
        few_changes: the changes of tables that several steps read, where they are few.
        slots: what the run does at once; steps and their checks share them.
    """

    def __init__(
        self,
        compiled: CompiledPlan,
        spark: SparkSession,
        loader: SqlLoader,
        datasource: Callable[[str], DataSource],
        checkpoints: CheckpointStore | None,
        batch: BatchRecord,
        *,
        files: FileStore,
        is_resumed: bool,
        redact: Callable[[str], str],
        hmac_key: Callable[[], str] = str,
        turns: Turns | None = None,
        refuse_if_lost: Callable[[], None] = lambda: None,
        threads: int = 0,
    ) -> None:
        self.compiled, self.spark, self.loader = compiled, spark, loader
        self.checkpoints, self._connect = checkpoints, datasource
        self.take: Take = take_all
        self.hmac_key = hmac_key
        self.files, self.is_resumed, self.redact = files, is_resumed, redact
        self.outputs: dict[str, Output] = {}
        self.few_changes: dict[tuple[str, str], DataFrame] = {}
        self._at_hand: dict[tuple[str, ...], DataFrame] = {}
        self._batch, self._turns = batch, turns
        self.refuse_if_lost = refuse_if_lost
        self.slots = Slots(threads or DEFAULT_THREADS)
        self._lock = threading.Lock()

    @property
    def batch(self) -> BatchRecord:
        """How the batch began, with the versions of outside inputs known so far."""
        return self._batch

    @property
    def request_is_full_refresh(self) -> bool:
        """Whether tables are built anew, whatever their mode."""
        return self.compiled.plan.request.full_refresh

    @property
    def has_neighbours(self) -> bool:
        """Whether other runs of this process write to the same tables meanwhile."""
        return self._turns is not None

    def at_hand(
        self, what: tuple[str, ...], make: Callable[[SparkSession], DataFrame]
    ) -> DataFrame:
        """What ``make`` makes in the run's session, looked up once for all steps that read it.

        Args:
            what: tells it from all else that is kept so.
            make: gives it; nothing of it is computed yet.
        """
        if what not in self._at_hand:
            self._at_hand[what] = make(self.spark)
        return self._at_hand[what]

    def turn(self, step: CompiledStep) -> AbstractContextManager[object]:
        """Waits until ``step`` may write to its table, and holds it as long as it has to be."""
        return self._turns.at(step.settings.destination) if self._turns else nullcontext()

    def datasource(self, name: str) -> DataSource:
        """A datasource by name, its secrets looked up; it gives the rows that the run takes."""
        return replace(self._connect(name), take=self.take)

    @cached_property
    def changes_wanted(self) -> frozenset[str]:
        """The steps, by id, whose tables keep a feed of their changes for others."""
        return changes_wanted(self.compiled)

    @property
    def judges_checks(self) -> bool:
        """Whether what checks give counts; over no rows it says nothing."""
        small = self.compiled.plan.request.small
        return small is None or not small.empty

    def pinned_version(self, path: str, current: Callable[[], int | None]) -> int | None:
        """The version of a Delta table outside of this run that the whole batch reads.

        The first look decides and is noted, so that a resumed run reads the same.
        """
        with self._lock:
            if path in self._batch.inputs:
                return self._batch.inputs[path]
            version = current()
            if version is not None:
                self._batch = replace(self._batch, inputs={**self._batch.inputs, path: version})
                if self.checkpoints is not None:
                    self.refuse_if_lost()
                    self.checkpoints.save_batch(self._batch)
            return version

    def stamp(self, step: CompiledStep, read: Mapping[str, str]) -> dict[str, str]:
        """What each commit of a step says of its writer, and of what it was made from.

        Args:
            step: the step.
            read: identities of the outputs that it reads, by step id.
        """
        return {
            "run_id": self.compiled.plan.request.run_id,
            "batch_id": self.compiled.batch_id,
            "step": step.id,
            "fingerprint": step.fingerprint,
            "read": digest(read),
        }

    def script_context(self, step: CompiledStep) -> StepContext:
        """What a script of ``step`` gets to see."""
        names = self.compiled.names
        return StepContext(
            name=step.node.step.name,
            stage=step.node.stage.name,
            group=step.node.group.name,
            run_id=self.compiled.plan.request.run_id,
            batch_id=self.compiled.batch_id,
            run_date=str(names["run_date"]),
            env=self.compiled.environment_name,
            base_path=self.compiled.base_path,
            vars=names["vars"],
            params=step.settings.params,
            datasources=_Datasources(self.compiled.datasources, self.datasource),
        )


class _Datasources(Mapping[str, DataSource]):
    """Datasources by name, made when one is taken."""

    def __init__(self, names: Mapping[str, Any], make: Callable[[str], DataSource]) -> None:
        self._names, self._make = names, make

    def __getitem__(self, name: str) -> DataSource:
        if name not in self._names:
            raise KeyError(f"no datasource is called {name!r}; known: {', '.join(self._names)}")
        return self._make(name)

    def __iter__(self) -> Any:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
