"""Progress of a run on a terminal: what runs now, what is done, what went wrong."""

from __future__ import annotations

import atexit
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.console.event_words import failure_lines, small_run_words, step_words
from pipelines.console.summary import summary_text
from pipelines.console.words import BROKEN, MARKS, one_line, styled, write_line
from pipelines.results import duration_text

if TYPE_CHECKING:
    from rich.text import Text

    from pipelines.results import AttemptFailed, Event, RunInfo, StepResult

_REFRESHES_PER_SECOND = 5
_BAR = 20
_LEAST_RUNNING_SHOWN = 3


@dataclass(frozen=True)
class _Running:
    """A step at work, or waiting for its next attempt."""

    started_at: datetime
    attempt: int = 1
    next_at: datetime | None = None
    reason: str = ""


class LiveProgress:
    """A few lines at the foot of the terminal that follow the run; the summary at its end.

    Failures and retries are also written above, where they stay.

    Args:
        stream: the terminal; None is stderr.
        result_stream: where the summary goes; None is stdout.
        color: whether with colours.
        now: the clock.
    """

    def __init__(
        self,
        stream: TextIO | None = None,
        result_stream: TextIO | None = None,
        *,
        color: bool = True,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._stream = stream or sys.stderr
        self._result_stream = result_stream or sys.stdout
        self._color = color
        self._now = now
        self._lock = threading.Lock()
        self._run: RunInfo | None = None
        self._running: dict[str, _Running] = {}
        self._done: dict[str, str] = {}
        self._last = ""
        self._live: Any = None

    def handle(self, event: Event) -> None:
        """Shows ``event``."""
        from pipelines.results import (
            AttemptFailed,
            RunFinished,
            RunStarted,
            StepFinished,
            StepStarted,
            utc_now,
        )

        self._now = self._now or utc_now
        if isinstance(event, RunStarted):
            self._run = event.run
            self._open()
            if event.run.scratch:
                self._keep(small_run_words(event.run), "bold")
        elif isinstance(event, StepStarted):
            with self._lock:
                self._running[event.step_id] = _Running(event.at)
        elif isinstance(event, AttemptFailed):
            self._retry(event)
        elif isinstance(event, StepFinished):
            self._finish(event.result)
        elif isinstance(event, RunFinished):
            self.close()
            color = None if self._color else False
            write_line(summary_text(event.result, color=color), self._result_stream)

    def close(self) -> None:
        """Takes the lines away and gives the cursor back; more than once does no harm."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()
            atexit.unregister(self.close)

    def lines(self, height: int = 24) -> list[Text]:
        """What stands on the terminal now, at most ``height`` lines.

        Args:
            height: lines that there is room for.
        """
        with self._lock:
            running, done, last = dict(self._running), dict(self._done), self._last
        if self._run is None or self._now is None:
            return []
        now = self._now()
        took = duration_text((now - self._run.started_at).total_seconds())
        head = f"{self._run.pipeline}  {self._run.environment}  batch {self._run.batch_id}  {took}"
        foot = [styled(f"last: {last}", "dim")] if last else []
        stages = list(self._stage_lines(running, done))
        room = max(_LEAST_RUNNING_SHOWN, height - len(stages) - len(foot) - 3)
        at_work = [self._running_line(step, state, now) for step, state in running.items()]
        if len(at_work) > room:
            more = len(at_work) - room + 1
            at_work = [*at_work[: room - 1], styled(f"  and {more:,} more", "dim")]
        return [styled(head, "bold"), *stages, *at_work, *foot]

    def _open(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(
            file=self._stream,
            force_terminal=True,
            no_color=not self._color,
            highlight=False,
            emoji=False,
            markup=False,
        )
        self._live = Live(
            console=console,
            get_renderable=lambda: _Block(self),
            refresh_per_second=_REFRESHES_PER_SECOND,
            transient=True,
            vertical_overflow="crop",
        )
        atexit.register(self.close)
        self._live.start()

    def _retry(self, event: AttemptFailed) -> None:
        error = event.attempt.error
        reason = one_line(f"{error.type}: {error.message}", 160) if error else ""
        number = event.attempt.number
        with self._lock:
            before = self._running.get(event.step_id) or _Running(event.at)
            next_at = event.at + timedelta(seconds=event.wait_seconds)
            state = _Running(before.started_at, number + 1, next_at, reason)
            self._running[event.step_id] = state
        wait = duration_text(event.wait_seconds)
        self._keep(
            f"! {event.step_id}  attempt {number} failed, next in {wait}  {reason}", "yellow"
        )

    def _finish(self, result: StepResult) -> None:
        status = result.status.value
        words = "  ".join(step_words(result))
        with self._lock:
            self._running.pop(result.id, None)
            self._done[result.id] = status
            self._last = words
        told = failure_lines(result)
        if status in BROKEN or told:
            sign, style = MARKS[status] if status in BROKEN else MARKS["warn"]
            self._keep("\n".join([f"{sign} {words}", *(f"    {line}" for line in told)]), style)

    def _keep(self, text: str, style: str) -> None:
        if self._live is not None:
            self._live.console.print(styled(text, style))

    def _stage_lines(self, running: Iterable[str], done: dict[str, str]) -> Iterable[Text]:
        steps: dict[str, list[str]] = {}
        for step in self._run.step_ids if self._run else ():
            steps.setdefault(step.split(".", 1)[0], []).append(step)
        width = max(map(len, steps), default=0)
        at_work = Counter(step.split(".", 1)[0] for step in running)
        for stage, ids in steps.items():
            ended = Counter(done[step] for step in ids if step in done)
            count = ended.total()
            filled = _BAR * count // len(ids)
            line = styled(f"  {stage:<{width}}  ")
            line.append("━" * filled, "green" if not _is_broken(ended) else "red")
            line.append("─" * (_BAR - filled), "dim")
            line.append(f"  {count:,}/{len(ids):,}")
            if at_work[stage]:
                line.append(f"  {at_work[stage]:,} running", MARKS["running"][1])
            for status, (_, style) in MARKS.items():
                if ended[status]:
                    line.append(f"  {ended[status]:,} {status}", style)
            yield line

    def _running_line(self, step: str, state: _Running, now: datetime) -> Text:
        took = duration_text((now - state.started_at).total_seconds())
        if state.next_at is not None and now < state.next_at:
            wait = duration_text((state.next_at - now).total_seconds())
            told = f"attempt {state.attempt} in {wait}  {state.reason}"
            return styled(f"  ! {step}  {took}  {told}", "yellow")
        again = f"  attempt {state.attempt}" if state.attempt > 1 else ""
        return styled(f"  ▸ {step}  {took}{again}")


def _is_broken(ended: Counter[str]) -> bool:
    return any(ended[status] for status in BROKEN)


class _Block:
    """The lines, each kept on one row of a terminal of whatever size it has just now."""

    def __init__(self, source: LiveProgress) -> None:
        self._source = source

    def __rich_console__(self, console: Any, options: Any) -> Iterable[Text]:
        for line in self._source.lines(console.height - 1):
            line.truncate(max(options.max_width - 1, 1), overflow="ellipsis")
            line.no_wrap = True
            yield line
