"""How two states of a table differ, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.console.words import clean, counted, one_line

if TYPE_CHECKING:
    from collections.abc import Collection

    from pipelines.results.table_diff import RowDiff, TableDiff

_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_WIDEST_CELL = 60


def diff_text(diff: TableDiff) -> str:
    """Columns, counts and sample rows of a difference; ``+`` came, ``-`` went, ``~`` changed."""
    lines = [diff.step, f"  - {diff.before}", f"  + {diff.after}"]
    if diff.files_read is not None:
        lines.append(f"  files read: {diff.files_read:,} of {diff.files or 0:,}")
    lines += [f"  note: {note}" for note in diff.notes]
    if diff.is_same:
        return clean("\n".join([*lines, "the same"]))
    for column in diff.columns:
        if column.before is None:
            lines.append(f"+ column {column.name} {column.after}")
        elif column.after is None:
            lines.append(f"- column {column.name} {column.before}")
        else:
            lines.append(f"~ column {column.name} {column.before} -> {column.after}")
    numbers = [f"{counted(diff.added, 'row')} added", f"{diff.removed:,} removed"]
    numbers += [f"{diff.changed:,} changed"] if diff.keys else []
    lines.append(", ".join(numbers))
    lines += [f"  {name}: {counted(n, 'row')}" for name, n in diff.changed_columns.items()]
    for kind, sign in _SIGNS.items():
        rows = [row for row in diff.samples if row.kind == kind]
        told = [(text, row.count) for row in rows if (text := _row_text(row, diff.masked))]
        lines += [f"{sign} {text}" for text, _ in told]
        left = getattr(diff, kind) - sum(count for _, count in told)
        if told and left > 0:
            lines.append(f"{sign} … and {left:,} more")
    if diff.samples and diff.masked:
        lines.append(f"{counted(len(diff.masked), 'column')} masked: --show-values shows them")
    return clean("\n".join(lines))


def _row_text(row: RowDiff, masked: Collection[str]) -> str:
    """A row; of one that came or went the cells that can be seen, empty if there are none."""
    keys = ", ".join(f"{name}={_cell(value)}" for name, value in row.keys.items())
    if row.kind == "changed":
        cells = [f"{name}: {_cell(a)} -> {_cell(b)}" for name, (a, b) in row.cells.items()]
    else:
        side = row.kind == "added"
        seen = {name: values[side] for name, values in row.cells.items() if name not in masked}
        cells = [f"{name}={_cell(value)}" for name, value in seen.items()]
    if not keys and not cells:
        return ""
    times = f" ({row.count:,} times)" if row.count > 1 else ""
    return "  ".join(part for part in (keys, ", ".join(cells)) if part) + times


def _cell(value: Any) -> str:
    return "null" if value is None else one_line(value, _WIDEST_CELL)
