"""What a run does at once: steps on the critical path first, and checks in slots to spare."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pipelines.errors import SqlError
from pipelines.results import StepStarted
from pipelines.utils import dq_checks
from pipelines.utils.dq_checks import Check, run_check

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest
    from pyspark.sql import SparkSession

    from pipelines.results import CheckResult
    from tests.conftest import Project, Ran

CHAIN = """
- name: leaf
  source: {type: delta, query: select 1 as id}
  destination: {path: "{{ base_path }}/leaf"}
- name: last
  depends_on: [middle]
  source: {type: delta, query: select * from middle}
  destination: {path: "{{ base_path }}/last"}
- name: middle
  depends_on: [first]
  source: {type: delta, query: select * from first}
  destination: {path: "{{ base_path }}/middle"}
- name: first
  source: {type: delta, query: select 1 as id}
  destination: {path: "{{ base_path }}/first"}
"""
CHECKED = """
- name: checked
  source: {type: delta, query: select 1 as id}
  destination: {path: "{{ base_path }}/checked"}
  dq_checks: [dq/a.sql, dq/b.sql, dq/c.sql]
"""
FILES = {f"dq/{name}.sql": f"select id as {name} from checked where id < 0" for name in "abc"}


def _started(ran: Ran) -> list[str]:
    return [event.step_id.split(".")[-1] for event in ran.events if isinstance(event, StepStarted)]


def test_steps_when_there_is_one_slot_then_those_with_most_below_begin_first(
    project: Callable[..., Project],
) -> None:
    assert _started(project(CHAIN).run(threads=1)) == ["first", "middle", "leaf", "last"]


def test_checks_when_slots_are_to_spare_then_run_at_once_and_are_told_in_order(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    all_three = threading.Barrier(3, timeout=60)

    def meet(session: SparkSession, check: Check) -> CheckResult:
        all_three.wait()
        return run_check(session, check)

    monkeypatch.setattr(dq_checks, "run_check", meet)
    step = project(CHECKED, files=FILES).run(threads=3)["checked"]
    assert step.status.value == "success", step.error
    assert [check.file for check in step.checks] == list(FILES)


def test_checks_when_steps_have_all_slots_then_run_one_after_the_other(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = set()

    def look(session: SparkSession, check: Check) -> CheckResult:
        threads.add(threading.get_ident())
        return run_check(session, check)

    monkeypatch.setattr(dq_checks, "run_check", look)
    step = project(CHECKED, files=FILES).run(threads=1)["checked"]
    assert step.status.value == "success"
    assert len(step.checks) == len(FILES)
    assert len(threads) == 1


def test_check_when_it_cannot_run_beside_others_then_the_first_one_s_error_is_the_step_s(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    all_three = threading.Barrier(3, timeout=60)
    c_broke = threading.Event()

    def break_c_then_b(session: SparkSession, check: Check) -> CheckResult:
        all_three.wait()
        if "/a." in check.file:
            return run_check(session, check)
        if "/b." in check.file:
            c_broke.wait(60)
        else:
            c_broke.set()
        raise SqlError(f"{check.file} is broken")

    monkeypatch.setattr(dq_checks, "run_check", break_c_then_b)
    made = project(CHECKED, files=FILES)
    step = made.run(threads=3)["checked"]
    assert step.error is not None
    assert "dq/b.sql is broken" in step.error.message
    assert made.log("checked").version() is None
