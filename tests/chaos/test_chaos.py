"""Runs that are killed again and again, or whose machine sleeps: the short form of the trials."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.dying import Death
from tests.chaos.lakehouse import ROOT
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


# Spark's own patience with an executor that says nothing, two minutes, and then ten; here seconds.
IMPATIENT = """\
default_environment: nap
environments:
  nap:
    base_path: lake
    metadata: {enabled: false}
    spark:
      master: "local[1]"
      conf:
        spark.network.timeout: 3s
        spark.network.timeoutInterval: 1s
        spark.executor.heartbeatInterval: 1s
        spark.executor.heartbeat.maxFailures: 2
"""
NAP = """\
import os, signal, time

def ingest(spark, context):
    java = spark.sparkContext._gateway.proc.pid
    os.kill(java, signal.SIGSTOP)
    time.sleep(5)
    os.kill(java, signal.SIGCONT)
    awake = time.monotonic()
    while time.monotonic() < awake + 15:
        spark.range(1).count()
    return spark.range(3)
"""
FLOW = """\
pipeline:
  name: nap
  stages:
    - name: bronze
      groups:
        - name: raw
          steps:
            - {name: rows, script: ingestion/nap.py, destination: {path: "{{ base_path }}/rows"}}
"""


@pytest.mark.long
def test_run_when_the_machine_sleeps_meanwhile_then_it_goes_on(tmp_path: Path) -> None:
    files = {
        "pipelines/pipelines_config.yaml": IMPATIENT,
        "pipelines/flows/main_flow.yaml": FLOW,
        "ingestion/nap.py": NAP,
    }
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pipelines.run_pipeline", "run", "--project-dir", str(tmp_path)],
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
