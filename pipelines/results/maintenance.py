"""What maintenance has done, or would do: table by table, and to what runs left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TableMaintained:
    """What became of one table.

    Attributes:
        name: id of the step that writes it, or another name.
        path: where it is.
        is_there: whether it was ever written.
        files_joined: small files that were, or would be, joined; None where not asked for.
        files_made: larger ones that came of them.
        files_deleted: files that were, or would be, deleted; None where not asked for.
        retain_hours: files in use within so many hours stay.
        held_by: who needs them longer than the policy says; empty where nobody does.
        notes: what a user should know of it.
        errors: what went wrong; empty where nothing did.
    """

    name: str
    path: str
    is_there: bool = True
    files_joined: int | None = None
    files_made: int | None = None
    files_deleted: int | None = None
    retain_hours: int | None = None
    held_by: str = ""
    notes: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The outcome with JSON types only."""
        return {
            "name": self.name,
            "path": self.path,
            "is_there": self.is_there,
            "files_joined": self.files_joined,
            "files_made": self.files_made,
            "files_deleted": self.files_deleted,
            "retain_hours": self.retain_hours,
            "held_by": self.held_by or None,
            "notes": list(self.notes),
            "errors": list(self.errors),
        }


@dataclass(frozen=True)
class Maintained:
    """What became of all.

    Attributes:
        maintenance_id: stamps its commits.
        is_dry: whether it was only looked.
        tables: in the flow's order.
        releases: stage and id of the releases that went.
        batches: ids of the batches whose checkpoints went.
        logs: ids of the runs whose logs went.
    """

    maintenance_id: str
    is_dry: bool
    tables: tuple[TableMaintained, ...]
    releases: tuple[tuple[str, str], ...]
    batches: tuple[str, ...]
    logs: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing went wrong."""
        return not any(table.errors for table in self.tables)

    def as_dict(self) -> dict[str, Any]:
        """The whole with JSON types only."""
        return {
            "maintenance_id": self.maintenance_id,
            "is_dry": self.is_dry,
            "is_well": self.is_well,
            "tables": [table.as_dict() for table in self.tables],
            "releases": [{"stage": one, "release_id": name} for one, name in self.releases],
            "batches": list(self.batches),
            "logs": list(self.logs),
        }
