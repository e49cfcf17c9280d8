"""The rows of a run's window: mode `replace_window` puts them in the place of those there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import StepError, near_names
from pipelines.utils.sql_loader import quoted_name

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.execution.context import RunContext
    from pipelines.plan.compile import CompiledStep

_TYPES = {"date": "date", "timestamp": "timestamp", "timestamp_ntz": "timestamp_ntz"}


class WindowRows:
    """The result of a step of mode `replace_window`.

    Args:
        context: of the run; says its window.
        step: the step.
        frame: its rows.

    Raises:
        StepError: the column is not there, or is no date or time.
    """

    def __init__(self, context: RunContext, step: CompiledStep, frame: DataFrame) -> None:
        self._window, self._frame = context.compiled.plan.request.window, frame
        name = step.settings.destination.window_column or ""
        column = next((one for one in frame.schema if one.name.lower() == name.lower()), None)
        if column is None:
            near = near_names(name, frame.columns)
            hint = f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(frame.columns)}"
            raise StepError(f"the result has no window_column {name!r}", where=step.id, hint=hint)
        kind = _TYPES.get(column.dataType.typeName())
        if kind is None:
            raise StepError(
                f"window_column {name!r} is {column.dataType.simpleString()}",
                where=step.id,
                hint="cast it to date or timestamp in the SQL",
            )
        self._quoted, self._kind = quoted_name(column.name), kind

    @property
    def condition(self) -> str:
        """SQL that is true of the window's rows, in the result and in the table."""
        start, end = (f"{self._kind}'{day}'" for day in (self._window.start, self._window.end))
        return f"{self._quoted} >= {start} and {self._quoted} < {end}"

    def only_its_own(self) -> DataFrame:
        """The rows; one of another time, or of none, breaks the write rather than get lost."""
        from pyspark.sql import functions as f

        told = f.concat(
            f.lit(f"a row is outside of the window {self._window}: {self._quoted} is "),
            f.coalesce(f.col(self._quoted).cast("string"), f.lit("null")),
        )
        inside = f.coalesce(f.expr(self.condition), f.lit(False))
        return self._frame.where(f.when(inside, True).otherwise(f.raise_error(told).isNull()))
