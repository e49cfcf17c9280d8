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
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame, SparkSession

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


class EmptyViews:
    """The temp views of a session, without rows: those that one step sees, and no others.

    Neighbours in the DAG see much the same, and a view takes longer to make than to look at.
    """

    def __init__(self, session: SparkSession) -> None:
        self._session = session
        self._frames: dict[tuple[Column, ...], DataFrame] = {}
        self._kept: dict[str, tuple[Column, ...]] = {}
        self._made: set[str] = set()

    def keep(self, wanted: Mapping[str, tuple[Column, ...]]) -> None:
        """Leaves the views in ``wanted`` and no others, with these columns."""
        for name in [name for name, columns in self._kept.items() if wanted.get(name) != columns]:
            self._drop(name)
            del self._kept[name]
        for name, columns in wanted.items():
            if name not in self._kept:
                self._frame(columns).createOrReplaceTempView(name)
                self._kept[name] = columns

    def make(self, name: str, frame: DataFrame) -> None:
        """A view that is taken away by `drop_made`."""
        frame.createOrReplaceTempView(name)
        self._kept.pop(name, None)
        self._made.add(name)

    def make_empty(self, name: str, columns: tuple[Column, ...]) -> None:
        """A view of ``columns`` that is taken away by `drop_made`."""
        self.make(name, self._frame(columns))

    def drop_made(self) -> None:
        """Takes away what was made for one step alone."""
        for name in self._made:
            self._drop(name)
        self._made.clear()

    def _frame(self, columns: tuple[Column, ...]) -> DataFrame:
        if columns not in self._frames:
            self._frames[columns] = empty_frame(self._session, columns)
        return self._frames[columns]

    def _drop(self, name: str) -> None:
        self._session.catalog.dropTempView(name)


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
