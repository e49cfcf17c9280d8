"""Wall time of the engine over a hand-written peer, interleaved; commands' times; peak memory.

    python benchmarks/compare.py --students 10000 --rounds 3

Each round runs the engine and `handwritten_main_flow.py` one after the other, each into a
lakehouse of its own, the order turned from round to round. Both include the start of Spark. What
is told is the ratio of each round in wall time and in processor time, Java's included; the latter
hardly depends on what else the machine does. Linux only.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.execution.class_archive import archive_options
from pipelines.execution.files import cache_folder
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
        times = sorted(_timed([*CLI, *words], os.environ).wall for _ in range(QUICK_TRIES))
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
    ratios: dict[str, list[float]] = {"wall": [], "processor": []}
    for number in range(rounds):
        seen: dict[str, Measures] = {}
        runs: dict[str, Callable[[Path], Measures]] = {
            "engine": lambda lake: _engine(lake, url),
            "peer": lambda lake: _peer(lake, url, jars),
        }
        for who in sorted(runs, reverse=bool(number % 2)):
            lake = folder / who
            seen[who] = one = runs[who](lake)
            _print(
                f"round {number + 1} {who:7} wall {one.wall:6.1f} s, processor "
                f"{one.processor:6.1f} s, Python {one.peak_mb:,} MB at most"
            )
            shutil.rmtree(lake)
        ratios["wall"].append(seen["engine"].wall / seen["peer"].wall)
        ratios["processor"].append(seen["engine"].processor / seen["peer"].processor)
    for kind, found in ratios.items():
        _print(
            f"engine / peer, {kind} time: median {statistics.median(found):.3f}, "
            f"least {min(found):.3f}, greatest {max(found):.3f}, {rounds} rounds, "
            f"{students:,} students"
        )


def _engine(lake: Path, url: str) -> Measures:
    environment = {
        **os.environ,
        "PIPELINE__BASE_PATH": str(lake),
        "PIPELINE__LOGS__PATH": str(lake / "logs"),
        "PIPELINE__DATASOURCES__EDFI_ODS__URL": url,
    }
    return _timed([*CLI, "run", "--log-format", "text"], environment)


def _peer(lake: Path, url: str, jars: Sequence[Path]) -> Measures:
    command = [sys.executable, str(ROOT / "benchmarks" / "handwritten_main_flow.py")]
    command += ["--ods-url", url, "--lakehouse", str(lake), "--jars", ",".join(map(str, jars))]
    command += [f"--java-options={archive_options(cache_folder(ROOT))}"]
    return _timed(command, {**os.environ, "PYTHONPATH": str(ROOT)})


def _timed(command: Sequence[str], environment: Mapping[str, str]) -> Measures:
    """What a command takes."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=dict(environment), stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    watch = _Watch(process)
    watcher = threading.Thread(target=watch.look, daemon=True)
    watcher.start()
    _, complaints = process.communicate()
    seconds = time.perf_counter() - started
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{complaints}")
    watcher.join()
    return Measures(seconds, sum(watch.ticks.values()) / os.sysconf("SC_CLK_TCK"), watch.peak_kb)


@dataclass(frozen=True)
class Measures:
    """What a command took: seconds by the clock, of all processors, and its own process's peak."""

    wall: float
    processor: float
    peak_kb: int

    @property
    def peak_mb(self) -> int:
        """Peak memory of the command's own process, Java's not included."""
        return self.peak_kb // 1024


class _Watch:
    """Looks at a process and those that it starts, as long as it runs."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.peak_kb = 0
        self.ticks: dict[int, int] = {}

    def look(self) -> None:
        while self.process.poll() is None:
            with contextlib.suppress(OSError):  # a process may end meanwhile
                status = Path(f"/proc/{self.process.pid}/status").read_text()
                peaks = [line for line in status.splitlines() if line.startswith("VmHWM")]
                self.peak_kb = max([self.peak_kb, *(int(line.split()[1]) for line in peaks)])
            for stat in Path("/proc").glob("[0-9]*/stat"):
                with contextlib.suppress(OSError):
                    # After the name in brackets: state, parent, group, session, …, user, system.
                    fields = stat.read_text().rpartition(")")[2].split()
                    if int(fields[3]) == self.process.pid:
                        self.ticks[int(stat.parent.name)] = int(fields[11]) + int(fields[12])
            time.sleep(0.1)


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
