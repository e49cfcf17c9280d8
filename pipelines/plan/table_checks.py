"""What is wrong between the tables that statements name and those that the flow gives them.

All of it is told as warnings: the statements are read by sqlglot, and no run must stay away at
night because it reads some word of Spark's otherwise than Spark. `validate --strict` refuses
warnings too, and `validate --analyze` lets Spark itself judge.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.errors import Finding, near_names
from pipelines.plan.changes import names_of

if TYPE_CHECKING:
    from pipelines.lineage.tables import StatementTables, TableUse
    from pipelines.plan.compile import CompiledPlan, CompiledStep, Sql
    from pipelines.plan.graph import Graph, Place

Tables = Callable[[str], "StatementTables"]
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_WORD = re.compile(r"\w+")


def check_tables(compiled: CompiledPlan, tables: Tables) -> Iterator[Finding]:
    """What reads, writes or declares amiss.

    Args:
        compiled: the plan.
        tables: tells the tables of a statement.
    """
    flow = _FlowTables(compiled)
    for step in compiled.steps.values():
        yield from _StepTables(step, flow, compiled, tables).findings()


class _FlowTables:
    """Which steps give which names and paths."""

    def __init__(self, compiled: CompiledPlan) -> None:
        self.graph: Graph = compiled.plan.graph
        self.givers: dict[str, list[str]] = defaultdict(list)
        self.writers: dict[str, str] = {}
        for step_id, node in self.graph.steps.items():
            for name in names_of(node.step):
                self.givers[name].append(step_id)
        for step in compiled.steps.values():
            if step.settings.destination.path:
                self.writers[step.settings.destination.path.rstrip("/")] = step.id

    def is_upstream(self, step: CompiledStep, name: str) -> bool:
        """Whether a step that gives ``name`` is done before ``step``."""
        givers = self.givers.get(name, ())
        if len(givers) == 1 and {name, givers[0]} & set(step.node.step.depends_on):
            return True
        return bool(givers) and not self.graph.ancestors(step.id).isdisjoint(givers)


class _StepTables:
    """The statements of one step against what it may see."""

    def __init__(
        self, step: CompiledStep, flow: _FlowTables, compiled: CompiledPlan, tables: Tables
    ) -> None:
        self.step, self.flow, self.tables = step, flow, tables
        self.document = compiled.plan.flow.document
        self.place: Place = step.node.place
        self.read: set[str] = set()
        self.is_told = step.sql is not None  # whether the statements tell all that is read

    def findings(self) -> Iterator[Finding]:
        step, own = self.step, self.step.settings.name.lower()
        in_sight: set[str] = set()
        for number, view in enumerate(step.settings.pre_views):
            if view.name in step.pre_view_sql:
                at: Place = (*self.place, "pre_views", number, "query")
                yield from self.statement(step.pre_view_sql[view.name], at, in_sight)
            in_sight.add(view.name.lower())
        if step.sql is not None:
            source = step.settings.source
            has_own = source is not None and source.has_raw_input
            seen = in_sight | {own} if has_own else in_sight
            yield from self.statement(step.sql, (*self.place, "source", "query"), seen)
        for number, check in enumerate(step.checks):
            at = (*self.place, "dq_checks", number)
            yield from self.statement(check.sql, at, in_sight | {own}, is_check=True)
        if self.is_told:
            yield from self.unread()

    def statement(
        self, sql: Sql, place: Place, in_sight: set[str], *, is_check: bool = False
    ) -> Iterator[Finding]:
        at = partial(sql.finding, self.document, place, severity="warning")
        found = self.tables(sql.text)
        if found.problem:
            self.is_told = False
            yield at(
                "unread-sql",
                f"the SQL could not be read: {found.problem}",
                found.line,
                found.column,
                hint="'validate --analyze' lets Spark itself judge it",
            )
            return
        if found.writes:
            in_sight = in_sight | {self.step.settings.name.lower()}
        for use in found.writes:
            problem = self.target(use, is_check=is_check)
            if problem is not None:
                yield at(*problem, use.line, use.column)
        for use in found.reads:
            told = self.input(use, in_sight, "the check" if is_check else self.step.id)
            if told is not None:
                (code, message), more = told
                yield at(code, message, use.line, use.column, **more)

    def input(
        self, use: TableUse, in_sight: set[str], reader: str
    ) -> tuple[tuple[str, str], dict[str, Any]] | None:
        """What is wrong with a table that is read: code, message, and what to do."""
        name = use.name.lower()
        if use.schema:
            writer = self.flow.writers.get(use.name.rstrip("/"))
            if use.schema.lower() != "delta" or writer in (None, self.step.id):
                return None
            said = f"{reader} reads the files of {writer} by their path"
            hint = "depend on the step, and read it by its name"
            return ("undeclared-input", said), {"hint": hint}
        self.read.add(name)
        if name in in_sight or self.flow.is_upstream(self.step, name):
            return None
        givers = self.flow.givers.get(name, [])
        if givers not in ([], [self.step.id]):
            said = f"{reader} reads {use.name!r}, and {self.step.id} does not depend on it"
            return ("undeclared-input", said), {"hint": f"add {givers[0]} to its depends_on"}
        hint = "it can read its pre_views and the steps that it depends on"
        if givers:
            hint = "a step sees its own name where it has a raw source, and in its checks"
        near = near_names(use.name, [*in_sight, *self.flow.givers])
        said = f"{reader} reads {use.name!r}, which nothing gives it"
        return ("unknown-table", said), {"near": near, "hint": hint}

    def target(self, use: TableUse, *, is_check: bool) -> tuple[str, str] | None:
        """What is wrong with a table that is written: code and message."""
        if is_check:
            return "foreign-write", f"a check is a query, and this one writes {use.name!r}"
        path = (self.step.settings.destination.path or "").rstrip("/")
        own_name = self.step.settings.name.lower()
        given = (use.schema.lower(), use.name.rstrip("/"))
        if given == ("delta", path) or (not use.schema and use.name.lower() == own_name):
            return None
        message = f"the statement writes {use.name!r}: write to {{{{ destination }}}}, the step's"
        return "foreign-write", message

    def unread(self) -> Iterator[Finding]:
        """Steps that are waited for by name and then not read; a comment may say what for."""
        steps = self.flow.graph.steps
        comments: set[str] | None = None
        for number, reference in enumerate(self.step.node.step.depends_on):
            ids = [reference] if reference in steps else self.flow.givers.get(reference.lower(), [])
            if len(ids) != 1 or steps[ids[0]].step.name != reference.rsplit(".", 1)[-1]:
                continue
            names = names_of(steps[ids[0]].step)
            if names & self.read:
                continue
            if comments is None:
                comments = {
                    word.lower()
                    for sql in self.step.statements
                    for comment in _COMMENT.findall(sql.text)
                    for word in _WORD.findall(comment)
                }  # fmt: skip
            if not names & comments:
                yield self.document.finding(
                    "unread-dependency",
                    f"{self.step.id} waits for {reference!r} and never reads it",
                    (*self.place, "depends_on", number),
                    severity="warning",
                    hint="take it out, or say in a comment of the SQL what it waits for",
                )
