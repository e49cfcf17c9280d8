"""Runs the command line in this process, and kills it, or its Java, at a chosen point.

    python -m tests.chaos.dying '{"point": "commit", "moment": "after", "number": 2}' -- run …

`point` is one of `POINTS`, or `call`: any word from Python to Java. `number` counts how often the
point is reached, `moment` is before, during or after it, `victim` is python, java or both. With
`count` as a path nobody dies, and the file says how often the point was reached.
"""

from __future__ import annotations

import functools
import importlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

POINTS = {
    "call": ("py4j.clientserver", "JavaClient.send_command"),
    "batch begun": ("pipelines.execution.checkpoints", "CheckpointStore.save_batch"),
    "commit": ("pipelines.execution.destinations.delta", "DeltaTarget.write"),
    "staging": ("pipelines.execution.destinations.files", "FilesTarget.write"),
    "swap": ("pipelines.utils.sql_runner.staged_files", "StagedFiles.swap"),
    "rename in a swap": ("pipelines.utils.sql_runner.staged_files", "StagedFiles._rename"),
    "undo": ("pipelines.utils.sql_runner.delta_log", "DeltaLog.restore"),
    "marker": ("pipelines.execution.checkpoints", "CheckpointStore.save_marker"),
    "log": ("pipelines.sinks.run_log", "RunLogSink.handle"),
    "metadata tables": ("pipelines.utils.metadata_logger", "MetadataLogger.write"),
    "rename of a file": ("pathlib", "Path.replace"),
    "journal begun": ("pipelines.execution.audits.journal", "RollbackJournal.begin"),
    "journal ended": ("pipelines.execution.audits.journal", "RollbackJournal.end"),
}
_DURING_SECONDS = 0.02


@dataclass(frozen=True)
class Death:
    """Where, when and who."""

    point: str
    moment: str = "before"
    number: int = 1
    victim: str = "python"
    count: str = ""

    def __str__(self) -> str:
        return f"{self.victim} {self.moment} {self.point} {self.number}"

    def as_json(self) -> str:
        return json.dumps(asdict(self))


def arm(death: Death) -> Callable[[], int]:
    """Puts the trap in the way; returns how to ask how often the point was reached."""
    module, name = POINTS[death.point]
    owner: Any = importlib.import_module(module)
    *classes, last = name.split(".")
    for one in classes:
        owner = getattr(owner, one)
    original = getattr(owner, last)
    lock, reached = threading.Lock(), [0]

    @functools.wraps(original)
    def trapped(*args: Any, **kwargs: Any) -> Any:
        with lock:
            reached[0] += 1
            is_it = reached[0] == death.number and not death.count
        if is_it and death.moment == "before":
            kill(death.victim)
        if is_it and death.moment == "during":
            threading.Timer(_DURING_SECONDS, kill, (death.victim,)).start()
        result = original(*args, **kwargs)
        if is_it and death.moment == "after":
            kill(death.victim)
        return result

    setattr(owner, last, trapped)
    return lambda: reached[0]


def kill(victim: str) -> None:
    """As `kill -9` does."""
    if victim in ("java", "both"):
        for pid in _children():
            os.kill(pid, signal.SIGKILL)
    if victim in ("python", "both"):
        os.kill(os.getpid(), signal.SIGKILL)


def _children() -> Iterator[int]:
    for task in Path("/proc/self/task").iterdir():
        yield from map(int, (task / "children").read_text().split())


def main(words: list[str]) -> None:
    """The command line after `--`, with the trap that the word before it describes."""
    death = Death(**json.loads(words[0]))
    reached = arm(death)
    from pipelines.run_pipeline import main as run

    try:
        run(words[2:])
    finally:
        if death.count:
            Path(death.count).write_text(str(reached()))


if __name__ == "__main__":
    main(sys.argv[1:])
