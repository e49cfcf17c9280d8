"""Events of a run in a few words, the same on a terminal and in a log."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.console.summary import check_text
from pipelines.console.words import BROKEN, counted, counts_text, one_line
from pipelines.results import duration_text

if TYPE_CHECKING:
    from pipelines.results import RunInfo, RunResult, StepResult


def small_run_words(run: RunInfo) -> str:
    """How a run is small, and where it writes; empty for a regular one."""
    if not run.scratch:
        return ""
    return f"small run: {run.kind}; it writes to {run.scratch} only"


def step_words(result: StepResult) -> list[str]:
    """A finished step in a few words: id, status, time, rows, checks, reason."""
    words = [result.id, result.status.value]
    if result.started_at is not None:
        words.append(duration_text(result.duration_seconds))
    if result.counts.written is not None:
        words.append(counted(result.counts.written, "row"))
    if result.counts.updated:
        words.append(f"{result.counts.updated:,} updated")
    if result.counts.deleted:
        words.append(f"{result.counts.deleted:,} deleted")
    if result.checks:
        words.append(counted(len(result.checks), "check"))
    if result.warnings:
        words.append(counted(len(result.warnings), "warning"))
    if len(result.attempts) > 1:
        words.append(f"{len(result.attempts)} attempts")
    if result.reason:
        words.append(f"({one_line(result.reason)})")
    return words


def failure_lines(result: StepResult) -> list[str]:
    """Why a step failed, which of its checks warned, and its notes: one matter a line."""
    step = result.as_dict()
    lines = error_lines(step["error"]) if step["error"] and step["status"] in BROKEN else []
    told = ("warned", "failed", "error")
    checks = [check for check in step["dq"] if check["status"] in told]
    notes = [f"note: {one_line(note)}" for note in step["notes"]]
    return [*lines, *(f"{check['status']}: {check_text(check)}" for check in checks), *notes]


def error_lines(error: Mapping[str, Any]) -> list[str]:
    """An error's reason and hint, a line each."""
    verdict = f" ({error['verdict']})" if error.get("verdict") else ""
    lines = [one_line(f"{error['type']}: {error['message']}", 400) + verdict]
    return [*lines, f"-> {one_line(error['hint'])}"] if error.get("hint") else lines


def run_words(result: RunResult) -> list[str]:
    """A finished run in a few words."""
    counts = counts_text(step.status.value for step in result.steps)
    took = duration_text(result.duration_seconds)
    return [f"run {result.run.run_id}", result.status.value, took, counts]
