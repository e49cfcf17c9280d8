"""Progress of a run without a terminal: lines for people, lines of JSON for programs."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.console.event_words import (
    error_lines,
    failure_lines,
    run_words,
    small_run_words,
    step_words,
)
from pipelines.console.live import LiveProgress
from pipelines.console.summary import summary_text
from pipelines.console.words import (
    counted,
    is_terminal,
    one_line,
    use_color,
    write_line,
)
from pipelines.results import duration_text

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.results import AttemptFailed, Event

LOG_FORMATS = ("auto", "rich", "text", "json")


def progress(
    log_format: str = "auto",
    stream: TextIO | None = None,
    *,
    label: str = "",
    variables: Mapping[str, str] = os.environ,
) -> LiveProgress | PlainProgress | JsonProgress:
    """The sink that shows a run as it goes.

    Args:
        log_format: ``rich``, ``text``, ``json``, or ``auto``: rich where somebody watches a
            terminal that can do it, else text.
        stream: where to; None is stderr, and stdout for ``json``.
        label: tells the run from those that go on beside it: it gets lines, and each begins so.
        variables: environment variables; ``CI`` and ``TERM=dumb`` speak against rich.

    Raises:
        ValueError: a format that is none of these.
    """
    if log_format not in LOG_FORMATS:
        raise ValueError(f"log format {log_format!r} is none of {', '.join(LOG_FORMATS)}")
    if log_format == "json":
        return JsonProgress(stream or sys.stdout)
    out = stream or sys.stderr
    if label:
        return PlainProgress(out, color=use_color(out, variables), label=label)
    watched = is_terminal(out) and not variables.get("CI") and variables.get("TERM") != "dumb"
    if log_format == "rich" or (log_format == "auto" and watched):
        return LiveProgress(out, color=not variables.get("NO_COLOR"))
    return PlainProgress(out, color=use_color(out, variables))


class PlainProgress:
    """One line an event, with the local time, then the summary; fit for cron's mails.

    Args:
        stream: where the lines go; None is stderr.
        result_stream: where the summary goes; None is stdout.
        color: whether the summary has colours; None decides by stdout and NO_COLOR.
        label: stands before each line, to tell runs side by side apart.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        result_stream: TextIO | None = None,
        *,
        color: bool | None = None,
        label: str = "",
    ) -> None:
        self._stream = stream or sys.stderr
        self._result_stream = result_stream or sys.stdout
        self._color, self._label = None if color else color, label

    def handle(self, event: Event) -> None:
        """Writes ``event``."""
        from pipelines.results import (
            NOT_SELECTED,
            AttemptFailed,
            RunFinished,
            RunStarted,
            StepFinished,
            StepStarted,
        )

        if isinstance(event, RunStarted):
            run = event.run
            self._line(
                event.at,
                f"run {run.run_id}",
                run.pipeline,
                f"environment {run.environment}",
                f"batch {run.batch_id}",
                counted(len(run.step_ids), "step"),
                event.at.astimezone().strftime("%Y-%m-%d %Z"),
            )
            if run.scratch:
                self._line(event.at, small_run_words(run))
        elif isinstance(event, StepStarted):
            self._line(event.at, event.step_id, "started")
        elif isinstance(event, AttemptFailed):
            self._retry(event)
        elif isinstance(event, StepFinished):
            if event.result.reason == NOT_SELECTED:
                return
            self._line(event.at, *step_words(event.result), below=failure_lines(event.result))
        elif isinstance(event, RunFinished):
            self._line(event.at, *run_words(event.result))
            write_line(summary_text(event.result, color=self._color), self._result_stream)

    def _retry(self, event: AttemptFailed) -> None:
        attempt = event.attempt
        self._line(
            event.at,
            event.step_id,
            "retry",
            f"attempt {attempt.number} failed",
            f"after {duration_text(attempt.duration_seconds)}",
            f"next in {duration_text(event.wait_seconds)}",
            below=error_lines(attempt.error.as_dict()) if attempt.error else (),
        )

    def _line(self, at: datetime, *words: str, below: Sequence[str] = ()) -> None:
        """Puts out what happened, and more of it below: at once, so that nothing gets between."""
        label = f"[{self._label}]  " if self._label else ""
        told = "  ".join(one_line(word) for word in words if word)
        lines = [f"{at.astimezone():%H:%M:%S}  {label}{told}"]
        lines += [f"{' ' * 10}{label}{line}" for line in below]
        write_line("\n".join(lines), self._stream)


class JsonProgress:
    """One JSON object a line for each event.

    Each has ``event`` (``run_started``, ``step_started``, ``attempt_failed``,
    ``step_finished``, ``run_finished``), ``at`` (UTC) and ``run_id``; the keys beside them are
    those of the run log.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._run_id = ""

    def handle(self, event: Event) -> None:
        """Writes ``event``."""
        from pipelines.results import (
            AttemptFailed,
            RunFinished,
            RunStarted,
            StepFinished,
            StepStarted,
            utc_text,
        )

        said: dict[str, Any] = {}
        if isinstance(event, RunStarted):
            run, kind = event.run, "run_started"
            self._run_id = run.run_id
            said = {
                "pipeline": run.pipeline,
                "flow": run.flow,
                "batch_id": run.batch_id,
                "environment": run.environment,
                "mode": run.mode,
                "run_kind": run.kind,
                "scratch": run.scratch or None,
                "window": list(run.window),
                "git_commit": run.git_commit,
                "steps": list(run.step_ids),
            }
        elif isinstance(event, StepStarted):
            kind, said = "step_started", {"id": event.step_id}
        elif isinstance(event, AttemptFailed):
            kind = "attempt_failed"
            attempt = event.attempt.as_dict()
            said = {"id": event.step_id, "wait_seconds": event.wait_seconds, "attempt": attempt}
        elif isinstance(event, StepFinished):
            kind, said = "step_finished", event.result.as_dict()
            del said["explain"]
        elif isinstance(event, RunFinished):
            kind, said = "run_finished", event.result.as_dict()
            steps = said.pop("steps")
            said["step_counts"] = {
                status: sum(step["status"] == status for step in steps)
                for status in sorted({step["status"] for step in steps})
            }
        line = {"event": kind, "at": utc_text(event.at), "run_id": self._run_id, **said}
        write_line(json.dumps(line, ensure_ascii=False, default=str), self._stream)
