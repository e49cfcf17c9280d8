"""The ledger of intervals: which windows history runs have done, kept beside the checkpoints."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import date
from typing import TYPE_CHECKING

from pipelines.plan.windows import Interval, Window

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore

_VERSION = 1


class IntervalLedger:
    """The intervals of one pipeline, in `_intervals.json`; of each the last run of it.

    It is written under the run lock only.

    Args:
        files: where it is kept.
        path: the pipeline's checkpoint folder.
    """

    def __init__(self, files: FileStore, path: str) -> None:
        self._files, self.path = files, f"{path.rstrip('/')}/_intervals.json"

    def intervals(self) -> list[Interval]:
        """All of them, oldest first; none where the file cannot be read, which is set aside."""
        text = self._files.read(self.path)
        if text is None:
            return []
        try:
            return [
                Interval(
                    Window(date.fromisoformat(said["start"]), date.fromisoformat(said["end"])),
                    said["run_id"],
                    said["batch_id"],
                    said["finished_at"],
                    dict(said["steps"]),
                )
                for said in json.loads(text)["intervals"]
            ]
        except (ValueError, KeyError, TypeError):
            self._files.move(self.path, f"{self.path}.corrupt")
            return []

    def note(self, interval: Interval) -> None:
        """Notes what became of a window; what other runs of it did with other steps stays."""
        known = {one.window: one for one in self.intervals()}
        before = known.get(interval.window)
        steps = {**(before.steps if before else {}), **interval.steps}
        known[interval.window] = Interval(
            interval.window, interval.run_id, interval.batch_id, interval.finished_at, steps
        )
        said = []
        for window in sorted(known):
            values = asdict(known[window])
            del values["window"]
            said.append({"start": str(window.start), "end": str(window.end), **values})
        text = json.dumps({"schema_version": _VERSION, "intervals": said}, indent=1)
        self._files.write(self.path, text)
