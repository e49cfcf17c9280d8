"""One statement resolved by Spark's analyzer: what it gives, or what is wrong with it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.lineage.columns import Column, StatementColumns
from pipelines.lineage.plan_tree import columns_of_plan
from pipelines.utils.sql_runner import columns_of_json

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from pipelines.errors import SqlError

_CODES = (
    ("UNRESOLVED_COLUMN", "unknown-column"),
    ("UNRESOLVED_EXPRESSION", "unknown-column"),
    ("FIELD_NOT_FOUND", "unknown-column"),
    ("TABLE_OR_VIEW_NOT_FOUND", "unknown-table"),
    ("UNRESOLVED_ROUTINE", "unknown-function"),
    ("DATATYPE_MISMATCH", "type-clash"),
    ("CAST_", "type-clash"),
    ("INCOMPATIBLE", "type-clash"),
    ("PARSE_", "sql-syntax"),
)
_SUGGESTED = re.compile(r" Did you mean one of the following\? \[(.*?)\]\.?", re.DOTALL)
_NOT_NULL = re.compile(r"^isnotnull\([^()#]*#(\d+)L?J?\)$", re.MULTILINE)
_MOST_NEAR = 2


@dataclass(frozen=True)
class Problem:
    """What Spark's analyzer says against a statement.

    Attributes:
        line: in the statement, from 1; 0 if unknown.
        column: in the statement, from 1; 0 if unknown.
        near: names that it knows and that look alike.
    """

    code: str
    message: str
    line: int
    column: int
    near: tuple[str, ...] = ()


@dataclass(frozen=True)
class Resolved:
    """A query that the analyzer has resolved; lineage is worked out when asked for."""

    frame: DataFrame

    def columns(self) -> tuple[Column, ...]:
        """What it gives; not nullable also where its own filters say so."""
        found = columns_of_json(str(self._java().schema().json()))
        sure = self._not_null() if any(column.nullable for column in found) else frozenset()
        return tuple(
            Column(column.name, column.type, column.nullable and number not in sure)
            for number, column in enumerate(found)
        )

    def lineage(self) -> StatementColumns:
        """Where its columns come from."""
        return columns_of_plan(json.loads(str(self._java().queryExecution().analyzed().toJSON())))

    def _not_null(self) -> frozenset[int]:
        """Positions of columns that hold no null by what the plan demands of its rows."""
        jvm: Any = self.frame.sparkSession._jvm
        inline = getattr(jvm, "org.apache.spark.sql.catalyst.optimizer.InlineCTE")(True, False)
        plan = inline.apply(self._java().queryExecution().analyzed())
        demanded = set(_NOT_NULL.findall(str(plan.constraints().mkString("\n"))))
        ids = re.findall(r"#(\d+)", str(plan.output().mkString("\n")))
        return frozenset(number for number, one in enumerate(ids) if one in demanded)

    def _java(self) -> Any:
        return self.frame._jdf


def problem_of(error: SqlError) -> Problem:
    """What ``error`` says, with the names that Spark suggests apart from it."""
    code = next((code for part, code in _CODES if part in error.condition), "sql-analysis")
    message, near = error.message, tuple[str, ...]()
    suggested = _SUGGESTED.search(message)
    if suggested:
        names = [name.replace("`", "") for name in suggested[1].split(", ")]
        near = tuple(names[:_MOST_NEAR])
        message = _SUGGESTED.sub("", message)
    told = message.splitlines()[0].split(". Verify the spelling", 1)[0].rstrip(".")
    return Problem(code, told, *error.position, near)
