"""Wall time of a daily run over that of a full run of the same day's ODS, round by round.

    python benchmarks/daily_run.py --students 200000 --changes 200 --rounds 2

Each round makes a sample ODS, runs the main flow into an empty lakehouse (the full run), lets a
day pass, and runs it again (the daily run). Both include the start of Spark. What each wrote is
told by layer, as Delta's commits say it.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tenacity import Retrying, stop_after_delay, wait_fixed

from pipelines.sample_ods import derby

ROOT = Path(__file__).resolve().parent.parent
CLI = (sys.executable, "-m", "pipelines.run_pipeline", "run", "--log-format", "text")
# For more than tiny data, where compiling pays: what docs/performance.md measured best.
CONFIG = """\
default_environment: bench
environments:
  bench:
    base_path: {folder}/lake
    logs: {{path: {folder}/logs}}
    datasources: {{edfi_ods: {{url: "{url}"}}}}
    notifications: {{"Teams://#data-alerts": ""}}
    spark:
      master: "local[*]"
      conf:
        spark.driver.memory: 8g
        spark.driver.extraJavaOptions: >-
          -XX:+UseParallelGC -XX:MetaspaceSize=512m -Xms4g -Duser.timezone=UTC
        spark.buffer.pageSize: 1m
"""


def main() -> int:
    """Runs the rounds and prints what they found."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--students", type=int, default=200_000)
    parser.add_argument("--changes", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--conf", action="append", default=[], help="KEY=VALUE of Spark")
    given = parser.parse_args()
    ratios = []
    for number in range(given.rounds):
        with tempfile.TemporaryDirectory() as name:
            ratios.append(_round(Path(name), given, number + 1))
    _print(
        f"daily / full: median {statistics.median(ratios):.3f}, least {min(ratios):.3f}, greatest "
        f"{max(ratios):.3f}, {given.rounds} rounds, {given.students:,} students, "
        f"{given.changes:,} changes"
    )
    return 0


def _round(folder: Path, given: argparse.Namespace, number: int) -> float:
    derby.create(folder / "ods", given.students, number)
    config = CONFIG.format(folder=folder, url=derby.jdbc_url(folder / "ods"))
    for pair in given.conf:
        key, _, value = pair.partition("=")
        config += f'        {key}: "{value}"\n'
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    full = _run(folder, "2026-09-01")
    _print(f"round {number} full   {full:6.1f} s, {_written(folder)}")
    for attempt in Retrying(stop=stop_after_delay(60), wait=wait_fixed(1), reraise=True):
        with attempt:  # Java lets go of the database some seconds after the command has ended
            derby.apply_changes(folder / "ods", given.changes)
    daily = _run(folder, "2026-09-02")
    _print(f"round {number} daily  {daily:6.1f} s, {_written(folder)}")
    return daily / full


def _run(folder: Path, run_date: str) -> float:
    """Seconds that a run takes."""
    command = [*CLI, "--config", str(folder / "config.yaml"), "--run-date", run_date]
    started = time.perf_counter()
    done = subprocess.run(
        command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}\n{done.stderr}")
    return time.perf_counter() - started


def _written(folder: Path) -> str:
    """Rows that the last run wrote, by layer, and its slowest steps."""
    log = json.loads((folder / "logs" / "pipeline_log.json").read_text(encoding="utf-8"))
    rows: dict[str, int] = {}
    for step in log["steps"]:
        counts = (step["rows_written"], step["rows_updated"], step["rows_deleted"])
        rows[step["stage"]] = rows.get(step["stage"], 0) + sum(count or 0 for count in counts)
    slowest = sorted(log["steps"], key=lambda step: -step["duration_seconds"])[:4]
    told = ", ".join(f"{layer} {count:,} rows" for layer, count in rows.items())
    slow = ", ".join(f"{step['name']} {step['duration_seconds']:.0f} s" for step in slowest)
    return f"{told}; slowest: {slow}"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
