"""Compares two states of a table, and reads only the files that are not in both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError, near_names
from pipelines.execution.audits.row_diffs import (
    ColumnPair,
    as_wholes,
    by_keys,
)
from pipelines.execution.audits.table_files import TableFiles
from pipelines.results.table_diff import ColumnDiff, TableDiff
from pipelines.spec.steps import NOT_COMPARED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructField

    from pipelines.execution.audits.shown import Shown

_PHYSICAL = "delta.columnMapping.physicalName"


@dataclass(frozen=True)
class Side:
    """One of the two states.

    Attributes:
        label: for people.
        path: where the table is.
        version: of a Delta table; None for other formats.
        format: of the files.
        options: to read them with.
    """

    label: str
    path: str
    version: int | None
    format: str = "delta"
    options: Mapping[str, Any] = field(default_factory=dict)


def compare(
    session: SparkSession,
    step: str,
    sides: tuple[Side, Side],
    *,
    keys: Sequence[str],
    limit: int,
    shown: Shown,
) -> TableDiff:
    """How the second of ``sides`` differs from the first.

    Rows are matched by ``keys``, nulls among them too; where there are none, or they tell rows
    not apart, rows are compared as wholes, and are added or removed only.

    Args:
        session: to work in.
        step: whose table it is.
        sides: before and after.
        keys: columns that tell rows apart.
        limit: at most so many sample rows of each kind.
        shown: what may be seen of values.

    Raises:
        UsageError: a key is not a column of both.
    """
    frames, files_read, files = _frames(session, sides)
    pairs = _pairs(*frames)
    columns = tuple(_column_diffs(*frames))
    named = [_named(pairs, key) for key in keys]
    masked = tuple(pair.name for pair in pairs if shown.masks(pair.name))
    found = TableDiff(step, sides[0].label, sides[1].label, (), columns, masked=masked,
                      files_read=files_read, files=files)  # fmt: skip
    if files_read == 0:
        return replace(found, keys=tuple(pair.name for pair in named))
    if named and _are_unique(frames, named):
        return by_keys(replace(found, keys=tuple(keys)), frames, pairs, named, limit, shown)
    if named:
        note = f"{', '.join(keys)} do not tell rows apart: they are compared as wholes"
        found = replace(found, notes=(note,))
    return as_wholes(found, frames, pairs, limit, shown)


def _frames(
    session: SparkSession, sides: tuple[Side, Side]
) -> tuple[tuple[DataFrame, DataFrame], int | None, int | None]:
    """The rows of both sides, less those in files that both have; files read, and all files.

    A file is never changed, so what it holds less what is deleted of it is the same in both.
    """
    if any(side.version is None for side in sides):
        one, other = (
            session.read.format(side.format)
            .options(**{key: str(value) for key, value in side.options.items()})
            .load(side.path)
            for side in sides
        )
        return (one, other), None, None
    before, after = (TableFiles(session, side.path) for side in sides)
    old, new = (int(side.version or 0) for side in sides)
    keys_before, keys_after = before.keys(old), after.keys(new)
    shared = keys_before & keys_after
    if not shared or not _read_alike(before.schema(old), after.schema(new)):
        shared = frozenset()
    rows = (
        before.rows(old, keys_before - shared if shared else None),
        after.rows(new, keys_after - shared if shared else None),
    )
    total = len(keys_before | keys_after)
    return rows, total - len(shared), total


def _read_alike(before: Iterable[StructField], after: Iterable[StructField]) -> bool:
    """Whether columns of one name are the same in a file that both have."""
    places = [
        {one.name.lower(): (one.metadata or {}).get(_PHYSICAL, one.name.lower()) for one in fields}
        for fields in (before, after)
    ]
    return all(places[1].get(name, place) == place for name, place in places[0].items())


def _pairs(before: DataFrame, after: DataFrame) -> list[ColumnPair]:
    new = {one.name.lower(): one for one in after.schema}
    return [
        ColumnPair(one.name, one, new[one.name.lower()])
        for one in before.schema
        if one.name.lower() in new and one.name.lower() not in NOT_COMPARED
    ]


def _column_diffs(before: DataFrame, after: DataFrame) -> Iterator[ColumnDiff]:
    old, new = ({one.name.lower(): one for one in frame.schema} for frame in (before, after))
    for name in dict.fromkeys([*old, *new]):
        was, is_now = (
            side[name].dataType.simpleString() if name in side else None for side in (old, new)
        )
        if was != is_now:
            yield ColumnDiff((new.get(name) or old[name]).name, was, is_now)


def _named(pairs: Sequence[ColumnPair], key: str) -> ColumnPair:
    found = next((pair for pair in pairs if pair.name.lower() == key.lower()), None)
    if found is None:
        names = [pair.name for pair in pairs]
        near = near_names(key, names)
        raise UsageError(
            f"key {key!r} is not a column of both",
            hint=f"did you mean {near[0]!r}?" if near else f"both have {', '.join(names)}",
        )
    return found


def _are_unique(frames: tuple[DataFrame, DataFrame], named: Sequence[ColumnPair]) -> bool:
    from pyspark.sql import functions as f

    for side, frame in enumerate(frames):
        keys = [pair.value(side).alias(f"k{number}") for number, pair in enumerate(named)]
        names = [f"k{number}" for number in range(len(keys))]
        twice = frame.select(*keys).groupBy(*names).agg(f.count("*").alias("n")).where("n > 1")
        if twice.limit(1).collect():
            return False
    return True
