"""File formats without a log of their own: written beside the destination, then swapped in.

`<path>.__staged` holds rows that are written but not checked, `<path>.__previous` what was
there before the swap; it stays where a caller may want it back. A swap is two renames; `recover`
puts things right after a crash between them. A file `_stamp.json` in the folder, which Spark does
not read as data, says who wrote it, as the commit's `userMetadata` does in a Delta table.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pipelines.errors import DestinationError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_STAMP = "_stamp.json"


def staged_of(path: str) -> str:
    """Where rows for ``path`` wait for their checks."""
    return f"{path}.__staged"


def previous_of(path: str) -> str:
    """Where what was at ``path`` before the last swap is."""
    return f"{path}.__previous"


class StagedFiles:
    """A folder of files in one of Spark's formats."""

    def __init__(self, spark: SparkSession, path: str, file_format: str) -> None:
        self._spark, self.path, self.format = spark, path, file_format
        self.staged, self.previous = staged_of(path), previous_of(path)

    def exists(self) -> bool:
        """Whether the destination is there."""
        return self._exists(self.path)

    def recover(self) -> None:
        """Removes what an interrupted write left, and undoes half a swap."""
        is_halved = self._exists(self.staged) and self._exists(self.previous)
        if is_halved and not self._exists(self.path):
            self._rename(self.previous, self.path)
        self._delete(self.staged)
        self._drop_previous()

    def stage(
        self,
        frame: DataFrame,
        stamp: Mapping[str, Any],
        *,
        partition_by: tuple[str, ...] = (),
        options: Mapping[str, Any] | None = None,
    ) -> None:
        """Writes ``frame`` beside the destination, with ``stamp`` in it."""
        writer = frame.write.format(self.format).mode("overwrite")
        if partition_by:
            writer = writer.partitionBy(*partition_by)
        for name, value in (options or {}).items():
            writer = writer.option(name, str(value).lower() if isinstance(value, bool) else value)
        writer.save(self.staged)
        file = self._path(f"{self.staged}/{_STAMP}")
        stream = self._files(file).create(file, True)
        try:
            stream.write(bytearray(json.dumps(dict(stamp)).encode()))
        finally:
            stream.close()

    def stamp(self) -> Mapping[str, Any]:
        """What the last writer said of itself; empty if nothing."""
        file = self._path(f"{self.path}/{_STAMP}")
        files = self._files(file)
        if not files.exists(file):
            return {}
        stream = files.open(file)
        try:
            jvm: Any = self._spark._jvm
            said = json.loads(
                bytes(getattr(jvm, "org.apache.commons.io.IOUtils").toByteArray(stream))
            )
        except ValueError:
            return {}
        finally:
            stream.close()
        return said if isinstance(said, dict) else {}

    def rows(self, *, staged: bool = False, options: Mapping[str, Any] | None = None) -> DataFrame:
        """The rows at the destination, or the staged ones."""
        reader = self._spark.read.format(self.format)
        for name, value in (options or {}).items():
            reader = reader.option(name, str(value).lower() if isinstance(value, bool) else value)
        return reader.load(self.staged if staged else self.path)

    def identity(self) -> str:
        """What tells these files from what stood or will stand in their place."""
        said = self.stamp()
        return f"{said.get('run_id', '')}/{said.get('fingerprint', '')}"

    def swap(self) -> None:
        """Puts the staged files in the destination's place.

        What was there before is kept where the stamp says ``keeps_previous``.
        """
        if self.exists():
            self._delete(self.previous)
            self._rename(self.path, self.previous)
        self._rename(self.staged, self.path)
        self._drop_previous()

    def put_back(self, *, had_previous: bool) -> None:
        """Undoes the last swap, which kept what was there before, or found nothing there.

        Raises:
            DestinationError: what was there before is gone.
        """
        if had_previous and not self._exists(self.previous):
            raise DestinationError(
                "what was there before this batch is gone, so its rows cannot be replaced",
                where=self.path,
                hint="put the folder back from a backup, or use another --batch-id",
            )
        self._rename(self.path, self.staged)
        if had_previous:
            self._rename(self.previous, self.path)
        self._delete(self.staged)

    def discard(self) -> None:
        """Drops the staged files; the destination stays as it is."""
        self._delete(self.staged)

    def _drop_previous(self) -> None:
        is_left = self._exists(self.previous) and self._exists(self.path)
        if is_left and not self.stamp().get("keeps_previous"):
            self._delete(self.previous)

    def _path(self, path: str) -> Any:
        jvm: Any = self._spark._jvm
        return getattr(jvm, "org.apache.hadoop.fs.Path")(path)

    def _files(self, path: Any) -> Any:
        return path.getFileSystem(self._spark._jsparkSession.sessionState().newHadoopConf())

    def _exists(self, path: str) -> bool:
        place = self._path(path)
        return bool(self._files(place).exists(place))

    def _delete(self, path: str) -> None:
        place = self._path(path)
        self._files(place).delete(place, True)

    def _rename(self, old: str, new: str) -> None:
        place = self._path(old)
        if not self._files(place).rename(place, self._path(new)):
            raise DestinationError(f"cannot rename {old} to {new}", where=self.path)
