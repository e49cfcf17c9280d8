"""Maintenance as text: what became of each table, and what went of logs, checkpoints, releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.console.words import clean, counted, marked, one_line, render, styled, table

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pipelines.results.maintenance import Maintained, TableMaintained


def maintenance_text(
    done: Maintained, *, width: int | None = None, color: bool | None = None
) -> str:
    """What was done, or would be, a line a table; then what is left to say of some."""
    would = " (would)" if done.is_dry else ""
    made = table("table", "status", f"joined{would}", f"deleted{would}", "kept hours",
                 right=("kept hours",), fold=("table",))  # fmt: skip
    for one in done.tables:
        made.add_row(*_row(one))
    parts: list[RenderableType] = [made]
    for one in done.tables:
        parts += [styled(f"✗ {one.name}  {one_line(error, 400)}", "red") for error in one.errors]
        parts += [styled(f"! {one.name}  {one_line(note)}", "yellow") for note in one.notes]
        if one.held_by:
            parts.append(styled(f"  {one.name}  files stay longer: {one.held_by}", "dim"))
    verb = "would go" if done.is_dry else "gone"
    for word, names in (
        ("release", [f"{stage} {name}" for stage, name in done.releases]),
        ("batch", done.batches),
        ("log", done.logs),
    ):
        if names:
            number = counted(len(names), word, "batches" if word == "batch" else "")
            parts.append(styled(one_line(f"{number} {verb}: {', '.join(names)}")))
    return clean(render(*parts, width=width, color=color))


def _row(one: TableMaintained) -> tuple[object, ...]:
    if not one.is_there:
        return one.name, styled("- not there", "dim"), "", "", ""
    joined = "-" if one.files_joined is None else counted(one.files_joined, "file")
    if one.files_made:
        joined += f" into {one.files_made:,}"
    deleted = "-" if one.files_deleted is None else counted(one.files_deleted, "file")
    hours = "-" if one.retain_hours is None else f"{one.retain_hours:,}"
    return one.name, marked("failed" if one.errors else "ok"), joined, deleted, hours
