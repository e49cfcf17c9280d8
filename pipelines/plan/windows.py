"""Windows of time that a history run goes through, and what is known of each."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import Enum
from typing import Literal, get_args

WindowSize = Literal["day", "week", "month", "year"]
WINDOW_SIZES: tuple[str, ...] = get_args(WindowSize)
Reprocess = Literal["none", "failed", "all"]
REPROCESS: tuple[str, ...] = get_args(Reprocess)
_DAY = timedelta(days=1)


class WindowState(str, Enum):
    """What became of a window."""

    DONE = "done"
    FAILED = "failed"
    MISSING = "missing"


@dataclass(frozen=True, order=True)
class Window:
    """The days from ``start`` on, up to ``end``, which is none of them."""

    start: date
    end: date

    @property
    def last(self) -> date:
        """Its last day; what a run of it takes for its day."""
        return self.end - _DAY

    @property
    def days(self) -> Iterator[date]:
        """Its days, in order."""
        return (self.start + number * _DAY for number in range((self.end - self.start).days))

    def overlaps(self, other: Window) -> bool:
        """Whether a day is in both."""
        return self.start < other.end and other.start < self.end

    def __str__(self) -> str:
        return str(self.start) if self.start == self.last else f"{self.start} to {self.last}"


@dataclass(frozen=True)
class Interval:
    """What the ledger says of one run of a window.

    Attributes:
        window: its days.
        run_id: the run.
        batch_id: its batch.
        finished_at: when it ended, UTC, ISO 8601.
        steps: of each step that it was to run, whether it came to a good end.
    """

    window: Window
    run_id: str
    batch_id: str
    finished_at: str
    steps: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class Period:
    """The past that is asked for.

    Attributes:
        first: a day of the first window.
        last: a day of the last window; None is yesterday.
        size: of a window; None takes the flow's.
        reprocess: which windows are run: `none` those that are missing, `failed` those that
            failed too, `all` those that are done too.
    """

    first: date | None = None
    last: date | None = None
    size: str | None = None
    reprocess: str = "failed"


@dataclass(frozen=True)
class WindowRow:
    """A window, what became of it before, and what this run does with it.

    Attributes:
        window: the window.
        state: what the ledger says, or what this run came to.
        reason: why it is left out; empty where it is run.
        run_id: the run of it; empty where there was none.
        finished_at: when that ended.
        broken: steps of it that came to no good end.
    """

    window: Window
    state: WindowState
    reason: str = ""
    run_id: str = ""
    finished_at: str = ""
    broken: tuple[str, ...] = ()


def window_at(day: date, size: str) -> Window:
    """The window with ``day`` in it: weeks begin on Monday, as in ISO 8601."""
    if size == "day":
        return Window(day, day + _DAY)
    if size == "week":
        start = day - timedelta(days=day.weekday())
        return Window(start, start + 7 * _DAY)
    if size == "month":
        start = day.replace(day=1)
        return Window(start, (start + timedelta(days=31)).replace(day=1))
    start = day.replace(month=1, day=1)
    return Window(start, start.replace(year=start.year + 1))


def windows_between(first: date, last: date, size: str) -> list[Window]:
    """The windows that hold the days from ``first`` to ``last``, oldest first; each is whole."""
    found = [window_at(first, size)]
    while found[-1].end <= last:
        found.append(window_at(found[-1].end, size))
    return found


def state_of(window: Window, steps: Collection[str], intervals: Iterable[Interval]) -> WindowState:
    """What became of ``window`` as far as ``steps`` go.

    Each day of it counts by the newest run that was to run the step on that day, so that a month
    may be filled by days, and a day of a month be done again.
    """
    near = [one for one in intervals if one.window.overlaps(window)]
    near.sort(key=lambda one: one.finished_at, reverse=True)
    found = WindowState.DONE
    for step in steps:
        open_days = set(window.days)
        for interval in near:
            if step not in interval.steps or not open_days:
                continue
            told = open_days & set(interval.window.days)
            if told and not interval.steps[step]:
                return WindowState.FAILED
            open_days -= told
        if open_days:
            found = WindowState.MISSING
    return found


def row_of(window: Window, state: WindowState, intervals: Sequence[Interval]) -> WindowRow:
    """``window`` with the newest run of any of its days."""
    near = [one for one in intervals if one.window.overlaps(window)]
    newest = max(near, key=lambda one: one.finished_at, default=None)
    if newest is None:
        return WindowRow(window, state)
    broken = tuple(step for step, is_ok in newest.steps.items() if not is_ok)
    return WindowRow(window, state, "", newest.run_id, newest.finished_at, broken)


def is_wanted(state: WindowState, reprocess: str) -> bool:
    """Whether a window of that state is run: `none` fills gaps only, `failed` mends too."""
    if reprocess == "all":
        return True
    return state is WindowState.MISSING or (reprocess == "failed" and state is WindowState.FAILED)


def done_after(
    wanted: Sequence[Window], steps: Collection[str], intervals: Iterable[Interval]
) -> list[Window]:
    """Windows done before that come after the first one wanted, and are not done again."""
    if not wanted:
        return []
    again = set().union(*(window.days for window in wanted))
    later = {
        interval.window
        for interval in intervals
        if interval.window.start >= wanted[0].end
        and any(interval.steps.get(step) for step in steps)
        and not again.issuperset(interval.window.days)
    }
    return sorted(later)
