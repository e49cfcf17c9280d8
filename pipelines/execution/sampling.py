"""Which rows of the raw sources a run takes: all, none, or those of the sampled keys."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pipelines.errors import UsageError
from pipelines.utils.sql_loader import quoted_name

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame
    from pyspark.sql.types import DataType

Take: TypeAlias = "Callable[[DataFrame], DataFrame]"
"""The rows that are taken of a raw source."""

MOST_LISTED = 1_000
"""Up to so many keys the database is asked for exactly these."""
_DIGITS = 16
_WHOLE = re.compile(r"-?(0|[1-9]\d*)")
_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}


@dataclass(frozen=True)
class KeySample:
    """Which values of a key column are in the sample.

    A value's place is its hash: the first hexadecimal digits of the SHA-256 of its text, which
    is the same for a number of any type. So every table, run and machine takes the same.

    Attributes:
        name: the column; its case does not matter.
        last: the highest hash that is in.
        values: the texts of all values that are in, where they are few.
    """

    name: str
    last: str
    values: tuple[str, ...] | None = None

    def column_of(self, frame: DataFrame) -> str | None:
        """The key's column in ``frame``; None where it has none."""
        return next((one for one in frame.columns if one.lower() == self.name.lower()), None)

    def condition(self, column: Column, kind: DataType) -> Column:
        """Whether a row is in; a form that a database can answer, where there is one."""
        if self.values is None:
            return hash_of(text_of(column, kind)) <= self.last
        if kind.typeName() in _BITS or getattr(kind, "scale", None) == 0:
            from pyspark.sql.functions import lit

            numbers = [int(value) for value in self.values if _WHOLE.fullmatch(value)]
            return column.isin([lit(one).cast(kind) for one in numbers if _fits(one, kind)])
        return text_of(column, kind).isin(list(self.values))


@dataclass(frozen=True)
class Sample:
    """The rows of the sampled keys; of a source with none of them, all rows."""

    keys: tuple[KeySample, ...]

    def __call__(self, frame: DataFrame) -> DataFrame:
        """The rows of ``frame`` that are in, by the first of the keys that it has."""
        for key in self.keys:
            column = key.column_of(frame)
            if column is not None:
                return frame.where(
                    key.condition(frame[quoted_name(column)], frame.schema[column].dataType)
                )
        return frame


def take_all(frame: DataFrame) -> DataFrame:
    """All rows of ``frame``."""
    return frame


def take_none(frame: DataFrame) -> DataFrame:
    """No row of ``frame``, but its columns; Spark does not even ask a database then."""
    return frame.limit(0)


def choose_sample(
    size: int | float, names: Sequence[str], sources: Callable[[], Iterable[DataFrame]]
) -> Sample:
    """The sample of ``size``: the same keys every time, as long as the first source is the same.

    Args:
        size: an int is so many distinct keys, a float such a part of them.
        names: the key columns; each makes a sample of its own.
        sources: the raw sources, whole; the first one that has a key tells its values.

    Raises:
        UsageError: none of the sources has one of the keys.
    """
    if isinstance(size, float):
        last = f"{max(int(size * 16**_DIGITS) - 1, 0):0{_DIGITS}x}"
        return Sample(tuple(KeySample(name, last) for name in names))
    return Sample(tuple(_first_keys(size, name, sources()) for name in names))


def text_of(column: Column, kind: DataType) -> Column:
    """A key as a text that does not tell its type: 12, 12.0, '12' and ' 12 ' are one key."""
    from pyspark.sql import functions as F

    name = kind.typeName()
    if name in ("double", "float"):
        column, name = column.try_cast("decimal(38,10)"), "decimal"
    text = column.cast("string")
    if name == "decimal":
        # Zeros behind the point go, and the point where nothing is left behind it.
        return F.regexp_replace(text, r"\.0*$|(\.\d*[1-9])0+$", "$1")
    return F.trim(text)


def hash_of(text: Column) -> Column:
    """A text's place in the order of hashes."""
    from pyspark.sql import functions as F

    return F.substring(F.sha2(text, 256), 1, _DIGITS)


def _first_keys(size: int, name: str, sources: Iterable[DataFrame]) -> KeySample:
    """The ``size`` keys of the lowest hashes in the first source that has the column ``name``."""
    from pyspark.sql import functions as F

    for frame in sources:
        column = KeySample(name, "").column_of(frame)
        if column is None:
            continue
        text = text_of(frame[quoted_name(column)], frame.schema[column].dataType)
        keys = frame.select(text.alias("text")).where("text is not null").distinct()
        keys = keys.withColumn("hash", hash_of(F.col("text"))).orderBy("hash").limit(size)
        if size > MOST_LISTED:
            last = keys.agg(F.max("hash")).collect()[0][0]
            return KeySample(name, last or "")
        rows = keys.collect()
        last = rows[-1]["hash"] if rows else ""
        return KeySample(name, last, tuple(row["text"] for row in rows))
    raise UsageError(
        f"no source of the flow has the sampling key {name!r}",
        hint="look at sample.keys; what only scripts read is sampled by a fraction: --sample 0.01",
    )


def _fits(number: int, kind: DataType) -> bool:
    bits: int | None = _BITS.get(kind.typeName())
    if bits is not None:
        most: int = 2 ** (bits - 1)
        return -most <= number < most
    precision: int = getattr(kind, "precision", 0)
    return len(str(abs(number))) <= precision
