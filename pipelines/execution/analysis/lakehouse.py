"""Tables as they are in the lakehouse, and empty ones that statements may be resolved against."""

from __future__ import annotations

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.execution.files import is_local, local_path
from pipelines.utils.sql_runner import (
    DeltaLog,
    WriteOptions,
    as_sql_error,
    columns_of,
    columns_of_json,
    empty_frame,
    write_delta,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyspark.sql import SparkSession

    from pipelines.lineage.columns import Column
    from pipelines.spec.steps import Destination


def existing_columns(session: SparkSession, destination: Destination) -> tuple[Column, ...] | None:
    """The columns of the Delta table at ``destination``; None where none can be seen.

    A local one is read from its log without Spark.
    """
    path = destination.path
    if path is None or destination.format != "delta":
        return None
    if is_local(path):
        if not (local_path(path) / "_delta_log").is_dir():
            return None
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        with suppress(DeltaError, ValueError):  # a feature that delta-rs lacks: Delta itself then
            return columns_of_json(DeltaTable(str(local_path(path))).schema().to_json())
    log = DeltaLog(session, path)
    try:
        return columns_of(log.schema()) if log.version() is not None else None
    except Exception as error:
        raise as_sql_error(error, path) from error


class EmptyTables:
    """Empty Delta tables in a folder of their own, for statements that name what they write."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self._folder = tempfile.TemporaryDirectory(prefix="pipeline-analysis-")
        self._count = 0

    def make(self, columns: Sequence[Column]) -> str:
        """The path of a new empty table of ``columns``."""
        self._count += 1
        path = str(Path(self._folder.name) / f"table_{self._count}")
        write_delta(empty_frame(self._session, columns), path, WriteOptions())
        return path

    def close(self) -> None:
        """Removes them."""
        self._folder.cleanup()
