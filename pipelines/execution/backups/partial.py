"""A folder that gets its name only when it is whole; what a killed process left is known by it."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.errors import BackupError
from pipelines.execution.backups.copies import sync_folder, sync_folders

_SUFFIX = ".partial"


@contextmanager
def made_whole(folder: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """A folder to fill, which is renamed to ``folder`` at the end; on an error nothing is left.

    As long as it has no name the operating system locks it, so that nobody takes it for one that
    a killed process has left.

    Args:
        folder: what it becomes.
        mode: who may look into it.

    Raises:
        BackupError: ``folder`` holds something, or another process fills it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = folder.with_name(f".{folder.name}{_SUFFIX}")
    if partial.exists() and not _removed(partial):
        raise BackupError("another process is at work there", where=str(folder))
    partial.mkdir(mode=mode)
    handle = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield partial
        sync_folders(partial)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        if folder.exists():
            raise BackupError("there is something already", where=str(folder))
        partial.rename(folder)
        sync_folder(folder.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        os.close(handle)


def clear_partials(place: Path) -> None:
    """Removes what killed processes have left in ``place``."""
    for left in place.glob(f".*{_SUFFIX}"):
        _removed(left)


def _removed(partial: Path) -> bool:
    """Whether the folder is gone; not where a living process fills it."""
    handle = os.open(partial, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    else:
        shutil.rmtree(partial)
        return True
    finally:
        os.close(handle)
