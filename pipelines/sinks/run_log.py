"""The JSON log of each run: written whole, and always there, whatever becomes of the run."""

from __future__ import annotations

import json
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import StorageError, UsageError, near_names
from pipelines.results import (
    Event,
    RunFinished,
    RunInfo,
    RunResult,
    RunStarted,
    Status,
    StepFinished,
    StepResult,
    StepStarted,
    utc_now,
    utc_text,
)

if TYPE_CHECKING:
    from datetime import datetime

LAST = "pipeline_log.json"


class RunLogSink:
    """Writes `<folder>/<run_id>.json` at each change, and `pipeline_log.json` at start and end.

    Args:
        folder: made where it is missing, for its owner only.
        redact: takes secrets out of every text.
        copy_to: also given the finished log: its file's name and its text.
    """

    def __init__(
        self,
        folder: Path,
        *,
        redact: Callable[[str], str] = str,
        copy_to: Callable[[str, str], None] | None = None,
    ) -> None:
        self._folder, self._redact, self._copy_to = folder, redact, copy_to
        self._run: RunInfo | None = None
        self._steps: dict[str, StepResult] = {}

    def handle(self, event: Event) -> None:
        """Brings the log up to date."""
        if isinstance(event, RunStarted):
            self._run = event.run
            self._steps = {one: _step(one, Status.PENDING) for one in event.run.step_ids}
            self._write(self._so_far(), LAST)
        elif isinstance(event, StepStarted):
            self._steps[event.step_id] = _step(event.step_id, Status.RUNNING, event.at)
            self._write(self._so_far())
        elif isinstance(event, StepFinished):
            self._steps[event.result.id] = event.result
            self._write(self._so_far())
        elif isinstance(event, RunFinished):
            text = self._write(event.result, LAST)
            if self._copy_to is not None:
                self._copy_to(f"{event.result.run.run_id}.json", text)

    def _so_far(self) -> RunResult:
        assert self._run is not None, "a run's first event is RunStarted"
        return RunResult(self._run, Status.RUNNING, None, None, tuple(self._steps.values()))

    def _write(self, result: RunResult, *also: str) -> str:
        log = _redacted(result.as_dict(), self._redact)
        text = json.dumps(log, indent=1, ensure_ascii=False)
        for name in (f"{result.run.run_id}.json", *also):
            _write_whole(self._folder / name, text, result.run.run_id)
        return text


def read_runs(
    folder: Path, pipeline: str | None = None, *, limit: int = 20
) -> list[dict[str, Any]]:
    """The newest logs, newest first; reads no more files than it takes.

    A log that cannot be read is renamed to `….corrupt` and left out.
    """
    runs: list[dict[str, Any]] = []
    for file in sorted(_log_files(folder), reverse=True):
        if len(runs) == limit:
            break
        log = _read(file)
        if log is not None and pipeline in (None, log.get("pipeline")):
            runs.append(log)
    return runs


def read_run(folder: Path, run_id: str) -> dict[str, Any]:
    """One log, by its run's id, the beginning of it, or ``last``.

    Raises:
        UsageError: there is no such run, or several begin so.
    """
    names = [file.stem for file in sorted(_log_files(folder), reverse=True)]
    if run_id == "last":
        fits = names[:1]
    else:
        fits = [name for name in names if name == run_id] or [
            name for name in names if name.startswith(run_id)
        ]
    if len(fits) == 1:
        log = _read(folder / f"{fits[0]}.json")
        if log is not None:
            return log
    if len(fits) > 1:
        raise UsageError(f"{len(fits)} runs begin with {run_id!r}", hint="give more of the id")
    near = near_names(run_id, names)
    hint = f"did you mean {near[0]}?" if near else "'pipeline history' lists the runs"
    raise UsageError(f"no log of run {run_id!r}", where=str(folder), hint=hint)


def find_run(folder: Path, run_id: str) -> dict[str, Any] | None:
    """The log of the run of that very id; None where it is gone."""
    return _read(folder / f"{run_id}.json")


def last_run(folder: Path, pipeline: str, environment: str) -> dict[str, Any] | None:
    """The newest log of a pipeline in an environment; None if there is none."""
    for file in sorted(_log_files(folder), reverse=True):
        log = _read(file)
        if log and (log.get("pipeline"), log.get("environment")) == (pipeline, environment):
            return log
    return None


def mark_interrupted(
    folder: Path, pipeline: str, is_alive: Callable[[Mapping[str, Any]], bool] | None = None
) -> list[str]:
    """Ends the newest logs that say `running` though their process is gone; returns their runs."""
    alive = is_alive or _is_alive
    marked = []
    for log in read_runs(folder, pipeline):
        if log.get("status") != Status.RUNNING.value or alive(log):
            continue
        for step in log["steps"]:
            if step["status"] == Status.RUNNING.value:
                step["status"] = Status.INTERRUPTED.value
            elif step["status"] == Status.PENDING.value:
                step.update(status=Status.BLOCKED.value, reason="the run was interrupted")
        log.update(status=Status.INTERRUPTED.value, finished_at=utc_text(utc_now()))
        run_id = log["run_id"]
        for left in folder.glob(f".{run_id}.*"):  # it was killed while it wrote
            left.unlink()
        _write_whole(
            folder / f"{run_id}.json", json.dumps(log, indent=1, ensure_ascii=False), run_id
        )
        marked.append(run_id)
    return marked


def note_rolled_back(folder: Path, run_id: str, by: str, at: datetime) -> None:
    """Notes in a run's log when its tables were put back to before it, and by which rollback."""
    for name in (f"{run_id}.json", LAST):
        log = _read(folder / name)
        if log is not None and log.get("run_id") == run_id:
            log.update(rolled_back_at=utc_text(at), rolled_back_by=by)
            _write_whole(folder / name, json.dumps(log, indent=1, ensure_ascii=False), run_id)


def runs_after(folder: Path, log: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The logs of runs of the same pipeline and environment that began after that of ``log``."""
    same = ("pipeline", "environment", "scratch")
    found = []
    for file in sorted(_log_files(folder), reverse=True):
        if file.stem <= log["run_id"]:
            break
        other = _read(file)
        if other is not None and all(other.get(key) == log.get(key) for key in same):
            found.append(other)
    return found


def logs_before(folder: Path, pipeline: str, environment: str, before: datetime) -> list[Path]:
    """The logs of a pipeline in an environment whose runs began earlier; never its newest log."""
    of_it = (pipeline, environment)
    stamp = before.strftime("%Y%m%dT%H%M%SZ")
    older, has_newer = [], False
    for file in sorted(_log_files(folder), reverse=True):
        if file.stem >= stamp and has_newer:
            continue
        log = _read(file)
        if log is None or (log.get("pipeline"), log.get("environment")) != of_it:
            continue
        if has_newer and file.stem < stamp:
            older.append(file)
        has_newer = True
    return older


def _step(step_id: str, status: Status, started_at: datetime | None = None) -> StepResult:
    stage, group, name = step_id.split(".")
    return StepResult(step_id, stage, group, name, status, started_at=started_at)


def _log_files(folder: Path) -> list[Path]:
    return [file for file in folder.glob("[0-9]*.json") if file.is_file()]


def _read(file: Path) -> dict[str, Any] | None:
    try:
        log = json.loads(file.read_text(encoding="utf-8"))
        if isinstance(log, dict) and isinstance(log["steps"], list):
            return log
    except FileNotFoundError:
        return None
    except (ValueError, KeyError):
        pass
    file.rename(file.with_suffix(".json.corrupt"))
    return None


def _write_whole(file: Path, text: str, run_id: str) -> None:
    """Under a temporary name that says whose it is, synced, then renamed; for the owner only."""
    try:
        _write(file, text, run_id)
    except OSError as error:
        raise StorageError.of(error, file) from error


def _write(file: Path, text: str, run_id: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=f".{run_id}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {key: _redacted(item, redact) for key, item in value.items()}
    return [_redacted(item, redact) for item in value] if isinstance(value, list) else value


def _is_alive(log: Mapping[str, Any]) -> bool:
    """Whether the run's process is there; one of another host is taken to be."""
    if log.get("host") != socket.gethostname():
        return True
    pid = log.get("pid")
    if not isinstance(pid, int) or pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
