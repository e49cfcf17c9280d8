"""What the erasure of a person makes of releases: they follow their tables, or go; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.results.release import Release, ReleasedTable

FOLLOWS, WITHDRAWN, STAYS = "follows", "withdrawn", "stays"


@dataclass(frozen=True)
class ErasedTable:
    """A table from which persons were erased.

    Attributes:
        version: the first without them.
        since: the least version that tells the same but for them.
    """

    version: int
    since: int


@dataclass(frozen=True)
class ErasedRelease:
    """A release that pins rows of a person who was erased.

    Attributes:
        release: as it is.
        outcome: ``follows`` its tables, is ``withdrawn``, since they have moved on, or ``stays``
            all the same, since it is the one that readers see.
        to: what becomes of it; None where it does not follow.
    """

    release: Release
    outcome: str
    to: Release | None = None

    @property
    def told(self) -> str:
        """What becomes of it, for people."""
        name = f"release {self.release.release_id} of {self.release.stage}"
        if self.outcome == STAYS:
            return (
                f"{name} still shows the person, its tables have moved on since: "
                "let a run release anew, then say this again"
            )
        return f"{name} is withdrawn" if self.outcome == WITHDRAWN else f"{name} shows them no more"


def releases_erased(
    releases: Iterable[Release],
    tables: Mapping[str, ErasedTable],
    base_path: str,
    shown: str,
) -> list[ErasedRelease]:
    """The releases that pin rows of erased persons, and what becomes of each.

    Args:
        releases: of one stage.
        tables: those from which persons were erased, by path.
        base_path: root of the lakehouse.
        shown: id of the release that readers see.
    """
    known = {path.rstrip("/"): table for path, table in tables.items()}

    def erased(table: ReleasedTable) -> ErasedTable | None:
        found = known.get(table.place(base_path).rstrip("/"))
        return found if found is not None and table.version < found.version else None

    outcomes = []
    for release in releases:
        touched = {table: found for table in release.tables if (found := erased(table))}
        if not touched:
            continue
        if all(table.version >= found.since for table, found in touched.items()):
            moved = tuple(
                replace(table, version=touched[table].version) if table in touched else table
                for table in release.tables
            )
            outcomes.append(ErasedRelease(release, FOLLOWS, replace(release, tables=moved)))
        else:
            outcome = STAYS if release.release_id == shown else WITHDRAWN
            outcomes.append(ErasedRelease(release, outcome))
    return outcomes
