"""Where a step's rows go, before Spark's analyzer: columns named, columns made, columns there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.errors import Finding, PipelineError, SqlError, near_names
from pipelines.execution.analysis.lakehouse import existing_columns
from pipelines.execution.analysis.statements import problem_of
from pipelines.lineage.columns import Column
from pipelines.spec.steps import HISTORY_COLUMNS
from pipelines.utils.sql_runner import check_schema, empty_frame, resolve_query, schema_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.execution.analysis.sources import Columns
    from pipelines.plan.compile import CompiledStep
    from pipelines.spec.yaml_document import Document

_RESULT_VIEW = "__step_result"
_OF_THE_RESULT = ("keys", "sequence_by", "track_history_on", "except_columns", "window_column")
_OF_THE_TABLE = ("partition_by", "cluster_by")


class DestinationAnalysis:
    """Looks at the destination of one step.

    Args:
        session: looks at the condition of deletes.
        document: the flow's YAML.
        step: the step.

    Attributes:
        findings: what is wrong, once `written` was asked for.
    """

    def __init__(self, session: SparkSession, document: Document, step: CompiledStep) -> None:
        self._session, self._document, self._step = session, document, step
        self._destination = step.settings.destination
        self.findings: list[Finding] = []

    def written(self, result: Columns, *, writes_itself: bool = False) -> Columns:
        """The columns of the table that a ``result`` makes; what does not fit is a finding.

        Args:
            result: what the step's query gives, or the table that its statement writes.
            writes_itself: whether it is a statement, to which the engine adds nothing.
        """
        audits = () if writes_itself else self._destination.audit_names
        result = tuple(one for one in result if one.name.lower() not in audits)
        self._named(_OF_THE_RESULT, result, "result")
        self._keys(result)
        self._delete_condition(result)
        table = (*self._table(result), *(Column(name, "string") for name in audits))
        self._named(_OF_THE_TABLE, table, "table")
        if self._destination.path is not None and self._destination.mode not in ("ignore", "error"):
            self._schema(table)
        return table

    def _table(self, result: Columns) -> Columns:
        """The columns of the result, less those not stored, with those that the mode makes."""
        left_out = {name.lower() for name in self._destination.except_columns}
        stored = tuple(one for one in result if one.name.lower() not in left_out)
        if self._destination.mode != "scd2":
            return stored
        taken = [one.name for one in result if self._destination.makes(one.name)]
        if taken:
            self._add(
                "taken-column",
                f"the result has {', '.join(taken)}, which mode 'scd2' makes itself",
                "mode",
                hint="leave it out, and name the column that says when a row changed: sequence_by",
            )
            return stored
        sequence = (self._destination.sequence_by or "").lower()
        instant = next((one.type for one in result if one.name.lower() == sequence), "date")
        begins, ends, current = HISTORY_COLUMNS
        surrogate = self._destination.surrogate_key
        return (
            *stored,
            *([Column(surrogate, "string", nullable=False)] if surrogate else []),
            Column(begins, instant, nullable=False),
            Column(ends, instant, nullable=True),
            Column(current, "boolean", nullable=False),
        )

    def _named(self, fields: Sequence[str], columns: Columns, where: str) -> None:
        there = {one.name.lower() for one in columns}
        for field in fields:
            said = getattr(self._destination, field) or ()
            for name in (said,) if isinstance(said, str) else said:
                if name.lower() not in there:
                    near = near_names(name, (one.name for one in columns))
                    message = f"{field} names {name!r}, and the {where} has no such column"
                    self._add("unknown-column", message, field, near=near)

    def _keys(self, result: Columns) -> None:
        nullable = {one.name.lower() for one in result if one.nullable}
        for name in self._destination.keys:
            if name.lower() in nullable:
                self._add(
                    "nullable-key",
                    f"key {name!r} may be null, and a null is equal to nothing",
                    "keys", severity="warning",
                    hint=f"filter nulls out, or promise it: columns: [{{name: {name}, "
                    "nullable: false}]",
                )  # fmt: skip

    def _delete_condition(self, result: Columns) -> None:
        condition = self._destination.apply_as_delete_when
        if condition is None:
            return
        empty_frame(self._session, result).createOrReplaceTempView(_RESULT_VIEW)
        try:
            resolve_query(
                self._session, f"select cast(({condition}) as boolean) from {_RESULT_VIEW}"
            )
        except SqlError as error:
            problem = problem_of(error)
            self._add(problem.code, problem.message, "apply_as_delete_when", near=problem.near)
        finally:
            self._session.catalog.dropTempView(_RESULT_VIEW)

    def _schema(self, table: Columns) -> None:
        existing = existing_columns(self._session, self._destination)
        try:
            check_schema(
                schema_of(self._session, table),
                schema_of(self._session, existing) if existing else None,
                self._destination.schema_policy,
            )
        except PipelineError as error:
            self._add("schema-change", error.message, hint=error.hint)

    def _add(self, code: str, message: str, *field: str, **more: Any) -> None:
        place = (*self._step.node.place, "destination", *field)
        self.findings.append(self._document.finding(code, message, place, **more))
