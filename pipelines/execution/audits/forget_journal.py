"""The journal of an erasure: that one was begun, kept until it is ended; never whom it is of."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore


@dataclass(frozen=True)
class ForgetRecord:
    """An erasure that was begun.

    Attributes:
        forget_id: names it, and stamps its commits.
        key: the column by which the person was named.
        value_sha256: of the value, with the id before it.
        began_at: when, UTC, ISO 8601.
    """

    forget_id: str
    key: str
    value_sha256: str
    began_at: str

    def is_of(self, key: str, value: str) -> bool:
        """Whether it is of the person so named."""
        return (key, hash_of_value(self.forget_id, value)) == (self.key, self.value_sha256)


class ForgetJournal:
    """Word of the one erasure that may be under way, beside the checkpoints of a pipeline.

    Args:
        files: where checkpoints are kept.
        path: the pipeline's checkpoint folder.
    """

    def __init__(self, files: FileStore, path: str) -> None:
        self._files, self._file = files, f"{path.rstrip('/')}/_forget.json"

    def open_record(self) -> ForgetRecord | None:
        """The erasure that was begun and not ended; None where there is none."""
        text = self._files.read(self._file)
        return None if text is None else ForgetRecord(**json.loads(text))

    def begin(self, record: ForgetRecord) -> None:
        """Notes what is about to be done."""
        self._files.write(self._file, json.dumps(asdict(record), indent=1))

    def end(self) -> None:
        """Takes the note away."""
        self._files.remove(self._file)

    def refuse_if_open(self) -> None:
        """Raises UsageError while an erasure is half done: some tables still hold the person."""
        record = self.open_record()
        if record is not None:
            raise UsageError(
                f"the erasure {record.forget_id} was begun and not ended",
                where=self._file,
                hint=f"end it first, by the same words: pipeline forget --key {record.key}=…",
            )


def hash_of_value(forget_id: str, value: str) -> str:
    """What stands for the value in logs; with the id, so that two erasures cannot be compared."""
    return hashlib.sha256(f"{forget_id}:{value.strip()}".encode()).hexdigest()
