"""What is known of a run when it starts: who, where, with what."""

from __future__ import annotations

import getpass
import os
import socket
import subprocess
import sys
from importlib import metadata
from typing import TYPE_CHECKING

from pipelines.plan.small_run import REGULAR
from pipelines.results import RunInfo

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pipelines.plan.compile import CompiledPlan

_GIT_SECONDS = 5


def describe_run(compiled: CompiledPlan, started_at: datetime, log_folder: Path) -> RunInfo:
    """The run of ``compiled`` that starts now, in this process, with its log in ``log_folder``."""
    flow, request = compiled.plan.flow, compiled.plan.request
    packages = ("pyspark", "delta-spark")
    return RunInfo(
        run_id=request.run_id,
        batch_id=compiled.batch_id,
        pipeline=flow.pipeline.name,
        flow=flow.document.file,
        flow_sha256=flow.sha256,
        environment=compiled.environment_name,
        mode=request.mode,
        window=(str(request.window.start), str(request.window.end)),
        started_at=started_at,
        user=user_name(),
        host=socket.gethostname(),
        git_commit=_git_commit(flow.project_dir),
        versions={
            "python": sys.version.split()[0],
            **{name: metadata.version(name) for name in packages},
        },
        pid=os.getpid(),
        log_file=str(log_folder / f"{request.run_id}.json"),
        step_ids=tuple(compiled.steps),
        kind=request.small.kind if request.small else REGULAR,
        scratch=compiled.base_path.rpartition("/")[0] if request.small else "",
    )


def _git_commit(folder: Path) -> str:
    """The commit that the project stands at; empty outside of git."""
    try:
        done = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def user_name() -> str:
    """Who runs this; empty where nobody can tell."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""
