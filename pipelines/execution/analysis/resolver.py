"""Statements of a flow resolved one by one, and what is wrong with them as findings of its file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import Finding, SqlError
from pipelines.execution.analysis.statements import Resolved, problem_of
from pipelines.utils.sql_runner import StatementKind, resolve_query

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.plan.compile import Sql
    from pipelines.plan.graph import Place
    from pipelines.spec.yaml_document import Document


class Resolver:
    """Resolves statements in a session.

    Args:
        session: resolves them.
        document: the flow's YAML.

    Attributes:
        findings: what was wrong with the statements so far.
    """

    def __init__(self, session: SparkSession, document: Document) -> None:
        self._session, self._document = session, document
        self.findings: list[Finding] = []

    def query(self, sql: Sql, place: Place) -> Resolved | None:
        """A statement that has to be a query; None where it is none, or is wrong."""
        kind, resolved = self.resolve(sql, place)
        if kind.changes_a_table:
            self._no_query(sql, place, f"expected a query, found {kind.value.upper()}")
        return resolved

    def resolve(self, sql: Sql, place: Place) -> tuple[StatementKind, Resolved | None]:
        """What kind a statement is, and a query resolved; None where it is none, or is wrong."""
        try:
            kind, frame = resolve_query(self._session, sql.text)
        except SqlError as error:
            self.refuse(sql, place, error)
            return StatementKind.QUERY, None
        if kind is StatementKind.OTHER:
            allowed = "a query, or one MERGE, INSERT, UPDATE or DELETE"
            self._no_query(sql, place, f"a step's SQL is {allowed}")
        return kind, Resolved(frame) if frame is not None else None

    def refuse(
        self, sql: Sql, place: Place, error: SqlError, told_as: tuple[str, str] = ("", "")
    ) -> None:
        """Notes what Spark says, the first name of ``told_as`` told as the second."""
        problem = problem_of(error)
        message = problem.message.replace(*told_as) if told_as[0] else problem.message
        self.findings.append(
            sql.finding(
                self._document, place, problem.code, message, problem.line,
                problem.column, near=problem.near,
            )
        )  # fmt: skip

    def _no_query(self, sql: Sql, place: Place, message: str) -> None:
        self.findings.append(sql.finding(self._document, place, "no-query", message))
