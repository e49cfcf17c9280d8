"""What happens in a run, as it happens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.results.run import RunInfo, RunResult
    from pipelines.results.step import Attempt, StepResult


@dataclass(frozen=True)
class RunStarted:
    """The run has begun; the lock is held."""

    run: RunInfo
    at: datetime


@dataclass(frozen=True)
class StepStarted:
    """A step's first attempt has begun."""

    step_id: str
    at: datetime


@dataclass(frozen=True)
class AttemptFailed:
    """An attempt failed and another one follows after ``wait_seconds``."""

    step_id: str
    attempt: Attempt
    wait_seconds: float
    at: datetime


@dataclass(frozen=True)
class StepFinished:
    """A step has come to an end, whichever."""

    result: StepResult
    at: datetime


@dataclass(frozen=True)
class RunFinished:
    """The run has come to an end; nothing follows."""

    result: RunResult
    at: datetime


Event: TypeAlias = RunStarted | StepStarted | AttemptFailed | StepFinished | RunFinished
