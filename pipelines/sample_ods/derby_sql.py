"""SQL of Derby for what the sample ODS does: load a file, apply changes of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pipelines.sample_ods import ij
from pipelines.sample_ods.rows import COLUMNS

if TYPE_CHECKING:
    from pipelines.sample_ods.changes import Change

_ROWS_PER_INSERT: Final = 50


def import_statement(table: str, file: Path) -> str:
    """The call that loads a CSV file with a header."""
    schema, name = table.upper().split(".")
    columns = ",".join(COLUMNS[table]).upper()
    words = f"'{schema}', '{name}', '{columns}', NULL, {ij.literal(str(file))}"
    return f"CALL SYSCS_UTIL.SYSCS_IMPORT_DATA_BULK({words}, NULL, NULL, 'UTF-8', 1, 1)"


def change_statements(changes: Sequence[Change]) -> Iterator[str]:
    """SQL for changes in order; inserts into one table that follow each other share a statement."""
    for (kind, table), group in groupby(changes, key=lambda change: (change.kind, change.table)):
        if kind == "insert":
            rows = [f"({', '.join(map(literal, change.values.values()))})" for change in group]
            columns = ", ".join(COLUMNS[table])
            for start in range(0, len(rows), _ROWS_PER_INSERT):
                values = ", ".join(rows[start : start + _ROWS_PER_INSERT])
                yield f"INSERT INTO {table} ({columns}) VALUES {values}"
            continue
        for change in group:
            where = " AND ".join(f"{name} = {literal(value)}" for name, value in change.key.items())
            new = ", ".join(f"{name} = {literal(value)}" for name, value in change.values.items())
            change_row = f"UPDATE {table} SET {new}" if new else f"DELETE FROM {table}"
            yield f"{change_row} WHERE {where}"


def literal(value: Any) -> str:
    """A value as an SQL literal."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    return str(value) if isinstance(value, int) else ij.literal(str(value))
