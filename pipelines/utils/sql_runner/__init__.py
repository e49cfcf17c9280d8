"""Spark SQL: statements checked, run and explained, results written, commits read back."""

from pipelines.utils.sql_runner.delta_log import Commit, DeltaLog
from pipelines.utils.sql_runner.java_errors import CERTIFICATE_FAULTS, Cause, as_sql_error, causes
from pipelines.utils.sql_runner.schemas import (
    columns_of,
    columns_of_json,
    empty_frame,
    schema_of,
    type_of,
)
from pipelines.utils.sql_runner.staged_files import StagedFiles
from pipelines.utils.sql_runner.statements import (
    StatementKind,
    computed,
    explain,
    has_rows,
    in_session,
    inserted_schema,
    kept_rows,
    parse,
    resolve_change,
    resolve_query,
    run_query,
    unfit_for_insert,
)
from pipelines.utils.sql_runner.writer import WriteOptions, check_schema, write_delta

__all__ = [
    "CERTIFICATE_FAULTS",
    "Cause",
    "Commit",
    "DeltaLog",
    "StagedFiles",
    "StatementKind",
    "WriteOptions",
    "as_sql_error",
    "causes",
    "check_schema",
    "columns_of",
    "columns_of_json",
    "computed",
    "empty_frame",
    "explain",
    "has_rows",
    "in_session",
    "inserted_schema",
    "kept_rows",
    "parse",
    "resolve_change",
    "resolve_query",
    "run_query",
    "schema_of",
    "type_of",
    "unfit_for_insert",
    "write_delta",
]
