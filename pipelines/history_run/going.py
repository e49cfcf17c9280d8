"""Going through windows: one after another, or several at a time."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Future

    from pipelines.plan.windows import WindowRow
    from pipelines.results import RunResult

    Went = tuple[WindowRow, RunResult | None]
    """A window and what its run came to; None where it was not started."""


def one_by_one(
    rows: Sequence[WindowRow],
    run: Callable[[WindowRow], RunResult],
    may_start: Callable[[], bool],
) -> Iterator[Went]:
    """Each window with its result, in order.

    Args:
        rows: the windows.
        run: runs one.
        may_start: whether another one may start; asked before each.
    """
    for row in rows:
        yield row, run(row) if may_start() else None


def side_by_side(
    rows: Sequence[WindowRow],
    prepare: Callable[[WindowRow], Callable[[], RunResult]],
    may_start: Callable[[], bool],
    *,
    most: Callable[[], int],
) -> Iterator[Went]:
    """Each window with its result, as they end; they start in order.

    Args:
        rows: the windows.
        prepare: gives what runs one, on a thread of its own; called on the caller's.
        may_start: whether another one may start; asked before each.
        most: how many may run at a time; asked before each.
    """
    running: dict[Future[RunResult], WindowRow] = {}
    with ThreadPoolExecutor(len(rows), thread_name_prefix="window") as pool:
        for row in rows:
            while running and may_start() and len(running) >= most():
                yield from _ended(running)
            if may_start():
                running[pool.submit(prepare(row))] = row
            else:
                yield row, None
        while running:
            yield from _ended(running)


def _ended(running: dict[Future[RunResult], WindowRow]) -> Iterator[Went]:
    """Waits for the first to end; it, and those that ended with it, are running no longer."""
    for future in wait(running, return_when=FIRST_COMPLETED).done:
        yield running.pop(future), future.result()
