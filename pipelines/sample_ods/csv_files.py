"""Rows as CSV files that Derby's import and PostgreSQL's COPY read alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

from pipelines.sample_ods.rows import COLUMNS


def write_csv_files(rows: Iterable[tuple[str, tuple[Any, ...]]], folder: Path) -> Mapping[str, int]:
    """Writes a file ``Table.csv`` per table, with a header, in UTF-8, and counts its rows.

    A null is nothing between two commas; everything but numbers is quoted, as blanks around a
    value would get lost otherwise. Tables without rows get no file.

    Args:
        rows: rows with their tables; the values are those of `rows.COLUMNS`.
        folder: an existing folder.
    """
    counts: Counter[str] = Counter()
    with ExitStack() as stack:
        files: dict[str, IO[str]] = {}
        for table, row in rows:
            if table not in files:
                file = csv_path(folder, table).open("x", encoding="utf-8", newline="")
                files[table] = stack.enter_context(file)
                files[table].write(",".join(COLUMNS[table]) + "\n")
            files[table].write(",".join(map(_cell, row)) + "\n")
            counts[table] += 1
    return counts


def csv_path(folder: Path, table: str) -> Path:
    """The file of a table: ``Student.csv``; with the schema in front where it is not ``edfi``."""
    return folder / f"{table.removeprefix('edfi.')}.csv"


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return '"true"' if value else '"false"'
    if isinstance(value, int):
        return str(value)
    text = str(value)
    return f'"{text}"' if '"' not in text else '"' + text.replace('"', '""') + '"'
