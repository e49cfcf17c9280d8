"""A history run: window by window over the past, each a run of its own, noted in a ledger."""

from pipelines.history_run.known import intervals_of
from pipelines.history_run.run import HistoryResult, HistoryRun

__all__ = ["HistoryResult", "HistoryRun", "intervals_of"]
