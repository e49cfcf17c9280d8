"""The ready examples: that they are YAML as the project's own, and say what the commands know."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from pipelines.commands.words import one_value_an_option
from pipelines.console.findings import FINDING_FORMATS
from pipelines.run_pipeline import command_line

ROOT = Path(__file__).resolve().parents[1]
GITHUB, GITLAB = "docs/examples/github-actions.yml", "docs/examples/gitlab-ci.yml"
HOOKS = ".pre-commit-hooks.yaml"


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def github_steps() -> list[dict[str, Any]]:
    steps: list[dict[str, Any]] = load(GITHUB)["jobs"]["validate"]["steps"]
    return steps


def shell_lines() -> Iterator[tuple[str, str]]:
    """Every line of shell in the examples and hooks, and where it stands."""
    for step in github_steps():
        yield from ((GITHUB, line) for line in step.get("run", "").splitlines())
    job = load(GITLAB)["validate"]
    yield from ((GITLAB, line) for line in (*job["before_script"], *job["script"]))
    yield from ((HOOKS, hook["entry"]) for hook in load(HOOKS))


def pipeline_commands() -> list[tuple[str, str]]:
    """Those of our own: up to a redirection or the next command."""
    ours = [(file, line) for file, line in shell_lines() if line.startswith("pipeline ")]
    return [(file, re.split(r"\s*(?:>|\||&&)", line)[0]) for file, line in ours]


@pytest.mark.parametrize(("file", "line"), pipeline_commands())
def test_command_in_an_example_is_one_that_the_command_line_knows(file: str, line: str) -> None:
    assert file
    _, name, *words = one_value_an_option(shlex.split(line))
    commands: Any = typer.main.get_command(command_line())
    context = commands.commands[name].make_context(name, list(words))
    assert context.params["output"] in FINDING_FORMATS


def test_examples_call_the_command_line() -> None:
    assert {file for file, _ in pipeline_commands()} == {GITHUB, GITLAB, HOOKS}


@pytest.mark.parametrize("file", [GITHUB, GITLAB, HOOKS])
def test_example_is_yaml_as_the_project_s_own(file: str) -> None:
    words = [sys.executable, "-m", "yamllint", "--strict", file]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_example_for_github_may_do_no_more_than_it_must() -> None:
    workflow = load(GITHUB)
    assert workflow["permissions"] == {}
    allowed = workflow["jobs"]["validate"]["permissions"]
    assert allowed == {"contents": "read", "security-events": "write"}
    used = [step["uses"] for step in github_steps() if "uses" in step]
    assert all(re.fullmatch(r"[\w-]+/[\w./-]+@v\d+", action) for action in used), used


def test_example_for_github_uploads_what_it_wrote() -> None:
    (upload,) = [one for one in github_steps() if "upload-sarif" in one.get("uses", "")]
    written = [line for _, line in shell_lines() if f">{upload['with']['sarif_file']}" in line]
    assert len(written) == 1
    assert "--format sarif" in written[0]


def test_example_for_gitlab_reports_what_it_wrote() -> None:
    job = load(GITLAB)["validate"]
    report = job["artifacts"]["reports"]["codequality"]
    assert [line for line in job["script"] if f"--format gitlab >{report}" in line]
    assert job["artifacts"]["when"] == "always"


@pytest.mark.parametrize("file", [GITHUB, GITLAB])
def test_example_installs_from_files_that_are_there(file: str) -> None:
    named = set(re.findall(r"[\w-]+\.(?:lock|toml)", (ROOT / file).read_text(encoding="utf-8")))
    assert "requirements.lock" in named
    assert all((ROOT / name).is_file() for name in named), named


@pytest.mark.parametrize(
    ("changed", "runs"),
    [
        ("pipelines/flows/main_flow.yaml", True),
        ("pipelines/flows/nightly/second.yml", True),
        ("pipelines/pipelines_config.yaml", True),
        ("sql/silver/hub_student.sql", True),
        ("sql/templates/scd1.sql.j2", True),
        ("dq/bronze/students/unique_keys.sql", True),
        ("ingestion/bronze/students.py", True),
        ("etl/sql/silver/hub_student.sql", True),
        ("README.md", False),
        ("pipelines/flows/layout.py", False),
        ("docs/mysql/notes.sql", False),
    ],
)
def test_hook_runs_when_a_file_that_flows_name_was_changed(changed: str, runs: bool) -> None:
    (hook,) = load(HOOKS)
    assert bool(re.search(hook["files"], changed)) is runs
    assert hook["pass_filenames"] is False  # all flows are looked at, whichever files changed
    assert "--all" in hook["entry"].split()


@pytest.mark.parametrize("database", ["postgresql", "sqlserver"])
def test_grants_of_the_examples_are_of_the_tables_that_the_main_flow_reads(database: str) -> None:
    flow = (ROOT / "pipelines/flows/main_flow.yaml").read_text(encoding="utf-8")
    name = r"((?:tracked_changes_)?edfi\.[A-Z]\w+)"
    grants = (ROOT / f"docs/examples/grants-{database}.sql").read_text(encoding="utf-8")
    granted = set(re.findall(rf"^(?:grant select on|   ) {name}", grants, re.MULTILINE))
    assert granted == set(re.findall(name, flow))
