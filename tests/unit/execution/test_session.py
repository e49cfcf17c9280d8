from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pipelines.execution.retry import judge_failure
from pipelines.execution.session import _PASSING_ON, _java_output_to, end_of_java
from pipelines.secret_store.redaction import Redactor

SPEAK = "echo out; echo err >&2"


def test_java_output_when_a_file_is_given_then_both_streams_go_there_and_none_to_ours(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "java.log"
    with _java_output_to(file):
        subprocess.run(SPEAK, shell=True, check=True)
    subprocess.run("echo after", shell=True, check=True)
    assert file.read_text(encoding="utf-8") == "out\nerr\n"
    assert capfd.readouterr() == ("after\n", "")


def test_java_output_when_debugging_then_is_on_stderr_without_secrets_and_never_among_results(
    capfd: pytest.CaptureFixture[str],
) -> None:
    Redactor().add("correct-horse")
    with _java_output_to(None):
        subprocess.run(f"{SPEAK}; echo 'password: correct-horse'", shell=True, check=True)
    for thread in threading.enumerate():
        if thread.name == _PASSING_ON:
            thread.join(10)
    assert capfd.readouterr() == ("", "out\nerr\npassword: ***\n")


@pytest.mark.parametrize(
    ("how", "told", "advice"),
    [
        ("raise SystemExit(52)", "since its memory was full", "raise spark.driver.memory"),
        ("import os; os.kill(os.getpid(), 9)", "since it was killed", "the system's log says"),
        ("raise SystemExit(3)", "with exit code 3", "--debug"),
    ],
)
@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("connection reset by peer"),
        RuntimeError("Cannot call methods on a stopped SparkContext.\nThis stopped SparkContext …"),
    ],
)
def test_java_when_it_has_ended_then_why_and_what_to_do_are_told(
    how: str, told: str, advice: str, error: Exception
) -> None:
    with subprocess.Popen([sys.executable, "-c", how]) as process:
        spark: Any = SimpleNamespace(
            sparkContext=SimpleNamespace(_gateway=SimpleNamespace(proc=process))
        )
        ended = end_of_java(spark, error)
    assert ended is not None
    assert told in ended.message
    assert advice in ended.hint
    assert ended.hint.endswith("then run the same batch again")
    assert not judge_failure(ended).transient


def test_java_when_it_lives_or_somebody_else_started_it_then_has_not_ended() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        for gateway in (SimpleNamespace(proc=process), SimpleNamespace()):
            spark: Any = SimpleNamespace(sparkContext=SimpleNamespace(_gateway=gateway))
            assert end_of_java(spark, ValueError("no connection")) is None
