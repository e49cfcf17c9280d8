"""A run whose lease another machine has taken stops before it writes; leases by Hadoop's files."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import LockHeldError, LockLostError
from pipelines.execution.files import HadoopFiles
from pipelines.execution.lease import Lease
from pipelines.pipeline import Options, Pipeline
from pipelines.results import Event, StepFinished

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.conftest import Project

FLOW = """
- name: first
  source: {type: delta, query: select 1 as id}
  destination: {path: "{{ base_path }}/first"}
- name: second
  depends_on: [first]
  source: {type: delta, query: select id from first}
  destination: {path: "{{ base_path }}/second"}
"""
CONFIG = """
default_environment: test
environments:
  test: {base_path: lake, metadata: {enabled: false}, lock: {lease_seconds: 60}}
"""

REMOTE = """
default_environment: test
environments:
  test: {base_path: "viewfs://lease/lake", metadata: {enabled: false}}
"""


class TakenOver:
    """Another machine, which takes the lease over once the first step is done."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def handle(self, event: Event) -> None:
        if isinstance(event, StepFinished) and event.result.name == "first":
            self.says(is_released=False)

    def says(self, *, is_released: bool) -> None:
        """Puts down that it has the lease, or has given it back."""
        text = {
            "token": "other",
            "holder": {"run_id": "other"},
            "lease_seconds": 60,
            "renewals": 0,
            "is_released": is_released,
        }
        (self._folder / "000002.json").write_text(json.dumps(text))


def test_a_run_whose_lease_was_taken_over_writes_nothing_more_and_says_who_has_it(
    project: Callable[..., Project],
) -> None:
    made = project(FLOW, files={"pipelines/pipelines_config.yaml": CONFIG})
    other = TakenOver(made.root / "lake/_checkpoints/toy.lease")
    options = Options(project_dir=made.root, batch_id="b1")
    run = Pipeline("main_flow", options, sinks=[other], spark=made.spark).run()

    assert {step.name: step.status.value for step in run.steps} == {
        "first": "success",
        "second": "failed",
    }
    error: Any = run.error
    assert (error.type, run.exit_code) == ("LockLostError", 1)
    assert "another one has taken it: run_id other" in error.message
    assert made.marker("first").exists()
    assert not Path(made.path("second")).exists()
    assert not made.marker("second").exists()

    other.says(is_released=True)
    assert made.run().statuses == {"first": "checkpointed", "second": "success"}


def test_a_run_on_a_storage_that_is_no_file_system_of_this_machine_takes_a_lease_there(
    project: Callable[..., Project], tmp_path: Path
) -> None:
    made = project(FLOW, files={"pipelines/pipelines_config.yaml": REMOTE})
    conf = made.spark.sparkContext._jsc.hadoopConfiguration()  # type: ignore[union-attr]
    conf.set("fs.viewfs.mounttable.lease.link./lake", f"file://{tmp_path}")
    folder = "viewfs://lease/lake/_checkpoints/toy.lease"
    other = Lease(HadoopFiles(made.spark), folder, {"run_id": "other"}, seconds=60)
    other.take()
    with pytest.raises(LockHeldError, match="run_id other"):
        made.run()
    assert not list((made.root / "pipelines/logs").glob("*.json"))
    other.release()
    assert set(made.run().statuses.values()) == {"success"}
    says = (tmp_path / "_checkpoints/toy.lease/000002.json").read_text()
    assert '"is_released": true' in says
    assert (tmp_path / "_checkpoints/toy/b1/stage.group.second.json").exists()


def test_a_lease_on_a_storage_that_spark_reaches_is_taken_once(
    spark: SparkSession, tmp_path: Path
) -> None:
    def lease(name: str) -> Lease:
        return Lease(HadoopFiles(spark), f"file://{tmp_path}/l", {"run_id": name}, seconds=60)

    first, second = lease("first"), lease("second")
    first.take()
    with pytest.raises(LockHeldError, match="run_id first"):
        second.take()
    first.renew()
    assert not HadoopFiles(spark).create(f"file://{tmp_path}/l/000001.json", "")
    first.release()
    second.take()
    second.refuse_if_lost()
    with pytest.raises(LockLostError):
        first.refuse_if_lost()
