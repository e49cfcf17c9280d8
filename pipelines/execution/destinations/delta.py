"""A Delta table: one commit, stamped with who made it of what; undone by RESTORE."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.errors import DestinationError
from pipelines.execution.changes import FEED_PROPERTY
from pipelines.execution.context import Output, RunContext
from pipelines.execution.destinations.audit_columns import audit_of
from pipelines.execution.destinations.keyed import KeyedWrite
from pipelines.execution.destinations.own_commits import OwnCommits, version_before
from pipelines.execution.destinations.window_rows import WindowRows
from pipelines.results import DestinationState, WriteCounts
from pipelines.spec.steps import KEYED_MODES
from pipelines.utils.sql_runner import (
    DeltaLog,
    WriteOptions,
    check_schema,
    inserted_schema,
    run_query,
    write_delta,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

    from pipelines.execution.handlers import Product
    from pipelines.plan.compile import CompiledStep

_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_TXN_APP = "spark.databricks.delta.write.txnAppId"
_TXN_VERSION = "spark.databricks.delta.write.txnVersion"
_SKIP_EMPTY = "spark.databricks.delta.skipRecordingEmptyCommits"
_WRITE_MODES = {"append": "append", "replace_partitions": "replace_partitions"}


class DeltaTarget:
    """A Delta table: one commit, stamped; undone by RESTORE."""

    def __init__(
        self,
        session: SparkSession,
        step: CompiledStep,
        context: RunContext,
        stamp: Mapping[str, str],
    ) -> None:
        self._session, self._step, self._context = session, step, context
        self._destination = step.settings.destination
        self._path = self._destination.path or ""
        self._log = DeltaLog(session, self._path)
        self._own = OwnCommits(self._log, step.id, context.batch, self._path)
        self._stamp: Mapping[str, Any] = stamp
        self._said = self._stamp
        self.before = self._log.version() if self._log.is_begun() else None
        self.after = self.before
        self.counts = WriteCounts()
        self.changed = False
        self.touched: Sequence[DataFrame] | None = None

    def find_own_write(self) -> bool:
        own = self._own.of_batch()
        if not own:
            return False
        newest = own[0]
        self.before, self.after = version_before(own), newest.version
        said = newest.user_metadata
        is_same = all(said.get(key) == self._stamp[key] for key in ("fingerprint", "read"))
        if is_same and "phase" not in said:
            self.counts, self.changed = newest.counts, True
            self.after = self._own.newest_after_erasures(newest.version)
            return True
        if self._destination.mode != "replace_window":  # which writes over its rows, and no others
            self.undo()
        self.before = self.after = self._log.version()
        return False

    def undo_own_write(self) -> None:
        own = self._own.of_batch()
        if own:
            self.before, self.after = version_before(own), own[0].version
            self.undo()

    def write(self, product: Product) -> None:
        reading = product.reading
        if reading.is_idle:
            self.touched = ()
            return
        self._said = {**self._stamp, **reading.marks}
        self._context.refuse_if_lost()
        self._keep_feed()
        self._conf(_METADATA, json.dumps(self._said))
        self._conf(_TXN_APP, f"{self._stamp['batch_id']}/{self._step.id}@{self.before}")
        self._conf(_TXN_VERSION, "1")
        try:
            if product.statement is not None:
                self._run_statement(product)
            elif product.frame is not None:
                self._write_frame(product.frame, reading.is_whole)
        finally:
            # Left set, they would make later writes of the session vanish without a word.
            for name in (_TXN_APP, _TXN_VERSION):
                self._session.conf.unset(name)
        self._find_commit()
        if reading.has_news and not self.changed and self.after is not None:
            self._commit_marks()

    def rows(self) -> DataFrame:
        reader = self._session.read.format("delta")
        return reader.option("versionAsOf", str(self.after)).load(self._path)

    def keep(self) -> Output:
        return Output("delta", self._path, self.after, identity=self._log.identity(self.after))

    def undo(self) -> None:
        newest = self._log.version()
        if newest is None or newest == self.before:
            return
        if self._context.has_neighbours:  # a RESTORE would take what they commit just now with it
            raise DestinationError(
                f"version {self.after} stays: other windows write to the table too",
                where=self._path,
                hint="run the window again; an edited one with max_parallel_windows: 1",
            )
        own = self._own.since(self.before)
        if not own:
            return
        self.before = version_before(own)
        self._own.refuse_to_take_back(own)
        self._context.refuse_if_lost()
        if self.before is None:
            self._log.remove()
        else:
            self._conf(_METADATA, json.dumps(self._stamp))
            self._log.restore(self.before)
        self.after, self.changed = self._log.version(), False

    def state(self) -> DestinationState:
        return DestinationState("delta", self._path, self.before, self.after)

    def _find_commit(self) -> None:
        """Our commit among those since; without one nothing changed.

        What others committed before it was there before.
        """
        own = self._own.just_made(self.before)
        written = next((commit for commit in own if "phase" not in commit.user_metadata), None)
        if written is None:
            self.after = self._log.version()
            return
        self.after, self.counts, self.changed = written.version, written.counts, True
        self.before = version_before(own)

    def _write_frame(self, frame: DataFrame, is_whole: bool) -> None:
        mode = self._destination.mode
        goes_on = self.before is not None and not self._context.request_is_full_refresh
        if goes_on and mode == "ignore":
            return
        if goes_on and mode == "error":
            raise DestinationError(
                "the table exists already", where=self._path, hint="mode 'error' writes once only"
            )
        audit = audit_of(self._context, self._step)
        frame = audit.without(frame)
        if mode in KEYED_MODES:
            # With the windows of the templates over hashes of many columns, Spark would spend
            # minutes on working out what it could conclude of them.
            self._conf("spark.sql.constraintPropagation.enabled", "false")
            keyed = KeyedWrite(self._context, self._step, frame, audit, is_whole=is_whole)
            self._check_schema(keyed.schema, goes_on)
            if goes_on:
                self._write_change(keyed, self._log.schema())
            else:
                self._write_rows(keyed.first_rows(), "overwrite", goes_on)
            return
        frame = audit.onto(frame)
        self._check_schema(frame.schema, goes_on)
        write_mode = _WRITE_MODES.get(mode, "overwrite") if goes_on else "overwrite"
        if mode == "replace_window":
            window = WindowRows(self._context, self._step, frame)
            where = window.condition if goes_on else ""
            self._write_rows(window.only_its_own(), write_mode, goes_on, where)
            return
        self._write_rows(frame, write_mode, goes_on)

    def _write_change(self, keyed: KeyedWrite, existing: StructType) -> None:
        """What of a result is new to the table, by keys; nothing where nothing is."""
        with keyed.change(self._log.sql_name, existing) as change:
            self.touched = change.touched
            if change.is_nothing:
                return
            if change.added is not None:
                self._write_rows(change.added, "append", True)
                return
            if self._destination.schema_policy == "evolve":
                self._conf("spark.databricks.delta.schema.autoMerge.enabled", "true")
            run_query(self._session, change.merge, file=f"sql_templates/{self._destination.mode}")

    def _check_schema(self, found: StructType, goes_on: bool) -> None:
        policy = self._destination.schema_policy if goes_on else "overwrite"
        existing = self._log.schema() if goes_on else None
        check_schema(found, existing, policy, where=self._step.id)

    def _write_rows(
        self, frame: DataFrame, write_mode: str, goes_on: bool, replace_where: str = ""
    ) -> None:
        destination, is_new = self._destination, self.before is None
        policy = destination.schema_policy if goes_on else "overwrite"
        makes_anew = is_new or (write_mode == "overwrite" and not replace_where)
        how = WriteOptions(
            mode=write_mode,
            schema_policy="strict" if is_new else policy,
            replace_where=replace_where,
            partition_by=destination.partition_by,
            cluster_by=destination.cluster_by if makes_anew else (),
            options=destination.options,
            properties=self._properties,
        )
        write_delta(frame, self._path, how)

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
            columns = inserted_schema(self._session, sql)
            if columns is None:
                raise DestinationError(
                    "the table does not exist, and the statement does not tell its columns",
                    where=self._path,
                    hint="only INSERT and MERGE can make the table; run one of them first",
                )
        self._conf(_METADATA, json.dumps({**self._stamp, "phase": "create"}))
        kept = {name: self._session.conf.get(name) for name in (_TXN_APP, _TXN_VERSION)}
        for name in kept:
            self._session.conf.unset(name)
        empty = self._session.createDataFrame([], columns)
        layout = (self._destination.partition_by, self._destination.cluster_by)
        how = WriteOptions("overwrite", "overwrite", "", *layout, properties=self._properties)
        write_delta(empty, self._path, how)
        for name, value in kept.items():
            self._conf(name, str(value))
        self._conf(_METADATA, json.dumps(self._said))

    @property
    def _properties(self) -> Mapping[str, str]:
        """Properties of the table, for a write that makes it."""
        return {FEED_PROPERTY: "true"} if self._step.id in self._context.changes_wanted else {}

    def _commit_marks(self) -> None:
        """A commit without rows, so that the next run need not read the same again."""
        self._conf(_SKIP_EMPTY, "false")
        nothing = self._session.read.format("delta").load(self._path).limit(0)
        write_delta(nothing, self._path, WriteOptions("append"))
        self.after = self._log.version()

    def _keep_feed(self) -> None:
        """Turns the change data feed of a table that is there on, by a commit of its own."""
        if self.before is None or not self._properties:
            return
        if self._log.properties().get(FEED_PROPERTY, "").lower() == "true":
            return
        self._conf(_METADATA, json.dumps({"run_id": self._stamp["run_id"], "phase": "feed"}))
        self._log.set_property(FEED_PROPERTY, "true")
        self.before = self.after = self._log.version()

    def _conf(self, name: str, value: str) -> None:
        self._session.conf.set(name, value)
