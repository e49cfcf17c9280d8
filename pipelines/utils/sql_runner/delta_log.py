"""A Delta table's log: versions, commits and their counts, read without a scan or a Spark job."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipelines.results import WriteCounts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession
    from pyspark.sql.types import StructType


@dataclass(frozen=True)
class Commit:
    """One commit of a Delta table.

    Attributes:
        version: the table's version that it made.
        timestamp_ms: when, milliseconds since 1970 UTC.
        operation: Delta's word, such as ``WRITE`` or ``MERGE``.
        metrics: Delta's operation metrics.
        user_metadata: what the writer said of itself; empty if it is not a JSON mapping.
        parameters: Delta's operation parameters.
    """

    version: int
    timestamp_ms: int
    operation: str
    metrics: Mapping[str, str] = field(default_factory=dict)
    user_metadata: Mapping[str, Any] = field(default_factory=dict)
    parameters: Mapping[str, Any] = field(default_factory=dict)

    @property
    def counts(self) -> WriteCounts:
        """Rows that the commit touched, from Delta's own metrics."""

        def number(name: str) -> int:
            return int(self.metrics.get(name, 0) or 0)

        if self.operation == "MERGE":
            return WriteCounts(
                number("numTargetRowsInserted"),
                number("numTargetRowsUpdated"),
                number("numTargetRowsDeleted"),
            )
        if self.operation == "UPDATE":
            return WriteCounts(0, number("numUpdatedRows"), 0)
        if self.operation == "DELETE":
            return WriteCounts(0, 0, number("numDeletedRows"))
        if "numOutputRows" not in self.metrics:
            return WriteCounts()
        return WriteCounts(
            number("numOutputRows") - number("numCopiedRows"), 0, number("numDeletedRows")
        )


class DeltaLog:
    """The log of the Delta table at ``path``; every look is at its newest state."""

    def __init__(self, spark: SparkSession, path: str) -> None:
        self._spark, self.path = spark, path
        self._jvm: Any = spark._jvm

    @property
    def sql_name(self) -> str:
        """The table, as SQL writes it."""
        return "delta.`" + self.path.replace("`", "``") + "`"

    def version(self) -> int | None:
        """The newest version; None where there is no table."""
        number = int(self._snapshot().version())
        return number if number >= 0 else None

    def version_known(self) -> int:
        """The newest version that this process has seen or made, with no look at disk; or -1."""
        return int(self._log().unsafeVolatileSnapshot().version())

    def is_begun(self) -> bool:
        """Whether there is a log at all: one look at the folder, where Delta would take several."""
        path = getattr(self._jvm, "org.apache.hadoop.fs.Path")(self.path, "_delta_log")
        conf = self._spark._jsparkSession.sessionState().newHadoopConf()
        return bool(path.getFileSystem(conf).exists(path))

    def schema(self) -> StructType:
        """The columns of the newest version."""
        from pyspark.sql.types import StructType

        text = self._snapshot().schema().json()
        return StructType.fromJson(json.loads(text))

    def identity(self, version: int | None) -> str:
        """What tells ``version``, read or made here, from any other.

        Also from one of a table that was made anew in its place.
        """
        known = self._log().unsafeVolatileSnapshot()  # of a version made here, with no look at disk
        if version is None or known.version() < version:
            known = self._snapshot()
        return f"{known.metadata().id()}@{version}"

    def identity_then(self, version: int) -> str:
        """The identity of ``version`` as it was told while that was the newest.

        A table that is replaced has another id from then on; its log goes on.
        """
        none = getattr(self._jvm, "scala.Option").empty()
        snapshot = self._log().getSnapshotAt(version, none, none, False)
        return f"{snapshot.metadata().id()}@{version}"

    def commit(self, version: int) -> Commit:
        """The commit that made ``version``."""
        log = self._log()
        path = getattr(self._jvm, "org.apache.hadoop.fs.Path")
        file = path(log.logPath(), f"{version:020d}.json")
        lines = log.store().read(file, log.newDeltaHadoopConf())
        for number in range(lines.size()):
            action = json.loads(lines.apply(number))
            if "commitInfo" in action:
                return _commit(version, action["commitInfo"])
        return Commit(version, 0, "UNKNOWN")

    def commits_back(self, since_ms: int, most: int = 1_000) -> Iterator[Commit]:
        """Commits from the newest back, until one is older than ``since_ms``."""
        newest = self.version()
        if newest is None:
            return
        for version in range(newest, max(-1, newest - most), -1):
            if not self.has_commit(version):
                return
            commit = self.commit(version)
            if commit.timestamp_ms < since_ms:
                return
            yield commit

    def standing(
        self, *, after: int = -1, most: int = 1_000, newest: int | None = None
    ) -> Iterator[Commit]:
        """Commits ``after`` a version, from the newest back, less RESTOREs and what they undid.

        They end where the log does, and at a RESTORE to a time, which does not tell the version.
        ``newest`` is where they begin, if that is known.
        """
        version = self.version() if newest is None else newest
        for _ in range(most):
            if version is None or version <= after or not self.has_commit(version):
                return
            commit = self.commit(version)
            if commit.operation == "RESTORE":
                to = commit.parameters.get("version")
                version = int(to) if to not in (None, "null", "") else None
                continue
            yield commit
            version -= 1

    def time_ms(self, version: int) -> int | None:
        """When ``version`` was committed, milliseconds since 1970 UTC; None once that is lost."""
        return self.commit(version).timestamp_ms if self.has_commit(version) else None

    def properties(self) -> Mapping[str, str]:
        """The table's properties, as they are in its newest version."""
        text = self._snapshot().metadata().configuration()
        pairs = getattr(self._jvm, "scala.jdk.javaapi.CollectionConverters").asJava(text)
        return {str(key): str(pairs[key]) for key in pairs}

    def set_property(self, name: str, value: str) -> None:
        """Sets a property of the table, by one commit more."""
        self._spark.sql(f"alter table {self.sql_name} set tblproperties ('{name}' = '{value}')")

    def has_commit(self, version: int) -> bool:
        """Whether the commit of ``version`` is still in the log."""
        log = self._log()
        file = getattr(self._jvm, "org.apache.hadoop.fs.Path")(
            log.logPath(), f"{version:020d}.json"
        )
        return bool(file.getFileSystem(log.newDeltaHadoopConf()).exists(file))

    def has_version(self, version: int) -> bool:
        """Whether the table's log reaches ``version``."""
        newest = self.version()
        return newest is not None and newest >= version

    def restore(self, version: int) -> None:
        """Puts the table back to what it was at ``version``, by one commit more."""
        self._spark.sql(f"RESTORE TABLE {self.sql_name} TO VERSION AS OF {int(version)}").collect()

    def move_to(self, path: str) -> None:
        """Renames the table's folder; returns when neither name is remembered wrongly.

        Raises:
            OSError: the file system refuses.
        """
        old, new = (
            getattr(self._jvm, "org.apache.hadoop.fs.Path")(one) for one in (self.path, path)
        )
        conf = self._spark._jsparkSession.sessionState().newHadoopConf()
        if not old.getFileSystem(conf).rename(old, new):
            raise OSError(f"cannot rename {self.path} to {path}")
        for place in (old, new):
            self._deltalog_class().invalidateCache(self._spark._jsparkSession, place)

    def remove(self) -> None:
        """Deletes the table with all its files."""
        path = getattr(self._jvm, "org.apache.hadoop.fs.Path")(self.path)
        conf = self._spark._jsparkSession.sessionState().newHadoopConf()
        path.getFileSystem(conf).delete(path, True)
        self._deltalog_class().invalidateCache(self._spark._jsparkSession, path)

    def _deltalog_class(self) -> Any:
        return getattr(self._jvm, "org.apache.spark.sql.delta.DeltaLog")

    def _log(self) -> Any:
        return self._deltalog_class().forTable(self._spark._jsparkSession, self.path)

    def _snapshot(self) -> Any:
        none = getattr(self._jvm, "scala.Option").empty()
        return self._log().update(False, none, none)


def _commit(version: int, info: Mapping[str, Any]) -> Commit:
    try:
        said = json.loads(info.get("userMetadata") or "{}")
    except ValueError:
        said = {}
    return Commit(
        version=version,
        timestamp_ms=int(info.get("inCommitTimestamp") or info.get("timestamp") or 0),
        operation=str(info.get("operation", "UNKNOWN")),
        metrics=info.get("operationMetrics") or {},
        user_metadata=said if isinstance(said, dict) else {},
        parameters=info.get("operationParameters") or {},
    )
