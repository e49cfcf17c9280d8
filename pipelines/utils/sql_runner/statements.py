"""Statements: told apart, checked by Spark's parser, run, explained."""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING, Any

from pipelines.errors import SqlError
from pipelines.utils.sql_runner.java_errors import as_sql_error

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_FEW_ROWS = 1_000
_FEW_BYTES = 8 * 1024 * 1024
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


_QUERIES = frozenset({"Project", "Aggregate", "Filter", "Sort", "Distinct", "Union"})
"""The usual roots of queries, told without asking what else they are."""
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
    return _kind(spark, plan)


def run_query(spark: SparkSession, sql: str, *, file: str = "") -> DataFrame:
    """The rows of a query, not computed yet; for a statement that changes a table, its metrics.

    Raises:
        SqlError: Spark cannot resolve it, or it broke while running.
    """
    try:
        return spark.sql(sql)
    except Exception as error:
        raise _with_position(as_sql_error(error), str(error), file) from error


def resolve_query(spark: SparkSession, sql: str) -> tuple[StatementKind, DataFrame | None]:
    """A query resolved by Spark's analyzer; of a statement of another kind only the kind.

    Returns:
        The kind, and for a query its rows, not computed yet.

    Raises:
        SqlError: Spark cannot parse or resolve it; ``position`` says where.
    """
    try:
        plan = _parser(spark).parsePlan(sql)
        kind = _kind(spark, plan)
        return kind, _rows(spark, plan) if kind is StatementKind.QUERY else None
    except Exception as error:
        raise _with_position(as_sql_error(error), str(error), "") from error


def resolve_change(spark: SparkSession, sql: str) -> None:
    """Has Spark's analyzer resolve a statement that changes a table; nothing is run.

    Raises:
        SqlError: it cannot be resolved; ``position`` says where.
    """
    jvm: Any = spark._jvm
    java: Any = spark._jsparkSession
    skip = getattr(jvm, "org.apache.spark.sql.execution.CommandExecutionMode").SKIP()
    try:
        plan = _parser(spark).parsePlan(sql)
        java.sessionState().executePlan(plan, skip).assertAnalyzed()
    except Exception as error:
        raise _with_position(as_sql_error(error), str(error), "") from error


def inserted_schema(spark: SparkSession, sql: str) -> StructType | None:
    """The columns of the query inside an INSERT, or of a MERGE's source; None for others.

    Raises:
        SqlError: that query cannot be resolved.
    """
    try:
        plan = _parser(spark).parsePlan(sql)
        name = plan.nodeName()
        if name == "InsertIntoStatement":
            return _rows(spark, plan.query()).schema
        if name == "MergeIntoTable":
            return _rows(spark, plan.sourceTable()).schema
    except Exception as error:
        raise _with_position(as_sql_error(error), str(error), "") from error
    return None


def unfit_for_insert(spark: SparkSession, sql: str, table: StructType) -> list[str]:
    """Columns of an INSERT that Spark would not store in those of ``table``, each in words.

    Delta's analysis lets a text pass for a number, and the write breaks at the first row. What
    may be stored is Spark's own rule of ANSI store assignment.
    """
    plan = _parser(spark).parsePlan(sql)
    given = inserted_schema(spark, sql)
    if plan.nodeName() != "InsertIntoStatement" or given is None:
        return []
    if not plan.partitionSpec().isEmpty():
        return []
    named = [str(name).lower() for name in _scala_list(plan.userSpecifiedCols())]
    if plan.byName():
        named = [name.lower() for name in given.names]
    by_name = {column.name.lower(): column for column in table}
    targets = [by_name[name] for name in named if name in by_name] if named else list(table)
    jvm: Any = spark._jvm
    types = getattr(jvm, "org.apache.spark.sql.types.DataType")
    may_store = getattr(jvm, "org.apache.spark.sql.catalyst.expressions.Cast").canANSIStoreAssign
    return [
        f"{column.name!r} is {column.dataType.simpleString()}, and goes into "
        f"{target.name!r}, which is {target.dataType.simpleString()}"
        for column, target in zip(given, targets, strict=False)
        if not may_store(
            types.fromJson(column.dataType.json()), types.fromJson(target.dataType.json())
        )
    ]


def kept_rows(frame: DataFrame) -> tuple[DataFrame, int]:
    """The rows of ``frame``, computed once and kept until they are unpersisted; and their number.

    Of more than a few the number is what Spark counted as it cached them: where memory was short
    and it had to do so twice, more than there are.

    A few, or such as take up little, are values in the plan: what is done with them needs no scan,
    and no job to learn how many they are. More are cached. The plan of these holds that of all that
    they were made from, and Spark writes it out each time it plans: where kept rows are made from
    kept rows that is soon more than memory holds, so no more are cached than have to be.
    Their plan has no CTEs: Spark numbers those of a whole statement, and would not know the kept
    rows again inside of another statement that has some.
    """
    spark = frame.sparkSession
    jvm: Any = spark._jvm
    inline = getattr(jvm, "org.apache.spark.sql.catalyst.optimizer.InlineCTE")(True, False)
    plan = inline.apply(frame._jdf.queryExecution().analyzed())
    kept = _rows(spark, plan).persist()
    try:
        # Of one partition, as Spark would look at the first by itself to see whether it is enough.
        few, count = computed(kept.limit(_FEW_ROWS + 1).coalesce(1))
        if count > _FEW_ROWS:
            stats = kept._jdf.queryExecution().optimizedPlan().stats()
            if int(stats.sizeInBytes()) > _FEW_BYTES:
                counted = stats.rowCount()
                return kept, max(count, counted.get()) if counted.isDefined() else kept.count()
            few, count = computed(kept)
    except BaseException:
        kept.unpersist()
        raise
    kept.unpersist()
    return few, count


def computed(frame: DataFrame) -> tuple[DataFrame, int]:
    """The rows of ``frame`` as values in a plan, and their number: their origin runs this once."""
    from pyspark.sql import DataFrame as Frame

    java, session = frame._jdf, frame.sparkSession
    rows = java.collectAsList()
    values = session._jsparkSession.createDataFrame(rows, java.schema())
    return Frame(values, session), int(rows.size())


def has_rows(frame: DataFrame) -> bool:
    """Whether ``frame`` has rows, by a look at all partitions side by side.

    Spark by itself looks at the first, then, while it finds none, at more and more of the others.
    """
    return not frame.limit(1).coalesce(1).isEmpty()


def in_session(frame: DataFrame, session: SparkSession) -> DataFrame:
    """``frame`` for use in another session of the same run."""
    return _rows(session, frame._jdf.queryExecution().analyzed())


def explain(frame: DataFrame) -> str:
    """Spark's formatted physical plan, with the logical plans above it."""
    execution = frame._jdf.queryExecution()
    mode = getattr(frame.sparkSession._jvm, "org.apache.spark.sql.execution.ExplainMode")
    return str(execution.explainString(mode.fromString("extended")))


def _rows(spark: SparkSession, plan: Any) -> DataFrame:
    """The rows of a parsed query, resolved and not computed."""
    from pyspark.sql import DataFrame as Frame

    jvm: Any = spark._jvm
    java = getattr(jvm, "org.apache.spark.sql.classic.Dataset").ofRows(spark._jsparkSession, plan)
    return Frame(java, spark)


def _scala_list(found: Any) -> list[Any]:
    return [found.apply(number) for number in range(found.size())]


def _parser(spark: SparkSession) -> Any:
    return spark._jsparkSession.sessionState().sqlParser()


def _kind(spark: SparkSession, plan: Any) -> StatementKind:
    name = str(plan.nodeName())
    if name == "UnresolvedWith":
        return _kind(spark, plan.child())
    if name in _QUERIES:
        return StatementKind.QUERY
    if name in _KINDS:
        return _KINDS[name]
    # Commands have a class above them, `alter`, `use` and `show` among them.
    jvm: Any = spark._jvm
    command = getattr(jvm, "java.lang.Class").forName(
        "org.apache.spark.sql.catalyst.plans.logical.Command"
    )
    is_command = command.isInstance(plan) or any(
        part in str(plan.getClass().getName())
        for part in ("Command", "Create", "Drop", "Alter", "Statement", "Truncate", "Replace")
    )
    return StatementKind.OTHER if is_command else StatementKind.QUERY


def _with_position(error: SqlError, text: str, file: str) -> SqlError:
    match = _POSITION.search(text)
    where, line, column = file, 0, 0
    if match:
        line, column = int(match[1]), int(match[2]) + 1
        where = f"{file}:{line}:{column}" if file else f"line {line}, column {column}"
    return SqlError(
        error.message,
        condition=error.condition,
        sql_state=error.sql_state,
        java_class=error.java_class,
        position=(line, column),
        where=where,
    )
