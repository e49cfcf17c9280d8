"""What an audit works with: a session of its own, and the storage of the lakehouse."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from pipelines.execution.files import HadoopFiles, LocalFiles, is_local
from pipelines.spark_start import start_spark

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pipelines.execution.files import FileStore
    from pipelines.execution.session import SparkSession
    from pipelines.prepared import PreparedFlow


@contextmanager
def opened_session(prepared: PreparedFlow, given: SparkSession | None) -> Iterator[SparkSession]:
    """A clone of the session that was given; without one it is started, and stopped."""
    from pipelines.execution.session import clone_session

    session = given or start_spark(prepared)
    try:
        yield clone_session(session, {})
    finally:
        if given is None:
            session.stop()


def files_of(prepared: PreparedFlow, session: SparkSession) -> FileStore:
    """The storage of the checkpoints and tables of a flow."""
    compiled = prepared.compiled
    is_near = is_local(compiled.checkpoint.path) and is_local(compiled.base_path)
    return LocalFiles() if is_near else HadoopFiles(session)
