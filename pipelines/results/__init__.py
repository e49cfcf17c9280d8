"""What happened: the frozen results of checks, steps and runs, and the events that carry them."""

from pipelines.results.check import CheckResult, ErrorInfo
from pipelines.results.clock import utc_now, utc_text
from pipelines.results.events import (
    AttemptFailed,
    Event,
    RunFinished,
    RunStarted,
    StepFinished,
    StepStarted,
)
from pipelines.results.run import SCHEMA_VERSION, RunInfo, RunResult
from pipelines.results.status import NOT_SELECTED, CheckStatus, Status
from pipelines.results.step import Attempt, DestinationState, StepResult, WriteCounts

__all__ = [
    "NOT_SELECTED",
    "SCHEMA_VERSION",
    "Attempt",
    "AttemptFailed",
    "CheckResult",
    "CheckStatus",
    "DestinationState",
    "ErrorInfo",
    "Event",
    "RunFinished",
    "RunInfo",
    "RunResult",
    "RunStarted",
    "Status",
    "StepFinished",
    "StepResult",
    "StepStarted",
    "WriteCounts",
    "utc_now",
    "utc_text",
]
