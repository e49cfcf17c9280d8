"""History runs: windows of the past, each done once, replaced exactly, and like the daily runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import UsageError
from pipelines.history_run import HistoryRun, intervals_of
from pipelines.plan.windows import Period
from pipelines.prepared import Options
from tests.conftest import Told

if TYPE_CHECKING:
    from pipelines.history_run import HistoryResult
    from pipelines.results import RunResult
    from tests.conftest import Project

# What happened to whom, and when; the whole past stands in one table outside of the flow.
EVENTS = """
select * from values
  (1, 'enrolled', date'2026-01-05'), (2, 'enrolled', date'2026-01-31'),
  (1, 'moved', date'2026-02-01'), (3, 'enrolled', date'2026-02-28'),
  (2, 'left', date'2026-03-31'), (1, 'left', date'2026-03-02')
  as t (id, status, day)
"""
OF_THE_WINDOW = """
    query: >-
      select id, status, day from %s
      where day >= '{{ run.window_start }}' and day < '{{ run.window_end }}'
"""
STEPS = f"""
- name: happened
  source:
    type: delta
    path: "{{{{ base_path }}}}/events"
    {(OF_THE_WINDOW % "happened").strip()}
  destination: {{path: "{{{{ base_path }}}}/happened", mode: replace_window, window_column: day}}
- name: statuses
  depends_on: [happened]
  source:
    type: delta
    {(OF_THE_WINDOW % "happened").strip()}
  destination:
    {{path: "{{{{ base_path }}}}/statuses", mode: scd2, keys: [id], sequence_by: day}}
"""
NOW = datetime(2026, 4, 1, 5, tzinfo=timezone.utc)
ALL = Period(date(2026, 1, 1), date(2026, 3, 31))


@dataclass
class Went:
    """A history run, and the runs of its windows."""

    result: HistoryResult
    runs: list[RunResult] = field(default_factory=list)

    @property
    def states(self) -> list[str]:
        return [row.reason or row.state.value for row in self.result.rows]


def go(made: Project, period: Period = ALL, now: datetime = NOW, **options: Any) -> Went:
    told = Told()
    history = HistoryRun(
        "main_flow",
        Options(project_dir=made.root, **options),
        period,
        sinks=lambda _: [told],
        spark=made.spark,
        now=lambda: now,
    )
    result = history.run()
    runs = [event.result for event in told.events if hasattr(event, "result")]
    return Went(result, [run for run in runs if hasattr(run, "exit_code")])


def versions(made: Project) -> list[tuple[Any, ...]]:
    return [tuple(map(str, row[:5])) for row in made.rows("statuses")]


def test_history_when_run_then_it_gives_what_daily_runs_give_and_each_window_is_a_run(
    project: Callable[..., Project],
) -> None:
    made, daily = project(STEPS), project(STEPS)
    made.put("events", EVENTS)
    daily.put("events", EVENTS)
    went = go(made)
    assert went.result.exit_code == 0
    assert went.states == ["done"] * 3
    assert [run.run.window for run in went.runs] == [
        ("2026-01-01", "2026-02-01"),
        ("2026-02-01", "2026-03-01"),
        ("2026-03-01", "2026-04-01"),
    ]
    assert {run.run.mode for run in went.runs} == {"history"}
    assert len({run.run.batch_id for run in went.runs}) == len(went.runs)
    for day in sorted({row[2] for row in daily.rows("events")}):
        daily.run(run_date=day, batch_id=f"day {day}")
    assert made.rows("happened") == daily.rows("happened") == made.rows("events")
    assert versions(made) == versions(daily)
    assert len(versions(made)) == 6

    # Nothing is left to do, and nothing is written.
    before = made.log("happened").version()
    again = go(made)
    assert again.states == ["--reprocess failed"] * 3
    assert (again.runs, made.log("happened").version()) == ([], before)


@pytest.mark.long
def test_history_when_a_window_is_run_again_then_exactly_its_rows_are_replaced(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS)
    made.put("events", EVENTS)
    go(made)
    made.put("events", EVENTS.replace("'moved', date'2026-02-01'", "'came', date'2026-02-03'"))
    february = Period(date(2026, 2, 10), date(2026, 2, 11), reprocess="all")
    assert go(made, february).states == ["done"]
    assert made.rows("happened") == made.rows("events")


def test_history_when_a_window_fails_then_order_holds_and_the_next_run_fills_the_gap(
    project: Callable[..., Project],
) -> None:
    bad = "raise_error('february')"
    steps = STEPS.replace("select id, status, day", "select id, {{ vars.what }} as status, day", 1)
    made = project(steps)
    flow = made.root / "pipelines/flows/main_flow.yaml"
    flow.write_text(
        flow.read_text().replace("- name: stage\n", "- name: stage\n      publish: true\n")
    )
    made.put("events", EVENTS)
    fails = f"case when day = '2026-02-28' then {bad} else status end"
    went = go(made, vars={"what": fails})
    assert went.result.exit_code == 1
    assert went.states == ["done", "failed", "an earlier window did not succeed"]
    (held,) = went.result.releases
    assert held.status == "held_back"
    assert held.reason == "2 of 3 windows are not done, the first is 2026-02-01 to 2026-02-28"
    assert {run.releases[0].status for run in went.runs} == {"held_back"}
    assert went.result.rows[1].broken == ("stage.group.happened", "stage.group.statuses")
    ledger = json.loads((made.root / "lake/_checkpoints/toy/_intervals.json").read_text())
    assert [one["start"] for one in ledger["intervals"]] == ["2026-01-01", "2026-02-01"]
    rows = intervals_of("main_flow", Options(project_dir=made.root, vars={"what": "status"}),
                        Period(reprocess="none"))  # fmt: skip
    assert [row.state.value for row in rows] == ["done", "failed"]

    gaps = Period(ALL.first, ALL.last, reprocess="none")
    filled = go(made, gaps, vars={"what": "status"})
    assert filled.states == ["--reprocess none", "--reprocess none", "done"]
    assert filled.result.releases[0].status == "held_back"
    mended = go(made, resume=False, vars={"what": "status"})
    assert mended.states == ["--reprocess failed", "done", "--reprocess failed"]
    assert made.rows("happened") == made.rows("events")
    assert len(versions(made)) == 6
    (released,) = mended.result.releases
    assert (released.status, released.tables) == (
        "released",
        {f"stage.group.{one}": made.log(one).version() for one in ("happened", "statuses")},
    )
    assert go(made, vars={"what": "status"}).result.releases[0].status == "stands"


@pytest.mark.long
def test_history_when_order_is_lost_or_rows_would_double_then_it_refuses_before_it_begins(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS.replace(", sequence_by: day", "").replace("mode: scd2", "mode: merge"))
    made.put("events", EVENTS)
    go(made)
    january = Period(date(2026, 1, 1), date(2026, 1, 31), reprocess="all")
    with pytest.raises(UsageError, match=r"cannot tell older rows from newer .* 2026-03-01 to"):
        go(made, january)
    assert go(made, Period(ALL.first, ALL.last, reprocess="all")).states == ["done"] * 3

    appends = STEPS.replace("mode: replace_window, window_column: day", "mode: append")
    made = project(appends)
    made.put("events", EVENTS)
    go(made)
    with pytest.raises(UsageError, match="happened appends, and would double the rows of 2026-01"):
        go(made, january)


def test_history_when_only_the_last_window_would_be_left_then_it_refuses(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS.replace("mode: replace_window, window_column: day", "mode: overwrite"))
    with pytest.raises(UsageError, match="happened takes the rows of a window, and mode 'over"):
        go(made)


@pytest.mark.parametrize(
    ("period", "options", "message"),
    [
        (Period(), {}, "from which day on"),
        (Period(date(2026, 2, 1), date(2026, 1, 1)), {}, "--to 2026-01-01 is before"),
        (Period(date(2026, 4, 1), date(2026, 4, 2)), {}, "2026-04-01 to 2026-04-30 is not over"),
        (ALL, {"full_refresh": True}, "--full-refresh does not go with"),
        (ALL, {"run_date": date(2026, 1, 1)}, "--run-date does not go with"),
    ],
)
def test_history_when_the_period_is_none_then_the_message_says_what_to_give(
    project: Callable[..., Project], period: Period, options: dict[str, Any], message: str
) -> None:
    made = project(STEPS)
    with pytest.raises(UsageError, match=message):
        go(made, period, **options)


@pytest.mark.long
def test_history_when_the_last_window_is_not_over_then_it_is_left_to_daily_runs(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS)
    made.put("events", EVENTS)
    went = go(made, now=datetime(2026, 3, 15, tzinfo=timezone.utc))
    assert went.states == ["done", "done", "it is not over"]


@pytest.mark.parametrize(
    ("column", "said"),
    [
        ("day", "a row is outside of the window 2026-01-01 to 2026-01-31: `day` is 2026-02-01"),
        ("days", "the result has no window_column 'days'"),
        ("id", "window_column 'id' is int"),
    ],
)
def test_replace_window_when_rows_are_not_its_own_then_nothing_is_written(
    project: Callable[..., Project], column: str, said: str
) -> None:
    steps = STEPS.partition("- name: statuses")[0]
    steps = steps.replace("day < '{{ run.window_end }}'", "day < '2026-02-02'")
    made = project(steps.replace("window_column: day", f"window_column: {column}"))
    made.put("events", EVENTS)
    went = go(made, Period(date(2026, 1, 1), date(2026, 1, 2)))
    error = went.runs[0].steps[0].error
    assert error is not None
    assert said in error.message
    assert made.log("happened").version() is None
