"""Where a step's rows go, as the commit protocol needs it: write once, check, keep or undo."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.errors import DestinationError
from pipelines.execution.context import Output, RunContext
from pipelines.results import DestinationState, WriteCounts
from pipelines.spec.steps import KEYED_MODES
from pipelines.utils.sql_runner import (
    Commit,
    DeltaLog,
    StagedFiles,
    WriteOptions,
    check_schema,
    insert_source,
    run_query,
    write_delta,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.handlers import Product
    from pipelines.plan.compile import CompiledStep

_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_TXN_APP = "spark.databricks.delta.write.txnAppId"
_TXN_VERSION = "spark.databricks.delta.write.txnVersion"
_SOURCE_VIEW = "__step_result"


class Target(Protocol):
    """A destination while one attempt of a step works on it."""

    counts: WriteCounts
    changed: bool

    def find_own_write(self) -> bool:
        """Whether this batch's step, as it is now, has written already.

        What it wrote as it was before an edit is undone.
        """

    def write(self, product: Product) -> None:
        """Writes, in one commit."""

    def rows(self) -> DataFrame:
        """The rows as written, for the checks."""

    def keep(self) -> Output:
        """The checks passed: what readers downstream get."""

    def undo(self) -> None:
        """Puts the destination back to what it was before the step."""

    def undo_own_write(self) -> None:
        """Puts the destination back where an attempt that broke has written already."""

    def state(self) -> DestinationState:
        """For the log."""


def open_target(session: SparkSession, step: CompiledStep, context: RunContext) -> Target:
    """The destination of ``step``."""
    destination = step.settings.destination
    if destination.view is not None:
        return _ViewTarget(session, step, context)
    if destination.format == "delta":
        return _DeltaTarget(session, step, context)
    return _FilesTarget(session, step, context)


class _DeltaTarget:
    """A Delta table: one commit, stamped; undone by RESTORE."""

    def __init__(self, session: SparkSession, step: CompiledStep, context: RunContext) -> None:
        self._session, self._step, self._context = session, step, context
        self._destination = step.settings.destination
        self._path = self._destination.path or ""
        self._log = DeltaLog(session, self._path)
        self._stamp = context.stamp(step)
        self.before = self._log.version()
        self.after = self.before
        self.counts = WriteCounts()
        self.changed = False

    def find_own_write(self) -> bool:
        own = self._own_commits()
        if not own:
            return False
        newest = own[0]
        self._stand_at(own)
        if (
            newest.user_metadata.get("fingerprint") == self._stamp["fingerprint"]
            and "phase" not in newest.user_metadata
        ):
            self.counts, self.changed = newest.counts, True
            return True
        self.undo()
        self.before = self.after = self._log.version()
        return False

    def undo_own_write(self) -> None:
        own = self._own_commits()
        if own:
            self._stand_at(own)
            self.undo()

    def _own_commits(self) -> list[Commit]:
        """This batch's commits of this step that stand, newest first."""
        own: list[Commit] = []
        for commit in self._log.commits_back(self._context.batch.started_at_ms):
            if self._is_own(commit):
                if commit.operation == "RESTORE":
                    break
                own.append(commit)
        return own

    def _stand_at(self, own: list[Commit]) -> None:
        first = own[-1].version
        self.before, self.after = (first - 1 if first else None), own[0].version

    def write(self, product: Product) -> None:
        self._conf(_METADATA, json.dumps(self._stamp))
        self._conf(_TXN_APP, f"{self._stamp['batch_id']}/{self._step.id}@{self.before}")
        self._conf(_TXN_VERSION, "1")
        try:
            if product.statement is not None:
                self._run_statement(product)
            elif product.frame is not None:
                self._write_frame(product.frame)
        finally:
            # Left set, they would make later writes of the session vanish without a word.
            for name in (_TXN_APP, _TXN_VERSION):
                self._session.conf.unset(name)
        self._find_commit()

    def rows(self) -> DataFrame:
        reader = self._session.read.format("delta")
        return reader.option("versionAsOf", str(self.after)).load(self._path)

    def keep(self) -> Output:
        return Output("delta", self._path, self.after, is_fresh=True)

    def undo(self) -> None:
        newest = self._log.version()
        if newest is None or newest == self.before:
            return
        if newest != self.after and self.after is not None:
            other = self._log.commit(newest)
            raise DestinationError(
                f"cannot undo version {self.after}: version {newest} "
                f"({other.operation}, run {other.user_metadata.get('run_id', 'unknown')}) "
                "was committed since",
                where=self._path,
                hint=f"look at both, then RESTORE to version {self.before} by hand",
            )
        if self.before is None:
            self._log.remove()
        else:
            self._conf(_METADATA, json.dumps(self._stamp))
            self._log.restore(self.before)
        self.after, self.changed = self._log.version(), False

    def state(self) -> DestinationState:
        return DestinationState("delta", self._path, self.before, self.after)

    def _is_own(self, commit: Commit) -> bool:
        said = commit.user_metadata
        return (said.get("batch_id"), said.get("step")) == (self._stamp["batch_id"], self._step.id)

    def _find_commit(self) -> None:
        """Our commit among those since; without one nothing changed."""
        newest = self._log.version()
        floor = -1 if self.before is None else self.before
        for version in range(newest if newest is not None else -1, floor, -1):
            commit = self._log.commit(version)
            if self._is_own(commit) and "phase" not in commit.user_metadata:
                self.after, self.counts, self.changed = version, commit.counts, True
                return
        self.after = newest

    def _write_frame(self, frame: DataFrame) -> None:
        destination, exists = self._destination, self.before is not None
        mode, refresh = destination.mode, self._context.request_is_full_refresh
        if exists and not refresh and mode == "ignore":
            return
        if exists and not refresh and mode == "error":
            raise DestinationError(
                "the table exists already", where=self._path, hint="mode 'error' writes once only"
            )
        policy = "overwrite" if refresh else destination.schema_policy
        existing = self._log.schema() if exists else None
        check_schema(frame.schema, existing, policy, where=self._step.id)
        if mode in KEYED_MODES:
            merges = exists and not refresh
            sql = self._keyed_sql(frame, existing if merges else None)
            if merges and mode != "insert_new":
                if policy == "evolve":
                    self._conf("spark.databricks.delta.schema.autoMerge.enabled", "true")
                run_query(self._session, sql, file=f"sql_templates/{mode}")
                return
            frame = run_query(self._session, sql, file=f"sql_templates/{mode}")
        write_mode = {"append": "append", "insert_new": "append"}.get(mode, "overwrite")
        if mode == "replace_partitions" and exists and not refresh:
            write_mode = "replace_partitions"
        write_mode = "overwrite" if refresh else write_mode
        how = WriteOptions(
            mode=write_mode,
            schema_policy=policy if exists else "strict",
            partition_by=destination.partition_by,
            cluster_by=() if exists and write_mode != "overwrite" else destination.cluster_by,
            options=destination.options,
        )
        write_delta(frame, self._path, how)

    def _keyed_sql(self, frame: DataFrame, existing: Any | None) -> str:
        """The engine's template of the mode, or the project's own of the same name."""
        destination = self._destination
        columns = frame.columns
        keys = [self._same_name(key, columns) for key in destination.keys]
        frame.createOrReplaceTempView(_SOURCE_VIEW)
        template = {"merge": "scd1"}.get(destination.mode, destination.mode)
        others = [column for column in columns if column not in keys]
        orderable = [c.name for c in frame.schema if c.name in others and _can_order(c.dataType)]
        names: Mapping[str, Any] = {
            "source": _SOURCE_VIEW,
            "target": self._name() if existing is not None else None,
            "columns": columns,
            "keys": keys,
            "others": others,
            "order_by": orderable,
            "sequence_by": destination.sequence_by,
            "duplicate_message": f"{self._step.id}: a key stands twice at the same instant",
        }
        text = f"{{% include '{template}.sql.j2' %}}"
        return self._context.loader.render_text(text, names, file=f"{template}.sql.j2")

    def _same_name(self, key: str, columns: list[str]) -> str:
        for column in columns:
            if column.lower() == key.lower():
                return column
        raise DestinationError(
            f"key {key!r} is not a column of the result",
            where=self._step.id,
            hint=f"columns: {', '.join(columns)}",
        )

    def _run_statement(self, product: Product) -> None:
        statement = product.statement
        assert statement is not None
        if self.before is None or self._context.request_is_full_refresh:
            self._create_empty(statement.text)
        frame = self._session.read.format("delta").load(self._path)
        frame.createOrReplaceTempView(self._step.settings.name)
        run_query(self._session, statement.text, file=statement.file)

    def _create_empty(self, sql: str) -> None:
        """An empty table for a statement to fill, with the columns of what it inserts."""
        columns = self._log.schema() if self.before is not None else None
        if columns is None:
            source = insert_source(self._session, sql)
            if source is None:
                raise DestinationError(
                    "the table does not exist, and the statement does not tell its columns",
                    where=self._path,
                    hint="only INSERT and MERGE can make the table; run one of them first",
                )
            jvm: Any = self._session._jvm
            java = jvm.org.apache.spark.sql.classic.Dataset.ofRows(
                self._session._jsparkSession, source
            )
            from pyspark.sql import DataFrame as Frame

            columns = Frame(java, self._session).schema
        self._conf(_METADATA, json.dumps({**self._stamp, "phase": "create"}))
        kept = {name: self._session.conf.get(name) for name in (_TXN_APP, _TXN_VERSION)}
        for name in kept:
            self._session.conf.unset(name)
        empty = self._session.createDataFrame([], columns)
        layout = (self._destination.partition_by, self._destination.cluster_by)
        how = WriteOptions("overwrite", "overwrite", *layout)
        write_delta(empty, self._path, how)
        for name, value in kept.items():
            self._conf(name, str(value))
        self._conf(_METADATA, json.dumps(self._stamp))

    def _name(self) -> str:
        escaped = self._path.replace("`", "``")
        return f"delta.`{escaped}`"

    def _conf(self, name: str, value: str) -> None:
        self._session.conf.set(name, value)


class _FilesTarget:
    """Files without a log: staged beside the destination, checked there, swapped in."""

    def __init__(self, session: SparkSession, step: CompiledStep, context: RunContext) -> None:
        self._session, self._step, self._context = session, step, context
        self._destination = step.settings.destination
        self._files = StagedFiles(session, self._destination.path or "", self._destination.format)
        self._files.recover()
        self._is_staged = False
        self.counts = WriteCounts()
        self.changed = False

    def find_own_write(self) -> bool:
        said = self._files.stamp()
        own = self._context.stamp(self._step)
        self.changed = all(said.get(key) == own[key] for key in ("batch_id", "step", "fingerprint"))
        return self.changed

    def write(self, product: Product) -> None:
        if product.frame is None:
            raise DestinationError(
                f"{product.kind.value.upper()} needs a Delta table",
                where=self._step.id,
                hint=f"format '{self._destination.format}' takes the rows of a query",
            )
        mode, exists = self._destination.mode, self._files.exists()
        if exists and not self._context.request_is_full_refresh:
            if mode == "ignore":
                return
            if mode == "error":
                raise DestinationError(
                    "files are there already", where=self._files.path,
                    hint="mode 'error' writes once only",
                )  # fmt: skip
        frame = product.frame
        check_schema(frame.schema, None, "strict", where=self._step.id)
        from pyspark.sql import Observation
        from pyspark.sql.functions import count, lit

        observed = Observation()
        frame = frame.observe(observed, count(lit(1)).alias("rows"))
        if mode == "append" and exists and not self._context.request_is_full_refresh:
            there = self._session.read.schema(frame.schema).format(self._destination.format)
            there = there.options(**{k: str(v) for k, v in self._destination.options.items()})
            frame = there.load(self._files.path).unionByName(frame)
        self._files.stage(
            frame,
            self._context.stamp(self._step),
            partition_by=self._destination.partition_by,
            options=self._destination.options,
        )
        self._is_staged = self.changed = True
        self.counts = WriteCounts(int(observed.get["rows"]), 0, 0)

    def rows(self) -> DataFrame:
        return self._files.rows(staged=self._is_staged, options=self._destination.options)

    def keep(self) -> Output:
        if self._is_staged:
            self._files.swap()
            self._is_staged = False
        destination = self._destination
        return Output(
            destination.format, destination.path or "", None, is_fresh=True,
            options=destination.options,
        )  # fmt: skip

    def undo(self) -> None:
        self._files.discard()
        self._is_staged = self.changed = False

    def undo_own_write(self) -> None:
        self._files.discard()

    def state(self) -> DestinationState:
        return DestinationState(self._destination.format, self._destination.path or "")


class _ViewTarget:
    """A temp view that the sessions of the steps downstream share; nothing is written."""

    def __init__(self, session: SparkSession, step: CompiledStep, context: RunContext) -> None:
        self._session, self._step = session, step
        run = "".join(c if c.isalnum() else "_" for c in context.compiled.plan.request.run_id)
        self._shared = f"{step.id.replace('.', '__')}__{run}"
        self.counts = WriteCounts()
        self.changed = True

    def find_own_write(self) -> bool:
        return False

    def write(self, product: Product) -> None:
        if product.frame is None:
            raise DestinationError(
                f"a view cannot come of {product.kind.value.upper()}", where=self._step.id
            )
        product.frame.createOrReplaceGlobalTempView(self._shared)

    def rows(self) -> DataFrame:
        return self._session.table(f"global_temp.{self._shared}")

    def keep(self) -> Output:
        return Output("", self._shared, None, is_fresh=True)

    def undo(self) -> None:
        self._session.catalog.dropGlobalTempView(self._shared)

    def undo_own_write(self) -> None:
        self.undo()

    def state(self) -> DestinationState:
        return DestinationState("view", self._step.settings.destination.view or "")


def _can_order(data_type: Any) -> bool:
    return data_type.typeName() not in ("map", "variant", "geometry", "geography")
