"""How two states of a table differ: in columns, in rows, and cell by cell in samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ColumnDiff:
    """A column that came, went, or changed its type; None where it is not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class RowDiff:
    """A row that differs, as a sample; what is not to be seen is masked.

    Attributes:
        kind: ``added``, ``removed`` or ``changed``.
        keys: the values of the keys; empty where rows are compared as wholes.
        cells: for a changed row the cells that differ, else all, as pairs of before and after.
        count: how often the row was added or removed.
    """

    kind: str
    keys: Mapping[str, Any]
    cells: Mapping[str, tuple[Any, Any]]
    count: int = 1


@dataclass(frozen=True)
class TableDiff:
    """How the state ``after`` of a table differs from ``before``.

    Attributes:
        step: whose table it is.
        before: what is compared, for people.
        after: with what.
        keys: columns that tell rows apart; empty where rows are compared as wholes.
        columns: that came, went or changed their type.
        added: rows that came.
        removed: rows that went.
        changed: rows with the same keys and other values.
        changed_columns: in how many changed rows each column differs; those that do.
        samples: some of the rows.
        masked: columns whose values are masked in them.
        files_read: data files that had to be read; None where it is not known.
        files: data files of both states.
        notes: what a user should know of the comparison.
    """

    step: str
    before: str
    after: str
    keys: tuple[str, ...] = ()
    columns: tuple[ColumnDiff, ...] = ()
    added: int = 0
    removed: int = 0
    changed: int = 0
    changed_columns: Mapping[str, int] = field(default_factory=dict)
    samples: tuple[RowDiff, ...] = ()
    masked: tuple[str, ...] = ()
    files_read: int | None = None
    files: int | None = None
    notes: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether columns and rows are the same."""
        return not (self.columns or self.added or self.removed or self.changed)

    def as_dict(self) -> dict[str, Any]:
        """The difference with JSON types only."""
        return {
            "step": self.step,
            "before": self.before,
            "after": self.after,
            "is_same": self.is_same,
            "keys": list(self.keys),
            "columns": [
                {"name": one.name, "before": one.before, "after": one.after} for one in self.columns
            ],
            "rows": {"added": self.added, "removed": self.removed, "changed": self.changed},
            "changed_columns": dict(self.changed_columns),
            "samples": [
                {
                    "kind": row.kind,
                    "keys": dict(row.keys),
                    "cells": {
                        name: {"before": before, "after": after}
                        for name, (before, after) in row.cells.items()
                    },
                    "count": row.count,
                }
                for row in self.samples
            ],
            "masked": list(self.masked),
            "files_read": self.files_read,
            "files": self.files,
            "notes": list(self.notes),
        }
