"""Erasing a person: the tables that may hold one, by which columns, and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.plan.erased_releases import STAYS

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledPlan
    from pipelines.plan.erased_releases import ErasedRelease
    from pipelines.spec.policies import VacuumPolicy
    from pipelines.spec.privacy import Subject


@dataclass(frozen=True)
class FlowTable:
    """What a step writes.

    Attributes:
        step: its id.
        name: its name.
        path: of the table.
        format: of its files.
    """

    step: str
    name: str
    path: str
    format: str


@dataclass(frozen=True)
class HeldTable:
    """A Delta table with columns that mean the person.

    Attributes:
        table: the table.
        columns: keys by the columns that hold them.
    """

    table: FlowTable
    columns: Mapping[str, str]


@dataclass(frozen=True)
class TableErasure:
    """The rows of the person in one table.

    Attributes:
        step: id of the step that writes it.
        path: where it is.
        rows: how many; those that are gone already among them.
        version: that the erasure made; None where there was nothing, or it is to come.
    """

    step: str
    path: str
    rows: int
    version: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The erasure with JSON types only."""
        return {"step": self.step, "path": self.path, "rows": self.rows, "version": self.version}


@dataclass(frozen=True)
class ErasurePlan:
    """What erasing a person takes.

    Attributes:
        key: the column by which the person was named.
        found: how many values of each key mean the person.
        tables: those with such a column, in the order in which they are erased.
        left: what cannot be erased, and why.
        without: steps whose tables have no such column, or are to be left.
        releases: that pin rows of persons who were erased, and what becomes of each.
        warnings: what it does not do.
    """

    key: str
    found: Mapping[str, int]
    tables: tuple[TableErasure, ...]
    left: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    releases: tuple[ErasedRelease, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_due(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.rows) or any(one.outcome != STAYS for one in self.releases)

    @property
    def still_shown(self) -> bool:
        """Whether readers of a release still see such rows when it is done."""
        return any(one.outcome == STAYS for one in self.releases)

    @property
    def rows(self) -> int:
        """In all tables together."""
        return sum(table.rows for table in self.tables)


def warnings_of(vacuum: VacuumPolicy) -> tuple[str, ...]:
    """What an erasure does not do, where files are vacuumed by ``vacuum``; it says so each time."""
    days = f"{vacuum.retain_hours / 24:g} days"
    return (
        f"the rows stay in older versions of the tables until 'pipeline maintain' in {days}"
        if vacuum.enabled
        else "the rows stay in older versions of the tables until you VACUUM them: "
        "the flow's maintenance does not",
        "the logs of the tables keep the least and greatest values of files "
        "for delta.logRetentionDuration, 30 days where it is not set",
        "backups, copies and clones of the tables keep the rows; restore one, and forget again",
        "the source still has the person: delete there first, else a whole read brings them back",
    )


def flow_tables(compiled: CompiledPlan) -> list[FlowTable]:
    """What the steps of a flow write, views left out."""
    return [
        FlowTable(step.id, step.settings.name, destination.path, destination.format)
        for step in compiled.steps.values()
        if (destination := step.settings.destination).path is not None
    ]


def key_columns(subject: Subject, table: FlowTable, columns: Iterable[str]) -> dict[str, str]:
    """The keys by those of ``columns`` that hold them; none of a table that is to be left."""
    if table.name in subject.skip:
        return {}
    told = {name.lower(): key for name, key in subject.columns.get(table.name, {}).items()}
    keys = {key.lower(): key for key in subject.keys}
    found = {name: told.get(name.lower()) or keys.get(name.lower()) for name in columns}
    return {name: key for name, key in found.items() if key is not None}


def erase_order(tables: Sequence[HeldTable], subject: Subject) -> list[HeldTable]:
    """Tables that tell a key come last, the first key's at the very end.

    So one that was killed on the way still finds the person when it is told to go on.
    """
    tellers = [step for steps in subject.keys.values() for step in steps]

    def place(held: HeldTable) -> int:
        name = held.table.name
        return len(tellers) - tellers.index(name) if name in tellers else 0

    return sorted(tables, key=place)
