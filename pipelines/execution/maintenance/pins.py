"""Which versions of tables are still read: by releases, the newest batch, and reads of changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pipelines.plan.changes import changes_read
from pipelines.utils.sql_runner import DeltaLog

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.execution.checkpoints import CheckpointStore
    from pipelines.plan.compile import CompiledPlan
    from pipelines.results.release import Release

Pinned = tuple[str, "int | None", str]
"""Path of a table, version, and who reads it."""


def read_by_releases(releases: Iterable[Release], base_path: str) -> Iterator[Pinned]:
    """What the releases that are kept show, or would once they are gone back to."""
    for release in releases:
        for table in release.tables:
            yield table.place(base_path), table.version, f"release {release.release_id}"


def read_by_newest_batch(compiled: CompiledPlan, checkpoints: CheckpointStore) -> Iterator[Pinned]:
    """What the newest batch reads when it is run again: the versions that its steps left."""
    for batch in checkpoints.batches()[:1]:
        for step_id, marker in checkpoints.markers(batch.batch_id, compiled.steps).items():
            table = compiled.steps[step_id].table
            yield table, marker.version_after, f"batch {batch.batch_id}"


def read_for_changes(
    compiled: CompiledPlan, session: SparkSession, since_ms: int
) -> Iterator[Pinned]:
    """From which version on a step reads what changed; else it would have to read all again.

    Args:
        compiled: the flow.
        session: to read logs with.
        since_ms: a step that has read nothing since, milliseconds since 1970 UTC, does not count.
    """
    for step in compiled.steps.values():
        watched = changes_read(step, compiled.plan.graph)
        if not watched or not step.table:
            continue
        log = DeltaLog(session, step.table)
        commits = log.standing() if log.version() is not None else iter(())
        last = next((one for one in commits if "read_versions" in one.user_metadata), None)
        if last is None or last.timestamp_ms < since_ms:
            continue
        for above in watched:
            version = str(last.user_metadata["read_versions"].get(above, "")).rpartition("@")[2]
            if version.isdigit():
                yield compiled.steps[above].table, int(version), f"{step.id} (changes)"
