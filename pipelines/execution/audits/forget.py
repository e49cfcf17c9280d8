"""Finds the rows of one person in the tables of a flow, and erases them by one commit a table.

What names the person is in no statement: plans, the Spark UI and the tables' own history tell
columns only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError
from pipelines.execution.hidden import hidden_row
from pipelines.execution.sampling import text_of
from pipelines.execution.session import clone_session
from pipelines.plan.forget import HeldTable, TableErasure, key_columns
from pipelines.plan.table_commits import FORGET_ID
from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import DeltaLog

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from pipelines.execution.checkpoints import CheckpointStore
    from pipelines.plan.forget import FlowTable
    from pipelines.spec.privacy import Subject
    from pipelines.utils.sql_runner import Commit

MOST_VALUES = 10_000
"""More values of one key are not those of one person."""
_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_VECTORS = "delta.enableDeletionVectors"
_MARKED_ONLY = "spark.databricks.delta.merge.deletionVectors.persistent"
_SIDE_BY_SIDE = 4
_MOST_COMMITS = 100_000

Found = Mapping[str, frozenset[str]]


def held_tables(
    session: SparkSession, tables: Iterable[FlowTable], subject: Subject
) -> list[HeldTable]:
    """The Delta tables that are there and have columns that mean the person."""
    held = []
    for table in tables:
        log = DeltaLog(session, table.path)
        if table.format == "delta" and log.version() is not None:
            columns = key_columns(subject, table, log.schema().names)
            held += [HeldTable(table, columns)] if columns else []
    return held


def find_person(
    session: SparkSession, tables: Sequence[HeldTable], subject: Subject, key: str, value: str
) -> Found:
    """The values, as texts, of each key that mean the person whose ``key`` is ``value``.

    Raises:
        UsageError: a key has so many that they cannot be of one person.
    """
    from pyspark.sql import functions as f

    by_name = {held.table.name: held for held in tables}
    found = {name: frozenset[str]() for name in subject.keys}
    found[key] = frozenset({value.strip()})
    for name, tellers in subject.keys.items():
        for held in (by_name[teller] for teller in tellers if teller in by_name):
            told = [column for column, one in held.columns.items() if one == name]
            rows, texts = _theirs(session, held, found)
            for column in told:
                chosen = rows.select(texts[column].alias("text")).where(f.col("text").isNotNull())
                values = chosen.distinct().limit(MOST_VALUES + 1).collect()
                found[name] |= {row["text"] for row in values}
        if len(found[name]) > MOST_VALUES:
            raise UsageError(
                f"more than {MOST_VALUES:,} values of {name} would mean one person",
                hint="look at privacy.subject: a table that tells a key must not tell everyone's",
            )
    return found


def count_rows(
    session: SparkSession, tables: Sequence[HeldTable], found: Found
) -> list[TableErasure]:
    """How many rows of the person each table has, as it is now."""

    def counted(held: HeldTable) -> TableErasure:
        rows, _ = _theirs(session, held, found)
        return TableErasure(held.table.step, held.table.path, rows.count())

    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="forget") as pool:
        return list(pool.map(counted, tables))


def erase(
    session: SparkSession,
    tables: Sequence[HeldTable],
    counts: Sequence[TableErasure],
    found: Found,
    forget_id: str,
) -> list[TableErasure]:
    """Erases the rows, a table after the other; what an earlier call has done counts too."""
    done = []
    for held, counted in zip(tables, counts, strict=True):
        log = DeltaLog(session, held.table.path)
        if counted.rows:
            _erase(clone_session(session, {_MARKED_ONLY: "false"}), held, found, forget_id)
        own = _own_commits(log, forget_id)
        if own and log.properties().get(_VECTORS) == "true":
            _purge(clone_session(session, {}), log, held, forget_id)
            own = _own_commits(log, forget_id)
        version = own[0].version if own else None
        done.append(replace(counted, rows=_rows_of(own), version=version))
    return done


def with_earlier(
    session: SparkSession,
    tables: Sequence[HeldTable],
    counts: Sequence[TableErasure],
    forget_id: str,
) -> list[TableErasure]:
    """``counts`` with the rows that an earlier call of the same erasure has taken out."""
    logs = [DeltaLog(session, held.table.path) for held in tables]
    gone = [_rows_of(_own_commits(log, forget_id)) for log in logs]
    return [replace(one, rows=one.rows + more) for one, more in zip(counts, gone, strict=True)]


def renew_marks(
    session: SparkSession,
    store: CheckpointStore,
    tables: Sequence[FlowTable],
    erased: Iterable[str],
) -> None:
    """Lets batches that are begun read the tables as they are now, and not as they were.

    Args:
        session: reads the tables' logs.
        store: the checkpoints of the flow.
        tables: what its steps write.
        erased: ids of the steps whose tables have changed.
    """
    delta = [table for table in tables if table.format == "delta"]
    logs = {table.step: DeltaLog(session, table.path) for table in delta}
    now: dict[str, tuple[int, str]] = {}
    for step in erased:
        version = logs[step].version()
        if version is not None:
            now[step] = (version, logs[step].identity(version))
    versions = {table.path: now[table.step][0] for table in delta if table.step in now}
    batches = {
        str(commit.user_metadata["batch_id"])
        for log in logs.values()
        if log.version() is not None
        for commit in log.commits_back(0, _MOST_COMMITS)
        if commit.user_metadata.get("batch_id")
    }
    for batch_id in sorted(batches):
        record = store.batch(batch_id)
        if record is not None and versions.keys() & record.inputs.keys():
            kept = {path: versions.get(path, was) for path, was in record.inputs.items()}
            store.save_batch(replace(record, inputs=kept))
        for table in tables:
            marker = store.marker(batch_id, table.step)
            if marker is None:
                continue
            renewed = replace(
                marker,
                upstream_versions={
                    one: now[one][0] if one in now else was
                    for one, was in marker.upstream_versions.items()
                },
                read={one: now[one][1] if one in now else was for one, was in marker.read.items()},
            )
            if table.step in now:
                version, identity = now[table.step]
                renewed = replace(renewed, version_after=version, identity=identity)
            if renewed != marker:
                store.save_marker(batch_id, table.step, renewed)


def _own_commits(log: DeltaLog, forget_id: str) -> list[Commit]:
    return [one for one in log.commits_back(0, _MOST_COMMITS)
            if one.user_metadata.get(FORGET_ID) == forget_id]  # fmt: skip


def _rows_of(commits: Iterable[Commit]) -> int:
    return sum(commit.counts.deleted or 0 for commit in commits)


def _erase(session: SparkSession, held: HeldTable, found: Found, forget_id: str) -> None:
    from delta.tables import DeltaTable

    _stamp(session, held, forget_id)
    table = DeltaTable.forPath(session, held.table.path)
    rows = table.toDF()
    known = _known(session, found).alias("__person")
    texts = _texts(held, lambda name: rows.schema[name].dataType)
    merge = table.alias("__table").merge(known, _meant(held, texts, found, "__person."))
    merge.whenMatchedDelete().execute()


def _purge(session: SparkSession, log: DeltaLog, held: HeldTable, forget_id: str) -> None:
    """Writes files anew in which runs have only marked rows as deleted: VACUUM would keep them."""
    _stamp(session, held, forget_id)
    session.sql(f"reorg table {log.sql_name} apply (purge)").collect()


def _stamp(session: SparkSession, held: HeldTable, forget_id: str) -> None:
    said = {FORGET_ID: forget_id, "of": held.table.step}
    session.conf.set(_METADATA, json.dumps(said))


def _theirs(
    session: SparkSession, held: HeldTable, found: Found
) -> tuple[DataFrame, dict[str, Column]]:
    """The rows of the person in a table, and its key columns as texts."""
    rows = session.read.format("delta").load(held.table.path)
    texts = _texts(held, lambda name: rows.schema[name].dataType, "")
    joined = rows.crossJoin(_known(session, found).alias("__person"))
    return joined.where(_meant(held, texts, found, "__person.")), texts


def _texts(
    held: HeldTable, kind: Callable[[str], Any], alias: str = "__table."
) -> dict[str, Column]:
    from pyspark.sql import functions as f

    def column(name: str) -> Column:
        return f.col(alias + quoted_name(name))

    return {name: text_of(column(name), kind(name)) for name in held.columns}


def _meant(held: HeldTable, texts: Mapping[str, Column], found: Found, alias: str) -> Column:
    """Whether a row is the person's, by any of its keys."""
    from pyspark.sql import functions as f

    names = list(found)
    tests = [
        f.coalesce(
            f.array_contains(f.col(f"{alias}__key_{names.index(key)}"), texts[column]), f.lit(False)
        )
        for column, key in held.columns.items()
    ]
    return reduce(or_, tests)


def _known(session: SparkSession, found: Found) -> DataFrame:
    """One row with the values of each key, as an array of texts."""
    from pyspark.sql import functions as f

    texts = {
        f"__key_{number}": json.dumps(sorted(values)).encode()
        for number, values in enumerate(found.values())
    }
    row = hidden_row(session, texts)
    return row.select(
        *(f.from_json(f.col(name).cast("string"), "array<string>").alias(name) for name in texts)
    )
