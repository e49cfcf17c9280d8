"""Steps that are stopped: their jobs end, nothing of theirs stays, and the rest goes its way."""

from __future__ import annotations

import os
import signal
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import StepTimeoutError
from pipelines.execution.checkpoints import BatchRecord
from pipelines.execution.context import RunContext
from pipelines.execution.files import LocalFiles
from pipelines.execution.runner import run_plan
from pipelines.execution.watch import Watch
from pipelines.pipeline import Options, Pipeline
from pipelines.results import AttemptFailed, StepFinished, StepStarted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyspark.sql import SparkSession

    from pipelines.results import Event, StepResult
    from tests.conftest import Project

# Some hours of work in one job of few tasks, so that a task has to be interrupted midway.
ENDLESS = (
    "select count(*) as id from range(0, 3000000, 1, 2) as a cross join range(0, 3000000, 1, 2) "
    "as b where a.id * b.id % 7 = 3 and sqrt(a.id + b.id) > 1"
)
SLOW = f"""
- name: slow
  source: {{type: delta, query: "{ENDLESS}"}}
  destination: {{path: "{{{{ base_path }}}}/slow"}}
"""


@pytest.fixture(autouse=True)
def no_job_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    if "project" not in request.fixturenames:
        yield
        return
    spark = request.getfixturevalue("spark")
    yield
    _wait_for_jobs(spark, lambda jobs: not jobs)


def _wait_for_jobs(spark: SparkSession, is_enough: Callable[[list[int]], bool]) -> None:
    """Returns as soon as the active jobs are as wanted; fails where they do not get so."""
    tracker = spark.sparkContext.statusTracker()
    deadline = time.monotonic() + 10
    pause = threading.Event()
    while not is_enough(tracker.getActiveJobsIds()):
        assert time.monotonic() < deadline, tracker.getActiveJobsIds()
        pause.wait(0.05)


def _error(step: StepResult) -> Any:
    assert step.error is not None
    return step.error


TIMED = f"""
- name: slow
  source: {{type: delta, query: "{ENDLESS}"}}
  destination: {{path: "{{{{ base_path }}}}/slow"}}
  timeout_seconds: 1.5
  retry: {{attempts: 2, delay_seconds: 0}}
- name: slow_merge
  source: {{type: delta, query: "{ENDLESS}"}}
  destination: {{path: "{{{{ base_path }}}}/slow_merge", mode: merge, keys: [id]}}
  timeout_seconds: 3
- name: slow_check
  source: {{type: delta, query: "select 1 as id"}}
  destination: {{path: "{{{{ base_path }}}}/slow_check", mode: append}}
  dq_checks: [dq/slow_check.sql, dq/another.sql, dq/third.sql]
  timeout_seconds: 8
- name: quick
  source: {{type: delta, query: select 1 as id}}
  destination: {{path: "{{{{ base_path }}}}/quick"}}
- name: below
  depends_on: [slow]
  source: {{type: delta, query: select * from slow}}
  destination: {{path: "{{{{ base_path }}}}/below"}}
"""


def test_timeout_when_steps_take_too_long_then_their_jobs_end_and_nothing_of_theirs_stays(
    project: Callable[..., Project],
) -> None:
    endless = ENDLESS.replace("as id ", "as n ")
    checks = {f"dq/{name}.sql": endless for name in ("slow_check", "another", "third")}
    made = project(TIMED, files=checks)
    made.put("slow_merge", "select 7L as id")
    made.put("slow_check", "select 0 as id")
    started = time.monotonic()
    ran = made.run()
    assert time.monotonic() - started < 40
    assert ran.statuses == {
        "slow": "failed",
        "slow_merge": "failed",
        "slow_check": "failed",
        "quick": "success",
        "below": "blocked",
    }
    for name in ("slow", "slow_merge", "slow_check"):
        assert _error(ran[name]).type == "StepTimeoutError"
        assert _error(ran[name]).transient is True
    assert "not done after 1.5 s" in _error(ran["slow"]).message
    again = [event for event in ran.events if isinstance(event, AttemptFailed)]
    assert [event.step_id for event in again] == ["stage.group.slow"]
    assert [attempt.number for attempt in ran["slow"].attempts] == [1, 2]
    assert len(ran["slow_merge"].attempts) == 1
    assert made.log("slow").version() is None
    assert made.rows("slow_merge") == [(7,)]
    assert made.rows("slow_check") == [(0,)]
    assert made.rows("quick") == [(1,)]


@pytest.fixture
def begun(project: Callable[..., Project]) -> Callable[..., Iterator[Event]]:
    """Starts a plan with a watch that the test holds."""

    def begin(
        made: Project, watch: Watch, redact: Callable[[str], str] = str, threads: int = 0
    ) -> Iterator[Event]:
        engine = made.pipeline(resume=False)
        compiled = engine.checked()
        record = BatchRecord("b1", "r1", int(time.time() * 1000), "2026-11-23")
        context = RunContext(
            compiled,
            made.spark,
            engine.loader,
            engine.connections.datasource,
            None,
            record,
            files=LocalFiles(),
            is_resumed=False,
            redact=redact,
            threads=threads,
        )
        return run_plan(context, watch)

    return begin


def test_watch_when_stopped_then_the_run_ends_within_ten_seconds_and_tells_of_every_step(
    project: Callable[..., Project],
    begun: Callable[..., Iterator[Event]],
    spark: SparkSession,
) -> None:
    made = project(
        f"""
        - name: quick
          source: {{type: delta, query: select 1 as id}}
          destination: {{path: "{{{{ base_path }}}}/quick"}}
        - name: slow
          depends_on: [quick]
          source: {{type: delta, query: "{ENDLESS}"}}
          destination: {{path: "{{{{ base_path }}}}/slow"}}
        - name: slow_too
          depends_on: [quick]
          source: {{type: delta, query: "{ENDLESS}"}}
          destination: {{path: "{{{{ base_path }}}}/slow_too"}}
          retry: {{attempts: 5, delay_seconds: 60}}
        - name: in_line
          depends_on: [quick]
          source: {{type: delta, query: select 1 as id}}
          destination: {{path: "{{{{ base_path }}}}/in_line"}}
        - name: below
          depends_on: [slow]
          source: {{type: delta, query: select * from slow}}
          destination: {{path: "{{{{ base_path }}}}/below"}}
        """
    )
    watch = Watch(spark.sparkContext)
    results: dict[str, str] = {}
    started: set[str] = set()
    stopped_at = 0.0
    try:
        for event in begun(made, watch, threads=2):
            if isinstance(event, StepFinished):
                results[event.result.name] = event.result.status.value
            if isinstance(event, StepStarted):
                started.add(event.step_id.rsplit(".", 1)[-1])
            if {"slow", "slow_too"} <= started and not stopped_at:
                _wait_for_jobs(spark, lambda jobs: len(jobs) >= 2)
                watch.stop()
                stopped_at = time.monotonic()
        assert time.monotonic() - stopped_at < 10
    finally:
        watch.close()
    assert results == {
        "quick": "success",
        "slow": "cancelled",
        "slow_too": "cancelled",
        "in_line": "cancelled",
        "below": "blocked",
    }
    assert made.log("slow").version() is None
    assert made.rows("quick") == [(1,)]


def test_step_when_telling_of_its_failure_breaks_too_then_the_run_still_ends(
    project: Callable[..., Project],
    begun: Callable[..., Iterator[Event]],
    spark: SparkSession,
) -> None:
    made = project(
        """
        - name: wrong
          source: {type: delta, query: select nope}
          destination: {path: "{{ base_path }}/wrong"}
        """
    )

    def refuse(text: str) -> str:
        raise RuntimeError(text)

    watch = Watch(spark.sparkContext)
    try:
        last = list(begun(made, watch, redact=refuse))[-1]
    finally:
        watch.close()
    assert isinstance(last, StepFinished)
    assert last.result.status.value == "failed"
    assert _error(last.result).type == "RuntimeError"


def test_watch_when_cancelling_fails_then_it_tries_again() -> None:
    tried: list[str] = []
    twice = threading.Event()

    def cancel(group: str) -> None:
        tried.append(group)
        if len(tried) > 1:
            twice.set()
        raise ConnectionResetError("no answer")

    java = SimpleNamespace(
        sc=lambda: SimpleNamespace(cancelJobGroupAndFutureJobs=cancel),
        setLocalProperty=lambda *_: None,
    )
    context: Any = SimpleNamespace(
        _jsc=java, setJobGroup=lambda *_, **__: None, setLocalProperty=lambda *_: None
    )
    watch = Watch(context)
    try:
        with pytest.raises(StepTimeoutError, match="not done after"), watch.attempt("a.b.c", 0.01):
            assert twice.wait(10)
            raise RuntimeError("cancelled")
    finally:
        watch.close()
    assert tried[0].startswith("a.b.c/")


def test_fail_fast_when_a_step_fails_then_the_others_are_cancelled(
    project: Callable[..., Project],
) -> None:
    steps = f"""
    - name: wrong
      source: {{type: delta, query: select nope}}
      destination: {{path: "{{{{ base_path }}}}/wrong"}}
    {SLOW.strip().replace(chr(10), chr(10) + " " * 4)}
    - name: later
      source: {{type: delta, query: select 1 as id}}
      destination: {{path: "{{{{ base_path }}}}/later"}}
    """
    made = project(steps)
    ran = made.run(fail_fast=True, threads=2)
    assert ran.statuses["wrong"] == "failed"
    assert ran.statuses["slow"] == "cancelled"
    assert ran.statuses["later"] == "cancelled"
    assert ran.result.exit_code == 1
    assert made.log("slow").version() is None
    assert made.log("later").version() is None


def test_watch_when_the_time_of_the_run_is_up_then_what_runs_is_cancelled_and_says_why(
    project: Callable[..., Project],
    begun: Callable[..., Iterator[Event]],
    spark: SparkSession,
) -> None:
    made = project(SLOW)
    seconds = [0.0]
    watch = Watch(spark.sparkContext, clock=lambda: seconds[0], seconds_left=600)
    ended: list[StepResult] = []
    try:
        for event in begun(made, watch):
            if isinstance(event, StepStarted):
                _wait_for_jobs(spark, lambda jobs: len(jobs) == 1)
                assert not watch.has_run_out
                seconds[0] = 600
            if isinstance(event, StepFinished):
                ended.append(event.result)
    finally:
        watch.close()
    assert watch.has_run_out
    assert [step.status.value for step in ended] == ["cancelled"]
    assert _error(ended[0]).message == "stage.group.slow: the run's time was up"


def test_run_when_its_time_is_up_then_it_fails_and_the_same_batch_goes_on_later(
    project: Callable[..., Project],
) -> None:
    made = project(SLOW, "timeout_seconds: '{{ vars.limit }}'\nvars: {limit: 0.001}")
    options = Options(project_dir=made.root, batch_id="b1")
    result = Pipeline("main_flow", options, spark=made.spark).run()
    assert [step.status.value for step in result.steps] == ["cancelled"]
    assert (result.status.value, result.exit_code) == ("failed", 1)
    assert result.error is not None
    assert result.error.type == "RunTimeoutError"
    assert "not done after 0.001 s" in result.error.message
    assert made.log("slow").version() is None
    made.flow(SLOW.replace(ENDLESS, "select 7 as id"), "timeout_seconds: 600")
    assert made.run().statuses == {"slow": "success"}


def test_signal_when_it_comes_while_a_step_runs_then_the_run_ends_with_its_code(
    project: Callable[..., Project],
) -> None:
    made = project(SLOW)

    def send(event: Event) -> None:
        if isinstance(event, StepStarted):
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    ran = made.run(on_event=send)
    assert signal.getsignal(signal.SIGTERM) == before
    assert ran.statuses == {"slow": "cancelled"}
    assert ran.result.status.value == "cancelled"
    assert ran.result.exit_code == 143
    assert not made.marker("slow").exists()


@pytest.mark.long
def test_on_failure_when_it_says_continue_then_readers_go_on_with_the_last_good_version(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: shaky
          on_failure: continue
          source: {type: delta, query: "select {{ '1 as id' if vars.n == 1 else 'nope' }}"}
          destination: {path: "{{ base_path }}/shaky"}
        - name: unsound
          on_failure: continue
          source: {type: delta, query: "select {{ vars.n }} as id"}
          destination: {path: "{{ base_path }}/unsound"}
          dq_checks: [dq/unsound.sql]
        - name: reader
          depends_on: [shaky, unsound]
          source:
            type: delta
            query: "select shaky.id, unsound.id as other, {{ vars.n }} as n from shaky, unsound"
          destination: {path: "{{ base_path }}/reader"}
        """,
        files={"dq/unsound.sql": "select id from unsound where id > 1"},
    )
    assert made.run(vars={"n": 1}).result.exit_code == 0
    second = made.run(batch_id="b2", vars={"n": 2})
    assert second.statuses == {"shaky": "failed", "unsound": "dq_failed", "reader": "success"}
    assert second.result.exit_code == 1
    assert made.rows("reader") == [(1, 1, 2)]


def test_on_failure_when_it_says_continue_and_there_is_no_good_version_then_the_reader_says_so(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: shaky
          on_failure: continue
          source: {type: delta, query: select nope}
          destination: {path: "{{ base_path }}/shaky"}
        - name: reader
          depends_on: [shaky]
          source: {type: delta, query: select * from shaky}
          destination: {path: "{{ base_path }}/reader"}
        - name: regardless
          depends_on: [shaky]
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/regardless"}
        """
    )
    ran = made.run()
    assert ran.statuses == {"shaky": "failed", "reader": "failed", "regardless": "success"}
    assert "has never been written" in _error(ran["reader"]).message
