"""The manifests of releases: one file each, and one that says which is current.

Below `<base path>/_releases/<pipeline>/<stage>/` stand `<release id>.json`, `current.json` with
the whole of the release that readers see, `switch.json` while views are being changed, and in
`withdrawn/` the releases whose data was rolled back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import ReleaseError
from pipelines.execution.files import LocalFiles, is_local
from pipelines.results.release import Release

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore

SCHEMA_VERSION = 1
_CURRENT, _SWITCH = "current.json", "switch.json"


@dataclass(frozen=True)
class Standing:
    """What readers of a stage see.

    Attributes:
        release: None where nothing is released.
        since: when it became current, UTC, ISO 8601; empty where nothing ever did.
        set_by: the run, or the command, that made it so.
        taken_back: ids of releases that a user went back from.
    """

    release: Release | None = None
    since: str = ""
    set_by: str = ""
    taken_back: tuple[str, ...] = ()

    @property
    def release_id(self) -> str:
        """The release's id; empty where nothing is released."""
        return self.release.release_id if self.release is not None else ""


def releases_folder(base_path: str, pipeline: str) -> str:
    """Where the releases of a pipeline are."""
    return f"{base_path.rstrip('/')}/_releases/{pipeline}"


class ReleaseStore:
    """The releases of one pipeline.

    Args:
        files: the lakehouse's storage.
        base_path: root of the lakehouse.
        pipeline: name of the pipeline.
    """

    def __init__(self, files: FileStore, base_path: str, pipeline: str) -> None:
        self._files, self.base_path = files, base_path.rstrip("/")
        self._root = releases_folder(base_path, pipeline)

    def folder(self, stage: str) -> str:
        """Where the manifests of a stage are."""
        return f"{self._root}/{stage}"

    def stages(self) -> list[str]:
        """The stages that were ever released."""
        return self._files.names(self._root)

    def releases(self, stage: str) -> list[Release]:
        """All releases of a stage that stand, newest first."""
        names = self._files.names(self.folder(stage))
        found = [
            Release.read(self._said(f"{self.folder(stage)}/{name}"))
            for name in sorted(names, reverse=True)
            if name.endswith(".json") and name not in (_CURRENT, _SWITCH)
        ]
        return found

    def current(self, stage: str) -> Standing:
        """What readers see now."""
        return self._standing(f"{self.folder(stage)}/{_CURRENT}") or Standing()

    def has_table(self, path: str) -> bool:
        """Whether there is a Delta table at ``path``, as far as this storage reaches."""
        is_far = isinstance(self._files, LocalFiles) and not is_local(path)
        return is_far or self._files.exists(f"{path}/_delta_log")

    def save(self, release: Release) -> None:
        """Writes the manifest of a release; nobody sees it yet."""
        said = {"schema_version": SCHEMA_VERSION, **release.as_dict()}
        self._write(self._file(release), said)

    def point(self, stage: str, to: Standing) -> None:
        """Lets readers see ``to``: one file is replaced."""
        self._write(f"{self.folder(stage)}/{_CURRENT}", _standing_dict(stage, to))

    def begin_switch(self, stage: str, to: Standing) -> None:
        """Notes that views are about to be changed to ``to``."""
        self._write(f"{self.folder(stage)}/{_SWITCH}", _standing_dict(stage, to))

    def open_switch(self, stage: str) -> Standing | None:
        """What views were being changed to when that was broken off; None where it was not."""
        return self._standing(f"{self.folder(stage)}/{_SWITCH}")

    def end_switch(self, stage: str) -> None:
        """Notes that views are as `current.json` says."""
        self._files.remove(f"{self.folder(stage)}/{_SWITCH}")

    def withdraw(self, release: Release, by: str) -> None:
        """Puts a release whose data was rolled back aside, for good."""
        said = {"schema_version": SCHEMA_VERSION, **release.as_dict(), "withdrawn_by": by}
        folder = self.folder(release.stage)
        self._write(f"{folder}/withdrawn/{release.release_id}.json", said)
        self.remove(release)

    def remove(self, release: Release) -> None:
        """Deletes the manifest of a release; its data is nobody's pin any more."""
        self._files.remove(self._file(release))

    def _file(self, release: Release) -> str:
        return f"{self.folder(release.stage)}/{release.release_id}.json"

    def _standing(self, path: str) -> Standing | None:
        if self._files.read(path) is None:
            return None
        said = self._said(path)
        release = Release.read(said) if said["release_id"] else None
        return Standing(release, said["current_since"], said["set_by"], tuple(said["taken_back"]))

    def _said(self, path: str) -> dict[str, Any]:
        try:
            said = json.loads(self._files.read(path) or "")
            if said["release_id"]:
                Release.read(said)
            return dict(said)
        except (ValueError, KeyError, TypeError):
            raise ReleaseError(
                "this is no manifest of a release",
                where=path,
                hint="it was changed by hand; delete it, and the next run releases anew",
            ) from None

    def _write(self, path: str, said: dict[str, Any]) -> None:
        self._files.write(path, json.dumps(said, indent=1, ensure_ascii=False))


def _standing_dict(stage: str, standing: Standing) -> dict[str, Any]:
    nothing: dict[str, Any] = {"release_id": None, "stage": stage, "schema": None, "tables": []}
    release = standing.release
    return {
        "schema_version": SCHEMA_VERSION,
        **(release.as_dict() if release is not None else nothing),
        "current_since": standing.since,
        "set_by": standing.set_by,
        "taken_back": list(standing.taken_back),
    }
