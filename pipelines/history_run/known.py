"""Windows of the past as the ledger knows them; nothing is run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.errors import UsageError
from pipelines.execution.files import LocalFiles, is_local
from pipelines.execution.intervals import IntervalLedger
from pipelines.history_run.run import HistoryRun
from pipelines.prepared import PreparedFlow

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.plan.windows import Period, WindowRow
    from pipelines.prepared import Options


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
