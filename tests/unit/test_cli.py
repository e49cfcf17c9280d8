from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipelines.run_pipeline import main

CONFIG = """\
default_environment: test
environments:
  test:
    base_path: lake
    secrets: {providers: [dotenv]}
    metadata: {enabled: false}
  prod:
    base_path: s3a://bucket/lake
"""

FLOW = """\
pipeline:
  name: toy
  batch_id: "{{ run_date }}"
  vars: {year: 2025}
  stages:
    - name: bronze
      groups:
        - name: load
          steps:
            - name: students
              tags: [pii]
              source: {type: csv, path: in/students, query: sql/students.sql}
              destination: {path: lake/bronze/students}
            - name: schools
              source: {type: csv, path: in/schools}
              destination: {path: lake/bronze/schools}
    - name: silver
      groups:
        - name: hubs
          steps:
            - name: hub_student
              depends_on: [students]
              source: {type: delta, path: lake/bronze/students}
              destination: {path: lake/silver/hub_student}
"""

STUDENTS_SQL = "SELECT {{ vars.year }} AS year FROM students\n"
FLOW_FILE = "pipelines/flows/main_flow.yaml"


class Said(NamedTuple):
    code: int
    out: str
    err: str


Call = Callable[..., Said]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that is fine, as the working folder."""
    for path, text in {
        "pipelines/pipelines_config.yaml": CONFIG,
        FLOW_FILE: FLOW,
        "sql/students.sql": STUDENTS_SQL,
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIPELINE_ENV", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    return tmp_path


@pytest.fixture
def call(project: Path, capsys: pytest.CaptureFixture[str]) -> Call:
    """A function that calls the command line in the project; words as one string."""

    def made(words: str) -> Said:
        with pytest.raises(SystemExit) as ended:
            main(words.split())
        assert isinstance(ended.value.code, int)
        return Said(ended.value.code, *capsys.readouterr())

    return made


def change(project: Path, old: str, new: str, path: str = FLOW_FILE) -> None:
    file = project / path
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1
    file.write_text(text.replace(old, new), encoding="utf-8")


def actions(said: Said) -> dict[str, str]:
    """Of the plan as JSON: by step's name, whether it runs."""
    assert said.code == 0, said.err
    return {step["id"].split(".")[-1]: step["action"] for step in json.loads(said.out)["steps"]}


# --- wrong words -------------------------------------------------------------------------------


def wrong(said: Said, *parts: str) -> None:
    """It ended with 2, told of it on stderr only, with all ``parts`` and no traceback."""
    assert said.code == 2
    assert said.out == ""
    assert "Traceback" not in said.err
    for part in parts:
        assert part in said.err


COMMANDS = ("run", "run --dry-run", "validate", "plan", "graph", "doctor")


@pytest.mark.parametrize("command", COMMANDS)
def test_missing_flow(call: Call, command: str) -> None:
    said = call(f"{command} mian_flow")
    wrong(said, "error:", "flow 'mian_flow' does not exist", "known flows: main_flow")


def test_missing_flow_file(call: Call) -> None:
    wrong(call("plan flows/nope.yaml"), "flow file 'flows/nope.yaml' does not exist")


def test_no_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(["plan"])
    wrong(Said(ended.value.code, *capsys.readouterr()), "no project found", "--project-dir")  # type: ignore[arg-type]


@pytest.mark.parametrize("command", ["run", "plan", "render students", "graph", "doctor"])
def test_unknown_key(call: Call, project: Path, command: str) -> None:
    change(project, "tags: [pii]", "tag: [pii]")
    said = call(command)
    wrong(said, f"{FLOW_FILE}:11:15, ", "unknown key 'tag'", "did you mean 'tags'")


def test_one_wrong_key_is_one_finding(call: Call, project: Path) -> None:
    change(project, "tags: [pii]", "tag: [pii]")
    assert call("validate").out.splitlines()[-1] == "1 error, 0 warnings"


def test_unknown_key_of_config(call: Call, project: Path) -> None:
    config = "pipelines/pipelines_config.yaml"
    change(project, "base_path: lake", "base_path: lake\n    sparks: {}", config)
    wrong(call("plan"), f"{config}:5:5, ", "unknown key 'sparks'", "did you mean 'spark'")


@pytest.mark.parametrize("option", ["--select", "-s", "--exclude"])
@pytest.mark.parametrize(
    ("expression", "parts"),
    [
        ("hub_studnt", ("'hub_studnt' fits no step", "did you mean 'hub_student'")),
        ("tag:nope", ("'tag:nope' fits no step",)),
        ("tgg:pii", ("unknown selection method 'tgg'", "did you mean 'tag'?")),
        ("a+b", ("cannot read the selection 'a+b'", "write for example")),
        ("result:failed", ("there is no earlier run",)),
    ],
)
def test_bad_selection(call: Call, option: str, expression: str, parts: tuple[str, ...]) -> None:
    wrong(call(f"plan {option} {expression}"), "error:", *parts)


@pytest.mark.parametrize("word", ["year", "=2026", "1year=2", "a-b=2"])
def test_bad_variable(call: Call, word: str) -> None:
    wrong(call(f"plan --var {word}"), f"--var takes name=value, found {word!r}", "--var year=2026")


def test_unknown_environment(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = ("pipelines_config.yaml:2:1", "'prd' is not in the config", "did you mean 'prod'?")
    wrong(call("plan --env prd"), *parts)
    wrong(call("history --env prd"), *parts)
    monkeypatch.setenv("PIPELINE_ENV", "prd")
    wrong(call("plan"), *parts)
    assert call("plan -e test").code == 0


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"pipeline: [\n", ":2:1: not valid YAML"),
        (b"pipeline:\n\tname: x\n", ":2:1: not valid YAML"),
        (b"\xff\xfe\xfa", ":"),
        (b"", ":"),
        (b"- a\n", ":"),
    ],
)
@pytest.mark.parametrize("path", [FLOW_FILE, "pipelines/pipelines_config.yaml"])
def test_unreadable_yaml(call: Call, project: Path, path: str, content: bytes, place: str) -> None:
    (project / path).write_bytes(content)
    wrong(call("plan"), "error:", path + place)


def test_config_that_is_not_there(call: Call, project: Path) -> None:
    wrong(call("plan --config other.yaml"), "other.yaml")
    (project / "pipelines/pipelines_config.yaml").unlink()
    wrong(call("plan"), "pipelines_config.yaml")


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            "validate --format xml",
            "--format is one of text, json, sarif, github, gitlab, found 'xml'",
        ),
        ("plan --format github", "--format is one of text, json, found 'github'"),
        ("history --format yaml", "--format is one of text, json, found 'yaml'"),
        ("show --format yaml", "--format is one of text, json, found 'yaml'"),
        ("run --log-format xml", "--log-format is one of auto, rich, text, json, found 'xml'"),
        ("schema step", "OF is one of flow, config, tests, record, found 'step'"),
        ("graph --format bmp", "bmp"),
    ],
)
def test_format_that_is_none(call: Call, words: str, told: str) -> None:
    wrong(call(words), told)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("nonsense", "nonsense"),
        ("plan --nonsense", "--nonsense"),
        ("plan --select", "--select"),
        ("plan --run-date 2026-13-01", "--run-date"),
        ("run --threads -1", "--threads"),
        ("history --limit 0", "--limit"),
        ("ods create --students 0", "--students"),
    ],
)
def test_words_that_the_parser_refuses(call: Call, words: str, told: str) -> None:
    wrong(call(words), told)


def test_missing_step(call: Call) -> None:
    wrong(call("render studnts"), "no step is called 'studnts'", "did you mean 'students'")
    wrong(call("render main_flow nope"), "no step is called 'nope'")


def test_missing_run(call: Call) -> None:
    wrong(call("show"), "no log of run 'last'", "pipeline history")


# --- help --------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["-h", "--help"])
@pytest.mark.parametrize(
    ("command", "shows"),
    [("", "validate"), ("run ", "--select"), ("ods ", "create"), ("ods create ", "--students")],
)
def test_help(call: Call, command: str, flag: str, shows: str) -> None:
    said = call(command + flag)
    assert said.code == 0
    assert said.out.startswith("Usage: pipeline")
    assert shows in said.out
    assert said.err == ""


def test_no_words_show_the_help(call: Call) -> None:
    said = call("")
    assert "Usage: pipeline" in said.out + said.err


# --- validate ----------------------------------------------------------------------------------


def test_valid_flow(call: Call) -> None:
    assert call("validate") == (0, "0 errors, 0 warnings\n", "")
    assert json.loads(call("validate --format json").out) == []


def test_findings_as_json(call: Call, project: Path) -> None:
    change(project, "tags: [pii]", "tag: [pii]")
    said = call("validate --format json")
    assert said.code == 2
    (found,) = [one for one in json.loads(said.out) if one["code"] == "unknown-key"]
    assert (found["file"], found["line"], found["column"]) == (FLOW_FILE, 11, 15)
    assert (found["severity"], found["near"][0]) == ("error", "tags")
    assert found["path"] == "pipeline.stages[0].groups[0].steps[0].tag"


def test_findings_as_annotations(call: Call, project: Path) -> None:
    change(project, "tags: [pii]", "tag: [pii]")
    said = call("validate --format github")
    assert said.code == 2
    start = f"::error file={FLOW_FILE},line=11,col=15,title=unknown-key::"
    (line,) = [line for line in said.out.splitlines() if line.startswith(start)]
    assert "unknown key 'tag'%0A" in line


def test_every_flow_is_looked_at_and_the_config_told_once(call: Call, project: Path) -> None:
    second = project / "pipelines/flows/nightly/second.yml"
    second.parent.mkdir()
    second.write_text(FLOW.replace("tags: [pii]", "tag: [pii]"), encoding="utf-8")
    assert call("validate").code == 0
    said = call("validate --all --format json")
    assert said.code == 2
    (found,) = json.loads(said.out)
    assert (found["code"], found["file"]) == ("unknown-key", "pipelines/flows/nightly/second.yml")
    second.write_text(FLOW, encoding="utf-8")
    assert call("validate --all").out == "0 errors, 0 warnings\n"
    change(project, "base_path: lake", "base: lake", "pipelines/pipelines_config.yaml")
    said = call("validate --all --format json")
    codes = sorted(one["code"] for one in json.loads(said.out))
    assert (said.code, codes) == (2, ["missing-key", "unknown-key"])


def test_every_flow_of_a_project_without_one(call: Call, project: Path) -> None:
    wrong(call("validate other --all"), "--all does not go with a flow, found 'other'")
    (project / FLOW_FILE).unlink()
    wrong(call("validate --all"), "the project has no flow")


def test_broken_config_is_a_finding_too(call: Call, project: Path) -> None:
    config = "pipelines/pipelines_config.yaml"
    change(project, "base_path: lake", "base: lake", config)
    said = call("validate --format json")
    assert said.code == 2
    assert {one["file"] for one in json.loads(said.out)} == {config}


def test_broken_template_is_found_in_its_file(call: Call, project: Path) -> None:
    (project / "sql/students.sql").write_text("SELECT 1,\n  {{ vars.yaer }}\n")
    said = call("validate")
    assert said.code == 2
    assert "sql/students.sql:2" in said.out
    assert "yaer" in said.out


def test_missing_secret_is_a_warning(call: Call, project: Path) -> None:
    change(
        project,
        "  stages:\n",
        "  datasources:\n    ods: {type: jdbc, url: 'jdbc:postgresql://h/d',"
        " password: \"{{ secret('PW') }}\"}\n  stages:\n",
    )
    change(project, "{type: csv, path: in/schools}", "{datasource: ods, table: t}")
    said = call("validate")
    assert said.code == 0
    assert "warning[missing-secret]" in said.out
    assert said.out.splitlines()[-1] == "0 errors, 1 warning"
    (project / ".env").write_text("PW=hunter2\n")
    said = call("validate")
    assert said.out == "0 errors, 0 warnings\n"


# --- plan, dry run, render ---------------------------------------------------------------------


def test_plan(call: Call, project: Path) -> None:
    said = call("plan")
    assert said.code == 0
    for name in ("bronze", "students", "schools", "silver", "hub_student"):
        assert name in said.out
    assert not (project / "lake").exists()
    assert not (project / "pipelines/logs").exists()


def test_dry_run_shows_the_plan_only(call: Call, project: Path) -> None:
    assert call("run --dry-run").out == call("plan").out
    assert not (project / "lake").exists()


@pytest.mark.parametrize("words", ["validate", "plan", "render students", "history", "schema"])
def test_no_spark_is_loaded(project: Path, words: str) -> None:
    program = (
        "import sys; from pipelines.run_pipeline import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit as end: assert end.code == 0, end.code\n"
        "sys.exit(' '.join({'pyspark', 'delta', 'deltalake', 'apprise'} & {*sys.modules}) or 0)"
    )
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", program, *words.split()],
        cwd=project,
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("option", ["--select", "-s"])
def test_selection_spreads(call: Call, option: str) -> None:
    said = call(f"plan main_flow {option} students hub_student --format json")
    assert actions(said) == {"students": "run", "schools": "skip", "hub_student": "run"}


@pytest.mark.parametrize(
    ("words", "runs"),
    [
        ("", {"students", "schools", "hub_student"}),
        ("--select tag:pii", {"students"}),
        ("--select students+", {"students", "hub_student"}),
        ("--select tag:pii,stage:silver", set()),
        ("--select students --select schools", {"students", "schools"}),
        ("--exclude students schools", {"hub_student"}),
        ("--select stage:bronze --exclude schools", {"students"}),
        ("--select=schools", {"schools"}),
    ],
)
def test_selection(call: Call, words: str, runs: set[str]) -> None:
    planned = actions(call(f"plan {words} --format json"))
    assert {name for name, action in planned.items() if action == "run"} == runs


def test_render(call: Call, project: Path) -> None:
    said = call("render students")
    assert said.code == 0
    assert "SELECT 2025 AS year FROM students" in said.out
    assert "-- query from sql/students.sql" in said.out
    assert "step: bronze.load.students" in said.out
    assert str(project / "lake/bronze/students") in said.out
    assert call("render main_flow bronze.load.students").out == said.out


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("--var year=2026", "SELECT 2026 AS"),
        ("--var other=1 year=2027", "SELECT 2027 AS"),
        ("--var year=a=b", "SELECT a=b AS"),
        ("--var year=[", "SELECT [ AS"),
    ],
)
def test_variables(call: Call, words: str, told: str) -> None:
    assert told in call(f"render students {words}").out


def test_number_stays_a_number(call: Call, project: Path) -> None:
    (project / "sql/students.sql").write_text("SELECT {{ vars.year + 1 }} AS next")
    assert "SELECT 2031 AS next" in call("render students --var year=2030").out


def test_project_dir(call: Call, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def steps(words: str) -> Any:
        return json.loads(call(f"plan --format json {words}").out)["steps"]

    here = steps("")
    (project / "elsewhere").mkdir()
    monkeypatch.chdir(project / "elsewhere")
    assert steps("") == here
    monkeypatch.chdir("/")
    assert steps(f"--project-dir {project}") == here


# --- schema, history, show ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "key"), [("", "pipeline"), (" flow", "pipeline"), (" config", "environments")]
)
def test_schema(call: Call, words: str, key: str) -> None:
    said = call("schema" + words)
    assert said.code == 0
    assert key in json.loads(said.out)["properties"]


def put_log(project: Path, run_id: str, pipeline: str = "toy") -> dict[str, Any]:
    log = {
        "run_id": run_id,
        "pipeline": pipeline,
        "environment": "test",
        "batch_id": "b1",
        "status": "success",
        "started_at": "2026-11-23T10:58:24.000Z",
        "finished_at": "2026-11-23T10:59:24.000Z",
        "duration_seconds": 60.0,
        "steps": [],
    }
    file = project / "pipelines/logs" / f"{run_id}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(log), encoding="utf-8")
    return log


def test_history_of_nothing(call: Call) -> None:
    assert call("history") == (0, "no runs yet\n", "")
    assert call("history --format json").out == "[]\n"


def test_history(call: Call, project: Path) -> None:
    old, new = put_log(project, "20261122T1-a"), put_log(project, "20261123T1-b")
    other = put_log(project, "20261124T1-c", "other")
    assert json.loads(call("history --format json").out) == [other, new, old]
    assert json.loads(call("history main_flow --format json").out) == [new, old]
    assert json.loads(call("history main_flow --format json --limit 1").out) == [new]
    text = call("history").out
    assert text.index("20261124T1-c") < text.index("20261123T1-b") < text.index("20261122T1-a")
    assert "2026-11-23 10:58" in text


def test_show_as_json(call: Call, project: Path) -> None:
    old, new = put_log(project, "20261122T1-a"), put_log(project, "20261123T1-b")
    assert json.loads(call("show --format json").out) == new
    assert json.loads(call("show 20261122 --format json").out) == old


def test_main_reads_the_words_of_the_process(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pipeline", "history"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert (ended.value.code, capsys.readouterr().out) == (0, "no runs yet\n")


def test_faults_of_several_kinds_are_all_told_by_validate_and_run(
    call: Call, project: Path
) -> None:
    change(project, "tags: [pii]", "tag: [pii]")
    change(project, "  name: ", "  checkpoint: {path: '{{ nobody }}'}\n  name: ")
    for command in ("validate", "run"):
        said = call(command)
        assert said.code == 2
        assert "unknown key 'tag'" in said.out + said.err
        assert "'nobody' is undefined" in said.out + said.err


# --- windows of the past -------------------------------------------------------------------------


def test_run_when_words_of_history_contradict_then_ends_with_two(call: Call) -> None:
    wrong(call("run --from 2026-01-01"), "--from, --to and --window are for history runs")
    wrong(call("run --mode weekly"), "--mode is one of daily, history")
    wrong(call("run --mode history"), "from which day on")
    wrong(call("run --mode history --from 2026-01-01 --window hour"), "--window is one of day")
    wrong(call("run --mode history --from 2026-01-01 --reprocess some"), "--reprocess is one of")


def test_run_when_the_flow_says_history_then_it_is_one_and_lists_its_windows(
    call: Call, project: Path
) -> None:
    change(project, "  name: ", "  run: {mode: history, window: year}\n  name: ")
    said = call("run --from 2024-02-03 --to 2025-12-31 --dry-run")
    assert said.code == 0, said.err
    assert "2024-01-01 to 2024-12-31" in said.out
    assert "2 windows: 2 missing" in said.out
    told = json.loads(call("intervals --from 2024-02-03 --to 2024-12-31 --format json").out)
    assert [one["window_end"] for one in told["windows"]] == ["2025-01-01"]
    assert call("intervals").out == "no history run yet\n"


# --- small runs --------------------------------------------------------------------------------


def test_run_when_words_of_small_runs_contradict_then_ends_with_two(call: Call) -> None:
    wrong(call("run --empty --sample 5"), "--empty takes no rows")
    wrong(call("run --scratch x"), "--empty, --sample or --clone-from")
    wrong(call("run --sample 2.5"), "2.5", "--sample 1000")
    wrong(call("run --clone-from prd"), "prd", "prod")


def test_run_when_it_is_small_and_a_step_writes_elsewhere_then_nothing_starts(
    call: Call, project: Path
) -> None:
    wrong(call("run --empty"), "bronze.load.students", "outside of the scratch place", "base_path")
    assert not (project / ".cache/scratch").exists()


def test_show_when_given_a_log_then_shows_that_run(call: Call, project: Path) -> None:
    log = {"run_id": "20261123T000000Z-aaaaaa", "status": "success", "steps": [],
           "run_kind": "empty", "scratch": "/s"}  # fmt: skip
    file = project / "scratch/logs/20261123T000000Z-aaaaaa.json"
    file.parent.mkdir(parents=True)
    file.write_text(json.dumps(log), encoding="utf-8")
    shown = call(f"show {file}")
    assert shown.code == 0
    assert "small run (empty): its tables are in /s/lakehouse" in shown.out


# --- lineage, and what a change touches --------------------------------------------------------


def test_lineage_when_a_table_is_asked_for_then_needs_no_spark(call: Call, project: Path) -> None:
    said = call("lineage hub_student")
    assert said.out.splitlines() == [
        "silver.hubs.hub_student",
        "└─ bronze.load.students",
        f"   └─ {project}/in/students",
    ]
    down = json.loads(call("lineage main_flow students --downstream --format json").out)
    assert [edge["to"]["table"] for edge in down["edges"]] == ["silver.hubs.hub_student"]
    wrong(call("lineage hub_studnet"), "no step is called 'hub_studnet'", "'hub_student'")
    wrong(call("lineage hub_student --format xml"), "--format is one of text, json, mermaid")
    assert "pyspark" not in call("lineage hub_student").err


def test_plan_when_compared_with_a_folder_then_what_changed_is_selected(
    call: Call, project: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    shutil.copytree(project, other, dirs_exist_ok=True)
    words = f"plan --select state:modified+ --against {other} --no-columns --format json"
    assert set(actions(call(words)).values()) == {"skip"}
    (project / "sql/students.sql").write_text("SELECT 1 AS year FROM students\n")
    assert actions(call(words)) == {"students": "run", "schools": "skip", "hub_student": "run"}
    (other / FLOW_FILE).unlink()  # the flow is new
    assert set(actions(call(words)).values()) == {"run"}
    wrong(
        call("plan --select state:modified --against nowhere --no-columns"), "nowhere", "--against"
    )


def test_validate_when_strict_then_warnings_end_with_two(call: Call, project: Path) -> None:
    (project / "sql/students.sql").write_text("SELECT 1 AS year FROM studnets\n")
    assert call("validate").code == 0
    said = call("validate --strict")
    assert said.code == 2
    assert "warning[unknown-table]: sql/students.sql:1:23" in said.out
    assert "did you mean 'students'" in said.out


# --- SQL tests -----------------------------------------------------------------------------------


def test_sql_tests_when_there_are_none_then_said_where_one_goes(call: Call) -> None:
    wrong(call("test"), "no SQL tests found", "tests/sql")


def test_sql_tests_when_broken_then_all_faults_are_told_without_spark(
    call: Call, project: Path
) -> None:
    (project / "tests/sql").mkdir(parents=True)
    (project / "tests/sql/a.yaml").write_text(
        "tests: [{name: a, step: students, expekt: 1, expect: {rows: []}}]\n", encoding="utf-8"
    )
    (project / "tests/sql/b.yaml").write_text(
        "tests:\n- {name: b, step: studnts, expect: {rows: []}}\n"
        "- {name: b2, step: students, expect: {rows: {file: none.csv}}}\n",
        encoding="utf-8",
    )
    (project / "tests/sql/c.yaml").write_text(
        "flow: nix\ntests: [{name: c, step: students, expect: {rows: []}}]\n", encoding="utf-8"
    )
    said = call("test")
    wrong(
        said,
        "tests/sql/a.yaml:1:35, tests[0].expekt: unknown key 'expekt'",
        "tests/sql/b.yaml:2:19, tests[0].step: no step is called 'studnts'",
        "did you mean 'students' or 'hub_student'?",
        "tests/sql/b.yaml:3:45, tests[1].expect.rows: 'none.csv' cannot be read",
        "tests/sql/c.yaml:1:7, flow: flow 'nix' does not exist",
    )
    lines = [line for line in said.err.splitlines() if "tests/sql/" in line]
    assert lines == sorted(lines, key=lambda line: line.removeprefix("error: "))


def test_sql_tests_when_none_is_chosen_then_said_so(call: Call, project: Path) -> None:
    (project / "a.yaml").write_text(
        "tests: [{name: a, step: students, expect: {rows: []}}]\n", encoding="utf-8"
    )
    wrong(call("test a.yaml -k other"), "none of the 1 SQL tests is chosen")
    wrong(call("test a.yaml --select schools"), "none of the 1 SQL tests is chosen")
    wrong(call("test a.yaml --select scools"), "'scools' fits no step", "did you mean 'schools'")
    wrong(call("test a.yaml --format html"), "--format is one of text, json, junit")
    wrong(call("test nix.yaml"), "'nix.yaml' does not exist")


# --- releases, without a JVM --------------------------------------------------------------------


def release(project: Path, name: str, version: int, *, is_current: bool = False) -> None:
    """A release of the stage `bronze`, as a run leaves it."""
    from pipelines.execution.files import LocalFiles
    from pipelines.execution.releases.store import ReleaseStore, Standing
    from pipelines.results import Release, ReleasedTable

    lake = project / "lake"
    (lake / "bronze/students/_delta_log").mkdir(parents=True, exist_ok=True)
    table = ReleasedTable(
        "bronze.load.students", "students", "/was/here/bronze/students", "bronze/students", version
    )
    made = Release(name, "toy", "bronze", "test", name, "b1", "2026-11-25", "", (table,))
    store = ReleaseStore(LocalFiles(), str(lake), "toy")
    store.save(made)
    if is_current:
        store.point("bronze", Standing(made, "2026-11-25", f"run {name}"))


def test_release_list_when_there_are_some_then_newest_first_and_the_current_one_marked(
    call: Call, project: Path
) -> None:
    assert call("release list").out == "nothing is released\n"
    release(project, "20261124T020000Z-aaaaaa", 4)
    release(project, "20261125T020000Z-bbbbbb", 5, is_current=True)
    said = call("release list")
    assert said.code == 0
    lines = said.out.splitlines()
    assert [line.split()[0] for line in lines[1::2]] == ["*", "20261124T020000Z-aaaaaa"]
    assert lines[2].strip() == "students 5"
    found = json.loads(call("release list --stage bronze --format json").out)
    assert [(one["release_id"][-6:], one["is_current"]) for one in found] == [
        ("bbbbbb", True),
        ("aaaaaa", False),
    ]
    wrong(call("release list --stage bronz"), "'bronz'", "did you mean 'bronze'")


def test_release_show_when_the_lakehouse_was_moved_then_paths_are_where_it_is_now(
    call: Call, project: Path
) -> None:
    wrong(call("release show"), "nothing is released")
    release(project, "20261124T020000Z-aaaaaa", 4)
    release(project, "20261125T020000Z-bbbbbb", 5, is_current=True)
    place = f"{project}/lake/bronze/students"
    sql = f"select * from delta.`{place}` version as of 5"
    (shown,) = json.loads(call("release show --format json").out)
    assert shown["tables"][0]["path"] == place
    assert shown["tables"][0]["sql"] == sql
    assert sql in call("release show").out
    statement = f"create or replace temporary view students as {sql};\n"
    assert call("release show --format sql").out == statement
    assert "version as of 4" in call("release show --release 20261124").out


def test_release_rollback_when_asked_then_the_one_before_is_current_and_none_before_is_refused(
    call: Call, project: Path
) -> None:
    wrong(call("release rollback"), "nothing is released")
    release(project, "20261124T020000Z-aaaaaa", 4)
    release(project, "20261125T020000Z-bbbbbb", 5, is_current=True)
    assert call("release rollback").out == "bronze is release 20261124T020000Z-aaaaaa now\n"
    current = json.loads((project / "lake/_releases/toy/bronze/current.json").read_text())
    assert current["release_id"] == "20261124T020000Z-aaaaaa"
    assert current["tables"][0]["version"] == 4
    wrong(call("release rollback"), "no release before 20261124T020000Z-aaaaaa")
    wrong(call("release rollback --to 2026"), "2 releases begin with '2026'")
    assert call("release rollback --stage bronze --to 20261125").code == 0
    shutil.rmtree(project / "lake/bronze/students")
    wrong(call("release rollback"), "holds bronze.load.students, whose table is gone")
    assert json.loads(call("release show --format json").out)[0]["tables"][0]["version"] == 5
