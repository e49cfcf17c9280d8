from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pipelines.execution.sql_tests.comparison import compare_rows

NAMES = ("id", "name", "city")
ADA, BOB, EVE = (1, "Ada", "Rome"), (2, "Bob", "Oslo"), (3, "Eve", None)


def compare(expected: list[Any], found: list[Any], **more: Any) -> Any:
    return compare_rows(NAMES[: len((expected or found)[0])], expected, found, **more)


def test_rows_when_in_another_order_then_the_same() -> None:
    assert compare([ADA, BOB, EVE], [EVE, ADA, BOB]) is None


def test_rows_when_a_null_meets_a_null_then_the_same() -> None:
    assert compare([(None, None)], [(None, None)]) is None


def test_rows_when_one_stands_there_once_more_then_it_is_unexpected() -> None:
    diff = compare([ADA, BOB], [ADA, BOB, ADA])
    assert (diff.missing, diff.unexpected, diff.changed) == ((), (ADA,), ())
    assert (diff.expected, diff.found) == (2, 3)


def test_rows_when_one_stands_there_once_less_then_it_is_missing() -> None:
    diff = compare([ADA, ADA], [ADA])
    assert (diff.missing, diff.unexpected) == ((ADA,), ())


def test_rows_when_a_cell_differs_then_the_pair_is_changed() -> None:
    diff = compare([ADA, BOB], [(2, "Bob", "Bergen"), ADA])
    assert diff.changed == ((BOB, (2, "Bob", "Bergen")),)
    assert (diff.missing, diff.unexpected) == ((), ())


def test_rows_when_most_cells_differ_then_one_is_missing_and_one_unexpected() -> None:
    diff = compare([ADA], [(9, "Zoe", "Rome")])
    assert (diff.missing, diff.unexpected, diff.changed) == ((ADA,), ((9, "Zoe", "Rome"),), ())


def test_rows_when_several_are_alike_then_the_most_alike_are_a_pair() -> None:
    near, nearer = (1, "Ada", "Bonn"), (1, "Ada", "Bonn", 7)
    expected = (1, "Ada", "Rome", 7)
    found = [(1, "Ada", "Bonn", 8), nearer]
    diff = compare_rows(("a", "b", "c", "d"), [expected], found)
    assert diff is not None
    assert diff.changed == ((expected, nearer),)
    assert diff.unexpected == ((*near, 8),)


def test_order_when_it_counts_then_what_stands_elsewhere_is_told() -> None:
    diff = compare([ADA, BOB, EVE], [ADA, EVE, BOB], ordered=True)
    assert diff.moved == ((2, BOB, EVE), (3, EVE, BOB))
    assert compare([ADA, BOB], [ADA, BOB], ordered=True) is None


@pytest.mark.parametrize(
    ("one", "other", "tolerance", "is_same"),
    [
        ("0.1", "0.1000000001", 1e-9, True),
        ("0.1", "0.10001", 1e-9, False),
        ("0.1", "0.10001", 1e-4, True),
        ("1E+20", "100000000000000000001", 1e-9, True),
        ("1.10", "1.1", 0, True),
        ("1.1", "1.10000000001", 0, False),
        (f"{10**28}.00000001", f"{10**28}.00000002", 0, False),
    ],
)  # fmt: skip
def test_numbers_when_near_each_other_then_tolerance_decides(
    one: str, other: str, tolerance: float, is_same: bool
) -> None:
    rows = [("x", Decimal(one))], [("x", Decimal(other))]
    assert (compare(*rows, tolerance=tolerance) is None) is is_same


def test_whole_numbers_when_tolerance_is_wide_then_still_exact() -> None:
    assert compare([("x", 100)], [("x", 101)], tolerance=0.5) is not None


def test_numbers_when_nested_then_tolerance_holds_within() -> None:
    one, other = ({"a": [Decimal("0.3")]},), ({"a": [Decimal("0.30000000000000004")]},)
    assert compare([one], [other], tolerance=1e-9) is None
    assert compare([one], [other]) is not None


def test_numbers_when_many_rows_are_near_then_all_are_matched() -> None:
    expected = [(f"k{n % 7}", Decimal(n)) for n in range(1_000)]
    found = [(key, number + Decimal("1E-10")) for key, number in reversed(expected)]
    assert compare(expected, found, tolerance=1e-9) is None
    diff = compare(expected, [*found[:-1], ("k0", Decimal(5_000))], tolerance=1e-9)
    assert diff.changed == ((expected[0], ("k0", Decimal(5_000))),)


@pytest.mark.parametrize(
    ("one", "other"), [(True, 1), ("1", 1), (None, "null"), (None, ""), ([], {}), ([1], [1, 1])]
)
def test_values_when_of_different_kinds_then_not_the_same(one: object, other: object) -> None:
    assert compare([("x", one)], [("x", other)]) is not None


def test_the_same_row_object_when_it_stands_twice_then_each_counts() -> None:
    near = ("x", Decimal("1.0000000001"))
    row = ("x", Decimal(1))
    diff = compare([row, row], [near], tolerance=1e-9)
    assert (diff.missing, diff.unexpected) == ((row,), ())
