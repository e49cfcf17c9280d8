"""Backups of a lakehouse: what one holds, and what became of taking one and putting it back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

FORMAT = 1
"""Of the manifest."""
Kind = Literal["delta", "files", "state"]


@dataclass(frozen=True)
class BackedUpFile:
    """A file of a backup.

    Attributes:
        path: below the folder of its part.
        size: in bytes.
        sha256: of its content.
        mtime_ns: when the original was changed last, nanoseconds since 1970 UTC.
    """

    path: str
    size: int
    sha256: str
    mtime_ns: int


@dataclass(frozen=True)
class Part:
    """A table, a folder of files, or the checkpoints: one folder of the lakehouse.

    Attributes:
        name: the step that writes it, or what else it is.
        kind: ``delta`` is a table at one version, ``files`` a folder as it is, ``state`` one whose
            entries are put back one by one.
        path: where it was, absolute.
        relative: its path below the lakehouse's root; None where it is not below it.
        folder: where the backup has it.
        is_shared: whether other pipelines write to it too.
        is_there: whether there was anything.
        version: of a Delta table.
        table_id: of a Delta table.
        rows: of a Delta table, by its log; None where that does not count them.
        files: all of them.
    """

    name: str
    kind: Kind
    path: str
    relative: str | None
    folder: str
    is_shared: bool = False
    is_there: bool = False
    version: int | None = None
    table_id: str = ""
    rows: int | None = None
    files: tuple[BackedUpFile, ...] = ()

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(file.size for file in self.files)


@dataclass(frozen=True)
class Manifest:
    """What a backup says of itself.

    Attributes:
        backup_id: names it.
        made_at: when it was begun, UTC, ISO 8601.
        pipeline: name of the pipeline.
        flow: the flow's file, relative to the project.
        environment: name of the environment.
        base_path: root of the lakehouse.
        checkpoint_path: where the checkpoints were.
        has_history: whether older versions of tables can be read from it.
        versions: of what made it and of what wrote the tables.
        parts: what it holds.
    """

    backup_id: str
    made_at: str
    pipeline: str
    flow: str
    environment: str
    base_path: str
    checkpoint_path: str
    has_history: bool
    versions: Mapping[str, str]
    parts: tuple[Part, ...]

    @property
    def size(self) -> int:
        """Of all files, in bytes."""
        return sum(part.size for part in self.parts)

    @property
    def number_of_files(self) -> int:
        """Of all parts."""
        return sum(len(part.files) for part in self.parts)

    @property
    def there(self) -> tuple[Part, ...]:
        """The parts that there was anything of."""
        return tuple(part for part in self.parts if part.is_there)

    def as_dict(self) -> dict[str, Any]:
        """The manifest with JSON types only, and what it adds up to."""
        return {
            "schema_version": FORMAT,
            **asdict(self),
            "size": self.size,
            "number_of_files": self.number_of_files,
        }


@dataclass(frozen=True)
class Taken:
    """A backup that was taken.

    Attributes:
        folder: where it is.
        manifest: what it holds.
        linked: how many of its files are those of an earlier backup.
        linked_size: of these, in bytes.
    """

    folder: Path
    manifest: Manifest
    linked: int
    linked_size: int

    def as_dict(self) -> dict[str, Any]:
        """The backup with JSON types only, without its files."""
        said = self.manifest.as_dict()
        parts = [{k: v for k, v in part.items() if k != "files"} for part in said["parts"]]
        more = {"linked": self.linked, "linked_size": self.linked_size}
        return {"folder": str(self.folder), **said, "parts": parts, **more}


@dataclass(frozen=True)
class Verified:
    """What a look through a backup has found.

    Attributes:
        folder: the backup.
        manifest: what it should hold.
        damages: what is wrong, a line each.
    """

    folder: Path
    manifest: Manifest
    damages: tuple[str, ...]

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong."""
        return not self.damages

    def as_dict(self) -> dict[str, Any]:
        """What was found, with JSON types only."""
        return {
            "folder": str(self.folder),
            "backup_id": self.manifest.backup_id,
            "number_of_files": self.manifest.number_of_files,
            "size": self.manifest.size,
            "damages": list(self.damages),
        }


@dataclass(frozen=True)
class Restored:
    """What became of a restore.

    Attributes:
        manifest: of the backup.
        root: where the lakehouse is that it was put into.
        kept: tables of the flow that the backup does not know, and that stay.
        is_done: whether it was put back; else it was only looked.
        declined: whether the user did not agree.
        went_on: whether an earlier call had begun it.
        damages: of the backup, where it was only looked.
    """

    manifest: Manifest
    root: str
    kept: tuple[str, ...] = ()
    is_done: bool = False
    declined: bool = False
    went_on: bool = False
    damages: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether the lakehouse is, or could be, as it was when the backup was taken."""
        return self.is_done or not (self.damages or self.declined)

    def as_dict(self) -> dict[str, Any]:
        """The restore with JSON types only."""
        return {
            "backup_id": self.manifest.backup_id,
            "root": self.root,
            "is_done": self.is_done,
            "went_on": self.went_on,
            "kept": list(self.kept),
            "damages": list(self.damages),
        }
