"""Puts a backup back: into an empty folder, or in the place of the lakehouse as it is now."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.backups.looking import refuse_wrong_table, verify
from pipelines.backups.places import moved, no_place, parts_of
from pipelines.errors import BackupError, PipelineError, UsageError
from pipelines.execution.backups.copies import copy_file, disk_errors_told, side_by_side
from pipelines.execution.backups.manifest import read_manifest
from pipelines.execution.backups.partial import made_whole
from pipelines.execution.backups.swaps import (
    RestoreJournal,
    RestoreRecord,
    Swap,
    carry_out,
    clear_staged,
)
from pipelines.execution.files import LocalFiles
from pipelines.results import utc_now, utc_text
from pipelines.results.backups import Restored

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.prepared import PreparedFlow
    from pipelines.results.backups import BackedUpFile, Manifest, Part

_BATCH = "_batch.json"


def restore_to(folder: Path, root: Path, *, dry_run: bool = False) -> Restored:
    """Puts the backup at ``folder`` into ``root``, which is to be the lakehouse's `base_path`.

    Raises:
        UsageError: ``root`` holds something, or a table was outside of the lakehouse.
        BackupError: the backup is damaged, or cannot be copied; nothing is left in ``root``.
    """
    folder, root = folder.expanduser().absolute(), root.expanduser().absolute()
    manifest = read_manifest(folder)
    for part in manifest.there:
        if part.relative is None:
            raise no_place(part)
    if root.exists() and (not root.is_dir() or any(root.iterdir())):
        raise UsageError(
            "it is not empty", where=str(root), hint="give --to a new folder, or leave --to out"
        )
    if dry_run:
        return Restored(manifest, str(root), damages=verify(folder).damages)
    with disk_errors_told("nothing was restored", root), made_whole(root) as partial:
        for part in manifest.there:
            target = partial / (part.relative or "")
            _copy(part, folder, target, "")
            if part.kind == "state":
                _at_home(target, manifest.base_path, str(root))
    return Restored(manifest, str(root), is_done=True)


def restore(
    prepared: PreparedFlow,
    folder: Path,
    *,
    dry_run: bool = False,
    agree: Callable[[Restored], bool] | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Restored:
    """Puts the backup at ``folder`` in the place of the lakehouse of a flow: all of it, or none.

    Tables that record runs are left alone where they are there: other pipelines write them too.

    Args:
        prepared: the flow, in the environment that is restored.
        folder: the backup.
        dry_run: only look.
        agree: asked before anything is touched; on false nothing is.
        now: the clock.

    Raises:
        UsageError: the backup is of another pipeline, or does not fit the lakehouse.
        LockHeldError: a run of the pipeline is at work.
        BackupError: the backup is damaged or cannot be copied, and all is as it was; or not all
            could be put back, which it says.
    """
    folder = folder.expanduser().absolute()
    manifest, compiled = read_manifest(folder), prepared.checked()
    name = compiled.plan.flow.pipeline.name
    if manifest.pipeline != name:
        raise UsageError(
            f"the backup is of pipeline {manifest.pipeline!r}, the flow is {name!r}",
            where=str(folder),
            hint="name its flow before the backup",
        )
    places = moved(manifest.parts, manifest.base_path, compiled.base_path)
    there = {part.path for part in parts_of(prepared) if Path(part.path).exists()}
    kept = tuple(sorted(there - set(places.values())))
    journal = RestoreJournal(LocalFiles(), compiled.checkpoint.path)
    moment = now()
    holder = {"restore_of": str(folder), "since": moment.isoformat(timespec="seconds")}
    with prepared.run_lock(holder) as hold:
        record = journal.open_record()
        if record is not None and record.backup != str(folder):
            journal.refuse_if_open()
        plan = Restored(manifest, compiled.base_path, kept, went_on=record is not None)
        if dry_run:
            damages = () if record else verify(folder).damages
            return Restored(manifest, plan.root, kept, went_on=plan.went_on, damages=damages)
        if agree is not None and not agree(plan):
            return Restored(manifest, plan.root, kept, went_on=plan.went_on, declined=True)
        if record is None:
            with disk_errors_told("nothing was restored, all is as it was", folder):
                swaps = _staged(manifest, folder, places, compiled.base_path)
                record = RestoreRecord(str(folder), utc_text(moment) or "", swaps)
                try:
                    hold.refuse_if_lost()
                    journal.begin(record)
                except PipelineError:
                    clear_staged(swaps)
                    raise
        hold.refuse_if_lost()
        carry_out(record, journal)
    return Restored(manifest, plan.root, kept, is_done=True, went_on=plan.went_on)


def _staged(
    manifest: Manifest, folder: Path, places: Mapping[str, str], root: str
) -> tuple[Swap, ...]:
    """The swaps of a restore, with what they put in place copied beside it and checked."""
    swaps: list[Swap] = []
    try:
        for part in manifest.parts:
            place = Path(places[part.path])
            if part.is_shared and place.exists():
                continue
            if part.kind == "state":
                made = _swaps_of_state(part, place)
                swaps += made
                clear_staged(made)
                _copy(part, folder, place, ".__restored")
                for swap in made:
                    _at_home(swap.staged, manifest.base_path, root)
                continue
            swaps.append(Swap(str(place), part.is_there))
            clear_staged(swaps[-1:])
            if part.is_there:
                _copy(part, folder, swaps[-1].staged, "")
    except BaseException:
        with suppress(OSError):
            clear_staged(swaps)
        raise
    return tuple(swaps)


def _swaps_of_state(part: Part, place: Path) -> list[Swap]:
    """A swap for each entry: the folder itself stays, as the run lock is in it."""
    new = {file.path.partition("/")[0] for file in part.files}
    old = {one.name for one in place.iterdir()} if place.is_dir() else set[str]()
    old = {one.removesuffix(".__restored") for one in old if not one.startswith(".")}
    return [Swap(f"{place}/{one}", one in new) for one in sorted(new | old)]


def _copy(part: Part, folder: Path, target: Path, suffix: str) -> None:
    """Copies a part to ``target``; ``suffix`` is put to the name of each of its entries.

    Raises:
        BackupError: a file is not as the manifest says.
    """

    def copy(file: BackedUpFile) -> None:
        entry, slash, rest = file.path.partition("/")
        source = folder / part.folder / file.path
        copied = copy_file(source, target / f"{entry}{suffix}{slash}{rest}", file.path)
        if (copied.size, copied.sha256) != (file.size, file.sha256):
            raise BackupError(
                "the backup is damaged: the file is not as it was taken",
                where=str(source),
                hint="pipeline backup --verify names all such files; restore an earlier backup",
            )

    target.mkdir(parents=True, exist_ok=True)
    side_by_side(copy, part.files)
    if not suffix:
        refuse_wrong_table(part, target)


def _at_home(place: Path, old_root: str, new_root: str) -> None:
    """Lets records of batches in ``place`` name tables where they are now."""
    if old_root == new_root:
        return
    for file in _batches(place):
        try:
            said = json.loads(file.read_bytes())
        except ValueError:  # the next run sets it aside
            continue
        inputs = said.get("inputs", {}).items()
        said["inputs"] = {
            new_root + path[len(old_root) :] if path.startswith(f"{old_root}/") else path: version
            for path, version in inputs
        }
        LocalFiles().write(str(file), json.dumps(said, indent=1, sort_keys=True))


def _batches(place: Path) -> Iterable[Path]:
    return place.rglob(_BATCH) if place.is_dir() else ()
