"""Windows of the past, as people and programs see them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.console.listings import utc_minute
from pipelines.console.words import counted, marked, render, styled, table

if TYPE_CHECKING:
    from pipelines.plan.windows import WindowRow


def intervals_text(
    rows: Sequence[WindowRow],
    fmt: str = "text",
    *,
    width: int | None = None,
    color: bool | None = None,
) -> str:
    """``rows`` one a line, and how many are what; as ``json`` an object."""
    if fmt == "json":
        said = [
            {
                "window_start": str(row.window.start),
                "window_end": str(row.window.end),
                "state": row.state.value,
                "reason": row.reason,
                "run_id": row.run_id or None,
                "finished_at": row.finished_at or None,
                "broken_steps": list(row.broken),
            }
            for row in rows
        ]
        return json.dumps({"windows": said}, ensure_ascii=False)
    if not rows:
        return "no history run yet"
    made = table("window", "state", "run", "ended", "", fold=("",))
    for row in rows:
        told = row.reason or ", ".join(row.broken)
        made.add_row(
            styled(str(row.window), "bold"),
            marked(row.state.value),
            styled(row.run_id or "-"),
            styled(utc_minute(row.finished_at)),
            styled(told),
        )
    states = [row.state.value for row in rows]
    counts = ", ".join(f"{states.count(one)} {one}" for one in dict.fromkeys(states))
    return render(
        made, styled(f"{counted(len(rows), 'window')}: {counts}"), width=width, color=color
    )
