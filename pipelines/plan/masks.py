"""Masks of a step's columns: what they make of a column, without Spark."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.lineage.columns import Column
    from pipelines.spec.steps import ColumnContract

_WITH_A_YEAR = ("date", "timestamp")


def masked_columns(
    columns: Sequence[Column], promised: Sequence[ColumnContract]
) -> tuple[Column, ...]:
    """``columns`` as they are once the masks of ``promised`` have been applied."""
    masks = {one.name.lower(): one.mask for one in promised}
    return tuple(_masked(column, masks.get(column.name.lower())) for column in columns)


def unfit_masks(
    columns: Sequence[Column], promised: Sequence[ColumnContract]
) -> Iterator[tuple[int, str]]:
    """The masks that cannot be applied: the number of the promise, and what is wrong."""
    by_name = {column.name.lower(): column for column in columns}
    for number, one in enumerate(promised):
        column = by_name.get(one.name.lower())
        if column is None or one.mask != "year":
            continue  # one that is missing is a broken promise, which is told elsewhere
        if not column.type.startswith(_WITH_A_YEAR):
            yield number, f"mask 'year' needs a date or a timestamp, {one.name} is {column.type}"


def _masked(column: Column, mask: str | None) -> Column:
    if mask is None:
        return column
    if mask == "null":
        return replace(column, nullable=True)
    if mask == "year":
        return replace(column, type="int")
    return replace(column, type="string", nullable=column.nullable and mask != "redact")
