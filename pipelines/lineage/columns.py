"""Columns: what a statement gives, and which columns of which tables that comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Column:
    """A column of a table.

    Attributes:
        name: as its maker wrote it; names are compared without case.
        type: in Spark's DDL, such as ``decimal(10,2)`` or ``array<string>``.
        nullable: whether a null may stand in it.
    """

    name: str
    type: str
    nullable: bool = True


@dataclass(frozen=True, order=True)
class ColumnRef:
    """A column of a table or view that a statement reads."""

    table: str
    column: str


@dataclass(frozen=True)
class StatementColumns:
    """Where a statement's columns come from.

    Attributes:
        values: for each column that it gives, the columns that its values are made of.
        rows: the columns by which rows are kept, joined and grouped.
    """

    values: Mapping[str, frozenset[ColumnRef]] = field(default_factory=dict)
    rows: frozenset[ColumnRef] = frozenset()
