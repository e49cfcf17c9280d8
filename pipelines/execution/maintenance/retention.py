"""How long files of a table have to be kept, so that the versions that are pinned stay readable.

A file that a pinned version needs, and the newest has no more, was removed by a commit after it.
VACUUM keeps files whose removal is younger than the retention. But once a removal is older than
the table's own retention of tombstones, Delta forgets it and goes by the age of the file alone:
then the retention has to reach back to the oldest file that would be lost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.execution.audits.table_files import TableFiles
from pipelines.execution.files import HadoopFiles, LocalFiles, is_local

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.plan.maintenance import Pin, TableWork

_HOUR_MS = 3_600_000
_SLACK_MS = _HOUR_MS
"""A removal is noted when its job begins, which may be long before its commit."""


@dataclass(frozen=True)
class Retention:
    """How long a table's files are kept.

    Attributes:
        hours: for VACUUM.
        held_by: who needs more than the policy says; empty where nobody does.
        lost: pins whose versions cannot be read any more, whatever is kept.
    """

    hours: int
    held_by: str = ""
    lost: tuple[str, ...] = ()


def retention_of(session: SparkSession, work: TableWork, newest: int, now_ms: int) -> Retention:
    """How long the files of a table have to be kept.

    Args:
        session: to read with.
        work: the table, and who reads which version of it.
        newest: its newest version.
        now_ms: milliseconds since 1970 UTC.
    """
    hours, held_by, lost = math.ceil(work.vacuum.retain_hours), "", []
    older = sorted((pin for pin in work.pins if pin.version < newest), key=_version)
    removed = _first_removals(session, work.path, older[0].version, newest) if older else {}
    files = TableFiles(session, work.path)
    for pin in older:
        if pin.version not in removed:
            lost.append(f"{pin.reason} reads version {pin.version}, which its log lacks")
            continue
        needed = now_ms - removed[pin.version] + _SLACK_MS
        if needed >= files.tombstone_ms():
            oldest = files.oldest_lost(pin.version, newest)
            needed = 0 if oldest is None else now_ms - oldest + _SLACK_MS
        if math.ceil(needed / _HOUR_MS) > hours:
            hours = math.ceil(needed / _HOUR_MS)
            held_by = f"{pin.reason} reads version {pin.version}"
    gone = [pin for pin in work.pins if pin.version > newest]
    lost += [f"{pin.reason} reads version {pin.version}, which is not there" for pin in gone]
    return Retention(hours, held_by, tuple(lost))


def _version(pin: Pin) -> int:
    return pin.version


def _first_removals(session: SparkSession, path: str, oldest: int, newest: int) -> dict[int, int]:
    """For each version from ``oldest`` on, when the first file was removed after it.

    A version is missing where a commit after it is no longer in the log.
    """
    files = LocalFiles() if is_local(path) else HadoopFiles(session)
    found: dict[int, int] = {}
    first: int | None = None
    for version in range(newest, oldest, -1):
        text = files.read(f"{path}/_delta_log/{version:020d}.json")
        if text is None:
            return found
        first = min((*_times(text), *([first] if first is not None else [])), default=0)
        found[version - 1] = first
    return found


def _times(commit: str) -> Iterator[int]:
    """When the commit was made, and its files were removed."""
    for line in commit.splitlines():
        if '"remove"' in line or '"commitInfo"' in line:
            action = json.loads(line)
            if "remove" in action and action["remove"].get("deletionTimestamp"):
                yield int(action["remove"]["deletionTimestamp"])
            elif "commitInfo" in action and action["commitInfo"].get("timestamp"):
                yield int(action["commitInfo"]["timestamp"])
