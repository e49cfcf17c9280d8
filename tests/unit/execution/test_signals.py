from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from pipelines.execution.signals import Signals

WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def _handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in WATCHED}
    for number in WATCHED:  # nohup and background jobs have some ignored
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", WATCHED)
def test_signals_when_one_comes_then_it_is_noted_and_the_run_is_told_to_stop(
    number: signal.Signals,
) -> None:
    told, told_too, late = threading.Event(), threading.Event(), threading.Event()
    with Signals() as signals:
        with signals.stopping(told.set), signals.stopping(told_too.set):
            signal.raise_signal(number)
            assert told.wait(5)
            assert told_too.wait(5)
        assert signals.received == number
        with signals.stopping(late.set):
            assert late.is_set()


def test_signals_when_what_was_to_stop_has_ended_then_it_is_not_told() -> None:
    over, runs = threading.Event(), threading.Event()
    with Signals() as signals, signals.stopping(runs.set):
        with signals.stopping(over.set):
            pass
        signal.raise_signal(signal.SIGTERM)
        assert runs.wait(5)
        assert not over.is_set()


def test_signals_when_left_then_the_handlers_are_those_of_before() -> None:
    before = [signal.getsignal(number) for number in WATCHED]
    with Signals():
        assert [signal.getsignal(number) for number in WATCHED] != before
    assert [signal.getsignal(number) for number in WATCHED] == before


def test_signals_when_the_caller_ignores_one_as_nohup_does_then_it_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with Signals() as signals:
        signals.listen()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
