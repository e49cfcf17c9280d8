"""The rows that changed in a Delta table between two versions, by its change data feed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.execution.inputs import read_output
from pipelines.plan.changes import CHANGE_COLUMNS
from pipelines.spec.steps import NOT_COMPARED
from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import DeltaLog, causes, in_session, kept_rows

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.context import Output, RunContext
    from pipelines.spec.steps import Destination
    from pipelines.utils.sql_runner import Commit

FEED_PROPERTY = "delta.enableChangeDataFeed"
_TYPE, _VERSION, _TIME = (column.name for column in CHANGE_COLUMNS)
_AS_THEY_CAME = ("MERGE", "UPDATE", "DELETE")
_OPAQUE = ("map<", "variant", "geometry", "geography")


@dataclass(frozen=True)
class Changes:
    """What changed in a table since it was read.

    Attributes:
        rows: they, kept until they are unpersisted; None where they cannot be told.
        reason: why they cannot be told.
        count: how many they are.
    """

    rows: DataFrame | None
    reason: str = ""
    count: int = 0


def whole_as_changes(output: Output, context: RunContext) -> DataFrame:
    """All rows of ``output`` as if each had just been inserted, in the run's session."""
    what = (output.path, output.identity, _TYPE)
    return context.at_hand(what, lambda session: _whole(session, output, context))


def _whole(session: SparkSession, output: Output, context: RunContext) -> DataFrame:
    from pyspark.sql import functions as f

    time = None
    if output.version is not None:
        time = DeltaLog(session, output.path).time_ms(output.version)
    return read_output(output, context).withColumns(
        {
            _TYPE: f.lit("insert"),
            _VERSION: f.lit(output.version).cast("long"),
            _TIME: f.timestamp_millis(f.lit(time).cast("long")),
        }
    )


def changes_since(
    session: SparkSession,
    output: Output,
    was: str,
    destination: Destination,
    context: RunContext,
) -> Changes:
    """The changes from the version of identity ``was`` to that of ``output``.

    Of a row that changed several times they tell the last state only, and nothing of one that
    came and went. The rows are persisted: who asked has to unpersist them.

    Args:
        session: the step's.
        output: the table as it is read now.
        was: its identity as it was read before.
        destination: tells how the table's rows are told apart.
        context: of the run.
    """
    version = was.rpartition("@")[2]
    if output.version is None or not version.isdigit():
        return Changes(None, "it tells no version")
    if int(version) > output.version:
        return Changes(None, f"its version is {output.version}, and {version} was read before")
    try:
        if DeltaLog(session, output.path).identity_then(int(version)) != was:
            return Changes(None, "its table was made anew")
        return _read_feed(session, output, int(version), destination, context)
    except Exception as error:
        if not _is_of_the_feed(error):
            raise
        return Changes(None, f"its changes since version {version} cannot be read any more")


def _read_feed(
    session: SparkSession,
    output: Output,
    start: int,
    destination: Destination,
    context: RunContext,
) -> Changes:
    log = DeltaLog(session, output.path)
    now = in_session(read_output(output, context), session)
    if start == output.version:
        return Changes(_feed_columns(now.limit(0)))
    if log.properties().get(FEED_PROPERTY, "").lower() != "true":
        return Changes(None, "it has no change data feed yet")
    before = session.read.format("delta").option("versionAsOf", str(start)).load(output.path)
    if before.dtypes != now.dtypes:
        return Changes(None, "its columns are not the same any more")
    end, identity = output.version or 0, _identity(destination, now.columns)
    opaque = [name for name, kind in now.dtypes if _is_opaque(kind)]
    if opaque and not identity:
        return Changes(None, f"it has no keys, and values of {opaque[0]} cannot be compared")
    commits = [log.commit(version) for version in range(start + 1, end + 1)]
    feed = (
        session.read.format("delta")
        .option("readChangeFeed", "true")
        .option("startingVersion", str(start + 1))
        .option("endingVersion", str(end))
        .load(output.path)
        .select(*(quoted_name(name) for name in now.columns), _TYPE, _VERSION, _TIME)
    )
    rows, count = kept_rows(_last_states(feed, now.columns, identity, commits))
    return Changes(rows, count=count)


def _last_states(
    feed: DataFrame, columns: Sequence[str], identity: Sequence[str], commits: Sequence[Commit]
) -> DataFrame:
    """The feed with one row for each row of the table that is not what it was."""
    if all(_only_adds(commit) for commit in commits):
        return feed
    if not identity:
        return _by_count(feed, columns)
    if len(commits) == 1 and commits[0].operation in _AS_THEY_CAME:
        return feed.where(f"{_TYPE} <> 'update_preimage'")
    return _by_identity(feed, columns, identity)


def _by_identity(feed: DataFrame, columns: Sequence[str], identity: Sequence[str]) -> DataFrame:
    """The last of each row; nothing of what came and went, or is again what it was.

    A RESTORE tells of every row of the files that it changes, most of which are what they were.
    """
    from pyspark.sql import functions as f
    from pyspark.sql.window import Window

    # Within a commit what was there comes before what stands in its place.
    goes = f.col(_TYPE).isin("delete", "update_preimage")
    order = f.when(goes, 0).otherwise(1)
    by_key = Window.partitionBy(*map(quoted_name, identity))
    forth = by_key.orderBy(f.col(_VERSION), order)
    back = by_key.orderBy(f.col(_VERSION).desc(), order.desc())
    told = [name for name in columns if name.lower() not in NOT_COMPARED]
    kept = [name for name in told if not _is_opaque(dict(feed.dtypes)[name])]
    state = f.struct(*map(quoted_name, kept))
    last = (
        feed.withColumn("__was", f.first(f.when(goes, state)).over(forth))
        .withColumn("__place", f.row_number().over(back))
        .where("__place = 1")
    )
    was_there = f.col("__was").isNotNull()
    is_same = f.col("__was").eqNullSafe(state) if len(kept) == len(told) else f.lit(False)
    kind = f.when(goes, "delete").when(was_there, "update_postimage").otherwise("insert")
    return (
        last.where(f.when(goes, was_there).otherwise(~is_same))
        .withColumn(_TYPE, kind)
        .select(*map(quoted_name, columns), _TYPE, _VERSION, _TIME)
    )


def _by_count(feed: DataFrame, columns: Sequence[str]) -> DataFrame:
    """Rows without keys are told apart by all that they hold, and counted."""
    from pyspark.sql import functions as f

    comes = f.when(f.col(_TYPE).isin("insert", "update_postimage"), 1).otherwise(-1)
    audits = [name for name in columns if name.lower() in NOT_COMPARED]
    counted = (
        feed.withColumn("__comes", comes)
        .groupBy(*(quoted_name(name) for name in columns if name not in audits))
        .agg(
            f.sum("__comes").alias("__number"),
            *(f.max_by(name, _VERSION).alias(name) for name in audits),
            f.max(_VERSION).alias(_VERSION),
            f.max(_TIME).alias(_TIME),
        )
        .where("__number <> 0")
        .withColumn("__one", f.explode(f.sequence(f.lit(1), f.abs(f.col("__number")))))
    )
    kind = f.when(f.col("__number") > 0, "insert").otherwise("delete")
    return counted.withColumn(_TYPE, kind).select(
        *map(quoted_name, columns), _TYPE, _VERSION, _TIME
    )


def _identity(destination: Destination, columns: Sequence[str]) -> list[str]:
    """The columns that tell a row of the table from all others; empty where none do."""
    named = list(destination.keys)
    if destination.mode == "scd2":
        named += ["valid_from"]
    if destination.mode == "satellite" and destination.sequence_by:
        named += [destination.sequence_by]
    there = {column.lower(): column for column in columns}
    return [there[name.lower()] for name in named] if all(n.lower() in there for n in named) else []


def _feed_columns(frame: DataFrame) -> DataFrame:
    from pyspark.sql import functions as f

    return frame.withColumns(
        {column.name: f.lit(None).cast(column.type) for column in CHANGE_COLUMNS}
    )


def _only_adds(commit: Commit) -> bool:
    return commit.operation == "WRITE" and commit.parameters.get("mode") == "Append"


def _is_of_the_feed(error: Exception) -> bool:
    """Whether the table's log or files are what is wrong, not the run."""
    chain: Sequence[Any] = causes(error)
    return any(
        cause.condition.startswith(("DELTA_", "FAILED_READ_FILE", "PATH_NOT_FOUND"))
        or cause.short_name.startswith("Delta")
        or "FileNotFound" in cause.short_name
        for cause in chain
    )


def _is_opaque(data_type: str) -> bool:
    """Whether Spark cannot tell two values of the type apart."""
    return any(word in data_type for word in _OPAQUE)
