"""What the commit protocol asks of a destination while one attempt of a step works on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.execution.context import Output
    from pipelines.execution.handlers import Product
    from pipelines.results import DestinationState, WriteCounts


class Target(Protocol):
    """A destination while one attempt of a step works on it.

    Attributes:
        counts: rows written, updated, deleted.
        changed: whether anything was written.
        touched: frames that have the rows that the write changed, by their keys; None where they
            are not at hand.
    """

    counts: WriteCounts
    changed: bool
    touched: Sequence[DataFrame] | None

    def find_own_write(self) -> bool:
        """Whether this batch's step, as it is now and from what it reads now, has written already.

        What it wrote before it was edited, or from older inputs, is undone.
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
