"""A release of a stage: its tables, each pinned to a version; and what a run made of releasing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

RELEASED, STANDS, HELD_BACK, FAILED = "released", "stands", "held_back", "failed"
"""How releasing ends: a new one; nothing new; not allowed; broken."""


@dataclass(frozen=True)
class ReleasedTable:
    """One table of a release.

    Attributes:
        step: id of the step that writes it.
        name: of the step, and of its view.
        path: where it was when it was released.
        relative_path: below the lakehouse's root, which may be moved; empty outside of it.
        version: that readers see.
    """

    step: str
    name: str
    path: str
    relative_path: str
    version: int

    def place(self, base_path: str) -> str:
        """Where the table is, the root of the lakehouse being ``base_path``."""
        return f"{base_path.rstrip('/')}/{self.relative_path}" if self.relative_path else self.path

    @property
    def pin(self) -> tuple[str, str, int]:
        """What tells this state of the table from others, wherever the lakehouse lies."""
        return self.step, self.relative_path or self.path, self.version


@dataclass(frozen=True)
class Release:
    """The tables of a stage that readers see together.

    Attributes:
        release_id: names it; ids sort by time.
        run_id: the run that released it.
        created_at: UTC, ISO 8601.
        schema: of the metastore in which its views are; empty where it has none.
        tables: in the flow's order.
    """

    release_id: str
    pipeline: str
    stage: str
    environment: str
    run_id: str
    batch_id: str
    created_at: str
    schema: str
    tables: tuple[ReleasedTable, ...]

    @property
    def pins(self) -> frozenset[tuple[str, str, int]]:
        """What tells its content from that of others."""
        return frozenset(table.pin for table in self.tables)

    def shows_the_same(self, other: Release) -> bool:
        """Whether readers of ``other`` would see what those of this one do."""
        return (self.pins, self.schema) == (other.pins, other.schema)

    def version_of(self, step: str) -> int | None:
        """The version of a step's table; None where the release does not hold it."""
        return next((table.version for table in self.tables if table.step == step), None)

    def as_dict(self) -> dict[str, Any]:
        """The release as its manifest keeps it."""
        return {
            "release_id": self.release_id,
            "pipeline": self.pipeline,
            "stage": self.stage,
            "environment": self.environment,
            "run_id": self.run_id,
            "batch_id": self.batch_id,
            "created_at": self.created_at,
            "schema": self.schema or None,
            "tables": [
                {
                    "step": table.step,
                    "name": table.name,
                    "path": table.path,
                    "relative_path": table.relative_path or None,
                    "version": table.version,
                }
                for table in self.tables
            ],
        }

    @classmethod
    def read(cls, said: Mapping[str, Any]) -> Release:
        """The release that a manifest tells of.

        Raises:
            KeyError: it is no manifest.
        """
        tables = tuple(
            ReleasedTable(
                one["step"],
                one["name"],
                one["path"],
                one["relative_path"] or "",
                int(one["version"]),
            )
            for one in said["tables"]
        )
        words = ("release_id", "pipeline", "stage", "environment", "run_id", "batch_id")
        named = {word: str(said[word]) for word in (*words, "created_at")}
        return cls(**named, schema=said["schema"] or "", tables=tables)


@dataclass(frozen=True)
class StageRelease:
    """What a run made of releasing one stage.

    Attributes:
        stage: its name.
        status: ``released``, ``stands`` (nothing new), ``held_back`` or ``failed``.
        release_id: the release that readers see now; empty where there is none.
        reason: why nothing was released, or what a user should know; empty otherwise.
        tables: version of each table that readers see, by step id.
        schema: of the metastore in which its views are; empty where it has none.
    """

    stage: str
    status: str
    release_id: str = ""
    reason: str = ""
    tables: Mapping[str, int] | None = None
    schema: str = ""

    def as_dict(self) -> dict[str, Any]:
        """The outcome as the run log keeps it."""
        return {
            "stage": self.stage,
            "status": self.status,
            "release_id": self.release_id or None,
            "reason": self.reason,
            "tables": dict(self.tables or {}),
            "schema": self.schema or None,
        }
