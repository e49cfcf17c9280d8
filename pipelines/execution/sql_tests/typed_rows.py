"""Rows of a fixture under the columns of their table, each value as an expression of its type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import near_names
from pipelines.execution.sql_tests.literals import literal_of
from pipelines.utils.sql_runner import schema_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.errors import Finding
    from pipelines.execution.sql_tests.frames import Literals
    from pipelines.lineage.columns import Column
    from pipelines.spec.fixture_rows import FixtureRows
    from pipelines.spec.sql_test_files import SqlCase

Columns = Sequence["Column"]
_MOST_NAMED = 10


@dataclass(frozen=True)
class BoundRows:
    """Rows whose values have the types of their columns.

    Attributes:
        columns: of the table.
        named: names, in lower case, of those that the rows have; the others are null.
        rows: expressions of SQL, one for each of the columns named.
    """

    columns: Columns
    named: tuple[str, ...] = ()
    rows: tuple[Literals, ...] = ()


@dataclass(frozen=True)
class RowsPlace:
    """Where rows stand, and what they are rows of.

    Attributes:
        case: the case that they are of.
        within: their place in it.
        table: the table, as a message names it.
        columns: of the table.
    """

    case: SqlCase
    within: tuple[str | int, ...]
    table: str
    columns: Columns

    def unknown_column(self, name: str, *within: str | int) -> Finding:
        """That the table has no column ``name``, told at a place in the case."""
        names = [one.name for one in self.columns]
        near = near_names(name, names)
        return self.case.finding(
            "unknown-column", f"{self.table} has no column {name!r}", *within, key=True, near=near,
            hint="" if near else f"it has {listed(names)}",
        )  # fmt: skip


def bind_rows(
    rows: FixtureRows, place: RowsPlace, session: SparkSession
) -> tuple[BoundRows, list[Finding]]:
    """``rows`` as expressions of the types of their columns, and all that does not fit."""
    schema = schema_of(session, place.columns).jsonValue()["fields"]
    types = {
        one.name.lower(): (one, field["type"])
        for one, field in zip(place.columns, schema, strict=True)
    }
    named = tuple(dict.fromkeys(name.lower() for name in rows.columns))
    findings: list[Finding] = []
    unknown: set[str] = set()
    bound = []
    for number, row in enumerate(rows.rows):
        cells = dict.fromkeys(named, "null")
        seen: set[str] = set()
        for name, value in row.items():
            at = place.within if rows.is_text else (*place.within, number, name)
            lower = name.lower()
            if lower not in types:
                if lower not in unknown:
                    findings.append(place.unknown_column(name, *at))
                unknown.add(lower)
                continue
            if lower in seen:
                message = f"the row names column {name!r} twice"
                findings.append(place.case.finding("duplicate-key", message, *at))
            seen.add(lower)
            try:
                cells[lower] = _cell(value, *types[lower], is_text=rows.is_text)
            except ValueError as error:
                told = f"row {number + 1}, column {name!r}" if rows.is_text else f"column {name!r}"
                findings.append(place.case.finding("bad-fixture", f"{told}: {error}", *at))
        bound.append(tuple(cells.values()))
    for name in rows.columns if not rows.rows else ():
        if name.lower() not in types:
            findings.append(place.unknown_column(name, *place.within))
    return BoundRows(place.columns, named, tuple(bound)), findings


def listed(names: Sequence[str]) -> str:
    """The first of ``names``, and how many more there are."""
    told = ", ".join(names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return (told + (f" and {more} more" if more > 0 else "")) or "none"


def _cell(value: Any, column: Column, data_type: Any, *, is_text: bool) -> str:
    literal = literal_of(value, data_type, is_text=is_text)
    # A list of nothing has no type of its own, so that two rows would not fit.
    return f"cast({literal} as {column.type})" if isinstance(data_type, dict) else literal
