"""One table maintained: OPTIMIZE, then VACUUM; what goes wrong with either is told, not raised."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.execution.audits.table_files import TableFiles
from pipelines.execution.maintenance.retention import retention_of
from pipelines.results.maintenance import TableMaintained
from pipelines.utils.sql_runner import DeltaLog, as_sql_error

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.plan.maintenance import TableWork

_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_LOGGED = "spark.databricks.delta.vacuum.logging.enabled"
_LISTED_BY = "spark.sql.sources.parallelPartitionDiscovery.parallelism"
_CHECKED = "spark.databricks.delta.retentionDurationCheck.enabled"


def maintain_table(
    session: SparkSession, work: TableWork, maintenance_id: str, now_ms: int, *, is_dry: bool
) -> TableMaintained:
    """What became of a table, or would.

    Args:
        session: of its own; its settings are changed.
        work: what is to be done.
        maintenance_id: stamps the commits.
        now_ms: milliseconds since 1970 UTC.
        is_dry: only look.
    """
    done = TableMaintained(work.name, work.path)
    session.conf.set(_METADATA, json.dumps({"maintenance": maintenance_id}))
    # Two commits more on each table that is vacuumed would look like news to all that read it.
    session.conf.set(_LOGGED, "false")
    session.conf.set(_CHECKED, str(not work.vacuum.allow_short).lower())
    # VACUUM lists folders in so many tasks: Spark's 10,000 take minutes where there is nothing.
    session.conf.set(_LISTED_BY, str(4 * session.sparkContext.defaultParallelism))
    parts = ((work.optimize, _optimized), (bool(work.vacuum.enabled), _vacuumed))
    for is_wanted, part in parts:
        try:
            if DeltaLog(session, work.path).version() is None:
                return replace(done, is_there=False)
            if is_wanted:
                done = part(session, work, done, now_ms, is_dry)
        except Exception as error:
            why = as_sql_error(error, where=work.path).message
            done = replace(done, errors=(*done.errors, f"{part.__name__[1:]}: {why}"))
    return done


def _optimized(
    session: SparkSession, work: TableWork, done: TableMaintained, _now_ms: int, is_dry: bool
) -> TableMaintained:
    log = DeltaLog(session, work.path)
    if is_dry:
        least = int(session.conf.get("spark.databricks.delta.optimize.minFileSize") or 0)
        version = log.version() or 0
        return replace(done, files_joined=TableFiles(session, work.path).small(version, least))
    metrics: Any = session.sql(f"optimize {log.sql_name}").collect()[0]["metrics"]
    return replace(
        done, files_joined=metrics["numFilesRemoved"], files_made=metrics["numFilesAdded"]
    )


def _vacuumed(
    session: SparkSession, work: TableWork, done: TableMaintained, now_ms: int, is_dry: bool
) -> TableMaintained:
    log = DeltaLog(session, work.path)
    kept = retention_of(session, work, log.version() or 0, now_ms)
    statement = f"vacuum {log.sql_name} retain {kept.hours} hours"
    number = session.sql(f"{statement} dry run").count()
    if number and not is_dry:
        session.sql(statement).collect()
    return replace(
        done,
        files_deleted=number,
        retain_hours=kept.hours,
        held_by=kept.held_by,
        notes=(*done.notes, *kept.lost),
    )
