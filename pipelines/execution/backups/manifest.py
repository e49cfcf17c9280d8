"""The manifest of a backup: what it holds, so that all of it can be checked; written last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from pipelines.errors import BackupError
from pipelines.execution.files import LocalFiles
from pipelines.results.backups import FORMAT, BackedUpFile, Manifest, Part

MANIFEST = "manifest.json"
_MOMENT = len("20261125T201500Z-a1b2c3")
"""The end of a backup's name, by which it sorts."""


def write_manifest(manifest: Manifest, folder: Path) -> None:
    """Puts the manifest into the backup at ``folder``."""
    LocalFiles().write(str(folder / MANIFEST), json.dumps(manifest.as_dict(), indent=1))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of the backup at ``folder``.

    Raises:
        BackupError: there is no backup, or one that cannot be read.
    """
    try:
        text = LocalFiles().read(str(folder / MANIFEST))
    except OSError as error:
        raise BackupError(f"cannot be read: {error.strerror}", where=str(folder)) from error
    if text is None:
        inside = list(backups_in(folder))
        hint = f"it holds backups, the newest is {inside[-1]}" if inside else ""
        raise BackupError(f"no backup: it has no {MANIFEST}", where=str(folder), hint=hint)
    try:
        said = json.loads(text)
        if said["schema_version"] != FORMAT:
            raise BackupError(
                f"a backup of format {said['schema_version']}, this version reads {FORMAT}",
                where=str(folder),
                hint="restore it with the version that made it, or a newer one",
            )
        parts = tuple(
            Part(**{**part, "files": tuple(BackedUpFile(**file) for file in part["files"])})
            for part in said["parts"]
        )
        fields = {name: said[name] for name in Manifest.__dataclass_fields__}
        return Manifest(**{**fields, "parts": parts})
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(
            f"its {MANIFEST} is damaged: {type(error).__name__} {error}",
            where=str(folder),
            hint="take another backup",
        ) from error


def backups_in(place: Path) -> Iterator[Path]:
    """The backups in a folder, oldest first; what was not ended is none."""
    if place.is_dir():
        for folder in sorted(place.iterdir(), key=lambda one: one.name[-_MOMENT:]):
            if not folder.name.startswith(".") and (folder / MANIFEST).is_file():
                yield folder
