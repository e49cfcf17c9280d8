"""A history run: its windows, the runs of them, and the ledger in which they are noted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import StepCancelledError
from pipelines.execution.files import HadoopFiles, LocalFiles, is_local
from pipelines.execution.intervals import IntervalLedger
from pipelines.execution.releases.publishing import publish
from pipelines.execution.signals import Signals
from pipelines.execution.together import Together, Turns
from pipelines.history_run.going import one_by_one, side_by_side
from pipelines.history_run.order import is_ordered, why_one_by_one
from pipelines.history_run.refusals import refuse_wrong_tables, windows_asked
from pipelines.history_run.releasing import NOT_OVER, held_back, results_of
from pipelines.pipeline import Pipeline, lock_holder
from pipelines.plan.plan import Action
from pipelines.plan.windows import (
    Interval,
    Period,
    Window,
    WindowRow,
    WindowState,
    is_wanted,
    row_of,
    state_of,
)
from pipelines.prepared import Options, PreparedFlow, generate_run_id
from pipelines.results import utc_now, utc_text
from pipelines.sinks.run_log import find_run
from pipelines.spark_start import start_spark
from pipelines.utils.sql_runner import DeltaLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from pipelines.execution.session import SparkSession
    from pipelines.history_run.going import Went
    from pipelines.plan.compile import CompiledStep
    from pipelines.results import RunResult, StageRelease
    from pipelines.sinks.base import Sink

_SIGNALLED = 128


@dataclass(frozen=True)
class HistoryResult:
    """What became of a history run.

    Attributes:
        rows: what became of each window.
        exit_code: of the process.
        releases: what became of releasing each published stage.
        failure: what broke a release; empty where nothing did.
    """

    rows: tuple[WindowRow, ...]
    exit_code: int
    releases: tuple[StageRelease, ...] = ()
    failure: str = ""


def _no_sinks(_label: str) -> Sequence[Sink]:
    return ()


class HistoryRun:
    """The windows of a period, in one Spark session and under one lock.

    Oldest first, one after another; several at a time where the flow says so and it cannot change
    what comes out.

    Args:
        flow: name of a flow, or the path of its file.
        options: what is asked of each window's run.
        period: which windows.
        sinks: makes those that are told of all that happens in one window, by a word that tells
            it from the windows that run beside it; empty where none does.
        spark: a session to work in; without it the run starts its own, and stops it.
        now: the clock.
    """

    def __init__(
        self,
        flow: str | Path,
        options: Options,
        period: Period,
        *,
        sinks: Callable[[str], Sequence[Sink]] = _no_sinks,
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

    @property
    def order(self) -> str:
        """Whether windows run side by side, and if not why; empty where nobody asked for it."""
        most = self._most
        if most == 1:
            return ""
        if self._why_one_by_one:
            return f"windows run one after another: {self._why_one_by_one}"
        return f"windows run side by side, at most {most} at a time"

    def run(self) -> HistoryResult:
        """Runs the windows that are wanted; where order matters, up to the first that fails.

        Raises:
            UsageError: something is wrong with the flow, config or period; nothing was started.
            LockHeldError: another run of this pipeline is at work.
        """
        self.prepared.checked()
        with ExitStack() as stack:
            holder = Pipeline(self._flow, self._of(self._windows[-1]), now=self._now)
            hold = stack.enter_context(self.prepared.run_lock(lock_holder(holder)))
            if hold.is_open:
                hold.take(HadoopFiles(self._started(stack)), stack)
            holder.close_orphans()
            signals = stack.enter_context(Signals())
            ledger = self._ledger(stack)
            planned = self._planned(ledger.intervals())
            done = {row.window: row for row in planned}
            codes: list[int] = []

            def may_start() -> bool:
                return signals.received is None and not (any(codes) and self._is_ordered)

            together = Together(stack, signals, hold=hold)
            for row, result in self._go(planned, may_start, together):
                if result is None:
                    done[row.window] = replace(row, reason="an earlier window did not succeed")
                    continue
                codes.append(result.exit_code or 0)
                hold.refuse_if_lost()
                done[row.window] = self._note(row.window, result, ledger)
            is_stopped = signals.received is not None
            releases, failure = self._release(tuple(done.values()), stack, is_stopped=is_stopped)
            if failure is not None:
                codes.append(1)
            if signals.received is not None:
                codes = [_SIGNALLED + signals.received]
        worst = next((code for code in (*filter(_is_signal, codes), 1, 3) if code in codes), 0)
        told = self.prepared.connections.redact(str(failure)) if failure is not None else ""
        return HistoryResult(tuple(done.values()), worst, releases, told)

    def _release(
        self, rows: Sequence[WindowRow], stack: ExitStack, *, is_stopped: bool
    ) -> tuple[tuple[StageRelease, ...], Exception | None]:
        """What becomes of each published stage, once all windows of the period are done."""
        compiled, moment = self.prepared.compiled, self._now()
        told = held_back(compiled, rows, is_stopped=is_stopped)
        if told or not compiled.publishes:
            return told, None
        run_ids = dict.fromkeys(row.run_id for row in rows if row.run_id)
        folder = self.prepared.log_folder
        logs = [log for one in run_ids if (log := find_run(folder, one)) is not None]
        return publish(
            compiled,
            results_of(compiled, logs),
            lambda: self._started(stack),
            generate_run_id(moment),
            utc_text(moment) or "",
        )

    # --- the windows -------------------------------------------------------------------------

    @cached_property
    def _windows(self) -> list[Window]:
        flow = PreparedFlow(self._flow, self._options, now=self._now).flow
        size, today = flow.pipeline.run.window, self._now().date()
        return windows_asked(self._period, size, self._options, today)

    def _planned(self, intervals: Sequence[Interval]) -> tuple[WindowRow, ...]:
        rows = []
        for window in self._windows:
            row = self._known(window, intervals)
            if window.end > self._now().date():
                row = replace(row, reason=NOT_OVER)
            elif not is_wanted(row.state, self._period.reprocess):
                row = replace(row, reason=f"--reprocess {self._period.reprocess}")
            rows.append(row)
        refuse_wrong_tables(self._asked, rows, intervals)
        return tuple(rows)

    def _known(self, window: Window, intervals: Sequence[Interval]) -> WindowRow:
        return row_of(window, state_of(window, self._asked, intervals), intervals)

    @cached_property
    def _asked(self) -> dict[str, CompiledStep]:
        steps = self.prepared.checked().steps.items()
        return {one: step for one, step in steps if step.planned.action is Action.RUN}

    # --- their order -------------------------------------------------------------------------

    @property
    def _most(self) -> int:
        return self.prepared.flow.pipeline.run.max_parallel_windows

    @cached_property
    def _is_ordered(self) -> bool:
        return is_ordered(self.prepared.compiled)

    @cached_property
    def _why_one_by_one(self) -> str:
        prepared = self.prepared
        return why_one_by_one(
            prepared.checked(),
            prepared.statements.tables,
            lambda name: prepared.connections.datasource(name).path,
        )

    def _go(
        self,
        rows: Sequence[WindowRow],
        may_start: Callable[[], bool],
        together: Together,
    ) -> Iterator[Went]:
        """The windows that are wanted with their results, each as soon as it is there."""
        wanted = [row for row in rows if not row.reason]
        if self._most == 1 or self._why_one_by_one or len(wanted) <= 1:
            return one_by_one(wanted, lambda row: self._run_window(row, together), may_start)
        together = replace(together, turns=Turns())
        stack, signals = together.stack, together.signals
        # Here, as only the main thread can be interrupted; then nothing may start any more.
        with suppress(StepCancelledError), signals.starting(is_needed=self._spark is None):
            self._started(stack)
        return side_by_side(
            wanted,
            lambda row: self._pipeline(row, together, label=str(row.window)).run_locked,
            may_start,
            most=lambda: self._most if self._has_tables(self._started(stack)) else 1,
        )

    def _has_tables(self, spark: SparkSession) -> bool:
        """Whether all tables are there, so that no two windows can be about to make one."""
        paths = [step.settings.destination.path for step in self._asked.values()]
        return all(DeltaLog(spark, path).version() is not None for path in paths if path)

    def _started(self, stack: ExitStack) -> SparkSession:
        if self._spark is None:
            self._spark = start_spark(self.prepared)
            stack.callback(self._spark.stop)
        return self._spark

    # --- one window --------------------------------------------------------------------------

    def _pipeline(self, row: WindowRow, together: Together, label: str = "") -> Pipeline:
        options = self._of(row.window)
        if row.state is WindowState.DONE:
            options = replace(options, resume=False)
        pipeline = Pipeline(
            self._flow,
            options,
            sinks=self._sinks(label),
            spark=self._spark,
            now=self._now,
            together=together,
        )
        pipeline.checked()
        return pipeline

    def _run_window(self, row: WindowRow, together: Together) -> RunResult:
        pipeline = self._pipeline(row, together)
        result = pipeline.run_locked()
        self._spark = pipeline.spark
        return result

    def _note(self, window: Window, result: RunResult, ledger: IntervalLedger) -> WindowRow:
        steps = {one.id: one.status.is_ok for one in result.steps if one.id in self._asked}
        finished = utc_text(result.finished_at) or ""
        made = Interval(window, result.run.run_id, result.run.batch_id, finished, steps)
        ledger.note(made)
        state = WindowState.DONE if all(steps.values()) else WindowState.FAILED
        return row_of(window, state, [made])

    def _of(self, window: Window) -> Options:
        batch = f"{self._batch}-{window.start}_{window.end}"
        return replace(self._options, window=window, run_date=window.last, batch_id=batch)

    def _ledger(self, stack: ExitStack) -> IntervalLedger:
        path = self.prepared.compiled.checkpoint.path
        if is_local(path):
            return IntervalLedger(LocalFiles(), path)
        return IntervalLedger(HadoopFiles(self._started(stack)), path)


def _is_signal(code: int) -> bool:
    return code > _SIGNALLED
