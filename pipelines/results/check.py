"""The result of a data quality check, and errors as the logs keep them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.results.status import CheckStatus


@dataclass(frozen=True)
class ErrorInfo:
    """An error as the logs keep it: no stack, no secret, no row values.

    Attributes:
        type: class of the error, or Spark's error condition.
        message: what happened.
        transient: whether trying again could help; None if nobody asked.
        verdict: why it was judged so, such as ``SQLSTATE 08001``.
        hint: one thing to do.
    """

    type: str
    message: str
    transient: bool | None = None
    verdict: str = ""
    hint: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The error with JSON types only."""
        return {
            "type": self.type,
            "message": self.message,
            "transient": self.transient,
            "verdict": self.verdict,
            "hint": self.hint,
        }


@dataclass(frozen=True)
class CheckResult:
    """One data quality check of one step.

    Attributes:
        file: the check's SQL file, as the flow names it.
        status: how it ended.
        value: the number it gave, or the count of offending rows.
        expectation: what was asked of the value.
        severity: ``error`` or ``warn``.
        duration_seconds: wall time.
        sample: a few offending rows, personal data masked.
        message: why it failed or could not run.
        description: the check's own words for what it guards.
        owner: whom to ask.
        touched: how many values of its scope it looked at; None where it looked at all rows.
    """

    file: str
    status: CheckStatus
    value: float | int | None
    expectation: str
    severity: str
    duration_seconds: float
    sample: tuple[Mapping[str, Any], ...] = ()
    message: str = ""
    description: str = ""
    owner: str = ""
    touched: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The check with JSON types only."""
        return {
            "file": self.file,
            "status": self.status.value,
            "value": self.value,
            "expectation": self.expectation,
            "severity": self.severity,
            "duration_seconds": round(self.duration_seconds, 3),
            "sample": [dict(row) for row in self.sample],
            "message": self.message,
            "description": self.description,
            "owner": self.owner,
            "touched": self.touched,
        }
