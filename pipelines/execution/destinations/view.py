"""A temp view that the sessions of the steps downstream share; nothing is written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.errors import DestinationError
from pipelines.execution.context import Output, RunContext
from pipelines.execution.reads import view_identity
from pipelines.results import DestinationState, WriteCounts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.handlers import Product
    from pipelines.plan.compile import CompiledStep


class ViewTarget:
    """A temp view that the sessions of the steps downstream share; nothing is written."""

    def __init__(
        self,
        session: SparkSession,
        step: CompiledStep,
        context: RunContext,
        stamp: Mapping[str, str],
    ) -> None:
        self._session, self._step, self._stamp = session, step, stamp
        run = "".join(c if c.isalnum() else "_" for c in context.compiled.plan.request.run_id)
        self._shared = f"{step.id.replace('.', '__')}__{run}"
        self.counts = WriteCounts()
        self.changed = True
        self.touched: Sequence[DataFrame] | None = None

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
        identity = view_identity(self._stamp["fingerprint"], self._stamp["read"])
        return Output("", self._shared, None, identity=identity)

    def undo(self) -> None:
        self._session.catalog.dropGlobalTempView(self._shared)

    def undo_own_write(self) -> None:
        self.undo()

    def state(self) -> DestinationState:
        return DestinationState("view", self._step.settings.destination.view or "")
