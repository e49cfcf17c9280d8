"""Trials: a run is killed, the same batch runs again, and must make what it makes undisturbed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from tests.chaos.dying import Death
from tests.chaos.lakehouse import Lakehouse

CHECK_FAILED = 3
"""How the second day ends by itself: a check fails there, and its write is undone."""
USAGE = 2
_MOMENTS = ("before", "during", "after")
_VICTIMS = ("python", "java", "both")
_NAMED = (
    ("batch begun", 1), ("commit", 1), ("commit", 4), ("staging", 1), ("swap", 1),
    ("rename in a swap", 1), ("rename in a swap", 2), ("undo", 1), ("marker", 1), ("marker", 5),
    ("log", 1), ("log", 9), ("metadata tables", 1), ("rename of a file", 1),
    ("rename of a file", 12),
)  # fmt: skip


@dataclass(frozen=True)
class Undisturbed:
    """What trials start from, and what they have to come to.

    Attributes:
        first: the project after its first day.
        first_state: what its lakehouse holds.
        second: the project after a second day that nobody disturbed.
        state: what its lakehouse holds.
        calls: words from Python to Java on that day.
    """

    first: Lakehouse
    first_state: dict[str, Any]
    second: Lakehouse
    state: dict[str, Any]
    calls: int

    @classmethod
    def make(cls, folder: Path) -> Undisturbed:
        """Runs both days."""
        first = Lakehouse.make(folder / "first")
        done = first.day(0)
        assert done.returncode == 0, done.stdout + done.stderr
        second = first.copy(folder / "second")
        done = second.day(1, Death("call", count=str(folder / "calls")))
        assert done.returncode == CHECK_FAILED, done.stdout + done.stderr
        calls = int((folder / "calls").read_text())
        return cls(first, first.state(), second, second.state(), calls)


@dataclass
class Trial:
    """What became of a batch that was killed once or several times."""

    deaths: Sequence[Death]
    not_reached: list[Death] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def go(self, before: Undisturbed, folder: Path) -> Lakehouse:
        """Runs the second day with its deaths, and then to its end."""
        place = before.first.copy(folder)
        for death in self.deaths:
            done = place.day(1, death)
            if done.returncode in (0, CHECK_FAILED):
                self.not_reached.append(death)
        last = place.day(1)
        if last.returncode not in (0, CHECK_FAILED):
            self.wrong.append(f"the last run ended with {last.returncode}: {last.stderr[-2000:]}")
        if any(log["status"] == "running" for log in place.logs()):
            self.wrong.append("a log says 'running'")
        found = {**place.state(), "litter": place.litter()}
        expected = {**before.state, "litter": ["lake/parted.__previous"]}
        for name in sorted({*found, *expected}):
            one, other = found.get(name), expected.get(name)
            if one != other:
                self.wrong.append(f"{name}: {str(one)[:3000]} instead of {str(other)[:3000]}")
        return place


def named_deaths() -> Iterator[Death]:
    """Every named point, before and after, each time another victim."""
    for place, (point, number) in enumerate(_NAMED):
        for turn, moment in enumerate(("before", "after")):
            yield Death(point, moment, number, _VICTIMS[(place + turn) % len(_VICTIMS)])


def random_deaths(seed: int, calls: int, count: int) -> Iterator[Death]:
    """Any word from Python to Java: the same seed gives the same deaths."""
    rng = Random(seed)
    for _ in range(count):
        number = rng.randint(1, calls)
        yield Death("call", rng.choice(_MOMENTS), number, rng.choice(_VICTIMS))


def run_trials(deaths: Sequence[Death], before: Undisturbed, folder: Path) -> Iterator[Trial]:
    """One trial a death, each on a lakehouse of its own, which goes unless something is wrong."""
    for number, death in enumerate(deaths):
        trial = Trial([death])
        place = trial.go(before, folder / f"trial-{number}")
        if not trial.wrong:
            shutil.rmtree(place.folder)
        yield trial


def roll_back_killed(before: Undisturbed) -> list[str]:
    """What is wrong where a rollback of the second day is killed and then done again."""
    place = before.second
    words = ("rollback", place.logs()[-1]["run_id"], "--yes", "--force")
    killed = place.run(*words, dies=Death("undo", "after", 2))
    refused, again = place.day(1), place.run(*words)
    found = place.state()
    tables = [name for name, (_, done) in before.first_state.items() if done]
    expected = {
        "the rollback was killed": killed.returncode < 0,
        "a run meanwhile is refused": refused.returncode == USAGE,
        "and says what to do": "pipeline rollback" in refused.stderr,
        "the rollback ends": again.returncode == 0,
        **{
            f"{name} is as after the first day": found[name][0] == before.first_state[name][0]
            for name in tables
        },
    }
    return [f"not so: {what}" for what, holds in expected.items() if not holds]
