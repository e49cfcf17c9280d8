"""Looks which releases still pin rows of persons who were erased from the tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.plan.erased_releases import ErasedTable, releases_erased
from pipelines.plan.table_commits import FORGET_ID, HARMLESS
from pipelines.utils.sql_runner import DeltaLog

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.execution.releases.switching import Releases
    from pipelines.plan.erased_releases import ErasedRelease

_MOST_COMMITS = 100_000


def erased_releases(session: SparkSession, releases: Releases) -> list[ErasedRelease]:
    """The releases of a pipeline that pin such rows, and what becomes of each."""
    store = releases.store
    found: list[ErasedRelease] = []
    for stage in store.stages():
        known = store.releases(stage)
        least: dict[str, int] = {}
        for table in (table for release in known for table in release.tables):
            place = table.place(store.base_path)
            least[place] = min(table.version, least.get(place, table.version))
        tables = {
            place: erased
            for place, version in least.items()
            if (erased := _erased(DeltaLog(session, place), version)) is not None
        }
        shown = releases.standing(stage).release_id
        found += releases_erased(known, tables, store.base_path, shown)
    return found


def _erased(log: DeltaLog, least: int) -> ErasedTable | None:
    """What of a table's commits is later than version ``least``; None without an erasure."""
    erasure = since = None
    for commit in log.standing(most=_MOST_COMMITS):
        if commit.version <= least:
            break
        if FORGET_ID in commit.user_metadata:
            erasure = erasure or commit.version
        elif commit.operation not in HARMLESS:
            since = since or commit.version
        if erasure and since:
            break
    return ErasedTable(erasure, since or least) if erasure else None
