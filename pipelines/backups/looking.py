"""Looks a backup through: every file by its hash, every table by its version and rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.errors import BackupError
from pipelines.execution.backups.contents import table_contents
from pipelines.execution.backups.copies import damage_of, files_below, side_by_side
from pipelines.execution.backups.manifest import MANIFEST, read_manifest
from pipelines.results.backups import Verified

if TYPE_CHECKING:
    from pipelines.results.backups import Part


def verify(folder: Path) -> Verified:
    """Reads all of the backup at ``folder``.

    Raises:
        BackupError: there is no backup.
    """
    folder = folder.expanduser().absolute()
    manifest = read_manifest(folder)
    files = [(part, file) for part in manifest.parts for file in part.files]
    found = side_by_side(lambda one: damage_of(folder / one[0].folder, one[1]), files)
    damages = [
        f"{part.folder}/{file.path} {damage}"
        for (part, file), damage in zip(files, found, strict=True)
        if damage
    ]
    meant = {f"{part.folder}/{file.path}" for part, file in files} | {MANIFEST}
    damages += [f"{name} is not of the backup" for name in files_below(folder) if name not in meant]
    for part in manifest.parts:
        if not any(line.startswith(f"{part.folder}/") for line in damages):
            try:
                refuse_wrong_table(part, folder / part.folder)
            except BackupError as error:
                damages.append(f"{part.folder} {error.message}")
    return Verified(folder, manifest, tuple(damages))


def refuse_wrong_table(part: Part, copy: Path) -> None:
    """Nothing, if the copy of a Delta table is that table at that version, with as many rows.

    Raises:
        BackupError: it is not.
    """
    if part.kind != "delta" or not part.is_there:
        return
    contents = table_contents(copy)
    found = (contents.version, contents.table_id, contents.rows) if contents else None
    if found != (part.version, part.table_id, part.rows):
        raise BackupError(
            f"should be version {part.version} of table {part.table_id} with {part.rows} rows",
            where=str(copy),
            hint=f"found {found}" if found else "found no table",
        )
