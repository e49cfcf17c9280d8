"""How a SQL test ended, and how its rows differ from those expected."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

Row = tuple[Any, ...]
"""Values of the compared columns: texts, numbers, booleans, lists, mappings and None."""


class SqlTestStatus(str, Enum):
    """How a SQL test ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    """The step broke where it should not have."""
    NOT_RUN = "not_run"
    """An earlier test failed, and the first failure was to be the last."""


@dataclass(frozen=True)
class RowsDiff:
    """The rows that a step gave beside those expected.

    Attributes:
        columns: the compared columns.
        expected: how many rows were expected.
        found: how many there were.
        missing: rows that were expected and are not there.
        unexpected: rows that are there and were not expected.
        changed: pairs of a row expected and the row found in its stead, alike for the most part.
        moved: positions from 1, and the rows expected and found there, if only the order differs.
    """

    columns: tuple[str, ...]
    expected: int
    found: int
    missing: tuple[Row, ...] = ()
    unexpected: tuple[Row, ...] = ()
    changed: tuple[tuple[Row, Row], ...] = ()
    moved: tuple[tuple[int, Row, Row], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The difference with JSON types only; rows are mappings."""

        def named(row: Row) -> dict[str, Any]:
            return {name: _plain(value) for name, value in zip(self.columns, row, strict=True)}

        return {
            "columns": list(self.columns),
            "expected_rows": self.expected,
            "found_rows": self.found,
            "missing": [named(row) for row in self.missing],
            "unexpected": [named(row) for row in self.unexpected],
            "changed": [
                {"expected": named(expected), "found": named(found)}
                for expected, found in self.changed
            ],
            "moved": [
                {"position": position, "expected": named(expected), "found": named(found)}
                for position, expected, found in self.moved
            ],
        }


@dataclass(frozen=True)
class CheckSaid:
    """A check that said something else than the test expects.

    Attributes:
        file: the check's.
        expected: ``passes`` or ``fails``.
        message: what it said.
        sample: a few of the rows that it found.
    """

    file: str
    expected: str
    message: str
    sample: tuple[Mapping[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The check with JSON types only."""
        return {
            "file": self.file,
            "expected": self.expected,
            "message": self.message,
            "sample": [dict(row) for row in self.sample],
        }


@dataclass(frozen=True)
class SqlTestResult:
    """One SQL test.

    Attributes:
        name: of the test.
        file: that it stands in.
        line: where.
        flow: its flow.
        step: the id of the step under test.
        status: how it ended.
        duration_seconds: wall time.
        message: what broke, or should have broken; empty where rows or checks tell it.
        diff: how the rows differ; None where they do not, or none are expected.
        checks: those that said something else than expected.
        empty_views: views of the step that the test gives no rows.
        description: why the test matters, in its own words.
    """

    name: str
    file: str
    line: int
    flow: str
    step: str
    status: SqlTestStatus
    duration_seconds: float = 0.0
    message: str = ""
    diff: RowsDiff | None = None
    checks: tuple[CheckSaid, ...] = ()
    empty_views: tuple[str, ...] = ()
    description: str = ""

    @property
    def is_broken(self) -> bool:
        """Whether it failed, or broke."""
        return self.status in (SqlTestStatus.FAILED, SqlTestStatus.ERROR)

    def as_dict(self) -> dict[str, Any]:
        """The test with JSON types only."""
        return {
            "name": self.name,
            "description": self.description,
            "file": self.file,
            "line": self.line,
            "flow": self.flow,
            "step": self.step,
            "status": self.status.value,
            "duration_seconds": round(self.duration_seconds, 3),
            "message": self.message,
            "diff": self.diff.as_dict() if self.diff is not None else None,
            "checks": [check.as_dict() for check in self.checks],
            "empty_views": list(self.empty_views),
        }


def _plain(value: Any) -> Any:
    """A value with JSON types only; a number with a fraction stays exact as text of JSON does."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return value if value is None or isinstance(value, bool | int | str) else float(value)
