"""The batch's name: where it comes from, that it is one and the same all over a run."""

from __future__ import annotations

import json
from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import FlowError
from pipelines.pipeline import Options, Pipeline, generate_batch_id
from pipelines.run_pipeline import main
from tests.fakes import TickingClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project

STEPS = """
- name: one
  source: {type: delta, query: "select '{{ batch_id }}' as batch_id"}
  destination: {path: "{{ base_path }}/one"}
- name: other
  source: {type: delta, query: sql/other.sql}
  destination: {path: "{{ base_path }}/other"}
- name: scripted
  script: scripts/batch.py
  destination: {path: "{{ base_path }}/scripted"}
"""
FILES = {
    "sql/other.sql": "select {{ batch_id | sql_literal }} as batch_id",
    "scripts/batch.py": (
        "def ingest(spark, context):\n"
        "    return spark.createDataFrame([(context.batch_id,)], 'batch_id string')\n"
    ),
}
OF_THE_DAY = 'batch_id: "{{ run_date }}"'
DAY = date(2026, 11, 23)


@pytest.fixture
def make(project: Callable[..., Project]) -> Callable[..., Project]:
    return lambda head="": project(STEPS, head, FILES)


# --- made up -----------------------------------------------------------------------------------


def test_batch_id_when_none_is_configured_then_is_the_time_in_utc() -> None:
    moment = datetime(2026, 11, 23, 10, 58, 24, 999_999, tzinfo=timezone.utc)
    assert generate_batch_id(now=lambda: moment) == "20261123T105824Z"
    assert generate_batch_id(None, lambda: moment) == "20261123T105824Z"
    assert generate_batch_id("", lambda: moment) == "20261123T105824Z"


def test_batch_id_when_made_by_the_real_clock_then_is_of_this_moment() -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    made = datetime.strptime(generate_batch_id(), "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)
    assert before <= made <= datetime.now(timezone.utc)


@given(st.text(min_size=1))
def test_batch_id_when_configured_then_no_clock_is_looked_at(configured: str) -> None:
    def no_clock() -> datetime:
        raise AssertionError("nobody should ask for the time")

    assert generate_batch_id(configured, no_clock) == configured


@settings(deadline=None)
@given(
    st.lists(
        st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(timezone.utc)),
        min_size=2,
    )
)
def test_batch_ids_when_made_one_after_another_then_sort_by_time(moments: list[datetime]) -> None:
    made = [generate_batch_id(now=iter([moment]).__next__) for moment in sorted(moments)]
    assert made == sorted(made)


# --- who has the say ---------------------------------------------------------------------------


def _batch_id(made: Project, **options: Any) -> str:
    engine = Pipeline("main_flow", Options(project_dir=made.root, **options), now=TickingClock())
    return engine.checked().batch_id


def test_batch_id_when_nobody_gives_one_then_falls_back_to_the_time(
    make: Callable[..., Project],
) -> None:
    assert _batch_id(make()).startswith("20261123T1058")


def test_batch_id_when_the_flow_has_a_template_then_is_that_rendered(
    make: Callable[..., Project],
) -> None:
    made = make(OF_THE_DAY)
    assert _batch_id(made, run_date=DAY) == "2026-11-23"
    assert _batch_id(made, run_date=date(2026, 11, 24)) == "2026-11-24"
    named = make('batch_id: "{{ pipeline.name }}-{{ env }}-{{ vars.n }}"\nvars: {n: 1}')
    assert _batch_id(named, vars={"n": 7}) == "toy-test-7"


@pytest.mark.parametrize("head", ["", OF_THE_DAY, "batch_id: fixed"])
def test_batch_id_when_the_command_line_gives_one_then_it_wins(
    make: Callable[..., Project], head: str
) -> None:
    assert _batch_id(make(head), batch_id="mine", run_date=DAY) == "mine"


@pytest.mark.parametrize(
    ("words", "told"), [((), "2026-11-23"), (("--batch-id", "re-load 7"), "re-load 7")]
)
def test_batch_id_when_given_to_the_cli_then_plan_tells_it(
    make: Callable[..., Project],
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    told: str,
) -> None:
    made = make(OF_THE_DAY)
    fixed = ("plan", "--project-dir", str(made.root), "--run-date", "2026-11-23")
    with pytest.raises(SystemExit) as ended:
        main([*fixed, "--format", "json", *words])
    assert ended.value.code == 0
    assert json.loads(capsys.readouterr().out)["batch_id"] == told


# --- one and the same --------------------------------------------------------------------------


@pytest.mark.parametrize("select", [(), ("state:modified",)])
def test_batch_id_when_the_clock_goes_on_then_stays_the_same_in_every_step(
    make: Callable[..., Project], select: tuple[str, ...]
) -> None:
    made = make()
    engine = Pipeline(
        "main_flow", Options(project_dir=made.root, select=select), now=TickingClock()
    )
    batch_id = engine.checked().batch_id
    engine.decisions()
    texts = {step.sql.text for step in engine.checked().steps.values() if step.sql}
    assert texts == {f"select '{batch_id}' as batch_id"}
    assert engine.checked().names["batch_id"] == batch_id


def test_batch_id_when_it_holds_quotes_then_the_literal_filter_keeps_it_whole(
    make: Callable[..., Project],
) -> None:
    import sqlglot

    made = make()
    sql = made.pipeline(batch_id="o'clock \\ '").step("other").sql
    assert sql is not None
    (literal,) = sqlglot.parse_one(sql.text, dialect="spark").find_all(sqlglot.exp.Literal)
    assert literal.this == "o'clock \\ '"


@pytest.mark.parametrize("batch_id", [None, "re-load 7"])
def test_batch_id_when_the_flow_has_run_then_rows_log_commits_and_markers_agree_on_it(
    make: Callable[..., Project], batch_id: str | None
) -> None:
    made = make()
    ran = made.run(batch_id=batch_id)
    assert ran.result.exit_code == 0
    told = ran.result.run.batch_id
    assert told == batch_id or batch_id is None
    if batch_id is None:
        datetime.strptime(told, "%Y%m%dT%H%M%SZ")
    for table in ("one", "other", "scripted"):
        assert made.rows(table) == [(told,)]
        assert made.marker(table, told).is_file()
        (commit,) = made.spark.sql(f"describe history delta.`{made.path(table)}`").collect()
        assert json.loads(commit["userMetadata"])["batch_id"] == told
    log = json.loads((made.root / "pipelines/logs/pipeline_log.json").read_text(encoding="utf-8"))
    assert log["batch_id"] == told


def test_batch_id_when_the_flow_names_the_day_then_the_same_day_goes_on_and_the_next_begins(
    make: Callable[..., Project],
) -> None:
    made = make(OF_THE_DAY)
    ran = [
        made.run(batch_id=None, run_date=day, select=("one",))["one"].status.value
        for day in (DAY, DAY, date(2026, 11, 24))
    ]
    assert ran == ["success", "checkpointed", "success"]
    assert made.rows("one") == [("2026-11-24",)]


# --- refused -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("head", "told"),
    [
        ("batch_id: 20261123", "expected text"),
        ("batch_id: [a]", "expected text"),
        ("batch_id: true", "expected text"),
        ('batch_id: "{{ run_dat }}"', "'run_dat' is undefined"),
        ('batch_id: "{{ batch_id }}"', "'batch_id' is undefined"),
        ('batch_id: "{{ run_date"', "template syntax"),
        ("batch_id: \"{{ secret('PW') }}\"", "'secret' is undefined"),
        ('batch_id: "{{ source.__globals__ }}"', "'source' is undefined"),
        ("batch_id: \"{{ ''.__class__ }}\"", "unsafe"),
    ],
)
def test_batch_id_when_the_flow_says_nonsense_then_is_refused_at_its_line(
    make: Callable[..., Project], head: str, told: str
) -> None:
    with pytest.raises(FlowError) as raised:
        make(head).pipeline(batch_id=None).checked()
    (finding,) = raised.value.findings
    assert told in finding.message
    assert (finding.file, finding.line) == ("pipelines/flows/main_flow.yaml", 4)
    assert finding.path == "pipeline.batch_id"
