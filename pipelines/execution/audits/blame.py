"""Finds the commit that wrote each row: by row tracking, else the change data feed, else files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

from pipelines.errors import SqlError, UsageError
from pipelines.execution.audits.table_history import FEED, FILE, VERSION, read_history
from pipelines.results import utc_text
from pipelines.results.blame import Author, Blame, BlamedRow
from pipelines.utils.sql_runner import DeltaLog, as_sql_error

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.audits.shown import Shown
    from pipelines.execution.audits.table_history import TableHistory
    from pipelines.utils.sql_runner import Commit

_TRACKING = "delta.enableRowTracking"
# They give files or rows a new home, and write none.
_MOVERS = frozenset({"OPTIMIZE", "REORG", "CLONE", "CONVERT", "ROW TRACKING BACKFILL"})
_COPIED = ("numTargetRowsCopied", "numCopiedRows")
_NOT_COMPARABLE = ("map<", "variant")


@dataclass(frozen=True)
class _Origins:
    """Rows with the version that wrote each, or the last that can have.

    Attributes:
        rows: with the column ``__version``.
        source: what told.
        sure_since: rows of this version and later ones are told exactly, row by row.
        notes: what a user should know.
    """

    rows: DataFrame
    source: str
    sure_since: int | None
    notes: tuple[str, ...] = ()


def blame(
    session: SparkSession,
    step: str,
    path: str,
    *,
    where: str,
    keys: Sequence[str],
    limit: int,
    shown: Shown,
) -> Blame:
    """Which commits wrote the rows that the table has now.

    Args:
        session: to work in.
        step: whose table it is.
        path: where it is.
        where: SQL condition on the rows; empty takes all.
        keys: the columns of sample rows; empty takes all.
        limit: at most so many sample rows.
        shown: what may be seen of values.

    Raises:
        UsageError: the table was never written, or the condition cannot be resolved.
    """
    log = DeltaLog(session, path)
    version = log.version()
    if version is None:
        raise UsageError(f"{step} has never been written", where=path)
    origins, counts, rows = _answered(session, log, version, where, keys, limit)
    authors = [_author(log, number, count, origins) for number, count in counts.items()]
    names = {name for name in rows[0].asDict() if name != VERSION} if rows else set()
    samples = tuple(
        BlamedRow({name: shown.value(name, row[name]) for name in row.asDict() if name in names},
                  row[VERSION])
        for row in rows
    )  # fmt: skip
    authors.sort(key=lambda author: -1 if author.version is None else author.version, reverse=True)
    return Blame(step, version, where, origins.source, tuple(authors), samples, origins.notes)


def _answered(
    session: SparkSession, log: DeltaLog, version: int, where: str, keys: Sequence[str], limit: int
) -> tuple[_Origins, dict[int | None, int], list[Any]]:
    """The best source that can answer, rows by version, and sample rows."""
    history = read_history(session, log.path)
    properties = history.properties(log)
    sources: list[tuple[str, Callable[[], _Origins]]] = []
    if properties.get(_TRACKING) == "true":
        sources.append(("row tracking", lambda: _by_tracking(session, log.path, version, where)))
    if properties.get(FEED) == "true":
        sources.append(
            ("change data feed", lambda: _by_feed(session, log, version, where, history))
        )
    sources.append(("files", lambda: _by_files(session, log.path, version, where, history)))
    notes: tuple[str, ...] = ()
    for name, ask in sources:
        try:
            origins = ask()
            kept = origins.rows.persist()
            try:
                counted = kept.groupBy(VERSION).count().collect()
                chosen = kept.select(*keys, VERSION) if keys else kept
                ordered = chosen.orderBy(VERSION, *keys).limit(limit).collect()
            finally:
                kept.unpersist()
        except Exception as error:
            told = error if isinstance(error, UsageError) else as_sql_error(error)
            if isinstance(told, UsageError) or name == "files":
                raise told from error
            notes = (*notes, f"the {name} does not answer: {told.message}")
            continue
        counts = {row[VERSION]: row["count"] for row in counted}
        return replace(origins, notes=(*notes, *origins.notes)), counts, ordered
    raise AssertionError("files always answer")


def _chosen(session: SparkSession, path: str, version: int, where: str, *more: str) -> DataFrame:
    rows = session.read.format("delta").option("versionAsOf", str(version)).load(path)
    chosen = rows
    if where:
        try:
            chosen = rows.where(where)
        except Exception as error:
            told = as_sql_error(error)
            raise UsageError(f"--where {where!r}: {told.message}") from error
    return chosen.selectExpr(*(f"`{name.replace('`', '``')}`" for name in rows.columns), *more)


def _by_tracking(session: SparkSession, path: str, version: int, where: str) -> _Origins:
    rows = _chosen(session, path, version, where, f"_metadata.row_commit_version as {VERSION}")
    return _Origins(rows, "row tracking", 0)


def _by_files(
    session: SparkSession, path: str, version: int, where: str, history: TableHistory
) -> _Origins:
    """By the commit that first added the file that a row stands in."""
    from pyspark.sql import functions as f

    rows = _chosen(session, path, version, where, f"_metadata.file_name as {FILE}")
    # The names hold random digits, and a clone's log has other paths of the same files.
    adds = history.adds.groupBy(FILE).agg(f.min(VERSION).alias(VERSION))
    rows = rows.join(f.broadcast(adds), FILE, "left").drop(FILE)
    return _Origins(rows, "files", None)


def _by_feed(
    session: SparkSession, log: DeltaLog, version: int, where: str, history: TableHistory
) -> _Origins:
    """By the last change that gave a row as it is; what is older than the feed, by files."""
    from pyspark.sql import functions as f

    since = history.feed_since
    rows = _chosen(session, log.path, version, where, f"_metadata.file_name as {FILE}")
    names = [name for name in rows.columns if name != FILE]
    for field in rows.schema:
        if any(word in field.dataType.simpleString() for word in _NOT_COMPARABLE):
            raise SqlError(f"column {field.name} cannot be compared")
    reader = session.read.format("delta").option("readChangeFeed", "true")
    reader = reader.option("startingVersion", since).option("endingVersion", version)
    feed = reader.load(log.path)
    feed = feed.where(where) if where else feed
    undone = _undone(log, version)
    feed = feed.where(f.col("_change_type").isin("insert", "update_postimage"))
    feed = feed.where(~f.col("_commit_version").isin(*undone)) if undone else feed
    quoted = [f"`{name.replace('`', '``')}`" for name in names]
    written = feed.groupBy(*quoted).agg(f.max("_commit_version").alias(VERSION))
    written = written.toDF(*(f"__w{number}" for number in range(len(names))), VERSION)
    match = reduce(
        and_, (rows[q].eqNullSafe(written[f"__w{number}"]) for number, q in enumerate(quoted))
    )
    found = rows.join(written, match, "left").select(*quoted, FILE, VERSION)
    adds = history.adds.groupBy(FILE).agg(f.min(VERSION).alias("__added"))
    found = found.join(f.broadcast(adds), FILE, "left")
    found = found.withColumn(VERSION, f.coalesce(VERSION, f.least("__added", f.lit(since))))
    notes = (f"the feed begins with version {since}",) if since else ()
    return _Origins(found.drop(FILE, "__added"), "change data feed", since, notes)


def _undone(log: DeltaLog, newest: int) -> list[int]:
    """Versions that a RESTORE undid, and the RESTOREs."""
    stands = {commit.version for commit in log.standing()}
    return [number for number in range(min(stands, default=0), newest + 1) if number not in stands]


def _author(log: DeltaLog, version: int | None, rows: int, origins: _Origins) -> Author:
    commit = log.commit(version) if version is not None and log.has_commit(version) else None
    if commit is None:
        return Author(version, rows, is_exact=False)
    said = commit.user_metadata
    moment = datetime.fromtimestamp(commit.timestamp_ms / 1000, timezone.utc)
    return Author(
        version,
        rows,
        _wrote_all(commit, origins),
        at=utc_text(moment) or "",
        operation=commit.operation,
        run_id=str(said.get("run_id") or ""),
        batch_id=str(said.get("batch_id") or ""),
        step=str(said.get("step") or ""),
    )


def _wrote_all(commit: Commit, origins: _Origins) -> bool:
    """Whether the rows that stand to a commit's account were all written by it."""
    if commit.operation in _MOVERS:
        return False
    if origins.sure_since is not None:
        return commit.version > origins.sure_since or origins.sure_since == 0
    return not any(int(commit.metrics.get(name) or 0) for name in _COPIED)
