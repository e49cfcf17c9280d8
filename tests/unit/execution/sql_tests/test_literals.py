from __future__ import annotations

from typing import Any

import pytest

from pipelines.execution.sql_tests.literals import literal_of

INTS = {"type": "array", "elementType": "integer", "containsNull": True}
POINT = {
    "type": "struct",
    "fields": [{"name": "x", "type": "integer"}, {"name": "Label", "type": "string"}],
}
BY_DAY = {"type": "map", "keyType": "date", "valueType": INTS}


@pytest.mark.parametrize(
    ("value", "kind", "literal"),
    [
        (None, "long", "null"),
        (5, "long", "cast('5' as bigint)"),
        ("12345678901234567", "long", "cast('12345678901234567' as bigint)"),
        ("it's \\ so", "string", r"'it\'s \\ so'"),
        (604822, "string", "'604822'"),
        (" S1 ", "varchar(10)", "' S1 '"),
        (True, "boolean", "true"),
        (0.1, "double", "cast('0.1' as double)"),
        (".nan", "double", "cast('nan' as double)"),
        (1.5, "decimal(5,2)", "cast('1.5' as decimal(5,2))"),
        ("1.500", "decimal(5,2)", "cast('1.500' as decimal(5,2))"),
        ("2026-02-28", "date", "date '2026-02-28'"),
        ("2026-02-28", "timestamp", "cast('2026-02-28' as timestamp)"),
        ("2026-02-28T10:00:00.5Z", "timestamp", "cast('2026-02-28T10:00:00.5Z' as timestamp)"),
        ("00FF", "binary", "X'00FF'"),
        ([1, None], INTS, "array(cast('1' as int), null)"),
        ([], INTS, "array()"),
        ({"X": 1}, POINT, "named_struct('x', cast('1' as int), 'Label', null)"),
        ({"2026-01-01": [1]}, BY_DAY, "map(date '2026-01-01', array(cast('1' as int)))"),
    ],
)
def test_value_when_it_fits_its_column_then_a_literal(value: Any, kind: Any, literal: str) -> None:
    assert literal_of(value, kind) == literal


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        ("abc", "integer", "expected a whole number, found 'abc'"),
        (1.5, "integer", "expected a whole number, found 1.5"),
        (True, "integer", "expected a whole number, found True"),
        (300, "byte", "300 does not fit into tinyint"),
        (1.5, "string", "expected text, found 1.5; put it in quotes"),
        (True, "string", "expected text, found true; put it in quotes"),
        ("yes", "boolean", "expected true or false, found 'yes'"),
        (1, "boolean", "expected true or false, found 1"),
        ("x", "double", "expected a number, found 'x'"),
        ("nan", "decimal(5,2)", "expected a number, found 'nan'"),
        (1.234, "decimal(5,2)", "1.234 has more than 2 digits behind the point"),
        (1234, "decimal(5,2)", "1234 does not fit into decimal(5,2)"),
        ("2026-02-30", "date", "expected a day as YYYY-MM-DD, found '2026-02-30'"),
        (20260228, "date", "expected a day as YYYY-MM-DD, found 20260228"),
        ("2026-02-30 10:00:00", "timestamp", "expected a time as YYYY-MM-DD HH:MM:SS"),
        ("2026-02-28 25:00:00", "timestamp", "expected a time as YYYY-MM-DD HH:MM:SS"),
        ("2026-02-28' or 1", "timestamp", "expected a time"),
        ("2026-02-28 10:00:00Z", "timestamp_ntz", "timestamp_ntz has no time zone"),
        ("xyz", "binary", "expected bytes as hexadecimal digits, found 'xyz'"),
        (5, INTS, "expected a list, found 5"),
        ([["a"]], INTS, "expected a whole number"),
        ([1], POINT, "expected a mapping of keys to values"),
        ({"lable": "a"}, POINT, "the struct has no field 'lable'; did you mean 'Label'?"),
        ("1", "interval day to second", "cannot be written in a test"),
    ],
)
def test_value_when_it_does_not_fit_then_what_would(value: Any, kind: Any, message: str) -> None:
    with pytest.raises(ValueError) as raised:
        literal_of(value, kind)
    assert message in str(raised.value)


def test_text_of_csv_when_its_column_is_no_text_then_read_as_its_type() -> None:
    assert literal_of("true", "boolean", is_text=True) == "true"
    assert literal_of("7", "integer", is_text=True) == "cast('7' as int)"
    assert literal_of("[1, 2]", INTS, is_text=True).startswith("array(cast('1' as int)")
    assert literal_of("[1, 2]", "string", is_text=True) == "'[1, 2]'"
