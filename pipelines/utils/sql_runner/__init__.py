"""Spark SQL: statements checked, run and explained, results written, commits read back."""

from pipelines.utils.sql_runner.delta_log import Commit, DeltaLog
from pipelines.utils.sql_runner.java_errors import Cause, as_sql_error, causes
from pipelines.utils.sql_runner.staged_files import StagedFiles
from pipelines.utils.sql_runner.statements import (
    StatementKind,
    explain,
    insert_source,
    parse,
    run_query,
)
from pipelines.utils.sql_runner.writer import WriteOptions, check_schema, write_delta

__all__ = [
    "Cause",
    "Commit",
    "DeltaLog",
    "StagedFiles",
    "StatementKind",
    "WriteOptions",
    "as_sql_error",
    "causes",
    "check_schema",
    "explain",
    "insert_source",
    "parse",
    "run_query",
    "write_delta",
]
