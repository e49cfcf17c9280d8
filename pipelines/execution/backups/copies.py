"""Files copied, hashed on their way, and compared with what a manifest says of them."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from pipelines.errors import BackupError
from pipelines.results.backups import BackedUpFile

_BLOCK = 1 << 20
_SIDE_BY_SIDE = 4
_HINTS = {
    errno.ENOSPC: "make room there, then give the same words again",
    errno.EDQUOT: "make room there, then give the same words again",
    errno.EACCES: "run it as the user who runs the pipeline",
    errno.EPERM: "run it as the user who runs the pipeline",
}
_One = TypeVar("_One")
_Made = TypeVar("_Made")


def copy_file(source: Path, target: Path, name: str) -> BackedUpFile:
    """``source`` copied to ``target``, synced; modes and times are kept, as Delta reads by them."""
    target.parent.mkdir(parents=True, exist_ok=True)
    hashed, size = sha256(), 0
    with source.open("rb") as reads, target.open("xb") as writes:
        while block := reads.read(_BLOCK):
            hashed.update(block)
            writes.write(block)
            size += len(block)
        writes.flush()
        os.fsync(writes.fileno())
    shutil.copystat(source, target)
    return BackedUpFile(name, size, hashed.hexdigest(), target.stat().st_mtime_ns)


def link_file(known: BackedUpFile, earlier: Path, source: Path, target: Path) -> bool:
    """Links ``target`` to its copy in an earlier backup; False where that is not the same.

    It is where size and time of change are: a data file of a table is never written again.
    """
    now = source.stat()
    if (now.st_size, now.st_mtime_ns) != (known.size, known.mtime_ns):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        if earlier.stat().st_size != known.size:
            return False
        target.hardlink_to(earlier)
    except OSError:  # gone, another file system, too many links: it is copied instead
        return False
    return True


def damage_of(folder: Path, file: BackedUpFile) -> str:
    """What is wrong with a file of a backup; empty if nothing is."""
    hashed, size = sha256(), 0
    try:
        with (folder / file.path).open("rb") as reads:
            while block := reads.read(_BLOCK):
                hashed.update(block)
                size += len(block)
    except FileNotFoundError:
        return "is missing"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    if size != file.size:
        return f"has {size:,} bytes instead of {file.size:,}"
    return "" if hashed.hexdigest() == file.sha256 else "has another content: its hash is wrong"


def side_by_side(work: Callable[[_One], _Made], items: Sequence[_One]) -> list[_Made]:
    """``work`` done with each of the items, some at a time; the first failure ends it."""
    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="backup") as pool:
        futures = [pool.submit(work, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


@contextmanager
def disk_errors_told(what: str, where: Path) -> Iterator[None]:
    """Tells what the file system refuses as an error of ours.

    Raises:
        BackupError: it refused.
    """
    try:
        yield
    except OSError as error:
        raise BackupError(
            f"{what}: {error.strerror or error}",
            where=str(error.filename or where),
            hint=_HINTS.get(error.errno or 0, ""),
        ) from error


def sync_folders(root: Path) -> None:
    """Syncs the names in ``root`` and in all folders below it."""
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))


def sync_folder(folder: Path) -> None:
    """Syncs the names in a folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def files_below(folder: Path) -> Iterable[str]:
    """All files in ``folder``, by their path below it."""
    for root, _, names in os.walk(folder):
        yield from (str(Path(root, name).relative_to(folder)) for name in names)
