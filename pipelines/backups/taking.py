"""Takes a backup: versions pinned under the run lock, copied, checked, named when it is whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines import __version__
from pipelines.backups.looking import refuse_wrong_table
from pipelines.backups.places import parts_of
from pipelines.errors import BackupError, UsageError
from pipelines.execution.backups.contents import folder_contents, table_contents
from pipelines.execution.backups.copies import (
    copy_file,
    disk_errors_told,
    link_file,
    side_by_side,
)
from pipelines.execution.backups.manifest import (
    backups_in,
    read_manifest,
    write_manifest,
)
from pipelines.execution.backups.partial import clear_partials, made_whole
from pipelines.execution.files import LocalFiles
from pipelines.execution.half_done import refuse_half_done
from pipelines.plan.outside import is_below
from pipelines.prepared import generate_run_id
from pipelines.results import utc_now, utc_text
from pipelines.results.backups import BackedUpFile, Manifest, Part, Taken

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.prepared import PreparedFlow

_UNSAFE = re.compile(r"[^A-Za-z0-9._]+")
_Known = Mapping[tuple[str, str], tuple[Path, BackedUpFile]]
"""The files of an earlier backup, by part and path."""


def back_up(
    prepared: PreparedFlow,
    place: Path,
    *,
    with_history: bool = False,
    is_full: bool = False,
    now: Callable[[], datetime] = utc_now,
) -> Taken:
    """Copies the lakehouse of a flow into a new folder in ``place``; no run goes on meanwhile.

    Args:
        prepared: the flow, in its environment.
        place: the folder of backups; on any file system that this machine has mounted.
        with_history: also the files of older versions of tables.
        is_full: copy every file, also those that an earlier backup in ``place`` has.
        now: the clock.

    Raises:
        UsageError: the flow is wrong, its lakehouse is not on this machine's file system, or a
            rollback or restore is half done.
        LockHeldError: a run of the pipeline is at work.
        BackupError: something could not be read or written; nothing is left of the backup.
    """
    compiled, moment, place = prepared.checked(), now(), place.expanduser().absolute()
    parts = parts_of(prepared)
    inside = next((p.path for p in parts if is_below(str(place), p.path)), "")
    if inside or is_below(str(place), compiled.base_path):
        raise UsageError(
            f"backups would be in the lakehouse itself: {inside or compiled.base_path}",
            where=str(place),
            hint="give --to another folder, best on another disk",
        )
    name = f"{compiled.plan.flow.pipeline.name}-{compiled.environment_name}"
    name, backup_id = _UNSAFE.sub("-", name), generate_run_id(moment)
    folder = place / f"{name}-{backup_id}"
    holder = {"backup": str(folder), "since": moment.isoformat(timespec="seconds")}
    with prepared.run_lock(holder) as hold, disk_errors_told("the backup was not made", place):
        refuse_half_done(LocalFiles(), compiled.checkpoint.path)
        place.mkdir(parents=True, exist_ok=True)
        clear_partials(place)
        known = {} if is_full else _known(place, name)
        with made_whole(folder, mode=0o700) as partial:
            copied = [_copied(part, partial, known, with_history=with_history) for part in parts]
            manifest = Manifest(
                backup_id=backup_id,
                made_at=utc_text(moment) or "",
                pipeline=compiled.plan.flow.pipeline.name,
                flow=compiled.plan.flow.document.file,
                environment=compiled.environment_name,
                base_path=compiled.base_path,
                checkpoint_path=compiled.checkpoint.path,
                has_history=with_history,
                versions={
                    "pipeline": __version__,
                    **{one: metadata.version(one) for one in ("delta-spark", "deltalake")},
                },
                parts=tuple(part for part, _ in copied),
            )
            hold.refuse_if_lost()
            write_manifest(manifest, partial)
    linked = [file for _, files in copied for file in files]
    return Taken(folder, manifest, len(linked), sum(file.size for file in linked))


def _known(place: Path, name: str) -> _Known:
    """The files of the newest backup of the same pipeline and environment in ``place``."""
    earlier = [one for one in backups_in(place) if one.name.startswith(f"{name}-")]
    if not earlier:
        return {}
    try:
        parts = read_manifest(earlier[-1]).parts
    except BackupError:  # damaged, or of another format: everything is copied
        return {}
    return {
        (part.path, file.path): (earlier[-1] / part.folder / file.path, file)
        for part in parts
        for file in part.files
    }


def _copied(
    part: Part, partial: Path, known: _Known, *, with_history: bool
) -> tuple[Part, list[BackedUpFile]]:
    """``part`` with what it holds, and those of its files that were linked."""
    origin, target = Path(part.path), partial / part.folder
    if part.kind == "delta":
        contents = table_contents(origin, with_history=with_history)
    else:
        contents = folder_contents(origin)
    if contents is None:
        return part, []

    def take(name: str) -> tuple[BackedUpFile, bool]:
        earlier = known.get((part.path, name))
        if earlier is not None and link_file(earlier[1], earlier[0], origin / name, target / name):
            return earlier[1], True
        return copy_file(origin / name, target / name, name), False

    target.mkdir(parents=True, exist_ok=True)
    taken = side_by_side(take, contents.files)
    done = replace(
        part,
        is_there=True,
        version=contents.version,
        table_id=contents.table_id,
        rows=contents.rows,
        files=tuple(file for file, _ in taken),
    )
    refuse_wrong_table(done, target)
    return done, [file for file, is_linked in taken if is_linked]
