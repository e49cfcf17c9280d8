"""What it costs to be safe: time of a run within what locks, marks, syncs, hides and releases.

    python benchmarks/safety_cost.py --students 10000 --rounds 3

Runs the main flow with a clock around each function that only safety needs, on whatever thread it
is called, calls to Java included; what such a function calls of the others counts once. A sum over
threads that work side by side is more than the run would be shorter without. What safety makes
Spark itself do is in the clocks where it is a statement of its own; a commit's transaction
identifier and user metadata are not, nor is the pinned version of a read.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from pipelines.sample_ods import derby

ROOT = Path(__file__).resolve().parents[1]
CLOCKED = {
    "one run at a time": (
        "pipelines.execution.lock:RunLock.__enter__",
        "pipelines.execution.lock:RunLock.__exit__",
        "pipelines.execution.lock:Hold.refuse_if_lost",
        "pipelines.pipeline:Pipeline.close_orphans",
        "pipelines.pipeline:refuse_half_done",
    ),
    "markers": (
        "pipelines.execution.checkpoints:CheckpointStore.batch",
        "pipelines.execution.checkpoints:CheckpointStore.save_batch",
        "pipelines.execution.checkpoints:CheckpointStore.marker",
        "pipelines.execution.checkpoints:CheckpointStore.save_marker",
    ),
    "run log, written whole at each event": ("pipelines.sinks.run_log:RunLogSink.handle",),
    "own commits: found, told apart, marked": (
        "pipelines.execution.destinations.delta:DeltaTarget.__init__",
        "pipelines.execution.destinations.delta:DeltaTarget.find_own_write",
        "pipelines.execution.destinations.delta:DeltaTarget._commit_marks",
        "pipelines.execution.destinations.delta:DeltaTarget._conf",
        "pipelines.execution.destinations.delta:DeltaTarget._find_commit",
        "pipelines.execution.destinations.delta:DeltaTarget.keep",
    ),
    "jobs that can be cancelled": ("pipelines.execution.watch:Watch._jobs_of",),
    "signals": ("pipelines.execution.signals:Signals.__enter__",),
    "secrets": (
        "pipelines.execution.connections:Connections.datasource",
        "pipelines.execution.connections:Connections.redact",
        "pipelines.execution.connections:Connections.hmac_key",
    ),
    "masks": ("pipelines.execution.attempt:with_masks",),
    "templates, rendered in the sandbox": (
        "pipelines.utils.sql_loader.loader:SqlLoader.render_text",
        "pipelines.utils.sql_loader.loader:SqlLoader.render_file",
    ),
    "YAML, read within limits": ("pipelines.prepared:load_flow",),
    "releases": ("pipelines.execution.releases.publishing:release_after_run",),
}
_inside = threading.local()


def main() -> int:
    """Runs the flow as often as asked, and prints what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--students", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one-run", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one_run:
        return _clocked_run()
    shares = []
    with tempfile.TemporaryDirectory() as name:
        derby.create(Path(name) / "ods", given.students, 1)
        for number in range(given.rounds):
            lake = Path(name) / f"lake{number}"
            environment = {
                **os.environ,
                "PIPELINE__BASE_PATH": str(lake),
                "PIPELINE__LOGS__PATH": str(lake / "logs"),
                "PIPELINE__DATASOURCES__EDFI_ODS__URL": derby.jdbc_url(Path(name) / "ods"),
            }
            ran = subprocess.run(
                [sys.executable, __file__, "--one-run"], cwd=ROOT, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True,
            )  # fmt: skip
            took = json.loads(ran.stdout.splitlines()[-1])
            wall, spent = took.pop("wall"), sum(took.values())
            shares.append(spent / wall)
            _print(f"round {number + 1}: {spent:.2f} of {wall:.1f} s, {spent / wall:.1%}")
            for label, seconds in sorted(took.items(), key=lambda one: -one[1]):
                _print(f"  {seconds:6.3f} s  {label}")
    _print(f"median {statistics.median(shares):.1%}, {min(shares):.1%} to {max(shares):.1%}")
    return 0


def _clocked_run() -> int:
    spent = dict.fromkeys(CLOCKED, 0.0)
    for label, functions in CLOCKED.items():
        for function in functions:
            _clock(function, label, spent)
    from pipelines.run_pipeline import main as command_line

    started, code = time.perf_counter(), None
    try:
        command_line(["run", "--log-format", "text"])
    except SystemExit as end:
        code = end.code
    _print(json.dumps({**spent, "wall": time.perf_counter() - started}))
    return 1 if code else 0


def _clock(name: str, label: str, spent: dict[str, float]) -> None:
    """Has the function called ``name``, as ``module:Class.function``, note what it takes."""
    module, _, path = name.partition(":")
    *owners, last = path.split(".")
    owner: Any = functools.reduce(getattr, owners, import_module(module))
    asked = owner.__dict__[last]
    wrapped = getattr(asked, "__wrapped__", None)
    if wrapped is not None:  # what a `with` runs between the two is not its own
        setattr(owner, last, _clocked_context(asked, label, spent))
    else:
        setattr(owner, last, _clocked_call(asked, label, spent))


def _clocked_call(
    asked: Callable[..., Any], label: str, spent: dict[str, float]
) -> Callable[..., Any]:
    @functools.wraps(asked)
    def call(*args: Any, **kwargs: Any) -> Any:
        with _noted(label, spent):
            return asked(*args, **kwargs)

    return call


def _clocked_context(
    asked: Callable[..., Any], label: str, spent: dict[str, float]
) -> Callable[..., Any]:
    @contextlib.contextmanager
    def clocked(*args: Any, **kwargs: Any) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            with _noted(label, spent):
                given = asked(*args, **kwargs)
                value = given.__enter__()
            stack.push(_clocked_call(given.__exit__, label, spent))
            yield value

    return clocked


@contextlib.contextmanager
def _noted(label: str, spent: dict[str, float]) -> Iterator[None]:
    """Counts the time in it, unless it is counted already."""
    if getattr(_inside, "is_so", False):
        yield
        return
    _inside.is_so, started = True, time.perf_counter()
    try:
        yield
    finally:
        _inside.is_so = False
        spent[label] += time.perf_counter() - started


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
