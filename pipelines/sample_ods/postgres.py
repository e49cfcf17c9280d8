"""The tables in PostgreSQL, loaded by COPY from CSV files, generated or of Ed-Fi's own."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from pipelines.sample_ods.csv_files import csv_path
from pipelines.sample_ods.tables import TABLES, ddl, index_ddl


def statements() -> tuple[str, ...]:
    """The statements that make all schemas, tables and indexes, without semicolons."""
    return (*ddl("postgresql"), *index_ddl("postgresql"))


def copies(folder: Path) -> Iterator[tuple[str, Path]]:
    """COPY statements that read from the client, each with the file to send.

    With psycopg: ``with cursor.copy(statement) as copy: copy.write(file.read_bytes())``.

    Args:
        folder: CSV files with a header, named as their tables: ``Student.csv``. Tables without a
            file are left out, and so are files without a table.
    """
    for table in TABLES:
        file = csv_path(folder, table)
        if file.is_file():
            with file.open(encoding="utf-8", newline="") as lines:
                columns = ", ".join(next(csv.reader(lines)))
            yield f"COPY {table} ({columns}) FROM STDIN (FORMAT csv, HEADER)", file
