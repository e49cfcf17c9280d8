"""The difference between two states of a student or school, as changes of rows.

A root is known by its ``Id``: where its key differs, that is a key change, which leaves a row in
``tracked_changes_edfi`` just as a delete does. Other rows are known by their key.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pipelines.sample_ods.rows import COLUMNS
from pipelines.sample_ods.tables import TABLES

if TYPE_CHECKING:
    from pipelines.sample_ods.organizations import Row
    from pipelines.sample_ods.stamps import Stamper

Kind = Literal["delete", "update", "insert"]
_ORDER: Mapping[str, int] = {"delete": 0, "update": 1, "insert": 2}
_ROOTS = frozenset(name for name, table in TABLES.items() if table.is_root)
_PLACE = {name: place for place, name in enumerate(TABLES)}


class Change(NamedTuple):
    """A row that is inserted, updated or deleted.

    Attributes:
        kind: what happens to it.
        table: schema and name of its table.
        key: values of the key before the change, by column; empty for inserts.
        values: new values by column; empty for deletes.
    """

    kind: Kind
    table: str
    key: Mapping[str, Any]
    values: Mapping[str, Any]


def difference(
    old: Iterable[tuple[str, Row]], new: Iterable[tuple[str, Row]], stamper: Stamper
) -> Iterator[Change]:
    """The changes that turn the old rows into the new ones, and what they leave as tracked changes.

    Args:
        old: all rows of one student or school, with their tables; empty for a new one.
        new: the same afterwards; empty for a deleted one.
        stamper: for the tracked changes.
    """
    before, after = _by_identity(old), _by_identity(new)
    old_unique_id, new_unique_id = _unique_id(before), _unique_id(after)
    for identity, row in before.items():
        table = identity[0]
        key = {column: row[column] for column in TABLES[table].key}
        changed = after.get(identity)
        if changed is None:
            yield Change("delete", table, key, {})
        elif values := {name: value for name, value in changed.items() if row[name] != value}:
            yield Change("update", table, key, values)
        if table in _ROOTS:
            new_key = None if changed is None else {column: changed[column] for column in key}
            if new_key != key:
                old_words = _tracked_words(key, old_unique_id)
                new_words = _tracked_words(new_key or {}, new_unique_id)
                yield _tracked(table, row["Id"], old_words, new_words, stamper)
    for identity, row in after.items():
        if identity not in before:
            yield Change("insert", identity[0], {}, row)


def in_order(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Deletes with children first, then updates, then inserts with parents first."""

    def place(change: Change) -> tuple[int, int]:
        table = _PLACE[change.table]
        return _ORDER[change.kind], -table if change.kind == "delete" else table

    return tuple(sorted(changes, key=place))


def _by_identity(rows: Iterable[tuple[str, Row]]) -> dict[tuple[Any, ...], dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for name, row in rows:
        named = dict(zip(COLUMNS[name], row, strict=True))
        columns = ("Id",) if name in _ROOTS else TABLES[name].key
        identity = (name, *(named[column] for column in columns))
        found[identity] = named
    return found


def _unique_id(rows: Mapping[tuple[Any, ...], Mapping[str, Any]]) -> str | None:
    return next((row["StudentUniqueId"] for row in rows.values() if "StudentUniqueId" in row), None)


def _tracked_words(key: Mapping[str, Any], unique_id: str | None) -> Mapping[str, Any]:
    return {**key, "StudentUniqueId": unique_id} if "StudentUSI" in key else key


def _tracked(
    table: str, row_id: str, old: Mapping[str, Any], new: Mapping[str, Any], stamper: Stamper
) -> Change:
    name = f"tracked_changes_{table}"
    words = {f"Old{column}": value for column, value in old.items()}
    words |= {f"New{column}": value for column, value in new.items()}
    words |= {"Id": row_id, "ChangeVersion": stamper.version(), "CreateDate": stamper.moment}
    return Change("insert", name, {}, {column: words.get(column) for column in COLUMNS[name]})
