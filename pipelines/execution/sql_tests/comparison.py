"""Two lists of rows compared: what is missing, what nobody expected, and which cells changed."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Context, Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.results import RowsDiff

if TYPE_CHECKING:
    from pipelines.results.sql_tests import Row

_MOST_PAIRED = 200
"""So many rows left on either side are looked at for changed ones, which takes their product."""
_EXACT = Context(prec=100)
"""More digits than any of Spark's numbers has; Python's own context would round at 28."""


def compare_rows(
    columns: Sequence[str],
    expected: Sequence[Row],
    found: Sequence[Row],
    *,
    ordered: bool = False,
    tolerance: float = 0.0,
) -> RowsDiff | None:
    """How ``found`` differs from ``expected``; None where it does not.

    Rows are compared as multisets: each counts as often as it stands there. A null equals a
    null. Numbers with a fraction (`Decimal`) are equal where they lie within ``tolerance`` of
    each other, as they are or as a part of the larger one.

    Args:
        columns: what the values of a row are.
        expected: the rows that should be there.
        found: the rows that are there.
        ordered: whether the order counts too.
        tolerance: for numbers with a fraction.
    """
    missing, unexpected = _without_same(expected, found)
    if tolerance:
        missing, unexpected = _without_close(missing, unexpected, tolerance)
    whole = RowsDiff(tuple(columns), len(expected), len(found))
    if missing or unexpected:
        missing, unexpected, changed = _paired(missing, unexpected, tolerance)
        return RowsDiff(
            whole.columns, whole.expected, whole.found,
            tuple(missing), tuple(unexpected), tuple(changed),
        )  # fmt: skip
    moved = [
        (position, one, other)
        for position, (one, other) in enumerate(zip(expected, found, strict=True), start=1)
        if not same(one, other, tolerance)
    ]
    if ordered and moved:
        return RowsDiff(whole.columns, whole.expected, whole.found, moved=tuple(moved))
    return None


def same(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    """Whether two values, or two rows, are equal within ``tolerance``."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(
            same(a, b, tolerance) for a, b in zip(one, other, strict=True)
        )
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(
            same(value, other[key], tolerance) for key, value in one.items()
        )
    if isinstance(one, Decimal) or isinstance(other, Decimal):
        return _is_number(one) and _is_number(other) and _is_close(one, other, tolerance)
    return type(one) is type(other) and bool(one == other)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_close(one: int | Decimal, other: int | Decimal, tolerance: float) -> bool:
    a, b, limit = Decimal(one), Decimal(other), Decimal(repr(tolerance))
    larger = max(_EXACT.abs(a), _EXACT.abs(b))
    return _EXACT.abs(_EXACT.subtract(a, b)) <= max(limit, _EXACT.multiply(limit, larger))


def _without_same(expected: Iterable[Row], found: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """What is left of both once rows that are exactly the same are taken out, one for one."""
    there = Counter(_key(row) for row in found)
    missing = []
    taken: Counter[str] = Counter()
    for row in expected:
        key = _key(row)
        if taken[key] < there[key]:
            taken[key] += 1
        else:
            missing.append(row)
    unexpected = []
    for row in found:
        key = _key(row)
        if taken[key]:
            taken[key] -= 1
        else:
            unexpected.append(row)
    return missing, unexpected


def _without_close(
    missing: Sequence[Row], unexpected: Sequence[Row], tolerance: float
) -> tuple[list[Row], list[Row]]:
    """What is left of both once rows that are the same within ``tolerance`` are taken out.

    Only rows whose other cells are the same are laid beside each other, so that it takes no
    product of all rows.
    """
    groups: dict[str, list[int]] = defaultdict(list)
    for number in sorted(range(len(unexpected)), key=lambda n: _numbers(unexpected[n])):
        groups[_key(unexpected[number], with_numbers=False)].append(number)
    left: set[int] = set()
    gone: set[int] = set()
    for number in sorted(range(len(missing)), key=lambda n: _numbers(missing[n])):
        row = missing[number]
        group = groups[_key(row, with_numbers=False)]
        fit = next((n for n in group if same(row, unexpected[n], tolerance)), None)
        if fit is None:
            left.add(number)
        else:
            group.remove(fit)
            gone.add(fit)
    return (
        [row for number, row in enumerate(missing) if number in left],
        [row for number, row in enumerate(unexpected) if number not in gone],
    )


def _numbers(row: Row) -> list[Decimal]:
    """The numbers with a fraction in a row, those in lists and mappings left out."""
    return [value for value in row if isinstance(value, Decimal)]


def _key(row: Row, *, with_numbers: bool = True) -> str:
    """A text that two rows share where they are the same; 1.10 is 1.1."""

    def number(value: Decimal) -> list[str]:
        return ["number", str(_EXACT.normalize(value)) if with_numbers else ""]

    return json.dumps(row, sort_keys=True, default=number)


def _paired(
    missing: Sequence[Row], unexpected: Sequence[Row], tolerance: float
) -> tuple[list[Row], list[Row], list[tuple[Row, Row]]]:
    """What is left of both, and the pairs of rows that are the same but for some cells.

    At least half of the cells are the same, and the best pairs of all come first.
    """
    if max(len(missing), len(unexpected)) > _MOST_PAIRED:
        return list(missing), list(unexpected), []
    fits = sorted(
        (-equal, left, right)
        for left, one in enumerate(missing)
        for right, other in enumerate(unexpected)
        if 2 * (equal := sum(map(partial(same, tolerance=tolerance), one, other))) >= len(one) > 1
    )
    pairs: dict[int, int] = {}
    taken: set[int] = set()
    for _, left, right in fits:
        if left not in pairs and right not in taken:
            pairs[left] = right
            taken.add(right)
    return (
        [row for number, row in enumerate(missing) if number not in pairs],
        [row for number, row in enumerate(unexpected) if number not in taken],
        [(missing[left], unexpected[right]) for left, right in sorted(pairs.items())],
    )
