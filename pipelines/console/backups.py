"""Backups as text: what was copied, what is wrong with one, what a restore puts where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.console.words import clean, counted, number_text, size_text

if TYPE_CHECKING:
    from pipelines.results.backups import Manifest, Part, Restored, Taken, Verified

_MOST_DAMAGES = 20


def backup_text(taken: Taken) -> str:
    """A backup that was taken, a line a part."""
    manifest = taken.manifest
    linked = ""
    if taken.linked:
        linked = f"; {taken.linked:,} linked ({size_text(taken.linked_size)})"
    lines = [*_parts(manifest), f"backup {taken.folder}", f"  {_sum(manifest)}{linked}"]
    return clean("\n".join(lines))


def verified_text(verified: Verified) -> str:
    """What a look through a backup has found."""
    lines = [f"backup {verified.folder}", *_damages(verified.damages)]
    if verified.is_well:
        lines.append(f"  {_sum(verified.manifest)}: all as they were taken")
    return clean("\n".join(lines))


def restored_text(restored: Restored) -> str:
    """What a restore puts where, and what became of it as the last line."""
    manifest = restored.manifest
    lines = [
        f"backup {manifest.backup_id} of {manifest.pipeline}, environment {manifest.environment}, "
        f"taken {manifest.made_at}",
        *_parts(manifest),
        f"  into {restored.root}",
        *(f"  ! {path} is not in the backup and stays: build it anew" for path in restored.kept),
        *_damages(restored.damages),
    ]
    outcome = ""
    if restored.is_done:
        outcome = "restored" + (", as an earlier call had begun" if restored.went_on else "")
    elif restored.declined:
        outcome = "not restored, nothing was touched"
    elif restored.damages:
        outcome = "it would be refused"
    return clean("\n".join([*lines, outcome] if outcome else lines))


def _parts(manifest: Manifest) -> list[str]:
    return [f"  {part.name}: {_part(part)}" for part in manifest.parts if _is_told(part)]


def _is_told(part: Part) -> bool:
    """Not what a swap leaves beside its files, where there is nothing of it."""
    return part.is_there or part.kind == "delta"


def _part(part: Part) -> str:
    if not part.is_there:
        return "not there"
    files = f"{counted(len(part.files), 'file')}, {size_text(part.size)}"
    if part.kind != "delta":
        return files
    rows = "" if part.rows is None else f"{number_text(part.rows)} rows, "
    return f"version {part.version}, {rows}{files}"


def _sum(manifest: Manifest) -> str:
    return f"{counted(manifest.number_of_files, 'file')}, {size_text(manifest.size)}"


def _damages(damages: tuple[str, ...]) -> list[str]:
    more = len(damages) - _MOST_DAMAGES
    lines = [f"  ✗ {one}" for one in damages[:_MOST_DAMAGES]]
    return [*lines, f"  … and {more:,} more"] if more > 0 else lines
