"""Windows several at a time: no more than allowed, in order, and each with its own result."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import date
from typing import Any

from pipelines.history_run.going import side_by_side
from pipelines.plan.windows import WindowRow, WindowState, windows_between

ROWS = [
    WindowRow(window, WindowState.MISSING)
    for window in windows_between(date(2026, 1, 1), date(2026, 6, 30), "month")
]


class Runs:
    """Runs of windows that end when the test says so."""

    def __init__(self, meet: Callable[[], object] = lambda: None) -> None:
        self.meet = meet
        self.started: list[WindowRow] = []
        self.at_work, self.most_at_work = 0, 0
        self._lock = threading.Lock()

    def prepare(self, row: WindowRow) -> Callable[[], Any]:
        self.started.append(row)

        def run() -> Any:
            with self._lock:
                self.at_work += 1
                self.most_at_work = max(self.most_at_work, self.at_work)
            self.meet()
            with self._lock:
                self.at_work -= 1
            return row.window.start.month

        return run


def test_side_by_side_when_there_is_room_then_so_many_meet_and_all_end() -> None:
    pairs = threading.Barrier(2)
    runs = Runs(lambda: pairs.wait(60))
    went = dict(side_by_side(ROWS, runs.prepare, lambda: True, most=lambda: 2))
    assert runs.started == ROWS
    assert runs.most_at_work == 2
    assert [went[row] for row in ROWS] == [1, 2, 3, 4, 5, 6]


def test_side_by_side_when_there_is_room_for_one_first_then_it_ends_before_others_begin() -> None:
    runs, ended = Runs(), []
    went = side_by_side(ROWS, runs.prepare, lambda: True, most=lambda: 3 if ended else 1)
    for row, _ in went:
        if not ended:
            assert runs.started == ROWS[:1]
        ended.append(row)
    assert len(ended) == len(ROWS)


def test_side_by_side_when_none_may_start_any_more_then_those_at_work_end() -> None:
    runs, ended = Runs(), []
    for row, result in side_by_side(ROWS, runs.prepare, lambda: not ended, most=lambda: 2):
        if result is not None:
            ended.append(row)
    assert ended
    assert runs.started == sorted(ended, key=ROWS.index)
    assert len(runs.started) < len(ROWS)
