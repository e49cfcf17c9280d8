"""A history run: window by window over the past, each a run of its own, noted in a ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import UsageError
from pipelines.execution.files import HadoopFiles, LocalFiles, is_local
from pipelines.execution.intervals import IntervalLedger
from pipelines.execution.lock import RunLock
from pipelines.execution.signals import Signals
from pipelines.pipeline import Pipeline, lock_holder
from pipelines.plan.changes import reads_in_part
from pipelines.plan.plan import Action
from pipelines.plan.windows import (
    Interval,
    Period,
    Window,
    WindowRow,
    WindowState,
    done_after,
    is_wanted,
    state_of,
    windows_between,
)
from pipelines.prepared import Options, PreparedFlow
from pipelines.results import utc_now, utc_text
from pipelines.spark_start import start_spark
from pipelines.spec.steps import KEYED_MODES

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.execution.session import SparkSession
    from pipelines.plan.compile import CompiledStep
    from pipelines.results import RunResult
    from pipelines.sinks.base import Sink

_SIGNALLED = 128


@dataclass(frozen=True)
class HistoryResult:
    """What became of a history run; ``exit_code`` is that of the process."""

    rows: tuple[WindowRow, ...]
    exit_code: int


class HistoryRun:
    """The windows of a period, oldest first, in one Spark session and under one lock.

    Args:
        flow: name of a flow, or the path of its file.
        options: what is asked of each window's run.
        period: which windows.
        sinks: told of all that happens in each.
        spark: a session to work in; without it the run starts its own, and stops it.
        now: the clock.
    """

    def __init__(
        self,
        flow: str | Path,
        options: Options,
        period: Period,
        *,
        sinks: Sequence[Sink] = (),
        spark: SparkSession | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._flow, self._period, self._sinks, self._now = flow, period, sinks, now
        self._options = replace(options, mode="history", batch_id=None)
        self._batch, self._spark = options.batch_id or "history", spark

    @cached_property
    def prepared(self) -> PreparedFlow:
        """The flow as the last window sees it; for findings, and what all windows share."""
        return PreparedFlow(self._flow, self._of(self._windows[-1]), now=self._now)

    def known(self) -> tuple[WindowRow, ...]:
        """The windows as the ledger has them.

        Raises:
            UsageError: what is asked for is no period.
        """
        with ExitStack() as stack:
            intervals = self._ledger(stack).intervals()
        return tuple(self._known(window, intervals) for window in self._windows)

    def rows(self) -> tuple[WindowRow, ...]:
        """The windows as the ledger has them, and what a run would do with each.

        Raises:
            UsageError: what is asked for would make tables wrong, or is no period.
        """
        with ExitStack() as stack:
            return self._planned(self._ledger(stack).intervals())

    def run(self) -> HistoryResult:
        """Runs the windows that are wanted; where order matters, up to the first that fails.

        Raises:
            UsageError: something is wrong with the flow, config or period; nothing was started.
            LockHeldError: another run of this pipeline is at work.
        """
        self.prepared.checked()
        with ExitStack() as stack:
            holder = Pipeline(self._flow, self._of(self._windows[-1]), now=self._now)
            stack.enter_context(RunLock(self.prepared.lock_file, lock_holder(holder)))
            signals = stack.enter_context(Signals())
            ledger = self._ledger(stack)
            done: list[WindowRow] = []
            codes: list[int] = []
            for row in self._planned(ledger.intervals()):
                if row.reason:
                    done.append(row)
                elif signals.received is not None or (any(codes) and self._is_ordered):
                    done.append(replace(row, reason="an earlier window did not succeed"))
                else:
                    result = self._run_window(row, stack)
                    codes.append(result.exit_code or 0)
                    if codes[-1] > _SIGNALLED:
                        signals.received = codes[-1] - _SIGNALLED
                    done.append(self._note(row.window, result, ledger))
            if signals.received is not None:
                codes = [_SIGNALLED + signals.received]
        worst = next((code for code in (*filter(_is_signal, codes), 1, 3) if code in codes), 0)
        return HistoryResult(tuple(done), worst)

    # --- the windows -------------------------------------------------------------------------

    @cached_property
    def _windows(self) -> list[Window]:
        asked, options = self._period, self._options
        for name, given in (
            ("--run-date", options.run_date),
            ("--full-refresh", options.full_refresh),
            ("--empty, --sample and --clone-from", options.small),
        ):
            if given:
                raise UsageError(
                    f"{name} does not go with --mode history",
                    hint="windows have their own days; --reprocess all does them again",
                )
        flow = PreparedFlow(self._flow, options, now=self._now).flow
        today, yesterday = self._now().date(), self._now().date() - timedelta(days=1)
        if asked.first is None:
            raise UsageError(
                "a history run needs to know from which day on", hint="give --from 2025-08-01"
            )
        last = asked.last or yesterday
        if last < asked.first:
            raise UsageError(f"--to {last} is before --from {asked.first}")
        windows = windows_between(asked.first, last, asked.size or flow.pipeline.run.window)
        if windows[0].end > today:
            raise UsageError(
                f"the window {windows[0]} is not over", hint="daily runs do the days of now"
            )
        return windows

    def _planned(self, intervals: Sequence[Interval]) -> tuple[WindowRow, ...]:
        wanted, rows = [], []
        for window in self._windows:
            row = self._known(window, intervals)
            if window.end > self._now().date():
                row = replace(row, reason="it is not over")
            elif not is_wanted(row.state, self._period.reprocess):
                row = replace(row, reason=f"--reprocess {self._period.reprocess}")
            else:
                wanted.append(row)
            rows.append(row)
        self._refuse_wrong_order(wanted, intervals)
        self._refuse_doubling(wanted)
        self._refuse_keeping_one()
        return tuple(rows)

    def _known(self, window: Window, intervals: Sequence[Interval]) -> WindowRow:
        return _row_of(window, state_of(window, self._asked, intervals), intervals)

    def _refuse_wrong_order(
        self, wanted: Sequence[WindowRow], intervals: Sequence[Interval]
    ) -> None:
        """Older rows must not end up on top of newer ones."""
        blind = [
            step_id
            for step_id, step in self._asked.items()
            if step.settings.destination.mode in ("merge", "scd1", "scd2")
            and not step.settings.destination.sequence_by
        ]
        later = done_after([row.window for row in wanted], blind, intervals)
        if blind and later:
            raise UsageError(
                f"{blind[0]} cannot tell older rows from newer ones, and {later[-1]} is done",
                hint=f"do all from {wanted[0].window.start} on again, --to {later[-1].last} "
                "--reprocess all, or give it 'sequence_by'",
            )

    def _refuse_doubling(self, wanted: Sequence[WindowRow]) -> None:
        again = [row.window for row in wanted if row.state is WindowState.DONE]
        appends = [
            step_id
            for step_id, step in self._asked.items()
            if step.settings.destination.mode == "append"
        ]
        if again and appends:
            raise UsageError(
                f"{appends[0]} appends, and would double the rows of {again[0]}",
                hint="choose mode 'replace_window', or leave --reprocess all out",
            )

    def _refuse_keeping_one(self) -> None:
        window = self._windows[-1]
        for step_id, step in self._asked.items():
            if step.settings.destination.mode != "overwrite" or step.sql is None:
                continue
            if str(window.start) in step.sql.text or str(window.end) in step.sql.text:
                raise UsageError(
                    f"{step_id} takes the rows of a window, and mode 'overwrite' keeps no others",
                    hint="choose mode 'replace_window', or let its SQL take all rows",
                )

    @cached_property
    def _asked(self) -> dict[str, CompiledStep]:
        steps = self.prepared.checked().steps.items()
        return {one: step for one, step in steps if step.planned.action is Action.RUN}

    @property
    def _is_ordered(self) -> bool:
        """Whether a window must not be done before all older ones are."""
        graph = self.prepared.compiled.plan.graph
        return any(
            step.settings.destination.mode in KEYED_MODES or reads_in_part(step, graph)
            for step in self._asked.values()
        )

    # --- one window --------------------------------------------------------------------------

    def _run_window(self, row: WindowRow, stack: ExitStack) -> RunResult:
        options = self._of(row.window)
        if row.state is WindowState.DONE:
            options = replace(options, resume=False)
        pipeline = Pipeline(
            self._flow, options, sinks=self._sinks, spark=self._spark, now=self._now, keep=stack
        )
        result = pipeline.run_locked()
        self._spark = pipeline.spark
        return result

    def _note(self, window: Window, result: RunResult, ledger: IntervalLedger) -> WindowRow:
        steps = {one.id: one.status.is_ok for one in result.steps if one.id in self._asked}
        finished = utc_text(result.finished_at) or ""
        made = Interval(window, result.run.run_id, result.run.batch_id, finished, steps)
        ledger.note(made)
        state = WindowState.DONE if all(steps.values()) else WindowState.FAILED
        return _row_of(window, state, [made])

    def _of(self, window: Window) -> Options:
        batch = f"{self._batch}-{window.start}_{window.end}"
        return replace(self._options, window=window, run_date=window.last, batch_id=batch)

    def _ledger(self, stack: ExitStack) -> IntervalLedger:
        path = self.prepared.compiled.checkpoint.path
        if is_local(path):
            return IntervalLedger(LocalFiles(), path)
        if self._spark is None:
            self._spark = start_spark(self.prepared)
            stack.callback(self._spark.stop)
        return IntervalLedger(HadoopFiles(self._spark), path)


def intervals_of(flow: str | Path, options: Options, period: Period) -> tuple[WindowRow, ...]:
    """Windows and what became of them; without a first day, those that the ledger knows.

    Raises:
        UsageError: something is wrong with the flow, config or period.
    """
    if period.first is None:
        prepared = PreparedFlow(flow, options)
        path = prepared.checked().checkpoint.path
        if not is_local(path):
            raise UsageError("the ledger is on remote storage", hint="say from when: --from DAY")
        known = [one.window for one in IntervalLedger(LocalFiles(), path).intervals()]
        if not known:
            return ()
        last = period.last or max(window.last for window in known)
        period = replace(period, first=min(known).start, last=last)
    return HistoryRun(flow, options, period).known()


def _row_of(window: Window, state: WindowState, intervals: Sequence[Interval]) -> WindowRow:
    """``window`` with the newest run of any of its days."""
    near = [one for one in intervals if one.window.overlaps(window)]
    newest = max(near, key=lambda one: one.finished_at, default=None)
    if newest is None:
        return WindowRow(window, state)
    broken = tuple(step for step, is_ok in newest.steps.items() if not is_ok)
    return WindowRow(window, state, "", newest.run_id, newest.finished_at, broken)


def _is_signal(code: int) -> bool:
    return code > _SIGNALLED
