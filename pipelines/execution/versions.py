"""Another version of a project: a folder, or what git keeps under a name."""

from __future__ import annotations

import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import UsageError


@contextmanager
def project_at(project_dir: Path, version: str) -> Iterator[Path]:
    """The folder of another version of the project in ``project_dir``, for as long as it is used.

    Args:
        project_dir: the project as it is now.
        version: a folder, or a commit, branch or tag of the project's git repository.

    Raises:
        UsageError: it is neither.
    """
    folder = Path(version).expanduser()
    if folder.is_dir():
        yield folder.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="pipeline-version-") as name:
        packed = Path(name, "project.zip")
        # The name could begin with a dash: it is resolved first, and git is told that it is one.
        found = _git(project_dir, "rev-parse", "--verify", "--quiet", "--end-of-options",
                     f"{version}^{{commit}}")  # fmt: skip
        if found is None:
            raise UsageError(
                f"{version!r} is neither a folder nor a commit of the project's git repository",
                where="--against",
                hint="give a branch such as main, a tag, a commit, or a folder",
            )
        _git(project_dir, "archive", "--format=zip", f"--output={packed}", found, "--", ".")
        unpacked = Path(name, "project")
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(unpacked)
        yield unpacked


def _git(folder: Path, *words: str) -> str | None:
    """What git says; None where it refuses."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *words], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
