"""What a change does to columns, for people and for machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipelines.console.findings import findings_text

if TYPE_CHECKING:
    from pipelines.lineage.impact import ColumnChange, Impact

_MOST_READERS = 6


def impact_text(impact: Impact, against: str) -> str:
    """``impact`` in lines: each column that came (+), went (-) or changed (~), and its readers."""
    lines = [f"columns, against {against}:"]
    for change in impact.changes:
        lines += _change(change)
    if not impact.changes:
        lines.append("  all as they were")
    if impact.broken:
        lines += ["", "what breaks:", findings_text(impact.broken)]
    return "\n".join(lines)


def impact_dict(impact: Impact) -> dict[str, Any]:
    """``impact`` with JSON types only."""
    return {
        "changes": [
            {
                "step": change.step_id,
                "column": change.column,
                "before": change.before,
                "after": change.after,
                "read_by": [str(node) for node in change.read_by],
            }
            for change in impact.changes
        ],
        "broken": [finding.as_dict() for finding in impact.broken],
    }


def _change(change: ColumnChange) -> list[str]:
    name = f"{change.step_id}.{change.column}"
    if not change.before:
        return [f"  + {name} {change.after}"]
    if change.after:
        lines = [f"  ~ {name} {change.before} -> {change.after}"]
    else:
        lines = [f"  - {name} {change.before}"]
    readers = [str(node) for node in change.read_by]
    more = len(readers) - _MOST_READERS
    if readers:
        named = ", ".join(readers[:_MOST_READERS])
        lines.append(f"      read by {named}" + (f" and {more} more" if more > 0 else ""))
    return lines
