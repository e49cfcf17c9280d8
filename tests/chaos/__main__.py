"""Kills runs at every named and at random points: `python -m tests.chaos --random 100 --seed 1`.

Tells of each, and at the end how many were killed and how many came to something else than an
undisturbed run; exit code 1 if any did. A trial is two runs, each with a start of Spark.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.chaos.trial import (
    Undisturbed,
    named_deaths,
    random_deaths,
    roll_back_killed,
    run_trials,
)


def main() -> int:
    """Runs the trials and reports."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--random", type=int, default=100, help="how many random points")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-named", action="store_true", help="leave the named points out")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="chaos-"))
    before = Undisturbed.make(folder)
    deaths = [] if given.no_named else list(named_deaths())
    deaths += random_deaths(given.seed, before.calls, given.random)
    killed = wrong = 0
    for number, trial in enumerate(run_trials(deaths, before, folder), 1):
        killed += not trial.not_reached
        wrong += bool(trial.wrong)
        outcome = "; ".join(trial.wrong) or (
            "not reached" if trial.not_reached else "as undisturbed"
        )
        sys.stdout.write(f"{number}/{len(deaths)} {trial.deaths[0]}: {outcome}\n")
        sys.stdout.flush()
    left = roll_back_killed(before)
    wrong += bool(left)
    sys.stdout.write(f"a rollback that is killed: {'; '.join(left) or 'done by the same words'}\n")
    sys.stdout.write(
        f"seed {given.seed}: {len(deaths)} trials, {killed} ended by the kill, {wrong} wrong; "
        f"{folder} is left\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
