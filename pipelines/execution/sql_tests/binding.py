"""A case bound to its step: its rows to views and result, its checks to those of the step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pipelines.errors import PipelineError, near_names
from pipelines.execution.analysis import raw_inputs
from pipelines.execution.reads import outputs_read
from pipelines.execution.sql_tests.typed_rows import BoundRows, RowsPlace, bind_rows, listed
from pipelines.plan.changes import CHANGE_COLUMNS, changes_seen
from pipelines.utils.sql_runner import parse

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.errors import Finding
    from pipelines.execution.sql_tests.typed_rows import Columns
    from pipelines.lineage.flow_columns import Analysis
    from pipelines.lineage.tables import StatementTables
    from pipelines.plan.compile import CompiledCheck, CompiledPlan, CompiledStep
    from pipelines.spec.fixture_rows import FixtureRows
    from pipelines.spec.sql_test_files import SqlCase


@dataclass(frozen=True)
class BoundCase:
    """A case that can be run.

    Attributes:
        case: what its file says.
        step: the step, rendered for the day and variables of the case.
        views: rows of every view that the step sees, by name; those not given have none.
        expected: the rows that must come out; None where none are named, or where nobody knows the
            step's columns, since its statement is wrong.
        compared: the columns that are compared, as the step names them.
        checks: the checks that must pass or fail.
        read: names, in lower case, that the statements of the case read.
    """

    case: SqlCase
    step: CompiledStep
    views: Mapping[str, BoundRows]
    expected: BoundRows | None
    compared: tuple[str, ...]
    checks: tuple[tuple[CompiledCheck, str], ...]
    read: frozenset[str]

    @property
    def empty_views(self) -> tuple[str, ...]:
        """Views that are read, and that the case gives no rows."""
        return tuple(
            name for name, rows in self.views.items() if not rows.rows and name.lower() in self.read
        )


def bind_case(
    case: SqlCase,
    step: CompiledStep,
    plan: CompiledPlan,
    analysis: Analysis,
    session: SparkSession,
    tables: Callable[[str], StatementTables],
) -> tuple[BoundCase | None, list[Finding]]:
    """``case`` as it can be run, or what keeps it from being run.

    Args:
        case: the case.
        step: the step that it tests.
        plan: that the step is of.
        analysis: gives the columns of views and results.
        session: knows Spark's types.
        tables: gives the tables that a statement names.
    """
    binding = _Binding(case, step, plan, analysis, session, tables)
    bound = binding.result()
    return (None if binding.findings else bound), binding.findings


class _Binding:
    def __init__(
        self,
        case: SqlCase,
        step: CompiledStep,
        plan: CompiledPlan,
        analysis: Analysis,
        session: SparkSession,
        tables: Callable[[str], StatementTables],
    ) -> None:
        self._case, self._step, self._plan, self._tables = case, step, plan, tables
        self._analysis, self._session = analysis, session
        self.findings: list[Finding] = []

    def result(self) -> BoundCase:
        self._refuse_if_it_writes()
        views = self._views()
        expected, compared = self._expected()
        checks = tuple(
            (check, said)
            for name, said in self._case.spec.checks.items()
            if (check := self._check(name)) is not None
        )
        return BoundCase(
            self._case, self._step, views, expected, compared, checks, self._read(checks)
        )

    def _read(self, checks: Sequence[tuple[CompiledCheck, str]]) -> frozenset[str]:
        """The names that the step's statement, its pre_views and ``checks`` read."""
        statements = [*self._step.queries, *(check.sql for check, _ in checks)]
        reads = {use.name for sql in statements for use in self._tables(sql.text).reads}
        return frozenset(name.lower() for name in (*reads, self._step.settings.name))

    def _refuse_if_it_writes(self) -> None:
        """A finding where the step's statement is no query."""
        if self._step.sql is None:
            return
        try:
            kind = parse(self._session, self._step.sql.text)
        except PipelineError:
            return  # the case itself will tell, with the place in the statement
        if kind.changes_a_table:
            self._add(
                "untestable-step",
                f"the SQL of {self._step.id} is {kind.value.upper()}, which writes by itself",
                "step",
                hint="test a query, and let the destination's 'mode' write its rows",
            )

    # --- what it reads -------------------------------------------------------------------------

    def _views(self) -> dict[str, BoundRows]:
        known = self._known()
        given = {name.lower(): name for name in self._case.given}
        by_name = {name.lower(): name for name in known}
        for name in self._unknown(known):
            self._add(
                "untyped-view",
                f"the columns of {name!r}, which {self._step.id} reads, are not known",
                "step",
                hint="of a source: pipeline schema record; of a script: promise them in 'columns'; "
                "of a step that is broken: pipeline validate --analyze",
            )
            by_name.setdefault(name.lower(), name)
        for lower, name in given.items():
            if lower not in by_name:
                self._unknown_view(name, known)
        bound = {}
        for name, columns in known.items():
            as_given = given.get(name.lower())
            if as_given is None:
                bound[name] = BoundRows(columns)
            else:
                rows = self._case.given[as_given]
                place = RowsPlace(self._case, ("given", as_given), name, columns)
                bound[name] = self._bound(rows, place)
        for whole, changes in self._changes().items():
            if changes in bound and changes.lower() not in given:
                bound[changes] = _as_inserts(bound[whole], bound[changes].columns)
        return bound

    def _known(self) -> dict[str, Columns]:
        """The views that the step sees and whose columns are known, with these.

        A table that only the changes are read of is among them.
        """
        found: dict[str, Columns] = {}
        analysed = self._analysis.steps[self._step.id]
        wholes = {changes: whole for whole, changes in self._changes().items()}
        for name, origin in analysed.views.items():
            raw = self._analysis.sources.get((self._step.id, name))
            columns = raw if raw is not None else self._analysis.steps[origin].columns
            if columns is not None and name in wholes:
                found[wholes[name]] = columns
                columns = (*columns, *CHANGE_COLUMNS)
            if columns is not None:
                found[name] = columns
        return found

    def _changes(self) -> dict[str, str]:
        """The views of changes that the step reads, by the name of the upstream step."""
        graph = self._plan.plan.graph
        read = changes_seen(self._step, graph)
        return {graph.steps[step_id].step.name: view for step_id, view in read.items()}

    def _unknown(self, known: Mapping[str, Columns]) -> list[str]:
        names = {raw.view for raw in raw_inputs(self._step)}
        for views in outputs_read(self._step, self._plan.plan.graph).values():
            names |= views
        return sorted(names - known.keys())

    def _unknown_view(self, name: str, known: Mapping[str, Columns]) -> None:
        if name.lower() in {view.lower() for view in self._step.pre_view_sql}:
            message = f"view {name!r} is made by a query of the step"
            hint, near = "give rows to the views that the query reads", tuple[str, ...]()
        else:
            message = f"{self._step.id} reads no view {name!r}"
            near = near_names(name, known)
            hint = "" if near else f"it reads {listed(list(known))}"
        place = ("given", name)
        self._add("unknown-view", message, *place, key=True, near=near, hint=hint)

    # --- what it gives -------------------------------------------------------------------------

    def _expected(self) -> tuple[BoundRows | None, tuple[str, ...]]:
        expect, rows = self._case.spec.expect, self._case.expected
        columns = self._analysis.steps[self._step.id].result
        if expect is None or rows is None or columns is None:
            return None, ()
        names = {one.name.lower(): one.name for one in columns}
        place = RowsPlace(self._case, ("expect", "rows"), "its result", columns)
        for number, name in enumerate(expect.columns):
            if name.lower() not in names:
                self.findings.append(place.unknown_column(name, "expect", "columns", number))
        chosen = [name.lower() for name in expect.columns]
        bound = self._bound(rows, place)
        for name in bound.named if chosen else ():
            if name not in chosen:
                self._add(
                    "unknown-column",
                    f"the rows name {names.get(name, name)!r}, and 'columns' does not",
                    "expect",
                    "columns",
                    hint="leave it out of the rows, or add it to 'columns'",
                )
        compared = chosen or list(bound.named) or list(names)
        return bound, tuple(names[name] for name in dict.fromkeys(compared) if name in names)

    def _check(self, name: str) -> CompiledCheck | None:
        files = {check.sql.file: check for check in self._step.checks}
        fits = [file for file in files if name in (file, PurePath(file).name)]
        if len(fits) == 1:
            return files[fits[0]]
        near = near_names(name, [*files, *(PurePath(file).name for file in files)])
        hint = "" if near else f"it has {listed(list(files))}"
        message = f"{self._step.id} has no check {name!r}"
        self._add("unknown-check", message, "checks", name, key=True, near=near, hint=hint)
        return None

    def _bound(self, rows: FixtureRows, place: RowsPlace) -> BoundRows:
        bound, findings = bind_rows(rows, place, self._session)
        self.findings += findings
        return bound

    def _add(self, code: str, message: str, *place: str | int, **more: Any) -> None:
        self.findings.append(self._case.finding(code, message, *place, **more))


def _as_inserts(rows: BoundRows, columns: Columns) -> BoundRows:
    """All rows of a table as its changes, as a step gets them that has never run before."""
    if not rows.rows:
        return BoundRows(columns)
    kind = CHANGE_COLUMNS[0].name
    return BoundRows(columns, (*rows.named, kind), tuple((*row, "'insert'") for row in rows.rows))
