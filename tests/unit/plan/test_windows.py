"""Windows of the past: whole, without gaps, and counted by the newest run of each day."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.plan.windows import (
    WINDOW_SIZES,
    Interval,
    Window,
    WindowState,
    done_after,
    is_wanted,
    state_of,
    window_at,
    windows_between,
)

DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
JANUARY = Window(date(2026, 1, 1), date(2026, 2, 1))


def interval(first: date, end: date, at: int, **steps: bool) -> Interval:
    return Interval(Window(first, end), f"r{at}", "b", f"2026-03-01T00:00:{at:02d}Z", steps)


@given(DAYS, st.integers(0, 800), st.sampled_from(WINDOW_SIZES))
def test_windows_when_put_together_then_they_hold_each_day_once(
    first: date, more: int, size: str
) -> None:
    last = first + timedelta(days=more)
    windows = windows_between(first, last, size)
    assert windows[0].start <= first < windows[0].end
    assert windows[-1].start <= last < windows[-1].end
    assert all(one.end == other.start for one, other in pairwise(windows))
    assert all(window_at(day, size) == one for one in windows for day in (one.start, one.last))


@pytest.mark.parametrize(
    ("size", "start", "end"),
    [
        ("day", "2024-02-29", "2024-03-01"),
        ("week", "2024-02-26", "2024-03-04"),
        ("month", "2024-02-01", "2024-03-01"),
        ("year", "2024-01-01", "2025-01-01"),
    ],
)
def test_window_when_sized_then_it_begins_where_calendars_do(
    size: str, start: str, end: str
) -> None:
    found = window_at(date(2024, 2, 29), size)
    assert (str(found.start), str(found.end)) == (start, end)


def test_state_when_days_were_run_apart_then_the_newest_run_of_each_day_counts() -> None:
    middle = date(2026, 1, 16)
    first = interval(JANUARY.start, middle, 1, a=True, b=True)
    assert state_of(JANUARY, ["a"], [first]) is WindowState.MISSING
    second = interval(middle, JANUARY.end, 2, a=True, b=False)
    assert state_of(JANUARY, ["a"], [first, second]) is WindowState.DONE
    assert state_of(JANUARY, ["a", "b"], [first, second]) is WindowState.FAILED
    mended = interval(middle, JANUARY.end, 3, b=True)
    assert state_of(JANUARY, ["a", "b"], [first, second, mended]) is WindowState.DONE
    broken = interval(date(2026, 1, 3), date(2026, 1, 4), 4, a=False)
    assert state_of(JANUARY, ["a"], [first, second, broken]) is WindowState.FAILED


@pytest.mark.parametrize(
    ("reprocess", "wanted"),
    [
        ("none", ["missing"]),
        ("failed", ["failed", "missing"]),
        ("all", ["done", "failed", "missing"]),
    ],
)
def test_reprocess_when_asked_then_it_says_which_windows_run(
    reprocess: str, wanted: list[str]
) -> None:
    assert [one.value for one in WindowState if is_wanted(one, reprocess)] == wanted


def test_done_after_when_newer_windows_stay_then_they_are_told() -> None:
    march = Window(date(2026, 3, 1), date(2026, 4, 1))
    known = [interval(march.start, march.end, 1, a=True)]
    assert done_after([JANUARY], ["a"], known) == [march]
    assert done_after([JANUARY, march], ["a"], known) == []
    assert done_after([JANUARY], ["b"], known) == []
    assert done_after([], ["a"], known) == []
