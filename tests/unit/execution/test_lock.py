"""The run lock: one run at a time, and nothing that a dead process could leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.errors import LockHeldError
from pipelines.execution.lock import RunLock
from pipelines.run_pipeline import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.conftest import Project

ROOT = Path(__file__).resolve().parents[3]
HOLDER = {"run_id": "20261123T105824Z-abc123", "pid": 4711, "host": "node7", "since": "10:58"}

# Takes the lock, says so with the number of a child that lives on, and waits to be ended.
HOLD = """
import subprocess, sys
from pathlib import Path
from pipelines.execution.lock import RunLock
with RunLock(Path(sys.argv[1]), {"run_id": "of another process", "pid": 1}):
    command = [sys.executable, "-c", "input()"]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, close_fds=False)
    print(child.pid, flush=True)
    sys.stdin.read()
    child.communicate()
"""


@contextmanager
def _held_elsewhere(file: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Another process that holds the lock, and a child of that process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout is not None
        child = int(process.stdout.readline())
        try:
            yield process, child
        finally:
            process.kill()
            with suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)


def _refused(file: Path) -> LockHeldError:
    started = time.monotonic()
    with pytest.raises(LockHeldError) as raised, RunLock(file, {"run_id": "second"}):
        pass
    assert time.monotonic() - started < 1
    return raised.value


def test_lock_when_it_is_held_then_the_second_one_is_refused_at_once_and_told_by_whom(
    tmp_path: Path,
) -> None:
    file = tmp_path / "ckpt/toy/.lock"
    with RunLock(file, HOLDER):
        error = _refused(file)
        _refused(file)
    assert error.message == (
        "another run of this pipeline is at work: "
        "run_id 20261123T105824Z-abc123, pid 4711, host node7, since 10:58"
    )
    assert (error.where, error.exit_code) == (str(file), 4)


def test_lock_when_given_back_then_the_next_one_has_it_and_is_the_one_named(
    tmp_path: Path,
) -> None:
    file = tmp_path / ".lock"
    with RunLock(file, HOLDER):
        pass
    with RunLock(file, {"run_id": "second"}):
        message = _refused(file).message
    assert message.endswith(": run_id second")


def test_lock_when_the_run_breaks_then_is_given_back(tmp_path: Path) -> None:
    file = tmp_path / ".lock"
    with pytest.raises(ZeroDivisionError), RunLock(file, HOLDER):
        raise ZeroDivisionError
    with RunLock(file, HOLDER):
        pass


@pytest.mark.parametrize("left", ["", '{"run_id": "dead", "pid": 1}', "no json", "[]", "\0" * 99])
def test_lock_when_a_file_is_left_over_then_does_not_block(tmp_path: Path, left: str) -> None:
    file = tmp_path / ".lock"
    file.write_text(left, encoding="utf-8")
    with RunLock(file, {"run_id": "new"}):
        assert _refused(file).message.endswith(": run_id new")


@pytest.mark.parametrize("said", ["", "no json", "[1]"])
def test_lock_when_its_holder_said_nothing_readable_then_is_still_refused(
    tmp_path: Path, said: str
) -> None:
    file = tmp_path / ".lock"
    with RunLock(file, HOLDER):
        file.write_text(said, encoding="utf-8")
        assert _refused(file).message.endswith(": unknown")


def test_lock_when_another_process_holds_it_then_is_refused_until_that_ends(
    tmp_path: Path,
) -> None:
    file = tmp_path / ".lock"
    with _held_elsewhere(file) as (process, _):
        assert "run_id of another process, pid 1" in _refused(file).message
        process.communicate(timeout=30)
        with RunLock(file, HOLDER):
            pass


def test_lock_when_its_process_is_killed_then_is_free_though_a_child_of_it_lives_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / ".lock"
    with _held_elsewhere(file) as (process, child):
        os.kill(process.pid, signal.SIGKILL)
        process.wait(timeout=30)
        os.kill(child, 0)
        with RunLock(file, HOLDER):
            assert "node7" in _refused(file).message


def test_locks_when_they_are_of_different_pipelines_then_are_held_side_by_side(
    tmp_path: Path,
) -> None:
    with RunLock(tmp_path / "one/.lock", HOLDER), RunLock(tmp_path / "other/.lock", HOLDER):
        _refused(tmp_path / "one/.lock")
        _refused(tmp_path / "other/.lock")


# --- as a user meets it ------------------------------------------------------------------------

IDLE = """
- name: idle
  when: false
  source: {type: delta, query: select 1 as id}
  destination: {path: "{{ base_path }}/idle"}
"""


def _run(made: Project, flow: str) -> int:
    """The exit code of a run that has nothing to do, and so needs no Spark."""
    with pytest.raises(SystemExit) as ended:
        main(["run", flow, "--project-dir", str(made.root)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_run_when_another_run_of_the_pipeline_is_at_work_then_ends_with_4_and_names_it(
    project: Callable[..., Project], capsys: pytest.CaptureFixture[str]
) -> None:
    made = project(IDLE)
    with RunLock(made.root / "lake/_checkpoints/toy/.lock", HOLDER):
        assert _run(made, "main_flow") == 4
        told = capsys.readouterr().err
        assert "another run of this pipeline is at work" in told
        assert "20261123T105824Z-abc123" in told
    assert not (made.root / "pipelines/logs").exists()
    assert _run(made, "main_flow") == 0


def test_run_when_another_pipeline_is_at_work_then_is_not_kept_from_it(
    project: Callable[..., Project],
) -> None:
    made = project(IDLE)
    text = made.flow(IDLE, name="other_flow").read_text(encoding="utf-8")
    made.write("pipelines/flows/other_flow.yaml", text.replace("name: toy", "name: other"))
    with RunLock(made.root / "lake/_checkpoints/toy/.lock", HOLDER):
        assert _run(made, "other_flow") == 0
        assert _run(made, "main_flow") == 4
