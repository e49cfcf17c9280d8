"""Who wrote the rows of a table: the commits that did, and some of the rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Author:
    """A commit that wrote some of the rows; empty words where they are not known.

    Attributes:
        version: of the table; None where the log no longer tells.
        rows: how many of the rows.
        is_exact: whether it wrote them; else it did at the latest, and perhaps only moved them.
        at: when, UTC, ISO 8601.
        operation: Delta's word.
        run_id: of the run; empty for a foreign writer.
        batch_id: of the run.
        step: id of the step.
        sql_sha256: of the statement that ran.
        sql_file: where the statement stands; for a script the script.
        sql_is_current: whether it stands there still as it ran; None where that is not known.
        git_commit: that the project stood at.
    """

    version: int | None
    rows: int
    is_exact: bool
    at: str = ""
    operation: str = ""
    run_id: str = ""
    batch_id: str = ""
    step: str = ""
    sql_sha256: str = ""
    sql_file: str = ""
    sql_is_current: bool | None = None
    git_commit: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The commit with JSON types only."""
        return {name: value if value != "" else None for name, value in self.__dict__.items()}


@dataclass(frozen=True)
class BlamedRow:
    """A row, and the version that wrote it; what is not to be seen is masked."""

    values: Mapping[str, Any]
    version: int | None


@dataclass(frozen=True)
class Blame:
    """Who wrote the rows of a table.

    Attributes:
        step: whose table it is.
        version: of the table that was looked at.
        where: the condition that chose the rows; empty for all.
        source: what told: ``row tracking``, ``change data feed`` or ``files``.
        authors: the commits, newest first.
        samples: some of the rows.
        notes: what a user should know of the answer.
    """

    step: str
    version: int
    where: str
    source: str
    authors: tuple[Author, ...]
    samples: tuple[BlamedRow, ...]
    notes: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows were asked about."""
        return sum(author.rows for author in self.authors)

    def as_dict(self) -> dict[str, Any]:
        """The answer with JSON types only."""
        return {
            "step": self.step,
            "version": self.version,
            "where": self.where or None,
            "source": self.source,
            "rows": self.rows,
            "commits": [author.as_dict() for author in self.authors],
            "samples": [
                {"values": dict(row.values), "version": row.version} for row in self.samples
            ],
            "notes": list(self.notes),
        }
