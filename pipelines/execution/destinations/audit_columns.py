"""Columns that say which run, batch and source made a row, and which run closed a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import DestinationError
from pipelines.plan.origins import origin_text
from pipelines.spec.steps import AUDIT_COLUMNS, CLOSING_COLUMNS
from pipelines.utils.sql_loader import sql_literal

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import StructField, StructType

    from pipelines.execution.context import RunContext
    from pipelines.plan.compile import CompiledStep


@dataclass(frozen=True)
class Audit:
    """What a step writes into its audit columns.

    Attributes:
        made: values by column, of rows that this run makes.
        closed: values by column, of versions that this run closes; empty but for `scd2`.
    """

    made: Mapping[str, str]
    closed: Mapping[str, str]

    @property
    def names(self) -> tuple[str, ...]:
        """The columns, in their order."""
        return (*self.made, *self.closed)

    def fields(self) -> list[StructField]:
        """The columns, as they are in the table."""
        from pyspark.sql.types import StringType, StructField

        return [StructField(name, StringType()) for name in self.names]

    def refuse_if_missing(self, existing: StructType, *, where: str) -> None:
        """An error where a table that rows are merged into lacks a column.

        Raises:
            DestinationError: nobody knows who made the rows that are there.
        """
        missing = [name for name in self.names if name not in existing.names]
        if missing:
            raise DestinationError(
                f"the table has no {', '.join(missing)}",
                where=where,
                hint="--full-refresh builds it anew, with audit columns",
            )

    def without(self, frame: DataFrame) -> DataFrame:
        """``frame`` less those columns that came along from an upstream table."""
        return frame.drop(*(name for name in frame.columns if name.lower() in self.names))

    def around(self, sql: str) -> str:
        """The query ``sql`` for new rows, with the columns.

        Asked for at once, Spark resolves one statement, and not the rows twice.
        """
        if not self.names:
            return sql
        columns = [f"{sql_literal(value)} as {name}" for name, value in self.made.items()]
        columns += [
            f"if(valid_to is null, null, {sql_literal(value)}) as {name}"
            for name, value in self.closed.items()
        ]
        return f"select *, {', '.join(columns)}\nfrom (\n{sql}\n)"

    def onto(self, rows: DataFrame) -> DataFrame:
        """New ``rows`` with the columns; of a mode that closes no versions."""
        from pyspark.sql import functions as f

        columns = {name: f.lit(value) for name, value in self.made.items()}
        return rows.withColumns(columns) if columns else rows


def audit_of(context: RunContext, step: CompiledStep) -> Audit:
    """The audit columns of ``step``; none where it keeps none."""
    names = step.settings.destination.audit_names
    if not names:
        return Audit({}, {})
    request = context.compiled.plan.request
    who = (request.run_id, str(context.compiled.names["batch_id"]))
    origin = origin_text(step, context.compiled.plan.graph)
    made = dict(zip(AUDIT_COLUMNS, (*who, origin), strict=True))
    closed = dict(zip(CLOSING_COLUMNS, who, strict=True))
    return Audit(made, {name: value for name, value in closed.items() if name in names})
