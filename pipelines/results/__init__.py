"""What happened: the frozen results of checks, steps and runs, and the events that carry them.

Each module is loaded when a name of it is asked for: a command that runs nothing needs few.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.results.check import CheckResult, ErrorInfo
    from pipelines.results.clock import duration_text, utc_now, utc_text
    from pipelines.results.events import (
        AttemptFailed,
        Event,
        RunFinished,
        RunStarted,
        StepFinished,
        StepStarted,
    )
    from pipelines.results.release import Release, ReleasedTable, StageRelease
    from pipelines.results.run import SCHEMA_VERSION, RunInfo, RunResult
    from pipelines.results.sql_tests import (
        CheckSaid,
        RowsDiff,
        SqlTestResult,
        SqlTestStatus,
    )
    from pipelines.results.status import NOT_SELECTED, CheckStatus, Status
    from pipelines.results.step import Attempt, DestinationState, StepResult, WriteCounts

__all__ = [
    "NOT_SELECTED",
    "SCHEMA_VERSION",
    "Attempt",
    "AttemptFailed",
    "CheckResult",
    "CheckSaid",
    "CheckStatus",
    "DestinationState",
    "ErrorInfo",
    "Event",
    "Release",
    "ReleasedTable",
    "RowsDiff",
    "RunFinished",
    "RunInfo",
    "RunResult",
    "RunStarted",
    "SqlTestResult",
    "SqlTestStatus",
    "StageRelease",
    "Status",
    "StepFinished",
    "StepResult",
    "StepStarted",
    "WriteCounts",
    "duration_text",
    "utc_now",
    "utc_text",
]

_ROOMS = {
    "check": (
        "CheckResult",
        "ErrorInfo",
    ),
    "clock": (
        "duration_text",
        "utc_now",
        "utc_text",
    ),
    "events": (
        "AttemptFailed",
        "Event",
        "RunFinished",
        "RunStarted",
        "StepFinished",
        "StepStarted",
    ),
    "release": (
        "Release",
        "ReleasedTable",
        "StageRelease",
    ),
    "run": (
        "SCHEMA_VERSION",
        "RunInfo",
        "RunResult",
    ),
    "sql_tests": (
        "CheckSaid",
        "RowsDiff",
        "SqlTestResult",
        "SqlTestStatus",
    ),
    "status": (
        "NOT_SELECTED",
        "CheckStatus",
        "Status",
    ),
    "step": (
        "Attempt",
        "DestinationState",
        "StepResult",
        "WriteCounts",
    ),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """What is asked for, loaded now."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
    return found
