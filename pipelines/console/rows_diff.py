"""How rows differ from those expected, as small tables aligned by column."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.console.words import counted, one_line

if TYPE_CHECKING:
    from pipelines.results import RowsDiff

_MOST_LINES = 20
_CELL_WIDTH = 40
_GAP = "  "
Line = tuple[str, list[str]]
"""A sign (`-`, `+`, `~`, `=` or blank) and the cells of a row."""


def diff_lines(diff: RowsDiff, width: int = 100) -> list[str]:
    """``diff``: a line that counts, and below it tables no wider than ``width``.

    A row that is missing begins with ``-``, an unexpected one with ``+``; a changed row begins with
    ``~`` and shows its cells as ``expected → found``. Columns that do not fit go on below.
    """
    lines = list(_lines(diff))
    cut = len(lines) - _MOST_LINES
    shown = lines[:_MOST_LINES]
    told = [_counts(diff)]
    for first, last in _blocks(diff.columns, shown, width):
        told += _table(diff.columns[first:last], [(sign, row[first:last]) for sign, row in shown])
    if cut > 0:
        told.append(f"… and {counted(cut, 'row')} more")
    return told


def cell_text(value: Any) -> str:
    """A value on one line: null, and lists and mappings as JSON."""
    if value is None:
        return "null"
    if isinstance(value, str):
        plain = value == value.strip() and value not in ("", "null")
        return one_line(value if plain else repr(value), _CELL_WIDTH)
    if isinstance(value, bool | list | dict):
        text = json.dumps(value, ensure_ascii=False, default=_bare)
        return one_line(text, _CELL_WIDTH)
    return str(value)


def _bare(number: Any) -> float:
    return float(number)


def _counts(diff: RowsDiff) -> str:
    parts = [
        f"{number:,} {word}"
        for number, word in (
            (len(diff.missing), "missing (-)"),
            (len(diff.unexpected), "unexpected (+)"),
            (len(diff.changed), "changed (~)"),
        )
        if number
    ]
    if diff.moved:
        parts = [f"the rows are right, their order is not: {len(diff.moved):,} elsewhere"]
    rows = f"{counted(diff.expected, 'row')} expected, {diff.found:,} found"
    return f"{', '.join(parts)}; {rows}"


def _lines(diff: RowsDiff) -> Iterator[Line]:
    for expected, found in diff.changed:
        pairs = zip(map(cell_text, expected), map(cell_text, found), strict=True)
        yield (
            "~",
            [
                _differing(one, other, had == has)
                for (one, other), had, has in zip(pairs, expected, found, strict=True)
            ],
        )
    for row in diff.missing:
        yield "-", [cell_text(value) for value in row]
    for row in diff.unexpected:
        yield "+", [cell_text(value) for value in row]
    for position, expected, found in diff.moved:
        yield f"-{position}", [cell_text(value) for value in expected]
        yield f"+{position}", [cell_text(value) for value in found]


def _differing(one: str, other: str, is_same: bool) -> str:
    if is_same:
        return one
    return f"{one} → {other}" if one != other else f"{one} → (differs further on)"


def _blocks(columns: Sequence[str], lines: Sequence[Line], width: int) -> Iterator[tuple[int, int]]:
    """First and last column, exclusive, of each table that is narrow enough."""
    widths = [
        max(len(name), *(len(cells[number]) for _, cells in lines), 0)
        for number, name in enumerate(columns)
    ]
    room = width - max((len(sign) for sign, _ in lines), default=1)
    first, taken = 0, 0
    for number, wide in enumerate(widths):
        if number > first and taken + len(_GAP) + wide > room:
            yield first, number
            first, taken = number, 0
        taken += len(_GAP) + wide
    if first < len(columns):
        yield first, len(columns)


def _table(columns: Sequence[str], lines: Sequence[Line]) -> list[str]:
    rows = [("", list(columns)), *lines]
    signs = max(len(sign) for sign, _ in rows)
    widths = [max(len(cells[number]) for _, cells in rows) for number in range(len(columns))]
    return [
        _GAP.join(
            [sign.ljust(signs), *(c.ljust(w) for c, w in zip(cells, widths, strict=True))]
        ).rstrip()
        for sign, cells in rows
    ]
