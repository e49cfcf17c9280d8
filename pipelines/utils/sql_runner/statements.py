"""Statements: told apart, checked by Spark's parser, run, explained."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from pipelines.errors import SqlError
from pipelines.utils.sql_runner.java_errors import as_sql_error

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_POSITION = re.compile(r"\bline (\d+),? pos(?:ition)? (\d+)")


class StatementKind(str, Enum):
    """What a statement does to tables."""

    QUERY = "query"
    INSERT = "insert"
    MERGE = "merge"
    UPDATE = "update"
    DELETE = "delete"
    OTHER = "other"

    @property
    def changes_a_table(self) -> bool:
        """Whether it writes by itself."""
        return self not in (StatementKind.QUERY, StatementKind.OTHER)


_KINDS = {
    "InsertIntoStatement": StatementKind.INSERT,
    "MergeIntoTable": StatementKind.MERGE,
    "DeltaMergeInto": StatementKind.MERGE,
    "UpdateTable": StatementKind.UPDATE,
    "DeleteFromTable": StatementKind.DELETE,
}


def parse(spark: SparkSession, sql: str, *, file: str = "") -> StatementKind:
    """What kind of statement ``sql`` is, by Spark's own parser; nothing is looked up or run.

    Raises:
        SqlError: Spark cannot parse it; ``where`` is ``file:line:column``.
    """
    try:
        plan = _parser(spark).parsePlan(sql)
    except Exception as error:
        raise _with_position(as_sql_error(error), str(error), file) from None
    return _kind(plan, _command_class(spark))


def run_query(spark: SparkSession, sql: str, *, file: str = "") -> DataFrame:
    """The rows of a query, not computed yet; for a statement that changes a table, its metrics.

    Raises:
        SqlError: Spark cannot resolve it, or it broke while running.
    """
    try:
        return spark.sql(sql)
    except Exception as error:
        raise _with_position(as_sql_error(error), str(error), file) from error


def insert_source(spark: SparkSession, sql: str) -> Any:
    """The query inside an INSERT, or the source of a MERGE, as a Java logical plan; or None."""
    plan = _parser(spark).parsePlan(sql)
    name = plan.nodeName()
    if name == "InsertIntoStatement":
        return plan.query()
    if name == "MergeIntoTable":
        return plan.sourceTable()
    return None


def explain(frame: DataFrame) -> str:
    """Spark's formatted physical plan, with the logical plans above it."""
    execution = frame._jdf.queryExecution()
    mode = frame.sparkSession._jvm.org.apache.spark.sql.execution.ExplainMode  # type: ignore[union-attr]
    return str(execution.explainString(mode.fromString("extended")))


def _parser(spark: SparkSession) -> Any:
    return spark._jsparkSession.sessionState().sqlParser()


def _command_class(spark: SparkSession) -> Any:
    """Java's class of the plans that are commands, `alter`, `use` and `show` among them."""
    jvm: Any = spark._jvm
    return jvm.java.lang.Class.forName("org.apache.spark.sql.catalyst.plans.logical.Command")


def _kind(plan: Any, command: Any) -> StatementKind:
    name = str(plan.nodeName())
    if name == "UnresolvedWith":
        return _kind(plan.child(), command)
    if name in _KINDS:
        return _KINDS[name]
    is_command = command.isInstance(plan) or any(
        part in str(plan.getClass().getName())
        for part in ("Command", "Create", "Drop", "Alter", "Statement", "Truncate", "Replace")
    )
    return StatementKind.OTHER if is_command else StatementKind.QUERY


def _with_position(error: SqlError, text: str, file: str) -> SqlError:
    match = _POSITION.search(text)
    where = file
    if match:
        line, column = int(match[1]), int(match[2]) + 1
        where = f"{file}:{line}:{column}" if file else f"line {line}, column {column}"
    return SqlError(
        error.message,
        condition=error.condition,
        sql_state=error.sql_state,
        java_class=error.java_class,
        where=where,
    )
