from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any
from xml.etree import ElementTree as xml

import pytest

from pipelines import console
from pipelines.console.rows_diff import cell_text, diff_lines
from pipelines.results import CheckSaid, RowsDiff, SqlTestResult, SqlTestStatus

PASSED = SqlTestResult("sums", "tests/sql/a.yaml", 3, "main_flow", "gold.facts.totals",
                       SqlTestStatus.PASSED, 0.42)  # fmt: skip
DIFF = RowsDiff(
    ("id", "name", "amount"), 3, 3,
    missing=((1, "Ada", Decimal("1.10")),),
    unexpected=((2, None, Decimal(7)),),
    changed=(((3, "Eve", Decimal(5)), (3, "Eva", Decimal(5))),),
)  # fmt: skip
FAILED = replace(PASSED, name="wrong", line=9, status=SqlTestStatus.FAILED, diff=DIFF,
                 empty_views=("orders",), description="It matters.")  # fmt: skip
ERROR = replace(PASSED, name="breaks\x1b[31m", file="tests/sql/b.yaml", status=SqlTestStatus.ERROR,
                message="a.sql:1:2: no column 'x'\n    mend <it> & go on")  # fmt: skip
NOT_RUN = replace(PASSED, name="later", status=SqlTestStatus.NOT_RUN, duration_seconds=0.0)
ALL = (PASSED, FAILED, ERROR, NOT_RUN)


def test_text_when_passed_then_one_line() -> None:
    assert console.sql_test_text(PASSED, color=False) == "✓ totals: sums  0.4 s"


def test_text_when_failed_then_an_aligned_table_of_what_differs() -> None:
    assert console.sql_test_text(FAILED, color=False).splitlines() == [
        "✗ totals: wrong  0.4 s",
        "    tests/sql/a.yaml:9",
        "    It matters.",
        "    1 missing (-), 1 unexpected (+), 1 changed (~); 3 rows expected, 3 found",
        "       id  name       amount",
        "    ~  3   Eve → Eva  5",
        "    -  1   Ada        1.10",
        "    +  2   null       7",
        "    empty, since nothing is given: orders",
    ]


def test_text_when_broken_then_the_message_without_control_characters() -> None:
    text = console.sql_test_text(ERROR, color=False)
    assert "\x1b" not in text
    assert "    a.sql:1:2: no column 'x'\n        mend <it> & go on" in text


def test_text_when_in_colour_then_the_words_are_the_same() -> None:
    text = console.sql_test_text(FAILED, color=True)
    assert "\x1b[31m" in text
    assert len(text.splitlines()) == len(console.sql_test_text(FAILED, color=False).splitlines())


def test_text_when_a_check_says_otherwise_then_what_it_found() -> None:
    said = CheckSaid("dq/a.sql", "passes", "1 offending rows, expected value = 0", ({"id": 1},))
    text = console.sql_test_text(replace(FAILED, diff=None, checks=(said,)), color=False)
    assert "dq/a.sql must pass, and does not: 1 offending rows, expected value = 0" in text
    assert "      id=1" in text
    said = CheckSaid("dq/a.sql", "fails", "0, expected value = 0")
    text = console.sql_test_text(replace(FAILED, diff=None, checks=(said,)), color=False)
    assert "dq/a.sql must fail, and passes: 0, expected value = 0" in text


def test_diff_when_wider_than_the_line_then_columns_go_on_below() -> None:
    columns = tuple(f"column_{n}" for n in range(8))
    diff = RowsDiff(columns, 1, 0, missing=(tuple("x" * 18 for _ in columns),))
    lines = diff_lines(diff, width=60)
    assert max(map(len, lines)) <= 60
    assert sum(line.startswith("-") for line in lines) == 4
    assert all(any(name in line for line in lines) for name in columns)


def test_diff_when_of_many_rows_then_cut_with_the_number_of_the_rest() -> None:
    diff = RowsDiff(("id",), 0, 50, unexpected=tuple((n,) for n in range(50)))
    lines = diff_lines(diff)
    assert lines[0] == "50 unexpected (+); 0 rows expected, 50 found"
    assert lines[-1] == "… and 30 rows more"


def test_diff_when_only_the_order_is_wrong_then_positions_are_told() -> None:
    diff = RowsDiff(("id",), 2, 2, moved=((1, (7,), (8,)), (2, (8,), (7,))))
    head, *lines = diff_lines(diff)
    assert head.startswith("the rows are right, their order is not: 2 elsewhere")
    assert lines == ["    id", "-1  7", "+1  8", "-2  8", "+2  7"]


def test_diff_when_texts_differ_only_beyond_what_is_shown_then_said_so() -> None:
    long = "x" * 100
    lines = diff_lines(RowsDiff(("id", "t"), 1, 1, changed=(((1, long + "a"), (1, long + "b")),)))
    assert "(differs further on)" in lines[-1]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"), ("null", "'null'"), ("", "''"), (" a ", "' a '"), ("a\nb", "a b"),
        (True, "true"), (Decimal("1.10"), "1.10"), ([1, None], "[1, null]"),
        ({"a": Decimal("0.5")}, '{"a": 0.5}'),
    ],
)  # fmt: skip
def test_cell_when_shown_then_null_and_text_are_told_apart(value: Any, text: str) -> None:
    assert cell_text(value) == text


def test_summary_counts_each_kind() -> None:
    assert (
        console.sql_tests_summary(ALL, 14.2) == "1 passed, 1 failed, 1 broken, 1 not run in 14.2 s"
    )


def test_json_has_every_test_with_its_difference() -> None:
    said = json.loads(console.sql_tests_report(ALL, 14.2, "json"))
    assert said["counts"] == {"passed": 1, "failed": 1, "error": 1, "not_run": 1}
    assert [test["status"] for test in said["tests"]] == ["passed", "failed", "error", "not_run"]
    diff = said["tests"][1]["diff"]
    assert diff["missing"] == [{"id": 1, "name": "Ada", "amount": 1.1}]
    assert diff["changed"][0]["found"] == {"id": 3, "name": "Eva", "amount": 5.0}


def test_junit_has_a_suite_a_file_and_what_went_wrong() -> None:
    root = xml.fromstring(console.sql_tests_report(ALL, 14.2, "junit"))
    assert [(s.get("name"), s.get("tests"), s.get("failures"), s.get("errors"), s.get("skipped"))
            for s in root] == [("tests/sql/a.yaml", "3", "1", "0", "1"),
                               ("tests/sql/b.yaml", "1", "0", "1", "0")]  # fmt: skip
    passed, failed, skipped = root[0]
    assert (passed.get("classname"), passed.get("name"), passed.get("time")) == (
        "gold.facts.totals", "sums", "0.420")  # fmt: skip
    assert len(passed) == 0
    assert (failed[0].get("message") or "").startswith("1 missing (-)")
    assert "It matters." in (failed[0].text or "")
    assert "Eve → Eva" in (failed[0].text or "")
    assert skipped[0].tag == "skipped"
    assert "mend <it> & go on" in (root[1][0][0].text or "")


def test_report_when_of_an_unknown_format_then_refused() -> None:
    with pytest.raises(ValueError, match="none of json, junit"):
        console.sql_tests_report(ALL, 1.0, "html")
