"""Files without a log of their own: staged beside the destination, checked there, swapped in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.errors import DestinationError
from pipelines.execution.context import Output, RunContext
from pipelines.results import DestinationState, WriteCounts
from pipelines.utils.sql_runner import StagedFiles, check_schema

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.handlers import Product
    from pipelines.plan.compile import CompiledStep


class FilesTarget:
    """Files without a log: staged beside the destination, checked there, swapped in."""

    def __init__(
        self,
        session: SparkSession,
        step: CompiledStep,
        context: RunContext,
        stamp: Mapping[str, str],
    ) -> None:
        self._session, self._step, self._context = session, step, context
        self._stamp = stamp
        self._destination = step.settings.destination
        self._files = StagedFiles(session, self._destination.path or "", self._destination.format)
        self._files.recover()
        self._is_staged = False
        self.counts = WriteCounts()
        self.changed = False
        self.touched: Sequence[DataFrame] | None = None

    def find_own_write(self) -> bool:
        said = self._files.stamp()
        if any(said.get(key) != self._stamp[key] for key in ("batch_id", "step")):
            return False
        self.changed = all(said.get(key) == self._stamp[key] for key in ("fingerprint", "read"))
        if not self.changed and (said.get("keeps_previous") or not said.get("replaces")):
            self._files.put_back(had_previous=bool(said.get("replaces")))
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
        self._context.refuse_if_lost()
        self._files.stage(
            frame,
            {**self._stamp, "replaces": exists, "keeps_previous": mode == "append"},
            partition_by=self._destination.partition_by,
            options=self._destination.options,
        )
        self._is_staged = self.changed = True
        self.counts = WriteCounts(int(observed.get["rows"]), 0, 0)

    def rows(self) -> DataFrame:
        return self._files.rows(staged=self._is_staged, options=self._destination.options)

    def keep(self) -> Output:
        if self._is_staged:
            self._context.refuse_if_lost()
            self._files.swap()
            self._is_staged = False
        destination = self._destination
        return Output(
            destination.format,
            destination.path or "",
            None,
            identity=self._files.identity(),
            options=destination.options,
        )

    def undo(self) -> None:
        self._context.refuse_if_lost()
        self._files.discard()
        self._is_staged = self.changed = False

    def undo_own_write(self) -> None:
        self._files.discard()

    def state(self) -> DestinationState:
        return DestinationState(self._destination.format, self._destination.path or "")
