"""Rows of two states of a table against each other: by keys, or as bags of whole rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Any

from pipelines.results.table_diff import RowDiff
from pipelines.utils.sql_loader import quoted_name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import StructField

    from pipelines.execution.audits.shown import Shown
    from pipelines.results.table_diff import TableDiff

_NUMBERS = ("byte", "short", "integer", "long", "decimal", "float", "double")
_NOT_COMPARABLE = ("map<", "variant")
_KINDS = ("changed", "added", "removed")


@dataclass(frozen=True)
class ColumnPair:
    """A column that both states have."""

    name: str
    before: StructField
    after: StructField

    def value(self, side: int) -> Column:
        """The column of one side, as what can be compared with that of the other."""
        from pyspark.sql import functions as f

        one = (self.before, self.after)[side]
        column = f.col(quoted_name(one.name))
        kinds = self.before.dataType, self.after.dataType
        if any(word in kind.simpleString() for kind in kinds for word in _NOT_COMPARABLE):
            return f.to_json(f.struct(column))
        if kinds[0] != kinds[1] and not all(kind.typeName() in _NUMBERS for kind in kinds):
            return column.cast("string")
        return column


def by_keys(
    found: TableDiff,
    frames: tuple[DataFrame, DataFrame],
    pairs: Sequence[ColumnPair],
    named: Sequence[ColumnPair],
    limit: int,
    shown: Shown,
) -> TableDiff:
    """By one full outer join of the rows that may differ."""
    from pyspark.sql import functions as f

    others = [pair for pair in pairs if pair not in named]
    old, new = (
        frame.select(
            *(pair.value(side).alias(f"{mark}k{number}") for number, pair in enumerate(named)),
            *(pair.value(side).alias(f"{mark}v{number}") for number, pair in enumerate(others)),
            f.lit(True).alias(f"{mark}is_there"),
        )
        for side, (mark, frame) in enumerate(zip("lr", frames, strict=True))
    )
    match = reduce(and_, (old[f"lk{n}"].eqNullSafe(new[f"rk{n}"]) for n in range(len(named))))
    differs = [~f.col(f"lv{n}").eqNullSafe(f.col(f"rv{n}")) for n in range(len(others))]
    kind = (
        f.when(f.col("lis_there").isNull(), "added")
        .when(f.col("ris_there").isNull(), "removed")
        .when(reduce(or_, differs, f.lit(False)), "changed")
    )
    rows = old.join(new, match, "full_outer").withColumn("kind", kind).where("kind is not null")
    rows = rows.persist()
    try:
        changed = f.col("kind") == "changed"
        counts = rows.agg(
            *(f.count_if(f.col("kind") == one).alias(one) for one in _KINDS),
            *(f.count_if(changed & test).alias(f"n{n}") for n, test in enumerate(differs)),
        ).collect()[0]
        samples = [
            _keyed_sample(row.asDict(), named, others, shown)
            for one in _KINDS
            if counts[one]
            for row in _first(rows.where(f.col("kind") == one), limit, "lk" if one != "added"
                              else "rk", len(named)).collect()
        ]  # fmt: skip
    finally:
        rows.unpersist()
    by_column = {pair.name: int(counts[f"n{n}"]) for n, pair in enumerate(others)}
    return replace(
        found,
        added=int(counts["added"]),
        removed=int(counts["removed"]),
        changed=int(counts["changed"]),
        changed_columns={name: count for name, count in by_column.items() if count},
        samples=tuple(samples),
    )


def as_wholes(
    found: TableDiff,
    frames: tuple[DataFrame, DataFrame],
    pairs: Sequence[ColumnPair],
    limit: int,
    shown: Shown,
) -> TableDiff:
    """As bags of rows: how often each is there more or less than before."""
    from pyspark.sql import functions as f

    names = [f"v{number}" for number in range(len(pairs))]
    old, new = (
        frame.select(
            *(pair.value(side).alias(name) for name, pair in zip(names, pairs, strict=True)),
            f.lit(2 * side - 1).alias("n"),
        )
        for side, frame in enumerate(frames)
    )
    rows = old.unionByName(new).groupBy(*names).agg(f.sum("n").alias("n")).where("n <> 0").persist()
    try:
        added, removed = rows.selectExpr(
            "coalesce(sum(n) filter (where n > 0), 0)", "coalesce(-sum(n) filter (where n < 0), 0)"
        ).collect()[0]
        samples = [
            _whole_sample(row.asDict(), kind, pairs, shown)
            for kind, count, test in (("added", added, "n > 0"), ("removed", removed, "n < 0"))
            if count
            for row in _first(rows.where(test), limit, "v", len(pairs)).collect()
        ]
    finally:
        rows.unpersist()
    return replace(found, added=int(added), removed=int(removed), samples=tuple(samples))


def _first(rows: DataFrame, limit: int, prefix: str, count: int) -> DataFrame:
    """The first rows by their keys, so that samples are the same each time."""
    return rows.orderBy(*(f"{prefix}{number}" for number in range(count))).limit(limit)


def _keyed_sample(
    row: Mapping[str, Any], named: Sequence[ColumnPair], others: Sequence[ColumnPair], shown: Shown
) -> RowDiff:
    kind, mark = row["kind"], "r" if row["kind"] == "added" else "l"
    keys = {p.name: shown.value(p.name, row[f"{mark}k{n}"]) for n, p in enumerate(named)}
    cells = {}
    for number, pair in enumerate(others):
        was, is_now = row[f"lv{number}"], row[f"rv{number}"]
        if kind != "changed" or not _is_same(was, is_now):
            cells[pair.name] = shown.value(pair.name, was), shown.value(pair.name, is_now)
    return RowDiff(kind, keys, cells)


def _whole_sample(
    row: Mapping[str, Any], kind: str, pairs: Sequence[ColumnPair], shown: Shown
) -> RowDiff:
    values = {pair.name: shown.value(pair.name, row[f"v{n}"]) for n, pair in enumerate(pairs)}
    cells = {name: (None, v) if kind == "added" else (v, None) for name, v in values.items()}
    return RowDiff(kind, {}, cells, abs(int(row["n"])))


def _is_same(one: Any, other: Any) -> bool:
    """As SQL's `<=>`: NaN is NaN."""
    return bool(one == other or (one != one and other != other))  # noqa: PLR0124
