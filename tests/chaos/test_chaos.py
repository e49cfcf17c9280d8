"""A batch that is killed again and again: the short form of the trials."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.chaos.dying import Death
from tests.chaos.trial import Trial, Undisturbed

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(sys.platform != "linux", reason="finds its children in /proc"),
]

# In the order in which a batch comes to them, so that each run gets further than the one before.
DEATHS = (
    Death("commit", "after", 1, "both"),
    Death("commit", "during", 2, "java"),
    Death("rename in a swap", "after", 1, "python"),
)


@pytest.mark.long
def test_batch_when_killed_again_and_again_then_it_comes_to_what_an_undisturbed_one_does(
    tmp_path: Path,
) -> None:
    trial = Trial(DEATHS)
    place = trial.go(Undisturbed.make(tmp_path), tmp_path / "killed")
    assert trial.wrong == []
    assert trial.not_reached == []
    statuses = [log["status"] for log in place.logs()]
    assert statuses.count("interrupted") == len(DEATHS) - 1
    assert statuses.count("failed") == 1
