"""What `maintain` does to each table, and what it may not take away; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.results.release import Release
    from pipelines.spec.policies import MaintenancePolicy, TableMaintenance, VacuumPolicy


@dataclass(frozen=True)
class Pin:
    """A version of a table that somebody still reads.

    Attributes:
        version: the version.
        reason: who does, such as ``release 20261123T105824Z-aaaaaa``.
    """

    version: int
    reason: str


@dataclass(frozen=True)
class TableWork:
    """What is done to one table.

    Attributes:
        name: id of the step that writes it, or another name.
        path: where it is.
        optimize: whether small files are joined.
        vacuum: which files are deleted.
        pins: versions that have to stay readable.
    """

    name: str
    path: str
    optimize: bool
    vacuum: VacuumPolicy
    pins: tuple[Pin, ...] = ()


def work_of(
    name: str,
    path: str,
    policy: MaintenancePolicy,
    own: TableMaintenance | None,
    pins: Mapping[str, Sequence[Pin]],
) -> TableWork:
    """What is done to a table.

    Args:
        name: what it is called.
        path: where it is.
        policy: the flow's.
        own: what the table says itself; wins key by key.
        pins: by path, without a slash at the end.
    """
    optimize, vacuum = bool(policy.optimize), policy.vacuum
    if own is not None:
        optimize = optimize if own.optimize is None else bool(own.optimize)
        if own.vacuum is not None:
            said = {key: getattr(own.vacuum, key) for key in own.vacuum.model_fields_set}
            vacuum = vacuum.model_copy(update=said)
    return TableWork(name, path, optimize, vacuum, tuple(pins.get(path.rstrip("/"), ())))


def releases_past(releases: Sequence[Release], current: str, keep: int) -> list[Release]:
    """The releases that go: all but the newest ``keep``, of which the current one is always one.

    Args:
        releases: of a stage, newest first.
        current: id of the one that readers see; empty where there is none.
        keep: how many stay.
    """
    is_there = any(one.release_id == current for one in releases)
    others = [one for one in releases if one.release_id != current]
    return others[keep - is_there :]


def pins_of(found: Iterable[tuple[str, int | None, str]]) -> dict[str, list[Pin]]:
    """Pins by path, out of path, version and reason; those without a version are none."""
    pins: dict[str, list[Pin]] = {}
    for path, version, reason in found:
        if path and version is not None:
            pins.setdefault(path.rstrip("/"), []).append(Pin(version, reason))
    return pins
