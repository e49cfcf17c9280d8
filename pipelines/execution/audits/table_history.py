"""What a Delta table's log tells of all its commits at once: files that came, and properties."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.utils.sql_runner import DeltaLog

VERSION, FILE = "__version", "__file"
"""Columns that an audit adds to rows."""
FEED = "delta.enableChangeDataFeed"
_LOG_COLUMNS = "add struct<path: string>, metaData struct<configuration: map<string, string>>"


@dataclass(frozen=True)
class TableHistory:
    """What the log's commits say.

    Attributes:
        adds: the name of each file that was added, and the version.
        configurations: the table's properties, by the version that set them.
        first: the oldest version whose commit is there.
    """

    adds: DataFrame
    configurations: dict[int, dict[str, str]]
    first: int

    def properties(self, log: DeltaLog) -> dict[str, str]:
        """The table's properties now."""
        if self.configurations:
            return self.configurations[max(self.configurations)]
        return dict(log.properties())

    @property
    def feed_since(self) -> int:
        """The version from which on the change data feed has been kept."""
        since = self.first
        for version, properties in sorted(self.configurations.items(), reverse=True):
            if properties.get(FEED) != "true":
                return since
            since = version
        return self.first


def read_history(session: SparkSession, path: str) -> TableHistory:
    """What the commits that are still in the log say."""
    from pyspark.sql import functions as f

    lines = session.read.schema(_LOG_COLUMNS).json(f"{path}/_delta_log/*.json")
    name = f.col("_metadata.file_name")
    lines = lines.where(name.rlike(r"^\d{20}\.json$"))
    lines = lines.withColumn(VERSION, f.substring(name, 1, 20).cast("bigint"))
    first = lines.agg(f.min(VERSION)).collect()[0][0]
    configured = lines.where("metaData is not null").select(VERSION, "metaData.configuration")
    adds = lines.where("add is not null").select(
        f.regexp_extract("add.path", "[^/]+$", 0).alias(FILE), VERSION
    )
    return TableHistory(
        adds,
        {row[0]: dict(row[1] or {}) for row in configured.collect()},
        int(first) if first is not None else 0,
    )
