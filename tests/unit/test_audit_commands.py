"""Audits by the command line, as far as they end before Spark is started."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.run_pipeline import main

CONFIG = """\
default_environment: test
environments:
  test: {base_path: lake, metadata: {enabled: false}}
  prod: {base_path: lake/prod, metadata: {enabled: false}}
"""
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
              destination: {path: lake/bronze/students}
            - name: report
              source: {type: csv, path: in/students}
              destination: {path: lake/report, format: csv}
            - name: seen
              source: {type: csv, path: in/students}
              destination: {view: seen_students}
"""
RUN = "20261123T105824Z-aaaaaa"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {"pipelines/pipelines_config.yaml": CONFIG, "pipelines/flows/main_flow.yaml": FLOW}
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return tmp_path


def write_log(project: Path, **more: Any) -> None:
    log = {
        "run_id": RUN,
        "batch_id": "b1",
        "pipeline": "toy",
        "flow": "pipelines/flows/main_flow.yaml",
        "environment": "test",
        "run_kind": "regular",
        "scratch": None,
        "started_at": "2026-11-23T10:58:24.000Z",
        "steps": [],
        **more,
    }
    file = project / f"pipelines/logs/{RUN}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(log))


def refused(capsys: pytest.CaptureFixture[str], project: Path, *words: str) -> str:
    """What a command says that exits with 2."""
    with pytest.raises(SystemExit) as ended:
        main([*words, "--project-dir", str(project)])
    assert ended.value.code == 2
    return capsys.readouterr().err


def test_a_rollback_when_nobody_can_answer_then_it_wants_to_be_told(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(project)
    assert "give --yes" in refused(capsys, project, "rollback", RUN)


def test_a_rollback_of_an_unknown_run_offers_a_near_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_log(project)
    said = refused(capsys, project, "rollback", RUN.replace("aaaaaa", "aaaaab"), "--yes")
    assert f"did you mean {RUN}?" in said


@pytest.mark.parametrize(
    ("log", "words", "told"),
    [
        ({}, ["--env", "prod"], "was in environment 'test', not 'prod'"),
        ({"run_kind": "empty", "scratch": "/tmp/try"}, [], "was a small one (empty), in /tmp/try"),
        ({"pipeline": "other"}, [], "was of pipeline 'other'"),
    ],
)
def test_a_rollback_of_a_run_that_was_elsewhere_is_refused(
    project: Path,
    capsys: pytest.CaptureFixture[str],
    log: dict[str, Any],
    words: list[str],
    told: str,
) -> None:
    write_log(project, **log)
    assert told in refused(capsys, project, "rollback", RUN, "--yes", *words)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["diff", "student"], "did you mean 'students'"),
        (["diff", "students", "--run", "a", "--version", "1"], "--run and --version do not go"),
        (["diff", "students", "--version=1", "--version=2", "--version=3"], "twice at most"),
        (["diff", "students", "-e", "test", "-e", "prod", "-e", "x"], "--env is given twice"),
        (["diff", "students", "--env", "tset"], "tset"),
        (["diff", "seen"], "bronze.load.seen is a view"),
        (["blame", "report"], "writes files of format csv"),
        (["blame", "students", "--format", "xml"], "--format is one of text, json"),
    ],
)
def test_an_audit_that_cannot_be_is_refused_before_spark_starts(
    project: Path, capsys: pytest.CaptureFixture[str], words: list[str], told: str
) -> None:
    assert told in refused(capsys, project, *words)


def test_a_run_when_a_rollback_is_half_done_then_it_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = project / "lake/_checkpoints/toy/_rollback.json"
    journal.parent.mkdir(parents=True)
    record = {"rollback_id": "x", "run_id": RUN, "began_at": "", "undos": [], "markers": {}}
    journal.write_text(json.dumps(record))
    assert f"pipeline rollback {RUN}" in refused(capsys, project, "run")
