"""What a history run refuses before it begins: no period, or tables that would come out wrong."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from pipelines.errors import UsageError
from pipelines.plan.windows import WindowState, done_after, windows_between

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from pipelines.plan.compile import CompiledStep
    from pipelines.plan.windows import Interval, Period, Window, WindowRow
    from pipelines.prepared import Options


def windows_asked(period: Period, size: str, options: Options, today: date) -> list[Window]:
    """The windows of ``period``, oldest first.

    Args:
        period: what is asked for; its own size wins.
        size: the flow's.
        options: of the runs.
        today: whose window is not over.

    Raises:
        UsageError: it is no period, or options do not go with it.
    """
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
    if period.first is None:
        raise UsageError(
            "a history run needs to know from which day on", hint="give --from 2025-08-01"
        )
    last = period.last or today - timedelta(days=1)
    if last < period.first:
        raise UsageError(f"--to {last} is before --from {period.first}")
    windows = windows_between(period.first, last, period.size or size)
    if windows[0].end > today:
        raise UsageError(
            f"the window {windows[0]} is not over", hint="daily runs do the days of now"
        )
    return windows


def refuse_wrong_tables(
    asked: Mapping[str, CompiledStep], rows: Sequence[WindowRow], intervals: Sequence[Interval]
) -> None:
    """Nothing, unless a table would come out wrong.

    Args:
        asked: the steps that are run, by id, as the last window sees them.
        rows: the windows; those without a reason are run.
        intervals: what was done before.

    Raises:
        UsageError: says which step, which window, and what to do.
    """
    wanted = [row for row in rows if not row.reason]
    _refuse_wrong_order(asked, wanted, intervals)
    _refuse_doubling(asked, wanted)
    _refuse_keeping_one(asked, rows[-1].window)


def _refuse_wrong_order(
    asked: Mapping[str, CompiledStep], wanted: Sequence[WindowRow], intervals: Sequence[Interval]
) -> None:
    """Older rows must not end up on top of newer ones."""
    blind = [
        step_id
        for step_id, step in asked.items()
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


def _refuse_doubling(asked: Mapping[str, CompiledStep], wanted: Sequence[WindowRow]) -> None:
    again = [row.window for row in wanted if row.state is WindowState.DONE]
    appends = [
        step_id for step_id, step in asked.items() if step.settings.destination.mode == "append"
    ]
    if again and appends:
        raise UsageError(
            f"{appends[0]} appends, and would double the rows of {again[0]}",
            hint="choose mode 'replace_window', or leave --reprocess all out",
        )


def _refuse_keeping_one(asked: Mapping[str, CompiledStep], window: Window) -> None:
    for step_id, step in asked.items():
        if step.settings.destination.mode != "overwrite" or step.sql is None:
            continue
        if str(window.start) in step.sql.text or str(window.end) in step.sql.text:
            raise UsageError(
                f"{step_id} takes the rows of a window, and mode 'overwrite' keeps no others",
                hint="choose mode 'replace_window', or let its SQL take all rows",
            )
