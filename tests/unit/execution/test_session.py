from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.execution.session import _java_output_to

if TYPE_CHECKING:
    import pytest

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


def test_java_output_when_debugging_then_is_on_stderr_and_never_among_results(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with _java_output_to(None):
        subprocess.run(SPEAK, shell=True, check=True)
    assert capfd.readouterr() == ("", "out\nerr\n")
