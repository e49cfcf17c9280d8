from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.spec.check_file import HEADERS, read_check_header

FULL = """\
-- expect: value >= 1
-- severity: warn
-- description: at least one row: else the load was empty
-- owner: data-office
-- returns: value
-- show: school_id, year ,,
-- scope: Student_HK, day
select count(*) from students
"""


def _told(text: str) -> list[tuple[str, int]]:
    _, findings = read_check_header(text, "dq/check.sql")
    assert all(one.file == "dq/check.sql" and one.column == 1 for one in findings)
    return [(one.code, one.line) for one in findings]


def test_header_when_all_is_said_then_all_is_read() -> None:
    header, findings = read_check_header(FULL, "dq/check.sql")
    assert findings == []
    assert header.values["expect"] == "value >= 1"
    assert header.values["severity"] == "warn"
    assert header.values["description"] == "at least one row: else the load was empty"
    assert header.values["owner"] == "data-office"
    assert header.values["returns"] == "value"
    assert header.show == ("school_id", "year")
    assert header.scope == ("student_hk", "day")


@pytest.mark.parametrize(
    "text",
    ["--expect:value >= 1\n", "  --  EXPECT :   value >= 1   \n", "\n\n-- Expect: value >= 1\r\n"],
)
def test_header_when_spaced_or_cased_otherwise_then_is_the_same(text: str) -> None:
    header, findings = read_check_header(f"{text}select 1", "dq/check.sql")
    assert (dict(header.values), findings) == ({"expect": "value >= 1"}, [])


@pytest.mark.parametrize(
    "text",
    [
        "select 1\n-- severity: nobody\n",
        "select 1 -- severity: nobody\n",
        "/* about */\n-- severity: nobody\nselect 1\n",
        "-- the rows of a year\n-- which are many\nselect 1\n",
        "--\n-- ---\nselect 1\n",
        "",
    ],
)
def test_comment_when_below_the_statement_or_plain_then_is_no_header(text: str) -> None:
    header, findings = read_check_header(text, "dq/check.sql")
    assert (dict(header.values), header.show, findings) == ({}, (), [])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("-- severty: warn\n", [("unknown-header", 1)]),
        ("-- plain words\n\n-- severity: warning\n", [("bad-header", 3)]),
        ("-- severity: WARN\n", [("bad-header", 1)]),
        ("-- severity:\n", [("bad-header", 1)]),
        ("-- returns: number\n", [("bad-header", 1)]),
        ("-- expect: at least one\n", [("bad-header", 1)]),
        ("-- expect:\n", [("bad-header", 1)]),
        ("-- warn_at: many\n-- error_at: 5\n", [("bad-header", 1)]),
        ("-- owner: a\n-- Owner: b\n-- owner: c\n",
         [("duplicate-header", 2), ("duplicate-header", 3)]),
        (
            "-- expects: value = 1\n-- severity: bad\n-- owner: a\n-- owner: b\n-- warn_at: x\n",
            [("unknown-header", 1), ("bad-header", 2), ("duplicate-header", 4), ("bad-header", 5)],
        ),
    ],
)  # fmt: skip
def test_header_when_wrong_then_each_fault_is_told_with_its_line(
    text: str, told: list[tuple[str, int]]
) -> None:
    assert _told(f"{text}select 1") == told


def test_header_when_unknown_then_the_near_one_is_offered_or_all_are_listed() -> None:
    _, (near,) = read_check_header("-- severty: warn", "dq/check.sql")
    assert near.near[0] == "severity"
    _, (far,) = read_check_header("-- zzz: warn", "dq/check.sql")
    assert far.near == ()
    assert all(name in far.hint for name in HEADERS)


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from(HEADERS).map(lambda name: f"-- {name}: ")
        | st.sampled_from(["--", "-- ", "select 1", "\n", "\r\n", ":", "value = 1", "warn", "3"])
        | st.text(max_size=8),
        max_size=14,
    ).map("".join)
)
def test_header_when_the_text_is_random_then_what_is_read_can_be_used(text: str) -> None:
    header, findings = read_check_header(text, "dq/check.sql")
    assert set(header.values) <= set(HEADERS)
    assert all(1 <= one.line <= len(text.splitlines()) for one in findings)
    if not findings:
        assert header.values.get("severity", "warn") in ("error", "warn")
        assert float(header.values.get("warn_at", "0")) is not None
