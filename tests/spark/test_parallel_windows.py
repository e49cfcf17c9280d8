"""Windows side by side: the same tables as one after another, whatever meets, fails or stops."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.execution.signals import Signals
from pipelines.execution.together import Together, Turns
from pipelines.history_run import HistoryRun
from pipelines.pipeline import Pipeline
from pipelines.plan.windows import Period, window_at
from pipelines.prepared import Options
from pipelines.results import RunFinished, RunStarted, StepStarted
from tests.conftest import Told

if TYPE_CHECKING:
    from pipelines.history_run import HistoryResult
    from pipelines.results import Event, RunResult
    from tests.conftest import Project

HEAD = "run: {mode: history, window: month, max_parallel_windows: 2}"
EVENTS = """
select * from values
  (1, 'enrolled', date'2026-01-05'), (2, 'enrolled', date'2026-01-31'),
  (1, 'moved', date'2026-02-01'), (3, 'enrolled', date'2026-02-28'),
  (2, 'left', date'2026-03-31'), (1, 'left', date'2026-03-02'), (3, 'left', date'2026-04-01')
  as t (id, status, day)
"""
OF_THE_WINDOW = "day >= '{{ run.window_start }}' and day < '{{ run.window_end }}'"
STEPS = f"""
- name: happened
  source:
    type: delta
    path: "{{{{ base_path }}}}/events"
    query: "select id, {{{{ vars.what }}}} as status, day from happened where {OF_THE_WINDOW}"
  destination: {{path: "{{{{ base_path }}}}/happened", mode: replace_window, window_column: day}}
- name: added
  source:
    type: delta
    path: "{{{{ base_path }}}}/events"
    query: "select id, day from added where {OF_THE_WINDOW}"
  destination: {{path: "{{{{ base_path }}}}/added", mode: append}}
"""
NOW = datetime(2026, 5, 1, 5, tzinfo=timezone.utc)
ALL = Period(date(2026, 1, 1), date(2026, 4, 30))


def go(made: Project, act: Callable[[str, Event], object], **options: Any) -> HistoryResult:
    """Runs all windows; ``act`` is told of each event with the window that it is of."""

    def sinks(label: str) -> list[Told]:
        return [Told(lambda event: act(label, event))]

    given = Options(project_dir=made.root, **options)
    history = HistoryRun("main_flow", given, ALL, sinks=sinks, spark=made.spark, now=lambda: NOW)
    assert history.order == "windows run side by side, at most 2 at a time"
    return history.run()


def states(result: HistoryResult) -> list[str]:
    return [row.reason or row.state.value for row in result.rows]


@pytest.mark.long
def test_windows_when_they_run_side_by_side_then_a_failed_one_stops_no_other_and_nothing_is_lost(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS, HEAD)
    made.put("events", EVENTS)
    at_once = threading.Barrier(2)
    alone: list[str] = []

    def meet(label: str, event: Event) -> None:
        if isinstance(event, RunStarted) and label.startswith(("2026-02", "2026-03")):
            at_once.wait(60)
        if isinstance(event, RunFinished):
            alone.append(label)

    bad = "case when day = '2026-02-28' then raise_error('february') else status end"
    result = go(made, meet, vars={"what": bad})
    assert not at_once.broken
    assert alone[0] == "2026-01-01 to 2026-01-31"  # which made the tables, before others began
    assert (states(result), result.exit_code) == (["done", "failed", "done", "done"], 1)
    ledger = json.loads((made.root / "lake/_checkpoints/toy/_intervals.json").read_text())
    assert [list(one["steps"].values()) for one in ledger["intervals"]] == [
        [True, True], [False, True], [True, True], [True, True],
    ]  # fmt: skip

    logs = made.root / "pipelines/logs"
    runs = [json.loads(file.read_text()) for file in logs.glob("[0-9]*.json")]
    assert sorted(run["status"] for run in runs) == ["failed", "success", "success", "success"]
    assert json.loads((logs / "pipeline_log.json").read_text()) in runs
    writes = [step for run in runs for step in run["steps"] if step["status"] == "success"]
    for step in writes:  # each knows its own commit, though others came in between
        where = step["destination"]
        assert len(step["attempts"]) == 1
        assert where["version_after"] - (where["version_before"] or 0) in (0, 1)

    mended = go(made, lambda *_: None, vars={"what": "status"}, resume=None)
    assert states(mended) == ["--reprocess failed", "done", *["--reprocess failed"] * 2]
    assert made.rows("happened") == made.rows("events")
    assert made.rows("added") == sorted(
        ((one, day) for one, _, day in made.rows("events")), key=repr
    )


# Some hours of work, from February on.
ENDLESS = """
- name: endless
  source:
    type: delta
    query: >-
      select cast(count(*) as int) as id, date'{{ run.window_start }}' as day
      {% if run.window_start > '2026-01-31' %}
      from range(0, 3000000, 1, 2) as a cross join range(0, 3000000, 1, 2) as b
      where a.id * b.id % 7 = 3 and sqrt(a.id + b.id) > 1
      {% endif %}
  destination: {path: "{{ base_path }}/endless", mode: append}
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_windows_when_a_signal_comes_then_all_that_run_are_cancelled_and_say_so(
    project: Callable[..., Project], number: signal.Signals, code: int
) -> None:
    made = project(ENDLESS, HEAD)
    at_work: set[str] = set()

    def stop(label: str, event: Event) -> None:
        if isinstance(event, StepStarted) and label > "2026-02":
            at_work.add(label)
            if len(at_work) == 2:
                os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    result = go(made, stop)
    assert signal.getsignal(number) is before
    assert result.exit_code == code
    assert states(result) == ["done", "failed", "failed", "an earlier window did not succeed"]
    logs = [json.loads(f.read_text()) for f in (made.root / "pipelines/logs").glob("[0-9]*.json")]
    told = {log["window"][0]: (log["status"], log["exit_code"]) for log in logs}
    assert told == {
        "2026-01-01": ("success", 0),
        "2026-02-01": ("cancelled", code),
        "2026-03-01": ("cancelled", code),
    }
    assert len(made.rows("endless")) == 1


# The rows of a window take as long as a file of its day is there.
HELD = """
import time
from pathlib import Path

from pyspark.sql import functions as f
from pyspark.sql.types import IntegerType


def ingest(spark, context):
    day, folder = context.params["day"], context.params["folder"]

    def held(number):
        until = time.monotonic() + 60
        Path(folder, f"running-{day}").touch()
        while Path(folder, f"hold-{day}").exists() and time.monotonic() < until:
            time.sleep(0.02)
        return number

    number = f.udf(held, IntegerType(), useArrow=False)(f.lit(1))
    return spark.range(1).select(number.alias("id"), f.lit(day).cast("date").alias("day"))
"""
HELD_STEP = """
- name: held
  script: ingestion/held.py
  params: {day: "{{ run.window_start }}", folder: "{{ project_dir }}"}
  destination: {path: "{{ base_path }}/held", mode: replace_window, window_column: day%s}
  retry: {attempts: 3, delay_seconds: 0}
"""


@pytest.mark.parametrize(("layout", "attempts"), [("", [1, 2]), (", partition_by: [day]", [1, 1])])
def test_windows_when_their_commits_meet_then_one_is_tried_again_and_no_row_is_doubled(
    project: Callable[..., Project], layout: str, attempts: list[int]
) -> None:
    made = project(HELD_STEP % layout, files={"ingestion/held.py": HELD})
    days = ["2026-02-01", "2026-03-01"]
    assert run_window(made, date(2026, 1, 1)).exit_code == 0
    for day in days:
        made.write(f"hold-{day}", "")
    with ThreadPoolExecutor(2) as pool:  # as from two machines: nobody gives turns
        runs = [pool.submit(run_window, made, date.fromisoformat(day)) for day in days]
        try:
            wait_for([made.root / f"running-{day}" for day in days])
        finally:
            for day in days:
                (made.root / f"hold-{day}").unlink()
    steps = [run.result().steps[0] for run in runs]
    assert [step.status.value for step in steps] == ["success", "success"]
    assert sorted(len(step.attempts) for step in steps) == attempts
    lost = [one.error for step in steps for one in step.attempts if one.error is not None]
    assert all(error.transient for error in lost)
    assert made.rows("held") == [(1, date(2026, number, 1)) for number in (1, 2, 3)]


def run_window(made: Project, day: date, together: Together | None = None) -> RunResult:
    window = window_at(day, "month")
    options = Options(
        project_dir=made.root, mode="history", window=window, run_date=day, batch_id=str(window)
    )
    return Pipeline("main_flow", options, spark=made.spark, together=together).run_locked()


def wait_for(files: list[Path]) -> None:
    """Returns as soon as the files are there."""
    deadline, pause = time.monotonic() + 60, threading.Event()
    while not all(file.exists() for file in files):
        assert time.monotonic() < deadline, files
        pause.wait(0.05)


BROKEN = """
- name: added
  source: {type: delta, query: "select 1 as id, date'{{ run.window_start }}' as day"}
  destination: {path: "{{ base_path }}/added", mode: append}
  dq_checks: [{file: dq/known.sql, severity: warn}]
"""

KNOWN = "select * from added where id not in (select id from delta.`{{ base_path }}/known`)"


def test_windows_when_one_has_to_undo_a_write_beside_others_then_it_leaves_it_and_takes_it_up(
    project: Callable[..., Project],
) -> None:
    made = project(BROKEN, files={"dq/known.sql": KNOWN})
    with ExitStack() as stack:
        together = Together(stack, Signals(), Turns())
        first = run_window(made, date(2026, 1, 1), together)
        error = first.steps[0].error
        assert error is not None
        assert "undoing its write failed" in error.message
        assert "version 0 stays: other windows write to the table too" in error.message
        assert made.commits("added") == ["WRITE"]
        made.put("known", "select 1 as id")
        again = run_window(made, date(2026, 1, 1), together)
    assert again.exit_code == 0
    assert made.rows("added") == [(1, date(2026, 1, 1))]
