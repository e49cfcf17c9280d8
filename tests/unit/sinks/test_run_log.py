from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import StorageError, UsageError
from pipelines.results import (
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
)
from pipelines.sinks.run_log import (
    RunLogSink,
    last_run,
    logs_before,
    mark_interrupted,
    read_run,
    read_runs,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
STEPS = ("bronze.load.students", "silver.hubs.hub_student")
RUN = RunInfo(
    run_id="20261123T120000Z-abc123",
    batch_id="b1",
    pipeline="toy",
    flow="flow.yaml",
    flow_sha256="0" * 64,
    environment="local",
    mode="batch",
    window=("2026-11-22", "2026-11-23"),
    started_at=NOON,
    user="ada",
    host=socket.gethostname(),
    git_commit="",
    versions={"python": "3.10"},
    pid=os.getpid(),
    step_ids=STEPS,
)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def finished(step_id: str, status: Status = Status.SUCCESS, **more: Any) -> StepResult:
    stage, group, name = step_id.split(".")
    return StepResult(
        step_id, stage, group, name, status, started_at=at(1), finished_at=at(3), **more
    )


def read(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def log_of(folder: Path, run: RunInfo = RUN) -> Any:
    return read(folder / f"{run.run_id}.json")


def put(
    folder: Path, run_id: str, status: Status = Status.SUCCESS, **changes: Any
) -> dict[str, Any]:
    """Writes a log as if a run had left it."""
    info = replace(RUN, run_id=run_id, **changes)
    steps = tuple(finished(one) for one in STEPS)
    result = RunResult(info, status, 0, at(9), steps)
    log = result.as_dict()
    (folder / f"{run_id}.json").write_text(json.dumps(log), encoding="utf-8")
    return log


# --- writing -----------------------------------------------------------------------------------


def test_log_is_there_when_run_starts(tmp_path: Path) -> None:
    RunLogSink(tmp_path / "new" / "logs").handle(RunStarted(RUN, NOON))
    log = log_of(tmp_path / "new" / "logs")
    assert log["status"] == "running"
    assert log["schema_version"] == 1
    assert log["exit_code"] is None
    assert log["finished_at"] is None
    assert log["started_at"] == "2026-11-23T12:00:00.000Z"
    assert log["pid"] == os.getpid()
    assert [(step["id"], step["status"]) for step in log["steps"]] == [
        (one, "pending") for one in STEPS
    ]
    assert log["steps"][1]["stage"] == "silver"
    assert log["steps"][1]["name"] == "hub_student"


def test_log_follows_each_event(tmp_path: Path) -> None:
    sink = RunLogSink(tmp_path)
    sink.handle(RunStarted(RUN, NOON))

    sink.handle(StepStarted(STEPS[0], at(1)))
    first, second = log_of(tmp_path)["steps"]
    assert (first["status"], first["started_at"]) == ("running", "2026-11-23T12:00:01.000Z")
    assert (second["status"], second["started_at"]) == ("pending", None)

    error = ErrorInfo("SqlError", "it broke", transient=True)
    attempt = Attempt(1, at(1), 0.5, error)
    sink.handle(AttemptFailed(STEPS[0], attempt, 10, at(2)))
    assert log_of(tmp_path)["steps"][0]["status"] == "running"

    check = CheckResult("a.sql", CheckStatus.WARNED, 3, "= 0", "warn", 0.25, ({"n": 1},))
    sink.handle(
        StepFinished(
            finished(STEPS[0], attempts=(attempt, Attempt(2, at(2), 1)), checks=(check,)), at(3)
        )
    )
    first, second = log_of(tmp_path)["steps"]
    assert (first["status"], first["duration_seconds"]) == ("success", 2.0)
    assert [one["error"] and one["error"]["message"] for one in first["attempts"]] == [
        "it broke",
        None,
    ]
    assert first["dq"][0]["status"] == "warned"
    assert second["status"] == "pending"
    assert log_of(tmp_path)["status"] == "running"

    steps = (finished(STEPS[0]), finished(STEPS[1], Status.DQ_FAILED))
    sink.handle(RunFinished(RunResult.collect(RUN, steps, finished_at=at(9)), at(9)))
    log = log_of(tmp_path)
    assert (log["status"], log["exit_code"], log["duration_seconds"]) == ("dq_failed", 3, 9.0)
    assert [step["status"] for step in log["steps"]] == ["success", "dq_failed"]


def test_last_log_is_written_at_start_and_end(tmp_path: Path) -> None:
    sink = RunLogSink(tmp_path)
    last = tmp_path / "pipeline_log.json"
    sink.handle(RunStarted(RUN, NOON))
    assert read(last)["status"] == "running"
    sink.handle(RunFinished(RunResult.collect(RUN, (), finished_at=at(1)), at(1)))
    assert read(last)["status"] == "success"
    assert read(last) == log_of(tmp_path)


def test_log_is_for_its_owner_only(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    RunLogSink(folder).handle(RunStarted(RUN, NOON))
    modes = {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
    assert modes == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("function", ["fsync", "replace"])
def test_failed_write_leaves_old_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    sink = RunLogSink(tmp_path)
    sink.handle(RunStarted(RUN, NOON))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    def breaks(*_: object, **__: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, function, breaks)
        patch.setattr(Path, "replace", breaks)
        with pytest.raises(StorageError, match="cannot write: no space left"):
            sink.handle(StepStarted(STEPS[0], at(1)))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before

    sink.handle(StepStarted(STEPS[0], at(1)))
    assert log_of(tmp_path)["steps"][0]["status"] == "running"


def test_killed_process_leaves_old_log(tmp_path: Path) -> None:
    """The process dies, with no chance to clean up, between the write and the rename."""
    put(tmp_path, RUN.run_id)
    before = (tmp_path / f"{RUN.run_id}.json").read_bytes()
    program = (
        "import os, sys\nfrom pathlib import Path\n"
        "from pipelines.sinks import run_log\n"
        "os.fsync = lambda handle: os._exit(9)\n"
        "run_log._write_whole(Path(sys.argv[1]), 'half', Path(sys.argv[1]).stem)\n"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / f"{RUN.run_id}.json")],
        cwd=root,
        check=False,
        timeout=60,
    )
    assert done.returncode == 9
    assert (tmp_path / f"{RUN.run_id}.json").read_bytes() == before
    assert [log["run_id"] for log in read_runs(tmp_path)] == [RUN.run_id]
    assert len(list(tmp_path.glob(".*"))) == 1


def test_text_beyond_ascii_stays_readable(tmp_path: Path) -> None:
    RunLogSink(tmp_path).handle(RunStarted(replace(RUN, user="Zoë"), NOON))
    assert "Zoë" in (tmp_path / f"{RUN.run_id}.json").read_text(encoding="utf-8")


def test_secrets_are_redacted_everywhere(tmp_path: Path) -> None:
    copies: list[str] = []
    sink = RunLogSink(
        tmp_path,
        redact=lambda text: text.replace("hunter2", "***"),
        copy_to=lambda _, text: copies.append(text),
    )
    error = ErrorInfo("SqlError", "login with hunter2", verdict="hunter2", hint="not hunter2")
    check = CheckResult(
        "a.sql", CheckStatus.FAILED, 1, "= 0", "error", 0, ({"note": "hunter2"},), "hunter2!"
    )
    step = finished(
        STEPS[0],
        Status.FAILED,
        error=error,
        checks=(check,),
        attempts=(Attempt(1, at(1), 1, error),),
        explain="Scan hunter2",
    )
    sink.handle(RunStarted(RUN, NOON))
    sink.handle(StepFinished(step, at(3)))
    assert "hunter2" not in (tmp_path / f"{RUN.run_id}.json").read_text(encoding="utf-8")
    sink.handle(RunFinished(RunResult.collect(RUN, (step,), finished_at=at(9), error=error), at(9)))
    for file in tmp_path.iterdir():
        assert "hunter2" not in file.read_text(encoding="utf-8")
    assert "hunter2" not in copies[0]
    assert log_of(tmp_path)["steps"][0]["error"]["message"] == "login with ***"
    assert log_of(tmp_path)["steps"][0]["dq"][0]["sample"] == [{"note": "***"}]
    assert log_of(tmp_path)["error"]["hint"] == "not ***"


def test_finished_log_is_copied_once(tmp_path: Path) -> None:
    copies: list[tuple[str, str]] = []
    sink = RunLogSink(tmp_path, copy_to=lambda name, text: copies.append((name, text)))
    sink.handle(RunStarted(RUN, NOON))
    sink.handle(StepStarted(STEPS[0], at(1)))
    sink.handle(StepFinished(finished(STEPS[0]), at(3)))
    assert copies == []
    sink.handle(RunFinished(RunResult.collect(RUN, (), finished_at=at(4)), at(4)))
    name = f"{RUN.run_id}.json"
    assert copies == [(name, (tmp_path / name).read_text(encoding="utf-8"))]


def test_log_is_there_though_copy_fails(tmp_path: Path) -> None:
    def breaks(_: str, __: str) -> None:
        raise OSError("bucket is gone")

    sink = RunLogSink(tmp_path, copy_to=breaks)
    sink.handle(RunStarted(RUN, NOON))
    with pytest.raises(OSError, match="bucket"):
        sink.handle(RunFinished(RunResult.collect(RUN, (), finished_at=at(4)), at(4)))
    assert log_of(tmp_path)["status"] == "success"
    assert read(tmp_path / "pipeline_log.json")["status"] == "success"


# --- reading -----------------------------------------------------------------------------------


def ids(logs: list[dict[str, Any]]) -> list[str]:
    return [log["run_id"] for log in logs]


def test_runs_come_newest_first(tmp_path: Path) -> None:
    for run_id in ("20261122T120000Z-b", "20261123T120000Z-c", "20261121T120000Z-a"):
        put(tmp_path, run_id)
    put(tmp_path, "pipeline_log")
    assert ids(read_runs(tmp_path)) == [
        "20261123T120000Z-c",
        "20261122T120000Z-b",
        "20261121T120000Z-a",
    ]


def test_limit_counts_runs_of_the_pipeline_only(tmp_path: Path) -> None:
    for day in range(10, 20):
        put(tmp_path, f"202611{day}T120000Z-a", pipeline="toy" if day % 3 == 0 else "other")
    assert ids(read_runs(tmp_path, "toy", limit=2)) == ["20261118T120000Z-a", "20261115T120000Z-a"]
    assert len(read_runs(tmp_path, "other", limit=3)) == 3
    assert read_runs(tmp_path, "nobody") == []


def test_no_more_files_are_read_than_wanted(tmp_path: Path) -> None:
    (tmp_path / "20200101T000000Z-a.json").write_text("never read")
    put(tmp_path, "20261123T120000Z-c")
    read_runs(tmp_path, limit=1)
    assert (tmp_path / "20200101T000000Z-a.json").exists()


def test_no_folder_means_no_runs(tmp_path: Path) -> None:
    assert read_runs(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "content", [b"", b'{"run_id": "x", "steps": [', b"[]", b"{}", b'{"steps": 1}', b"\xff\xfe"]
)
def test_corrupt_log_is_set_aside(tmp_path: Path, content: bytes) -> None:
    put(tmp_path, "20261121T120000Z-a")
    bad = tmp_path / "20261122T120000Z-b.json"
    bad.write_bytes(content)
    assert ids(read_runs(tmp_path)) == ["20261121T120000Z-a"]
    assert not bad.exists()
    assert (tmp_path / "20261122T120000Z-b.json.corrupt").read_bytes() == content
    assert ids(read_runs(tmp_path)) == ["20261121T120000Z-a"]


def test_run_by_id_beginning_and_last(tmp_path: Path) -> None:
    for run_id in ("20261121T120000Z-a", "20261122T120000Z-b", "20261122T120000Z-bb"):
        put(tmp_path, run_id)
    put(tmp_path, "pipeline_log")
    assert read_run(tmp_path, "20261121")["run_id"] == "20261121T120000Z-a"
    assert read_run(tmp_path, "20261122T120000Z-b")["run_id"] == "20261122T120000Z-b"
    assert read_run(tmp_path, "last")["run_id"] == "20261122T120000Z-bb"
    with pytest.raises(UsageError, match="2 runs begin with '20261122'"):
        read_run(tmp_path, "20261122")


def test_unknown_run_offers_a_near_one(tmp_path: Path) -> None:
    put(tmp_path, "20261121T120000Z-abc123")
    with pytest.raises(UsageError) as caught:
        read_run(tmp_path, "20261121T120000Z-abc124")
    assert "did you mean 20261121T120000Z-abc123?" in caught.value.hint
    assert caught.value.where == str(tmp_path)
    with pytest.raises(UsageError) as caught:
        read_run(tmp_path, "zzz")
    assert "pipeline history" in caught.value.hint


def test_last_of_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no log of run 'last'"):
        read_run(tmp_path, "last")


def test_last_run_of_pipeline_and_environment(tmp_path: Path) -> None:
    put(tmp_path, "20261121T120000Z-a")
    put(tmp_path, "20261122T120000Z-b", environment="prod")
    put(tmp_path, "20261123T120000Z-c", pipeline="other")
    found = last_run(tmp_path, "toy", "local")
    assert found is not None
    assert found["run_id"] == "20261121T120000Z-a"
    assert last_run(tmp_path, "toy", "dev") is None


# --- runs that were cut off --------------------------------------------------------------------


def test_old_logs_when_asked_for_then_are_of_that_pipeline_and_never_its_newest(
    tmp_path: Path,
) -> None:
    limit = datetime(2026, 11, 23, tzinfo=timezone.utc)
    for day, pipeline in ((20, "toy"), (21, "toy"), (22, "other"), (22, "toy")):
        put(tmp_path, f"202611{day}T000000Z-{pipeline}", pipeline=pipeline)

    def old() -> list[str]:
        return [file.stem for file in logs_before(tmp_path, "toy", "local", limit)]

    assert old() == ["20261121T000000Z-toy", "20261120T000000Z-toy"]
    put(tmp_path, "20261124T000000Z-toy", pipeline="toy")
    assert old()[0] == "20261122T000000Z-toy"
    assert logs_before(tmp_path, "other", "local", limit) == []


def dead_pid() -> int:
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def cut_off(folder: Path, **changes: Any) -> RunInfo:
    """Leaves a log as a process does that is killed while its first step runs."""
    info = replace(RUN, **changes)
    sink = RunLogSink(folder)
    sink.handle(RunStarted(info, NOON))
    sink.handle(StepStarted(STEPS[0], at(1)))
    return info


def test_run_of_dead_process_was_interrupted(tmp_path: Path) -> None:
    info = cut_off(tmp_path, pid=dead_pid())
    assert mark_interrupted(tmp_path, "toy") == [info.run_id]
    log = log_of(tmp_path)
    assert log["status"] == "interrupted"
    assert log["finished_at"].endswith("Z")
    assert [(step["status"], step["reason"]) for step in log["steps"]] == [
        ("interrupted", ""),
        ("blocked", "the run was interrupted"),
    ]
    assert stat.S_IMODE((tmp_path / f"{info.run_id}.json").stat().st_mode) == 0o600
    assert mark_interrupted(tmp_path, "toy") == []


def test_what_a_killed_write_left_goes_when_its_run_is_ended(tmp_path: Path) -> None:
    info = cut_off(tmp_path, pid=dead_pid())
    (tmp_path / f".{info.run_id}.abcdefgh").write_text("half a lo")
    (tmp_path / ".20261123T120001Z-another.abcdefgh").write_text("of a run at work")
    mark_interrupted(tmp_path, "toy")
    assert [file.name for file in tmp_path.glob(".*")] == [".20261123T120001Z-another.abcdefgh"]


def test_finished_steps_of_interrupted_run_stay_so(tmp_path: Path) -> None:
    sink = RunLogSink(tmp_path)
    sink.handle(RunStarted(replace(RUN, pid=dead_pid()), NOON))
    sink.handle(StepFinished(finished(STEPS[0]), at(3)))
    mark_interrupted(tmp_path, "toy")
    assert [step["status"] for step in log_of(tmp_path)["steps"]] == ["success", "blocked"]


def test_own_pid_of_an_earlier_process_is_dead(tmp_path: Path) -> None:
    """A container's process has the same number each time."""
    info = cut_off(tmp_path, pid=os.getpid())
    assert mark_interrupted(tmp_path, "toy") == [info.run_id]


@pytest.mark.parametrize("changes", [{"pid": os.getppid()}, {"pid": 1}, {"host": "elsewhere"}])
def test_run_that_may_be_alive_is_left_alone(tmp_path: Path, changes: Mapping[str, Any]) -> None:
    cut_off(tmp_path, **changes)
    assert mark_interrupted(tmp_path, "toy") == []
    assert log_of(tmp_path)["status"] == "running"


def test_other_pipelines_and_finished_runs_are_left_alone(tmp_path: Path) -> None:
    gone: Callable[[Mapping[str, Any]], bool] = lambda log: False  # noqa: E731
    cut_off(tmp_path, pipeline="other")
    put(tmp_path, "20261121T120000Z-a")
    assert mark_interrupted(tmp_path, "toy", gone) == []
    assert mark_interrupted(tmp_path, "other", gone) == [RUN.run_id]
