"""Rows of a fixture as its author wrote them: mappings, CSV text, or a CSV file."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.spec.yaml_document import parse_document

if TYPE_CHECKING:
    from pipelines.spec.sql_tests import Rows


@dataclass(frozen=True)
class FixtureRows:
    """Rows whose values have no type yet.

    Attributes:
        rows: a mapping from column to value each.
        columns: every column that any row, or the head line, names.
        is_text: whether all values are text, as in CSV.
        problems: what is wrong with the text or file.
    """

    rows: tuple[Mapping[str, Any], ...] = ()
    columns: tuple[str, ...] = ()
    is_text: bool = False
    problems: tuple[str, ...] = ()


def read_rows(what: Rows, folder: Path) -> FixtureRows:
    """The rows that ``what`` means; files are looked for in ``folder``."""
    if isinstance(what, str):
        return _of_csv(what, "the CSV text")
    if isinstance(what, tuple):
        columns = dict.fromkeys(name for row in what for name in row)
        return FixtureRows(what, tuple(columns))
    file = folder / what.file
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return FixtureRows(problems=(f"{what.file!r} cannot be read: {why}",))
    return _of_csv(text, what.file)


def value_of_text(text: str) -> Any:
    """A list or mapping that stands in a CSV cell as YAML; the text itself where it is none."""
    found = parse_document(text, "cell")
    return text if found.findings or not isinstance(found.tree, list | dict) else found.tree


def _of_csv(text: str, shown: str) -> FixtureRows:
    """The rows below the head line; an empty cell is null, and an empty line is none."""
    reader = csv.reader(io.StringIO(text.strip("\n"), newline=""), strict=True,
                        skipinitialspace=True)  # fmt: skip
    rows: list[dict[str, Any]] = []
    problems: list[str] = []
    head: list[str] = []
    try:
        for cells in reader:
            if not cells:
                continue
            if not head:
                head = [cell.strip() for cell in cells]
                problems += _of_head(head, shown)
            elif len(cells) != len(head):
                problems.append(
                    f"line {reader.line_num} of {shown} has {len(cells)} cells, "
                    f"and the head line {len(head)}"
                )
            else:
                values = [cell or None for cell in cells]
                rows.append(dict(zip(head, values, strict=True)))
    except csv.Error as error:
        problems.append(f"line {reader.line_num} of {shown} is no CSV: {error}")
    if not head:
        problems.append(f"{shown} has no head line")
    return FixtureRows(tuple(rows), tuple(head), is_text=True, problems=tuple(problems))


def _of_head(head: list[str], shown: str) -> list[str]:
    if "" in head:
        return [f"column {head.index('') + 1} of {shown} has no name"]
    lower = [name.lower() for name in head]
    twice = sorted({name for name in lower if lower.count(name) > 1})
    return [f"{shown} names column {name!r} twice" for name in twice]
