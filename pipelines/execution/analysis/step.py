"""One step before Spark's analyzer: its views, statement and promises."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import PipelineError, SqlError
from pipelines.execution.analysis.destination import DestinationAnalysis
from pipelines.execution.analysis.lakehouse import EmptyTables, EmptyViews, existing_columns
from pipelines.execution.analysis.resolver import Resolver
from pipelines.execution.contracts import broken_promises, promised_types
from pipelines.lineage.columns import Column, ColumnRef, StatementColumns
from pipelines.lineage.flow_columns import AnalysedStep
from pipelines.plan.masks import masked_columns, unfit_masks
from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import (
    columns_of,
    inserted_schema,
    resolve_change,
    schema_of,
    unfit_for_insert,
)

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import DataType

    from pipelines.execution.analysis.sources import Columns
    from pipelines.plan.compile import CompiledStep, Sql
    from pipelines.plan.graph import Place
    from pipelines.spec.yaml_document import Document


class StepAnalysis:
    """The analysis of one step.

    Args:
        session: resolves the statements.
        document: the flow's YAML.
        step: the step.
        inputs: columns of the views that it sees, by name.
        unknown: names that it sees whose columns nobody knows.
        tables: makes empty tables for statements that write by themselves.
        views: makes the session's views, and takes them away.

    Attributes:
        findings: what is wrong, once `result` was asked for.
        seen: columns of the views that its checks see, once `result` was asked for.
        unknown: names that it sees whose columns nobody knows, its own views among them.
    """

    def __init__(
        self,
        session: SparkSession,
        document: Document,
        step: CompiledStep,
        inputs: Mapping[str, Columns],
        unknown: frozenset[str],
        tables: EmptyTables,
        views: EmptyViews,
    ) -> None:
        self._session, self._document, self._step = session, document, step
        self._views = views
        self._inputs, self.unknown, self._tables = inputs, unknown, tables
        self._place: Place = step.node.place
        self._lineage: StatementColumns | None = None
        self._writes_itself = False
        self._resolver = Resolver(session, document)
        self.findings = self._resolver.findings
        self.seen: dict[str, Columns] = {**inputs}

    def result(self, with_lineage: bool) -> AnalysedStep:
        """The step's columns, and where they come from where that is asked for."""
        try:
            found = self._columns(with_lineage)
            if self.has_errors:  # what it would give, nobody knows: no guesses downstream
                return AnalysedStep(self._step.id, None)
            result = self._promised(self._masked(found)) if found else None
            written = self._written(result) if result else self._stand_in()
            if written is not None:
                self.seen[self._step.settings.name] = written
        finally:
            self._views.drop_made()
        return AnalysedStep(self._step.id, written, self._lineage, result=result)

    # --- what it gives -----------------------------------------------------------------------

    def _columns(self, with_lineage: bool) -> Columns | None:
        """What the step's statement gives; None where that cannot be told, or is wrong."""
        step = self._step
        if step.settings.script is not None or not self._make_views():
            return None
        if step.sql is None:
            columns = self._inputs.get(step.settings.name)
            if columns is not None and with_lineage:
                own = {one.name: frozenset({ColumnRef(step.settings.name, one.name)})
                       for one in columns}  # fmt: skip
                self._lineage = StatementColumns(own)
            return columns
        place = (*self._place, "source", "query")
        kind, resolved = self._resolver.resolve(step.sql, place)
        if kind.changes_a_table:
            self._writes_itself = True
            return self._target_of(step.sql, place)
        if resolved is not None and with_lineage:
            self._lineage = resolved.lineage()
        return resolved.columns() if resolved is not None else None

    def _make_views(self) -> bool:
        """Whether every view that the step's statements name could be made."""
        step, own = self._step, self._step.settings.name
        self._views.keep({n: columns for n, columns in self._inputs.items() if n != own})
        if self.unknown and (not step.queries or self._names_unknown(step.queries)):
            self.unknown |= step.pre_view_sql.keys()
            return False
        for number, view in enumerate(step.settings.pre_views):
            if view.name in step.pre_view_sql:
                at: Place = (*self._place, "pre_views", number, "query")
                resolved = self._resolver.query(step.pre_view_sql[view.name], at)
                if resolved is None:
                    return False
                self._views.make(view.name, resolved.frame)
                self.seen[view.name] = columns_of(resolved.frame.schema)
        if own in self._inputs:
            self._views.make_empty(own, self._inputs[own])
        return True

    def _names_unknown(self, statements: Sequence[Sql]) -> bool:
        text = " ".join(statement.text.lower() for statement in statements)
        return any(name.lower() in text for name in self.unknown)

    def _target_of(self, sql: Sql, place: Place) -> Columns | None:
        """The columns of the table that a statement of the step changes, once it fits them."""
        path_now = self._step.settings.destination.path or ""
        path = ""
        try:
            columns = self._stand_in()
            if columns is None:
                inserted = inserted_schema(self._session, sql.text)
                if inserted is None:
                    return None
                columns = columns_of(inserted)
            path = self._tables.make(columns)
            own = self._step.settings.name
            self._views.make(own, self._session.read.format("delta").load(path))
            text = sql.text.replace(_table(path_now), _table(path))
            resolve_change(self._session, text)
            table = schema_of(self._session, columns)
            for message in unfit_for_insert(self._session, text, table):
                self.findings.append(sql.finding(self._document, place, "type-clash", message))
        except SqlError as error:
            self._resolver.refuse(sql, place, error, (f"file:{path}" if path else "", path_now))
            return None
        return columns

    # --- what it should give -------------------------------------------------------------------

    def _stand_in(self) -> Columns | None:
        """Columns of a step whose statement tells none: as promised, and as last written."""
        types = self._types() or ()
        promised = [
            Column(one.name, one.type, one.nullable)
            for one, known in zip(self._step.settings.columns, types, strict=False)
            if known is not None and one.type is not None
        ]
        columns = {one.name.lower(): one for one in (*(self._existing() or ()), *promised)}
        return tuple(columns.values()) or None

    def _written(self, result: Columns) -> Columns:
        """The columns of the table that ``result`` goes into."""
        goes = DestinationAnalysis(self._session, self._document, self._step)
        written = goes.written(result, writes_itself=self._writes_itself)
        self.findings += goes.findings
        if self._lineage is not None:  # what a mode makes, it makes of the instant of each row
            values = dict(self._lineage.values)
            destination = self._step.settings.destination
            instant = values.get(destination.sequence_by or "", frozenset())
            of_keys = instant.union(*(values.get(key, frozenset()) for key in destination.keys))
            special = {name: frozenset[ColumnRef]() for name in destination.audit_names}
            special[destination.surrogate_key or ""] = of_keys
            made = {
                one.name: special.get(one.name, instant)
                for one in written
                if one.name not in values
            }
            self._lineage = replace(self._lineage, values={**values, **made})
        return written

    def _types(self) -> list[DataType | None] | None:
        """The types that the contract names; None where one of them is none of Spark's."""
        try:
            return promised_types(self._session, self._step.settings.columns)
        except PipelineError as error:
            self._add("bad-type", error.message, "columns", hint=error.hint)
            return None

    def _masked(self, found: Columns) -> Columns:
        """What was found, with the masks of the contract applied."""
        promised = self._step.settings.columns
        for number, message in unfit_masks(found, promised):
            self._add("type-clash", message, "columns", number)
        if self._writes_itself and any(one.mask for one in promised):
            self._add(
                "mask-of-statement",
                "a statement that writes by itself cannot be masked",
                "columns",
                hint="let a query and 'mode' take its place",
            )
        return masked_columns(found, promised)

    def _promised(self, found: Columns) -> Columns:
        """What readers downstream get: what was found, with what the contract promises of it."""
        promised = self._step.settings.columns
        if not promised:
            return found
        types = self._types()
        if types is None:
            return found
        schema = schema_of(self._session, found)
        for number, message, near in broken_promises(schema, promised, types):
            self._add("broken-promise", message, "columns", number, near=near)
        sure = {one.name.lower() for one in promised if not one.nullable}
        return tuple(
            Column(one.name, one.type, one.nullable and one.name.lower() not in sure)
            for one in found
        )

    def _existing(self) -> Columns | None:
        """What the step has written before, which stands in where nothing else is known."""
        return existing_columns(self._session, self._step.settings.destination)

    @property
    def has_errors(self) -> bool:
        """Whether something is wrong that stops a run."""
        return any(finding.severity == "error" for finding in self.findings)

    def _add(self, code: str, message: str, *place: str | int, **more: Any) -> None:
        self.findings.append(self._document.finding(code, message, (*self._place, *place), **more))


def _table(path: str) -> str:
    """``path`` as `{{ destination }}` gives it."""
    return "delta." + quoted_name(path)
