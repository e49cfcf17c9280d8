"""Wall time of the engine over a hand-written peer, interleaved; commands' times; peak memory.

    python benchmarks/compare.py --students 10000 --rounds 3

Each round runs the engine and `handwritten_main_flow.py` one after the other, each into a
lakehouse of its own, the order turned from round to round. Both include the start of Spark. What
is told is the ratio of each round, their median, least and greatest. Run it on a machine that
does nothing else.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from pipelines.execution.jars import jar_cache, resolve_jars
from pipelines.sample_ods import derby

ROOT = Path(__file__).resolve().parent.parent
CLI = (sys.executable, "-m", "pipelines.run_pipeline")
QUICK = (("--help",), ("validate",), ("plan",), ("history",))
QUICK_TRIES = 10


def main() -> int:
    """Runs the comparison and prints what it found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--students", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only-commands", action="store_true", help="leave the runs out")
    given = parser.parse_args()
    for words in QUICK:
        times = sorted(_timed([*CLI, *words], os.environ)[0] for _ in range(QUICK_TRIES))
        _print(f"{words[0]:10} least {times[0]:.3f} s, median {statistics.median(times):.3f} s")
    if given.only_commands:
        return 0
    with tempfile.TemporaryDirectory() as name:
        _compare(Path(name), given.students, given.rounds)
    return 0


def _compare(folder: Path, students: int, rounds: int) -> None:
    jars = resolve_jars(jar_cache(ROOT))
    derby.create(folder / "ods", students, 1)
    url = derby.jdbc_url(folder / "ods")
    ratios = []
    for number in range(rounds):
        seconds: dict[str, float] = {}
        runs: dict[str, Callable[[Path], tuple[float, int]]] = {
            "engine": lambda lake: _engine(lake, url),
            "peer": lambda lake: _peer(lake, url, jars),
        }
        for who in sorted(runs, reverse=bool(number % 2)):
            lake = folder / who
            seconds[who], peak = runs[who](lake)
            _print(f"round {number + 1} {who:7} {seconds[who]:6.1f} s, Python {peak:,} MB at most")
            shutil.rmtree(lake)
        ratios.append(seconds["engine"] / seconds["peer"])
    _print(
        f"engine / peer: median {statistics.median(ratios):.3f}, "
        f"least {min(ratios):.3f}, greatest {max(ratios):.3f}, {rounds} rounds, "
        f"{students:,} students"
    )


def _engine(lake: Path, url: str) -> tuple[float, int]:
    environment = {
        **os.environ,
        "PIPELINE__BASE_PATH": str(lake),
        "PIPELINE__LOGS__PATH": str(lake / "logs"),
        "PIPELINE__DATASOURCES__EDFI_ODS__URL": url,
    }
    return _timed([*CLI, "run", "--log-format", "text"], environment)


def _peer(lake: Path, url: str, jars: Sequence[Path]) -> tuple[float, int]:
    command = [sys.executable, str(ROOT / "benchmarks" / "handwritten_main_flow.py")]
    command += ["--ods-url", url, "--lakehouse", str(lake), "--jars", ",".join(map(str, jars))]
    return _timed(command, {**os.environ, "PYTHONPATH": str(ROOT)})


def _timed(command: Sequence[str], environment: Mapping[str, str]) -> tuple[float, int]:
    """Wall seconds of a command, and the peak memory of its own process in MB."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    peak = [0]
    watcher = threading.Thread(target=_watch, args=(process, peak), daemon=True)
    watcher.start()
    _, complaints = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{complaints}")
    watcher.join()
    return seconds, peak[0] // 1024


def _watch(process: subprocess.Popen[str], peak: list[int]) -> None:
    """Keeps the process's high-water mark in kB, as Linux counts it."""
    status = Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines()
        except OSError:
            return
        peak[0] = max([peak[0], *(int(x.split()[1]) for x in lines if x.startswith("VmHWM"))])
        time.sleep(0.05)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
