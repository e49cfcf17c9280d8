"""Which files a backup needs: those of one version of a Delta table, or all of a folder."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from pipelines.errors import BackupError

if TYPE_CHECKING:
    from deltalake import DeltaTable

_ABSOLUTE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:")
_LOG = "_delta_log"
_LAST_CHECKPOINT = "_last_checkpoint"
_SIDECARS = "_sidecars"
_LOG_FILE = re.compile(r"(?:\d{20}\.)?(\d{20})\.(?:json|crc|checkpoint\..+|compacted\.json)")
"""A commit, its checksum, a checkpoint, or commits put together; the last number is the version."""
_VECTORS = "deletion_vector_*.bin"
_NOT_COPIED = re.compile(r"\.lock|\..*\.crc|\..+\.[a-z0-9_]{8}")
"""The run lock, Hadoop's checksums, and what a killed write left."""


@dataclass(frozen=True)
class Contents:
    """What a folder holds.

    Attributes:
        files: that are needed, by their path below the folder.
        version: of a Delta table.
        table_id: of a Delta table.
        rows: of a Delta table, by its log; None where that does not count them.
    """

    files: tuple[str, ...]
    version: int | None = None
    table_id: str = ""
    rows: int | None = None


def table_contents(path: Path, *, with_history: bool = False) -> Contents | None:
    """The newest version of the Delta table at ``path``; None where there is no table.

    Its log is taken whole, so that history, transactions and watermarks are kept, and the
    checkpoints in it.

    Args:
        path: the table.
        with_history: all files in the folder, those that only older versions need among them.

    Raises:
        BackupError: the log cannot be read, a file is gone, or one lies outside of the table.
    """
    table = _opened(path)
    if table is None:
        return None
    version, names = table.version(), _data_files(table, path)
    if with_history:
        log = path / _LOG
        files = [one for one in _walk(path) if log not in (path / one).parents]
    else:
        files = [*names, *(str(one.relative_to(path)) for one in path.rglob(_VECTORS))]
    files += [f"{_LOG}/{one}" for one in _log_files(path / _LOG, version)]
    missing = [name for name in names if not (path / name).is_file()]
    if missing:
        raise BackupError(
            f"version {version} needs {missing[0]}, which is gone"
            + (f", and {len(missing) - 1} more" if len(missing) > 1 else ""),
            where=str(path),
            hint="the table cannot be read either: restore it, or build it anew",
        )
    return Contents(tuple(sorted(set(files))), version, str(table.metadata().id), _rows(table))


def folder_contents(path: Path) -> Contents | None:
    """All that is in the folder at ``path``; None where there is none."""
    return Contents(tuple(sorted(_walk(path)))) if path.is_dir() else None


def _opened(path: Path) -> DeltaTable | None:
    from deltalake import DeltaTable
    from deltalake.exceptions import DeltaError, TableNotFoundError

    if not (path / _LOG).is_dir():
        return None
    try:
        return DeltaTable(str(path))
    except TableNotFoundError:
        return None
    except (DeltaError, OSError) as error:
        raise BackupError(f"its log cannot be read: {error}", where=str(path)) from error


def _data_files(table: DeltaTable, path: Path) -> list[str]:
    names = table.get_add_actions()["path"].to_pylist()
    outside = [name for name in names if _ABSOLUTE.match(name)]
    if outside:
        raise BackupError(
            f"a file of it lies elsewhere: {outside[0]}",
            where=str(path),
            hint="it is a clone of another table: build it anew, by a run with --full-refresh",
        )
    return [unquote(name) for name in names]


def _log_files(log: Path, version: int) -> Iterator[str]:
    """The files of a log up to ``version``, by their path below it."""
    for file in log.iterdir():
        found = _LOG_FILE.fullmatch(file.name)
        if found is not None and int(found[1]) <= version:
            yield file.name
        elif file.name == _LAST_CHECKPOINT:
            try:
                is_known = int(json.loads(file.read_bytes())["version"]) <= version
            except (ValueError, KeyError, TypeError):
                is_known = False
            if is_known:
                yield file.name
    if (log / _SIDECARS).is_dir():
        yield from (f"{_SIDECARS}/{file}" for file in _walk(log / _SIDECARS))


def _rows(table: DeltaTable) -> int | None:
    """The rows of a table, by the counts in its log and its deletion vectors."""
    counts = table.get_add_actions()["num_records"].to_pylist()
    if None in counts:
        return None
    deleted = 0
    for batch in table.deletion_vectors():
        deleted += sum(mask.count(False) for mask in batch["selection_vector"].to_pylist())
    return int(sum(counts)) - deleted


def _walk(path: Path) -> Iterator[str]:
    for folder, _, names in os.walk(path, onerror=_told):
        for name in names:
            if not _NOT_COPIED.fullmatch(name):
                yield str(Path(folder, name).relative_to(path))


def _told(error: OSError) -> None:
    raise error
