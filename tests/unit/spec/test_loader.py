from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import Finding, FlowError, UsageError
from pipelines.spec.loader import find_flow_file, find_project_dir, load_flow

if TYPE_CHECKING:
    from pipelines.spec.flow import Flow

FLOW = """\
pipeline:
  name: toy
  stages:
    - name: bronze
      groups:
        - name: load
          steps:
            - name: students
              source: {type: csv, path: in/students}
              destination: {path: lake/students}
"""
STEP = "pipeline.stages[0].groups[0].steps[0]"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with two flows."""
    folder = tmp_path / "toy" / "pipelines" / "flows"
    folder.mkdir(parents=True)
    for name in ("main_flow.yaml", "nightly.yml"):
        (folder / name).write_text(FLOW, encoding="utf-8")
    return tmp_path / "toy"


def _load(root: Path, text: str) -> Flow:
    file = root / "pipelines/flows/main_flow.yaml"
    file.write_text(text, encoding="utf-8")
    return load_flow(file)


def _findings(root: Path, text: str) -> tuple[Finding, ...]:
    with pytest.raises(FlowError) as raised:
        _load(root, text)
    return raised.value.findings


# --- where things are --------------------------------------------------------------------------


def test_project_when_looked_for_then_is_the_nearest_folder_above(tmp_path: Path) -> None:
    (tmp_path / "outer" / "pipelines").mkdir(parents=True)
    inner = tmp_path / "outer" / "inner"
    (inner / "deep" / "deeper").mkdir(parents=True)
    assert find_project_dir(inner / "deep") == tmp_path / "outer"
    (inner / "pyproject.toml").touch()
    assert find_project_dir(inner / "deep" / "deeper") == inner
    assert find_project_dir(inner) == inner


def test_flow_when_given_by_name_then_is_found_from_any_folder_of_the_project(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root / "pipelines")
    assert find_flow_file("main_flow") == root / "pipelines/flows/main_flow.yaml"
    assert find_flow_file("nightly") == root / "pipelines/flows/nightly.yml"
    monkeypatch.chdir("/")
    assert find_flow_file("nightly", root) == root / "pipelines/flows/nightly.yml"


def test_flow_when_given_by_path_then_the_working_folder_comes_first_then_the_project(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "own.yaml").write_text(FLOW, encoding="utf-8")
    monkeypatch.chdir(root / "pipelines")
    assert find_flow_file("flows/main_flow.yaml") == root / "pipelines/flows/main_flow.yaml"
    assert find_flow_file("own.yaml", root) == root / "own.yaml"
    (root / "pipelines" / "own.yaml").write_text(FLOW, encoding="utf-8")
    assert find_flow_file("own.yaml", root) == root / "pipelines/own.yaml"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("mian_flow", "known flows: main_flow"),
        ("nightli", "known flows: nightly"),
        ("zzz", "known flows: main_flow, nightly"),
    ],
)
def test_flow_when_there_is_none_of_the_name_then_near_ones_are_offered(
    root: Path, name: str, hint: str
) -> None:
    with pytest.raises(UsageError) as raised:
        find_flow_file(name, root)
    assert repr(name) in raised.value.message
    assert raised.value.hint == hint


def test_flow_when_the_project_has_none_then_the_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not exist") as raised:
        find_flow_file("main_flow", tmp_path)
    assert raised.value.hint == f"no flow in {tmp_path / 'pipelines/flows'}"


# --- what is read ------------------------------------------------------------------------------


def test_flow_when_fine_then_defaults_are_those_of_the_documents(root: Path) -> None:
    flow = _load(root, FLOW)
    pipeline = flow.pipeline
    assert flow.project_dir == root
    assert flow.sha256 == hashlib.sha256(FLOW.encode()).hexdigest()
    assert (pipeline.default_retry.attempts, pipeline.default_retry.delay_seconds) == (3, 10)
    assert pipeline.default_retry.backoff == "exponential"
    assert pipeline.checkpoint.enabled is True
    assert pipeline.checkpoint.path == "{{ base_path }}/_checkpoints/{{ pipeline.name }}"
    (stage,) = pipeline.stages
    (group,) = stage.groups
    (step,) = group.steps
    assert (stage.parallel, group.parallel) == (True, True)
    assert (step.destination.format, step.destination.mode) == ("delta", "overwrite")
    assert step.destination.schema_policy == "strict"
    assert (step.when, step.on_failure, step.retry, step.timeout_seconds) == (
        True,
        "fail",
        None,
        None,
    )


def test_notification_when_one_address_then_is_a_list_of_one(root: Path) -> None:
    head = "pipeline:\n  notifications: {on_failure: 'a://b'}\n"
    told = _load(root, FLOW.replace("pipeline:\n", head)).pipeline.notifications
    assert told.on_failure == ("a://b",)
    assert told.on_success == ()


@pytest.mark.parametrize("event", ["on_failure", "on_success", "on_dq_warning"])
def test_notification_when_a_list_then_is_that_list(root: Path, event: str) -> None:
    head = f"pipeline:\n  notifications: {{{event}: ['c://d', 'e://f']}}\n"
    told = _load(root, FLOW.replace("pipeline:\n", head)).pipeline.notifications
    assert getattr(told, event) == ("c://d", "e://f")


def test_check_when_a_path_then_is_the_same_as_a_mapping_with_file(root: Path) -> None:
    flow = _load(root, FLOW + "              dq_checks: [dq/a.sql, {file: dq/a.sql}]\n")
    one, other = flow.pipeline.stages[0].groups[0].steps[0].dq_checks
    assert one == other


def test_templates_when_they_stand_for_numbers_and_switches_then_pass_until_rendered(
    root: Path,
) -> None:
    more = """\
              when: "{{ run.mode == 'daily' }}"
              timeout_seconds: "{{ vars.limit }}"
              retry: {attempts: "{{ vars.tries }}", jitter: "{% if true %}true{% endif %}"}
"""
    step = _load(root, FLOW + more).pipeline.stages[0].groups[0].steps[0]
    assert step.when == "{{ run.mode == 'daily' }}"
    assert step.timeout_seconds == "{{ vars.limit }}"


def test_retry_when_a_step_sets_one_key_then_the_others_are_the_flow_s(root: Path) -> None:
    text = FLOW.replace("  stages:", "  default_retry: {attempts: 7, backoff: fixed}\n  stages:")
    pipeline = _load(root, text + "              retry: {delay_seconds: 1}\n").pipeline
    policy = pipeline.default_retry.overridden_by(pipeline.stages[0].groups[0].steps[0].retry)
    assert (policy.attempts, policy.backoff, policy.delay_seconds) == (7, "fixed", 1)


def test_flow_when_aliases_are_used_in_measure_then_is_read(root: Path) -> None:
    text = FLOW.replace(
        "            - name: students\n",
        "            - name: schools\n"
        "              retry: &tries {attempts: 5}\n"
        "              source: &from {type: csv, path: in/schools}\n"
        "              destination: {path: lake/schools}\n"
        "            - name: students\n"
        "              retry: *tries\n"
        "              params: {<<: *from, path: other}\n",
    )
    schools, students = _load(root, text).pipeline.stages[0].groups[0].steps
    assert schools.retry == students.retry
    assert students.params == {"type": "csv", "path": "other"}


# --- what is refused ---------------------------------------------------------------------------


def test_findings_when_from_several_levels_then_are_in_the_order_of_the_file(root: Path) -> None:
    found = _findings(
        root,
        FLOW.replace("name: toy", "name: toy\n  ownr: me").replace("bronze", "bron ze")
        + "              on_failure: stop\n              owner: a\n              owner: b\n",
    )
    assert [(one.code, one.line) for one in found] == [
        ("unknown-key", 3),
        ("bad-name", 5),
        ("bad-value", 12),
        ("duplicate-key", 14),
    ]
    assert all(one.file == "pipelines/flows/main_flow.yaml" for one in found)


def test_error_when_shown_then_counts_the_problems_and_tells_each_on_lines_of_its_own(
    root: Path,
) -> None:
    with pytest.raises(FlowError) as raised:
        _load(root, FLOW.replace("{type: csv,", "{typ: csv,").replace("name: toy", "nme: toy"))
    error = raised.value
    assert error.message == f"{len(error.findings)} problems found"
    assert "pipelines/flows/main_flow.yaml:2:3, pipeline.nme: unknown key 'nme'" in str(error)
    assert "did you mean 'name'?" in str(error)
    assert error.exit_code == 2


def test_unknown_key_when_like_no_other_then_the_known_ones_are_listed(root: Path) -> None:
    (found,) = _findings(root, FLOW + "              zzz: 1\n")
    assert found.near == ()
    assert found.hint.startswith("known here: ")
    for key in ("depends_on", "destination", "dq_checks", "source"):
        assert key in found.hint
    assert "schema_policy" not in found.hint


def test_value_when_long_then_is_shortened_in_the_message(root: Path) -> None:
    (found,) = _findings(root, FLOW + f"              depends_on: {'x' * 500}\n")
    assert len(found.found) < 80
    assert "\n" not in found.found


def test_model_s_own_name_of_a_key_when_used_then_is_unknown(root: Path) -> None:
    found = _findings(root, FLOW.replace("lake/students", "lake/students, schema_policy: evolve"))
    assert [one.code for one in found] == ["unknown-key"]


def test_pipeline_name_when_wrong_then_the_message_says_what_is_allowed_there(root: Path) -> None:
    assert _load(root, FLOW.replace("toy", "2026.toy-north")).pipeline.name == "2026.toy-north"
    (found,) = _findings(root, FLOW.replace("toy", "my toy"))
    assert "underscores only" not in found.message
    assert "not starting with a digit" not in found.message


def test_password_when_of_the_wrong_type_then_is_not_shown(root: Path) -> None:
    source = "  datasources: {ods: {url: 'jdbc:x', password: 73914682}}\n  stages:"
    (found,) = _findings(root, FLOW.replace("  stages:", source))
    assert (found.code, found.path) == ("bad-type", "pipeline.datasources.ods.password")
    assert "73914682" not in found.text()
    assert "73914682" not in str(found.as_dict())


@pytest.mark.parametrize(
    "source",
    [
        "{type: csv, path: in, options: {sep: [1]}}",
        "{datasource: o, table: t, partition: {column: a, lower: [1], upper: 2, count: 3}}",
    ],
)
def test_value_when_several_types_are_allowed_and_none_fits_then_is_told_once(
    root: Path, source: str
) -> None:
    found = _findings(root, FLOW.replace("{type: csv, path: in/students}", source))
    assert len(found) == 1


# --- anything ----------------------------------------------------------------------------------

_LINES = FLOW.splitlines(keepends=True)
_VALUES = st.sampled_from(
    ["", "null", "true", "5", "-1", "1e999", "[]", "{}", "[a]", "{a: b}", "x", "'{{ x }}'", "*x",
     "!x y", "99999999999999999999", '"\\ud800"', '"\\0"', "[[[1]]]", "{str: [1], int: {a: 1}}"]
)  # fmt: skip
_PATHS = st.sampled_from(
    ["name", "stages", "groups", "steps", "source", "destination", "datasources", "vars", "params",
     "default_retry", "notifications", "checkpoint", "dq_checks", "pre_views", "depends_on", "tags",
     "retry", "when", "timeout_seconds", "partition", "options", "keys", "mode", "schema",
     "on_failure", "batch_id", "default_timeout_seconds", "parallel", "debug", "script"]
)  # fmt: skip


@st.composite
def _spoilt(draw: st.DrawFn) -> str:
    """The flow with lines lost, doubled, indented otherwise, or with other keys put in."""
    lines = list(_LINES)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(lines) - 1))
        line = lines[at]
        indent = " " * (len(line) - len(line.lstrip()))
        lines[at] = draw(
            st.sampled_from(
                ["", line + line, " " + line, f"{indent}{draw(_PATHS)}: {draw(_VALUES)}\n{line}",
                 f"{line.split(':')[0]}: {draw(_VALUES)}\n", line + draw(st.text(max_size=5))]
            )
        )  # fmt: skip
    return "".join(lines)


@pytest.fixture(scope="module")
def flow_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("any") / "pipelines" / "flows"
    folder.mkdir(parents=True)
    return folder / "main_flow.yaml"


@settings(deadline=None, max_examples=300)
@given(text=_spoilt() | st.text(max_size=80))
def test_flow_when_the_text_is_random_then_is_read_or_refused_with_findings(
    flow_file: Path, text: str
) -> None:
    flow_file.write_bytes(text.encode("utf-8", errors="surrogatepass"))
    try:
        flow = load_flow(flow_file)
    except FlowError as error:
        assert error.findings
        lines = len(flow_file.read_bytes().splitlines()) + 2
        for found in error.findings:
            assert found.file == "pipelines/flows/main_flow.yaml"
            assert 0 <= found.line <= lines
            assert found.message
            assert "pydantic" not in found.text()
        assert [one.line for one in error.findings] == sorted(one.line for one in error.findings)
    else:
        assert flow.pipeline.stages[0].groups[0].steps
