from __future__ import annotations

import csv
from datetime import date, datetime
from pathlib import Path

from pipelines.sample_ods import postgres
from pipelines.sample_ods.csv_files import csv_path, write_csv_files
from pipelines.sample_ods.derby_sql import literal
from pipelines.sample_ods.generator import generate

ROW = (1, None, date(2010, 1, 2), None, ' Jo "Ace"', None, "O'Brien, 美咲", None, None, None)


def test_write_csv_files_when_values_are_awkward_then_blanks_quotes_and_nulls_are_told_apart(
    tmp_path: Path,
) -> None:
    moment = datetime(2026, 8, 31, 6, 0, 0, 123457)
    row = (*ROW, " 604821", moment, moment, "id", 5)

    counts = write_csv_files([("edfi.Student", row)], tmp_path)

    header, line = csv_path(tmp_path, "edfi.Student").read_text("utf-8").splitlines()
    assert counts == {"edfi.Student": 1}
    assert header.startswith("StudentUSI,BirthCity,BirthDate")
    assert line == (
        '1,,"2010-01-02",," Jo ""Ace""",,"O\'Brien, 美咲",,,," 604821",'
        '"2026-08-31 06:00:00.123457","2026-08-31 06:00:00.123457","id",5'
    )


def test_copies_when_files_are_generated_then_names_their_columns(tmp_path: Path) -> None:
    counts = write_csv_files(generate(10, 1).rows(), tmp_path)

    copies = dict(postgres.copies(tmp_path))

    assert len(copies) == len(counts)
    for statement, file in copies.items():
        with file.open(encoding="utf-8", newline="") as lines:
            assert f"({', '.join(next(csv.reader(lines)))})" in statement


def test_literal_when_given_any_value_then_is_sql() -> None:
    values = (None, True, 3, "O'Brien", date(2026, 9, 1))

    assert [literal(value) for value in values] == [
        "NULL",
        "TRUE",
        "3",
        "'O''Brien'",
        "'2026-09-01'",
    ]
