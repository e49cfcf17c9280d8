"""The files that versions of a Delta table are made of, and the rows of some of them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession
    from pyspark.sql.types import StructType

_ABSOLUTE = re.compile(r"/|[A-Za-z][A-Za-z0-9+.-]*:")
_VECTOR = "concat_ws('|', deletionVector.pathOrInlineDv, deletionVector.offset)"

FileKey = tuple[str, str]
"""Where a file is, and what tells what is deleted of it."""


class TableFiles:
    """The files of the Delta table at ``path``."""

    def __init__(self, session: SparkSession, path: str) -> None:
        self._session, self.path = session, path
        jvm: Any = session._jvm
        self._jvm = jvm
        # Delta asks the thread for it, and threads of a pool may have none.
        java_session = getattr(jvm, "org.apache.spark.sql.classic.SparkSession")
        java_session.setActiveSession(session._jsparkSession)
        self._log = getattr(jvm, "org.apache.spark.sql.delta.DeltaLog").forTable(
            session._jsparkSession, path
        )
        self._snapshots: dict[int, Any] = {}
        self._named: dict[str, str] = {}

    def keys(self, version: int) -> frozenset[FileKey]:
        """The files of a version; those of a clone are where the table has them.

        Raises:
            Py4JJavaError: the log no longer tells of the version.
        """
        found = self._frame(version).selectExpr("path", f"{_VECTOR} as vector").collect()
        root = self._log.dataPath().toUri().toString().rstrip("/")
        places = [name if _ABSOLUTE.match(name) else f"{root}/{name}" for name, _ in found]
        self._named |= {place: row[0] for place, row in zip(places, found, strict=True)}
        return frozenset((place, row[1]) for place, row in zip(places, found, strict=True))

    def small(self, version: int, least_bytes: int) -> int:
        """How many files of a version are smaller than that, and have such neighbours."""
        from pyspark.sql import functions as f

        small = self._frame(version).where(f.col("size") < least_bytes)
        groups = small.groupBy(f.to_json("partitionValues")).count().where("count > 1")
        return int(groups.agg(f.sum("count")).collect()[0][0] or 0)

    def oldest_lost(self, version: int, newest: int) -> int | None:
        """When the oldest file was made that ``version`` needs and ``newest`` has no more.

        Milliseconds since 1970 UTC; None where there is none.
        """
        from pyspark.sql import functions as f

        def named(at: int) -> DataFrame:
            return self._frame(at).select(
                "modificationTime", "path", f.expr(f"{_VECTOR} as vector")
            )

        lost = named(version).join(
            named(newest).drop("modificationTime").withColumnsRenamed({"path": "p", "vector": "v"}),
            f.expr("path = p and vector <=> v"),
            "left_anti",
        )
        found = lost.agg(f.min("modificationTime")).collect()[0][0]
        return int(found) if found is not None else None

    def tombstone_ms(self) -> int:
        """How long the table remembers that a file was removed."""
        none = getattr(self._jvm, "scala.Option").empty()
        metadata = self._log.update(False, none, none).metadata()
        log_class = getattr(self._jvm, "org.apache.spark.sql.delta.DeltaLog")
        return int(log_class.tombstoneRetentionMillis(metadata))

    def rows(self, version: int, files: Collection[FileKey] | None = None) -> DataFrame:
        """The rows of a version; given some of its files, those of these alone."""
        from pyspark.sql import DataFrame
        from pyspark.sql import functions as f

        if files is None:
            reader = self._session.read.format("delta")
            return reader.option("versionAsOf", str(version)).load(self.path)
        snapshot = self._snapshot(version)
        wanted: Any = f.col("path").isin([self._named[place] for place, _ in files])
        chosen = snapshot.allFiles().filter(wanted._jc).collectAsList()
        sequence = getattr(self._jvm, "org.apache.spark.api.python.PythonUtils").toSeq(chosen)
        none = getattr(self._jvm, "scala.Option").empty()
        return DataFrame(self._log.createDataFrame(snapshot, sequence, False, none), self._session)

    def schema(self, version: int) -> StructType:
        """The columns of a version, with what column mapping says of them."""
        from pyspark.sql.types import StructType

        return StructType.fromJson(json.loads(self._snapshot(version).schema().json()))

    def missing(self, files: Collection[FileKey]) -> list[str]:
        """Those that are not on the storage any more, by their names in the log."""
        conf = self._log.newDeltaHadoopConf()
        root = self._log.dataPath()
        system = root.getFileSystem(conf)
        absolute = getattr(
            self._jvm, "org.apache.spark.sql.delta.util.DeltaFileOperations"
        ).absolutePath
        names = sorted(self._named[place] for place, _ in files)
        return [name for name in names if not system.exists(absolute(root.toString(), name))]

    def _frame(self, version: int) -> DataFrame:
        """What the log says of each file of a version."""
        from pyspark.sql import DataFrame

        return DataFrame(self._snapshot(version).allFiles().toDF(), self._session)

    def _snapshot(self, version: int) -> Any:
        if version not in self._snapshots:
            none = getattr(self._jvm, "scala.Option").empty()
            self._snapshots[version] = self._log.getSnapshotAt(version, none, none, False)
        return self._snapshots[version]
