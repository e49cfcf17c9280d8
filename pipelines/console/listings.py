"""Lists of what was: runs from their logs, and the doctor's findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.console.words import (
    counted,
    counts_text,
    marked,
    render,
    styled,
    table,
)
from pipelines.results import duration_text

DoctorRow = tuple[str, str, str, str]
"""Name of a check, ``ok``, ``warn`` or ``fail``, detail, and hint (empty if there is none)."""


def history_text(
    runs: Sequence[Mapping[str, Any]], *, width: int | None = None, color: bool | None = None
) -> str:
    """``runs``, from their JSON logs, one a line in the order given; times are UTC."""
    if not runs:
        return "no runs yet"
    made = table(
        "run",
        "started",
        "status",
        "time",
        "env",
        "batch",
        "steps",
        right=("time",),
        fold=("steps",),
    )
    for run in runs:
        steps = counts_text(str(step.get("status", "?")) for step in run.get("steps") or ())
        if run.get("rolled_back_at"):
            steps += ", rolled back"
        made.add_row(
            styled(run.get("run_id", "?"), "bold"),
            styled(utc_minute(run.get("started_at"))),
            marked(str(run.get("status", "?"))),
            duration_text(run.get("duration_seconds")),
            styled(run.get("environment", "")),
            styled(run.get("batch_id", "")),
            styled(steps),
        )
    return render(made, width=width, color=color)


def doctor_text(
    rows: Iterable[DoctorRow], *, width: int | None = None, color: bool | None = None
) -> str:
    """``rows``, one a line, what to do below; the last line counts."""
    checked = list(rows)
    made = table("", "", "", fold=("",))
    made.show_header = False
    for name, verdict, detail, hint in checked:
        made.add_row(marked(verdict), styled(name, "bold"), styled(detail))
        if hint:
            made.add_row("", "", styled(f"→ {hint}", "yellow" if verdict == "warn" else ""))
    verdicts = [verdict for _, verdict, _, _ in checked]
    total = (
        f"{verdicts.count('ok')} ok, {counted(verdicts.count('warn'), 'warning')}, "
        f"{counted(verdicts.count('fail'), 'failure')}"
    )
    return render(made, styled(total), width=width, color=color)


def utc_minute(moment: object) -> str:
    """An ISO 8601 time of a log as ``2026-11-23 10:58``; a dash for None."""
    return str(moment)[:16].replace("T", " ") if moment else "-"
