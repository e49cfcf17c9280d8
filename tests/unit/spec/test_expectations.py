from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.spec.expectations import parse_expectation


@pytest.mark.parametrize(
    ("text", "holds", "fails"),
    [
        ("value = 0", [0, 0.0, -0.0], [1, -1, 0.5]),
        ("value == 3", [3], [2, 4]),
        ("value != 3", [2, 4], [3]),
        ("value <> 3", [2, 4], [3]),
        ("value < 3", [2.99], [3]),
        ("value <= 3", [3], [3.01]),
        ("value > -1", [0], [-1, -2]),
        ("value>=1", [1, 5], [0.99]),
        ("value between 1 and 10", [1, 5, 10], [0.99, 10.01]),
        ("value between -1.5 and .5", [-1.5, 0, 0.5], [-1.6, 0.6]),
        ("value >= 1 and value < 3", [1, 2.9], [0, 3]),
        ("value < 1 or value > 3", [0, 4], [1, 2, 3]),
        ("value = 0 or value between 5 and 6 and value != 5.5", [0, 5, 6], [5.5, 4]),
        ("value between 1 and 3 or value between 7 and 9", [1, 3, 7, 9], [4, 6, 10]),
        ("value between 1 and 9 and value between 5 and 20", [5, 9], [4, 10]),
        ("value = 1 or value = 2 and value = 3", [1], [2, 3]),
        ("value < 1e3", [999], [1000]),
        ("value <= 1_000_000", [1_000_000], [1_000_001]),
        ("  VALUE  >=\n 1  AND value\t< 3 ", [1], [0, 3]),
        ("Value Between 1 And 2", [1, 2], [3]),
    ],
)
def test_expectation_when_written_as_documented_then_judges_so(
    text: str, holds: list[float], fails: list[float]
) -> None:
    expectation = parse_expectation(text)
    assert [value for value in (*holds, *fails) if expectation.holds(value)] == holds


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "value", "value =", "= 0", "0 = value", "value => 1", "value =< 1", "value === 1",
        "value >> 1", "value ! = 1", "value = one", "value = null", "value = nan", "value = inf",
        "values = 1", "count >= 1", "value = 1;", "value = 1 and", "and value = 1",
        "value = 1 and and value = 2", "value = 1 or", "value = 1 xor value = 2",
        "value between 1", "value between 1 and", "value between 1 or 2", "value between 1, 2",
        "not value = 1", "(value = 1)", "value = 1 -- remark", "value in (1, 2)", "value = 1 2",
        "value = 1__0", "value = 1_", "value = 0x10", "value = 1%", "value = --1", "value >= 1,000",
        "1 < value < 3", "__import__('os')", "value = 1 && value = 2",
    ],
)  # fmt: skip
def test_expectation_when_it_cannot_be_read_then_is_refused_with_the_text_and_examples(
    text: str,
) -> None:
    with pytest.raises(ValueError, match="is no expectation") as raised:
        parse_expectation(text)
    assert repr(text) in str(raised.value)
    assert "'value >= 1'" in str(raised.value)


# --- against a model ---------------------------------------------------------------------------

_NUMBERS = st.integers(-(10**6), 10**6) | st.integers(-40, 40).map(lambda number: number / 4)
_OPERATORS = {
    "=": lambda a, b: a == b,
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_SPACE = st.sampled_from([" ", "  ", "\n", "\t "])
_Part = tuple[str, Any, Any]
_PARTS = st.tuples(st.sampled_from(sorted(_OPERATORS)), _NUMBERS, st.none()) | st.tuples(
    st.just("between"), _NUMBERS, _NUMBERS
)
_RULES = st.lists(st.lists(_PARTS, min_size=1, max_size=3), min_size=1, max_size=3)


def _part_holds(part: _Part, value: float) -> bool:
    kind, first, second = part
    return first <= value <= second if kind == "between" else _OPERATORS[kind](value, first)


@settings(deadline=None)
@given(rules=_RULES, values=st.lists(_NUMBERS, min_size=1), data=st.data())
def test_expectation_when_random_then_judges_as_plain_python_does(
    rules: list[list[_Part]], values: list[float], data: st.DataObject
) -> None:
    space = lambda: data.draw(_SPACE)  # noqa: E731

    def written(part: _Part) -> str:
        kind, first, second = part
        if kind == "between":
            return f"value{space()}between{space()}{first}{space()}and{space()}{second}"
        gap = data.draw(st.sampled_from(["", " ", "  "]))
        return f"value{gap}{kind}{gap}{first}"

    text = f"{space()}or{space()}".join(
        f"{space()}and{space()}".join(written(part) for part in rule) for rule in rules
    )
    text = data.draw(st.sampled_from([text, text.upper(), f" {text}\n"]))
    expectation = parse_expectation(text)
    # The limits are where a wrong comparison shows.
    edges = [one for rule in rules for part in rule for one in part[1:] if one is not None]
    for value in (*values, *edges):
        wanted = any(all(_part_holds(part, value) for part in rule) for rule in rules)
        assert expectation.holds(value) is wanted
        assert expectation.holds(float(value)) is wanted


@settings(deadline=None)
@given(
    st.text(max_size=30)
    | st.lists(
        st.sampled_from(["value", "and", "or", "between", "=", ">=", "<", "1", "-2", ".5", "x"]),
        max_size=9,
    ).map(" ".join)
)
def test_expectation_when_the_text_is_random_then_is_read_or_refused_and_then_judges(
    text: str,
) -> None:
    try:
        expectation = parse_expectation(text)
    except ValueError as error:
        assert "is no expectation" in str(error)
    else:
        assert isinstance(expectation.holds(1), bool)
        assert parse_expectation(expectation.text).alternatives == expectation.alternatives


@given(_NUMBERS)
def test_expectation_when_the_value_is_not_a_number_then_only_differs(number: float) -> None:
    for symbol in ("=", "<", "<=", ">", ">="):
        assert not parse_expectation(f"value {symbol} {number}").holds(math.nan)
    assert parse_expectation(f"value != {number}").holds(math.nan)
