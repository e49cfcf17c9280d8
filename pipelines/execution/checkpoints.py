"""Checkpoints: word of what a batch has done, so that the same batch can go on where it stopped.

Below the checkpoint path stand, a folder a batch, `_batch.json` (how the batch began) and a
marker for each step that is done: destination committed, checks passed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore

_LONGEST_NAME = 180
"""File systems take 255; a temporary name is longer than the name."""


@dataclass(frozen=True)
class Marker:
    """A step of a batch is done.

    Attributes:
        run_id: the run that did it.
        finished_at: when, UTC, ISO 8601.
        fingerprint: of the step as it ran.
        version_after: version of its Delta table; None for other formats and views.
        upstream_versions: versions of the tables that it read, by step id.
        identity: of what it wrote; empty where it is not known.
        read: identities of the outputs that it read, by step id.
    """

    run_id: str
    finished_at: str
    fingerprint: str
    version_after: int | None
    upstream_versions: Mapping[str, int | None] = field(default_factory=dict)
    identity: str = ""
    read: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class BatchRecord:
    """How a batch began; a resumed run goes by it.

    Attributes:
        batch_id: names the batch.
        run_id: the run that began it.
        started_at_ms: when, milliseconds since 1970 UTC.
        run_date: ISO date that its SQL saw.
        vars: the command line's variables.
        inputs: version of each Delta table outside of the flow that was read, by path.
    """

    batch_id: str
    run_id: str
    started_at_ms: int
    run_date: str
    vars: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, int] = field(default_factory=dict)


_Record = TypeVar("_Record", Marker, BatchRecord)


class CheckpointStore:
    """The checkpoints of one pipeline.

    Args:
        files: where they are kept.
        path: the pipeline's checkpoint folder.
    """

    def __init__(self, files: FileStore, path: str) -> None:
        self._files, self.path = files, path.rstrip("/")
        self.set_aside: list[str] = []

    def batch_folder(self, batch_id: str) -> str:
        """Where the markers of a batch are."""
        return f"{self.path}/{_file_name(batch_id)}"

    def marker_path(self, batch_id: str, step_id: str) -> str:
        """Where the marker of a step is."""
        return f"{self.batch_folder(batch_id)}/{_file_name(step_id)}.json"

    def marker(self, batch_id: str, step_id: str) -> Marker | None:
        """The marker of a step; None where there is none or it cannot be read.

        One that cannot be read is renamed to `….corrupt` and noted in ``set_aside``; its step
        runs again.
        """
        return self._read(self.marker_path(batch_id, step_id), Marker)

    def save_marker(self, batch_id: str, step_id: str, marker: Marker) -> str:
        """Writes the marker of a step; returns its path."""
        path = self.marker_path(batch_id, step_id)
        self._files.write(path, json.dumps(asdict(marker), indent=1, sort_keys=True))
        return path

    def marker_texts(self, marks: Iterable[tuple[str, str]]) -> dict[str, str]:
        """The markers of these batches' steps as they are written, by path."""
        paths = [self.marker_path(batch_id, step_id) for batch_id, step_id in marks]
        texts = {path: self._files.read(path) for path in paths}
        return {path: text for path, text in texts.items() if text is not None}

    def batch(self, batch_id: str) -> BatchRecord | None:
        """How the batch began; None where it did not."""
        return self._read(f"{self.batch_folder(batch_id)}/_batch.json", BatchRecord)

    def save_batch(self, record: BatchRecord) -> None:
        """Notes how the batch began."""
        path = f"{self.batch_folder(record.batch_id)}/_batch.json"
        self._files.write(path, json.dumps(asdict(record), indent=1, sort_keys=True))

    def batches(self) -> list[BatchRecord]:
        """All batches whose beginning can be read, newest first; only looks."""
        folders = (f"{self.path}/{name}" for name in self._files.names(self.path))
        texts = (self._files.read(f"{folder}/_batch.json") for folder in folders)
        found = [one for text in texts if (one := _parsed(text, BatchRecord)) is not None]
        return sorted(found, key=lambda one: one.started_at_ms, reverse=True)

    def markers(self, batch_id: str, step_ids: Iterable[str]) -> dict[str, Marker]:
        """The markers of a batch that can be read, by step id; only looks."""
        texts = {one: self._files.read(self.marker_path(batch_id, one)) for one in step_ids}
        parsed = {one: _parsed(text, Marker) for one, text in texts.items()}
        return {one: marker for one, marker in parsed.items() if marker is not None}

    def remove_batch(self, batch_id: str) -> None:
        """Deletes all that is kept of a batch."""
        self._files.remove(self.batch_folder(batch_id))

    def _read(self, path: str, kind: type[_Record]) -> _Record | None:
        text = self._files.read(path)
        if text is None:
            return None
        record = _parsed(text, kind)
        if record is None:
            self._files.move(path, f"{path}.corrupt")
            self.set_aside.append(path)
        return record


def _parsed(text: str | None, kind: type[_Record]) -> _Record | None:
    try:
        values = json.loads(text or "")
        known = {item.name for item in fields(kind)} & values.keys()
        return kind(**{name: values[name] for name in known})
    except (ValueError, AttributeError, TypeError):
        return None


def _file_name(name: str) -> str:
    """``name`` as one that every file system takes; a long one ends in its hash."""
    text = quote(name, safe=" :+=@,").replace("..", "%2E%2E")
    if text == ".":
        return "%2E"
    if len(text) <= _LONGEST_NAME:
        return text
    return f"{text[: _LONGEST_NAME // 2]}~{sha256(name.encode(errors='replace')).hexdigest()[:32]}"
