from __future__ import annotations

import io
import json
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import jinja2
import pytest
import yaml

from pipelines import console
from pipelines.errors import Finding
from pipelines.plan.compile import CompiledPlan, compile_plan
from pipelines.plan.plan import RunRequest, build_plan
from pipelines.results import (
    NOT_SELECTED,
    Attempt,
    AttemptFailed,
    CheckResult,
    CheckStatus,
    ErrorInfo,
    RunFinished,
    RunInfo,
    RunResult,
    RunStarted,
    Status,
    StepFinished,
    StepResult,
    StepStarted,
    WriteCounts,
    duration_text,
)
from pipelines.spec.config import Environment
from pipelines.spec.loader import load_flow

START = datetime(2026, 11, 23, 10, 58, 24, tzinfo=timezone.utc)
STUDENTS, HUB, FACT = "bronze.ingestion.students", "silver.hubs.hub", "gold.facts.fact"
REFUSED = ErrorInfo("08001", "refused [bold]by\x1b[31m host", True, "SQLSTATE 08001", "start it")
RUN = RunInfo(
    "r1", "b1", "edfi", "main_flow.yaml", "x", "local", "daily", ("2026-11-23", "2026-11-24"),
    START, "etl", "host", "abc", {"spark": "4.2.0"}, 1, (STUDENTS, HUB, FACT),
    str(Path.cwd() / "elsewhere/r1.json"),
)  # fmt: skip


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def step(step_id: str, status: Status, seconds: float = 0, **more: Any) -> StepResult:
    times = (at(0), at(seconds)) if seconds else (None, None)
    return StepResult(step_id, *step_id.split("."), status, *times, **more)


def check(status: CheckStatus, severity: str, **more: Any) -> CheckResult:
    return CheckResult("dq/a.sql", status, 12, "value <= 10", severity, 0.1, **more)


def failed_run() -> RunResult:
    return RunResult.collect(
        RUN,
        [
            step(
                STUDENTS, Status.SUCCESS, 12.3, counts=WriteCounts(10_000, 7, 0),
                checks=(check(CheckStatus.WARNED, "warn", description="few rows"),),
            ),
            step(
                HUB, Status.FAILED, 245, error=REFUSED,
                attempts=tuple(Attempt(n, START, 1.0, REFUSED) for n in (1, 2, 3)),
                checks=(check(CheckStatus.FAILED, "error", sample=({"id": 7},)),),
            ),
            step(FACT, Status.BLOCKED, reason="waits for silver.hubs.hub"),
        ],
        finished_at=at(31.2),
    )  # fmt: skip


def events() -> list[Any]:
    run = failed_run()
    return [
        RunStarted(RUN, START),
        StepStarted(STUDENTS, at(0)),
        AttemptFailed(STUDENTS, Attempt(1, START, 2.0, REFUSED), 8.0, at(2)),
        *(StepFinished(result, at(12.3)) for result in run.steps),
        RunFinished(run, at(31.2)),
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"), (0.4, "0.4 s"), (31.2, "31.2 s"), (59.94, "59.9 s"),
        (59.96, "1 min 00 s"), (245, "4 min 05 s"), (3599.6, "1 h 00 min"),
        (3720, "1 h 02 min"), (-0.2, "0.0 s"), (None, "-"),
    ],
)  # fmt: skip
def test_duration_text_reads_as_people_say_it(seconds: float | None, text: str) -> None:
    assert duration_text(seconds) == text


@pytest.mark.parametrize(
    ("number", "text"), [(1234567, "1,234,567"), (None, "-"), (0.25, "0.25"), (12.0, "12")]
)
def test_number_text_has_thousands_separators(number: float | None, text: str) -> None:
    assert console.number_text(number) == text


WARNING = Finding("unmapped", "maps nothing", "warning", "a.yaml", 3, 4)
ERROR = Finding(
    "unknown-key", "50% off\nnow", "error", "d,e:f.yaml", 42, 7, "p.x", "'x'", "mend it", ("y",)
)


def test_findings_text_puts_errors_first_and_counts_last() -> None:
    lines = console.findings_text([WARNING, ERROR, WARNING]).splitlines()
    assert lines[0].startswith("error[unknown-key]: d,e:f.yaml:42:7, p.x: 50% off")
    assert "    did you mean 'y'?" in lines
    assert lines[-2] == "warning[unmapped]: a.yaml:3:4: maps nothing"
    assert lines[-1] == "1 error, 2 warnings"


def test_findings_text_as_json_is_a_list_of_findings() -> None:
    assert json.loads(console.findings_text([WARNING, ERROR], "json")) == [
        ERROR.as_dict(),
        WARNING.as_dict(),
    ]


def test_findings_text_for_github_escapes_what_would_end_the_command() -> None:
    first = console.findings_text([ERROR], "github").splitlines()[0]
    assert first == (
        "::error file=d%2Ce%3Af.yaml,line=42,col=7,title=unknown-key::"
        "p.x: 50%25 off%0Anow (found 'x')%0A    did you mean 'y'?%0A    mend it"
    )


def test_findings_text_when_format_unknown_then_says_so() -> None:
    with pytest.raises(ValueError, match="xml"):
        console.findings_text([], "xml")


def test_summary_text_tells_counts_failures_samples_and_warnings() -> None:
    text = console.summary_text(failed_run(), width=100, color=False)
    assert max(map(len, text.splitlines())) <= 100
    students = next(line for line in text.splitlines() if line.startswith(STUDENTS))
    assert students.split() == [
        STUDENTS, "✓", "success", "10,000", "7", "12.3", "s", "-", "1", "warning",
    ]  # fmt: skip
    assert f"✗ {HUB}  failed after 3 attempts" in text
    assert "08001: refused [bold]by�[31m host" in text
    assert "passing fault · SQLSTATE 08001" in text
    assert "→ start it" in text
    assert "dq/a.sql: value 12, expected value <= 10" in text
    assert "id=7" in text
    assert f"! {STUDENTS}  dq/a.sql: value 12, expected value <= 10  (few rows)" in text
    last = text.splitlines()[-1]
    assert last == "run r1 failed in 31.2 s — log elsewhere/r1.json"


def test_summary_text_when_no_color_set_then_no_escape(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", Terminal())
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert "\x1b[" in console.summary_text(failed_run())
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in console.summary_text(failed_run())


def test_summary_text_when_run_is_long_then_groups_that_ended_well_are_one_row() -> None:
    good = [step(f"bronze.ods.t{n}", Status.SUCCESS, 1, counts=WriteCounts(2)) for n in range(100)]
    run = RunResult.collect(RUN, [*good, step(HUB, Status.FAILED, 1)], finished_at=at(9))
    lines = console.summary_text(run, width=100, color=False).splitlines()
    assert len(lines) < 10
    block = ["bronze.ods", "100", "steps", "✓", "success", "200"]
    assert block in [line.split()[:6] for line in lines]


def test_show_text_shows_the_same_as_the_summary_with_circumstances_above() -> None:
    run = failed_run()
    shown = console.show_text(run.as_dict(), log=RUN.log_file, width=100, color=False)
    assert shown.endswith(console.summary_text(run, width=100, color=False))
    assert "etl@host" in shown
    assert "spark 4.2.0" in shown


def test_show_text_when_log_is_of_a_killed_run_then_still_shown() -> None:
    text = console.show_text(
        {"run_id": "r9", "status": "interrupted", "steps": []}, log="r9.json", color=False
    )
    assert text.splitlines()[-1].endswith("run r9 interrupted — log r9.json")


def test_history_text_has_a_line_a_run() -> None:
    runs = [failed_run().as_dict(), {**failed_run().as_dict(), "run_id": "r0"}]
    lines = console.history_text(runs, width=120, color=False).splitlines()
    assert [line.split()[0] for line in lines] == ["run", "r1", "r0"]
    assert "2026-11-23 10:58" in lines[1]
    assert "1 success, 1 failed, 1 blocked" in lines[1]
    assert console.history_text([]) == "no runs yet"


def test_doctor_text_puts_the_hint_below_and_counts() -> None:
    rows = [("Java", "ok", "17", ""), ("dot", "fail", "missing", "apt-get install graphviz")]
    lines = console.doctor_text(rows, color=False).splitlines()
    assert lines[1].split() == ["✗", "fail", "dot", "missing"]
    assert lines[2].strip() == "→ apt-get install graphviz"
    assert lines[-1] == "1 ok, 0 warnings, 1 failure"


def test_plain_progress_writes_a_line_an_event_and_then_the_summary() -> None:
    out, results = io.StringIO(), io.StringIO()
    sink = console.PlainProgress(out, results, color=False)
    for event in events():
        sink.handle(event)
    clock = f"{START.astimezone():%H:%M:%S}"
    lines = out.getvalue().splitlines()
    assert lines[0].startswith(f"{clock}  run r1  edfi  environment local  batch b1  3 steps")
    assert lines[1] == f"{clock}  {STUDENTS}  started"
    assert f"  {STUDENTS}  retry  attempt 1 failed  after 2.0 s  next in 8.0 s" in lines[2]
    assert lines[3].strip() == "08001: refused [bold]by�[31m host (SQLSTATE 08001)"
    assert lines[4].strip() == "-> start it"
    success = f"  {STUDENTS}  success  12.3 s  10,000 rows  7 updated  1 check  1 warning"
    assert lines[5].endswith(success)
    assert f"  {FACT}  blocked  (waits for silver.hubs.hub)" in out.getvalue()
    assert lines[-1].endswith("  run r1  failed  31.2 s  1 success, 1 failed, 1 blocked")
    assert results.getvalue().endswith("log elsewhere/r1.json\n")


def test_json_progress_writes_one_object_an_event() -> None:
    out = io.StringIO()
    sink = console.JsonProgress(out)
    for event in events():
        sink.handle(event)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in lines] == [
        "run_started", "step_started", "attempt_failed", *["step_finished"] * 3, "run_finished",
    ]  # fmt: skip
    assert {line["run_id"] for line in lines} == {"r1"}
    assert lines[2]["attempt"]["error"]["hint"] == "start it"
    assert lines[3]["rows_written"] == 10_000
    assert lines[-1]["step_counts"] == {"blocked": 1, "failed": 1, "success": 1}
    assert lines[-1]["exit_code"] == 1


def test_progress_when_the_run_is_small_then_tells_where_it_writes_at_start_and_end() -> None:
    run = replace(RUN, kind="sample 50", scratch="/s/toy")
    checks = (check(CheckStatus.NOT_JUDGED, "error"), check(CheckStatus.NOT_JUDGED, "warn"))
    steps = [step(STUDENTS, Status.SUCCESS, 1, checks=checks)]
    result = RunResult.collect(run, steps, finished_at=at(2))
    out, results, told = io.StringIO(), io.StringIO(), io.StringIO()
    for sink in (
        console.PlainProgress(out, results, color=False),
        console.JsonProgress(told),
        console.LiveProgress(Terminal(), io.StringIO(), color=False),
    ):
        for event in (RunStarted(run, START), RunFinished(result, at(2))):
            sink.handle(event)
    assert "small run: sample 50; it writes to /s/toy only" in out.getvalue()
    assert "2 checks ran and judged nothing" in results.getvalue()
    assert "small run (sample 50): its tables are in /s/toy/lakehouse" in results.getvalue()
    assert "warning" not in results.getvalue()
    started = json.loads(told.getvalue().splitlines()[0])
    assert (started["run_kind"], started["scratch"]) == ("sample 50", "/s/toy")
    shown = console.show_text(result.as_dict())
    assert "sample 50" in shown


def test_live_progress_shows_stages_running_steps_retries_and_fits_the_height() -> None:
    sink = console.LiveProgress(Terminal(), io.StringIO(), color=False, now=lambda: at(5))
    started, running, retried, finished, *_ = events()
    for event in (started, running):
        sink.handle(event)
    assert any(f"▸ {STUDENTS}  5.0 s" in line.plain for line in sink.lines())
    sink.handle(retried)
    assert any("attempt 2 in 5.0 s  08001: refused" in line.plain for line in sink.lines())
    sink.handle(finished)
    bronze = next(line.plain for line in sink.lines() if "bronze " in line.plain)
    assert bronze.endswith("1/1  1 success")
    assert sink.lines()[-1].plain.startswith(f"last: {STUDENTS}  success")
    for number in range(50):
        sink.handle(StepStarted(f"silver.hubs.s{number}", at(1)))
    assert len(sink.lines(20)) < 20
    assert any("more" in line.plain for line in sink.lines(20))
    sink.close()


def test_live_progress_when_run_ends_then_cursor_is_back_and_summary_is_out() -> None:
    terminal, results = Terminal(), io.StringIO()
    sink = console.LiveProgress(terminal, results, color=False)
    for event in events():
        sink.handle(event)
    sink.close()
    shown = terminal.getvalue()
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") == 1
    assert shown.rindex("\x1b[2K") > shown.rindex("last: ")
    assert f"✗ {HUB}  failed" in shown
    assert "run r1 failed in 31.2 s" in results.getvalue()


@pytest.mark.parametrize(
    ("log_format", "stream", "variables", "kind"),
    [
        ("auto", Terminal(), {"TERM": "xterm"}, console.LiveProgress),
        ("auto", Terminal(), {"TERM": "dumb"}, console.PlainProgress),
        ("auto", Terminal(), {"TERM": "xterm", "CI": "true"}, console.PlainProgress),
        ("auto", io.StringIO(), {"TERM": "xterm"}, console.PlainProgress),
        ("rich", io.StringIO(), {}, console.LiveProgress),
        ("text", Terminal(), {"TERM": "xterm"}, console.PlainProgress),
        ("json", Terminal(), {"TERM": "xterm"}, console.JsonProgress),
    ],
)
def test_progress_chooses_by_format_and_stream(
    log_format: str, stream: io.StringIO, variables: dict[str, str], kind: type
) -> None:
    assert type(console.progress(log_format, stream, variables=variables)) is kind


def test_progress_when_format_unknown_then_says_so() -> None:
    with pytest.raises(ValueError, match="xml"):
        console.progress("xml")


def test_write_result_when_stdout_is_ascii_then_nothing_breaks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    console.write_result("✓ done — é")
    assert raw.getvalue() == b"? done ? ?\n"


class Renderer:
    """Fills in templates; every file is one query."""

    def render_text(self, text: str, names: Any, *, file: str = "", line: int = 1) -> str:
        return str(jinja2.Template(text).render(names))

    def render_file(self, path: str, names: Any) -> Any:
        raise AssertionError(path)

    def read_file(self, path: str) -> str:
        raise AssertionError(path)


@dataclass(frozen=True)
class Decided:
    status: Status
    reason: str


def _compiled(folder: Path, groups: dict[str, list[str]]) -> CompiledPlan:
    """A flow with a stage `bronze` and, waiting for it, `silver` with ``groups``."""

    def one(name: str, **more: Any) -> dict[str, Any]:
        destination = {"path": f"{{{{ base_path }}}}/{name}"}
        source = {"type": "delta", "query": "select 1"}
        return {"name": name, "source": source, "destination": destination, **more}

    silver = [{"name": g, "steps": [one(name) for name in names]} for g, names in groups.items()]
    silver[0]["steps"].append(one("late", depends_on=["students", next(iter(groups.values()))[0]]))
    stages = [
        {"name": "bronze", "groups": [{"name": "ingestion", "steps": [one("students")]}]},
        {"name": "silver", "depends_on": ["bronze"], "groups": silver},
    ]
    file = folder / "flow.yaml"
    file.write_text(yaml.safe_dump({"pipeline": {"name": "edfi", "stages": stages}}))
    plan = build_plan(load_flow(file, folder), RunRequest("r1", date(2026, 11, 23)))
    return compile_plan(plan, Renderer(), "local", Environment(base_path="lake"), "b1")


def test_plan_text_shows_action_destination_waits_and_reason(tmp_path: Path) -> None:
    compiled = _compiled(tmp_path, {"hubs": ["hub_a"]})
    done = Decided(Status.CHECKPOINTED, "done by run r0")
    decisions = {"bronze.ingestion.students": done, "silver.hubs.hub_a": None}
    text = console.plan_text(compiled, decisions, width=100, color=False)
    lines = [line.split() for line in text.splitlines()]
    writes = ["overwrite", "→", "students"]
    assert ["students", "=", "checkpointed", *writes, *done.reason.split()] in lines
    assert ["silver", "bronze"] in lines
    assert ["hub_a", "▸", "run", "overwrite", "→", "hub_a"] in lines
    assert ["late", "▸", "run", "overwrite", "→", "late", "students,", "hub_a"] in [
        [*line[:6], *sorted(line[6:], reverse=True)] for line in lines
    ]
    assert text.splitlines()[-1] == "3 steps: 2 run, 1 checkpointed"
    assert max(map(len, text.splitlines())) <= 100


def test_plan_json_lists_steps_in_order_of_execution(tmp_path: Path) -> None:
    tree = json.loads(console.plan_json(_compiled(tmp_path, {"hubs": ["hub_a"]})))
    ids = ["bronze.ingestion.students", "silver.hubs.hub_a", "silver.hubs.late"]
    assert [step["id"] for step in tree["steps"]] == ids
    assert tree["steps"][2]["waits_for"] == [
        "bronze", "bronze.ingestion.students", "silver.hubs.hub_a",
    ]  # fmt: skip
    assert tree["steps"][0]["destination"]["path"] == str(tmp_path / "lake" / "students")
    assert len(tree["steps"][0]["fingerprint"]) == 64


def test_plan_text_when_a_thousand_steps_are_skipped_then_one_row_a_group(tmp_path: Path) -> None:
    groups = {f"g{n}": [f"s_{n}_{m}" for m in range(100)] for n in range(10)}
    compiled = _compiled(tmp_path, groups)
    before = time.perf_counter()
    everything = console.plan_text(compiled, width=100, color=False)
    assert time.perf_counter() - before < 5
    names = [line.split()[0] for line in everything.splitlines() if "▸ run" in line]
    assert names[:3] == ["students", "s_0_0", "s_0_1"]
    assert len(names) == 1002
    skipped = {step: Decided(Status.SKIPPED, "not selected") for step in compiled.steps}
    lines = console.plan_text(compiled, skipped, width=100, color=False).splitlines()
    assert len(lines) < 40
    assert "100 steps  - skip" in " ".join(lines)


def test_step_text_can_be_pasted_as_sql(tmp_path: Path) -> None:
    step = _compiled(tmp_path, {"hubs": ["hub_a"]}).steps["silver.hubs.hub_a"]
    lines = console.step_text(step).splitlines()
    assert lines[0] == "-- step: silver.hubs.hub_a"
    assert [line for line in lines if line and not line.startswith("--")] == ["select 1"]
    assert f"--     path: {tmp_path}/lake/hub_a" in lines


def test_import_of_console_leaves_rich_and_pydantic_out() -> None:
    code = (
        "import sys; from pipelines.console import findings_text, progress, plan_text, show_text;"
        "print(*sorted({'rich', 'pydantic', 'yaml', 'pyspark'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_every_public_name_of_console_can_be_had() -> None:
    assert all(callable(getattr(console, name)) for name in console.__all__)
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = console.no_such_name


def test_summary_text_when_steps_are_not_selected_then_only_their_number_is_told() -> None:
    left = step(HUB, Status.SKIPPED, reason=NOT_SELECTED)
    done = step(STUDENTS, Status.SUCCESS, 2)
    text = console.summary_text(
        RunResult.collect(RUN, [done, left], finished_at=at(3)), width=100, color=False
    )
    assert HUB not in text
    assert "1 step not selected" in text


def test_summary_text_when_the_batch_was_done_already_then_says_how_to_do_it_again() -> None:
    steps = [step(each, Status.CHECKPOINTED) for each in RUN.step_ids]
    text = console.summary_text(
        RunResult.collect(RUN, steps, finished_at=at(1)), width=100, color=False
    )
    assert text.splitlines()[-1] == "batch b1 was done already; --no-resume does it again"


def test_progress_when_runs_go_side_by_side_then_each_line_says_of_which_it_is() -> None:
    out = io.StringIO()
    sink = console.progress("rich", out, label="2026-01-01 to 2026-01-31", variables={})
    assert isinstance(sink, console.PlainProgress)  # two live displays would fight for the terminal
    for event in events()[:-1]:
        sink.handle(event)
    lines = out.getvalue().splitlines()
    assert len(lines) > 6
    assert all("  [2026-01-01 to 2026-01-31]  " in line for line in lines)


def test_plain_progress_when_a_step_is_not_selected_then_no_line_tells_of_it() -> None:
    stream = io.StringIO()
    plain = console.PlainProgress(stream, io.StringIO(), color=False)
    plain.handle(StepFinished(step(HUB, Status.SKIPPED, reason=NOT_SELECTED), at(1)))
    assert stream.getvalue() == ""
    plain.handle(StepFinished(step(HUB, Status.SKIPPED, reason="its 'when' is false"), at(1)))
    assert HUB in stream.getvalue()
