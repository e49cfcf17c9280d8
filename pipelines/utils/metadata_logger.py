"""Run logs as Delta tables: the same facts as the JSON log, for SQL.

Written without Spark, by the Delta library for Python: that costs milliseconds instead of
seconds, and a run whose JVM died is recorded too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

_RUN_KEYS = ("run_id", "batch_id", "pipeline", "flow", "flow_sha256", "environment", "mode",
             "status", "user", "host", "git_commit")  # fmt: skip
_ATTEMPTS = 5

TABLES = ("pipeline_runs", "step_runs", "dq_results")

Column = tuple[str, str]
_RUNS: tuple[Column, ...] = (
    *((key, "string") for key in _RUN_KEYS),
    ("exit_code", "integer"),
    ("started_at", "timestamp"),
    ("finished_at", "timestamp"),
    ("duration_seconds", "double"),
    ("window", "string"),
    ("versions", "string"),
    ("error", "string"),
)
_STEPS: tuple[Column, ...] = (
    ("run_id", "string"),
    ("batch_id", "string"),
    ("step_id", "string"),
    ("stage", "string"),
    ("group", "string"),
    ("name", "string"),
    ("status", "string"),
    ("reason", "string"),
    ("started_at", "timestamp"),
    ("finished_at", "timestamp"),
    ("duration_seconds", "double"),
    ("attempts", "integer"),
    ("rows_written", "long"),
    ("rows_updated", "long"),
    ("rows_deleted", "long"),
    ("format", "string"),
    ("path", "string"),
    ("version_before", "long"),
    ("version_after", "long"),
    ("sql_sha256", "string"),
    ("fingerprint", "string"),
    ("upstream_versions", "string"),
    ("error_type", "string"),
    ("error_message", "string"),
)
_CHECKS: tuple[Column, ...] = (
    ("run_id", "string"),
    ("batch_id", "string"),
    ("step_id", "string"),
    ("file", "string"),
    ("status", "string"),
    ("value", "double"),
    ("expectation", "string"),
    ("severity", "string"),
    ("duration_seconds", "double"),
    ("message", "string"),
    ("owner", "string"),
    ("run_started_at", "timestamp"),
)


_FORGETS: tuple[Column, ...] = (
    ("forget_id", "string"),
    ("pipeline", "string"),
    ("environment", "string"),
    ("key", "string"),
    ("value_sha256", "string"),
    ("step_id", "string"),
    ("path", "string"),
    ("version", "long"),
    ("rows_deleted", "long"),
    ("began_at", "timestamp"),
    ("finished_at", "timestamp"),
    ("user", "string"),
)


class MetadataLogger:
    """The tables `pipeline_runs`, `step_runs`, `dq_results` and `forgets` below one path.

    Args:
        path: local, or of an object store.
        storage_options: for the object store, where the environment does not say it.
    """

    def __init__(self, path: str, storage_options: Mapping[str, str] | None = None) -> None:
        self._path, self._options = path.rstrip("/"), dict(storage_options or {})

    def write(self, run: Mapping[str, Any], redact: Callable[[str], str] = str) -> None:
        """Adds a run; one commit a table. The same run a second time adds nothing.

        Args:
            run: the run as the JSON log has it.
            redact: takes secrets out of messages.
        """
        run_id = str(run["run_id"])
        rows = ([_run_row(run)], list(_step_rows(run)), list(_check_rows(run)))
        for table, columns, told in zip(TABLES, (_RUNS, _STEPS, _CHECKS), rows, strict=True):
            self._append(table, columns, told, run_id, redact)

    def write_forget(self, forget: Mapping[str, Any]) -> None:
        """Adds the erasure of a person, a row a table; the same one a second time adds nothing.

        Args:
            forget: the erasure as its JSON log has it.
        """
        rows = [
            {
                **{name: forget.get(name) for name, _ in _FORGETS},
                "step_id": table["step"],
                "path": table["path"],
                "version": table["version"],
                "rows_deleted": table["rows"],
            }
            for table in forget["tables"]
        ]
        self._append("forgets", _FORGETS, rows, str(forget["forget_id"]), str)

    def _append(
        self,
        table: str,
        columns: Sequence[Column],
        rows: Sequence[Mapping[str, Any]],
        run_id: str,
        redact: Callable[[str], str],
    ) -> None:
        from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
        from deltalake.exceptions import CommitFailedError, TableNotFoundError

        path = f"{self._path}/{table}"
        data = _arrow_table(columns, rows, redact)
        for attempt in range(1, _ATTEMPTS + 1):
            table_now: DeltaTable | str
            try:
                # What is written rests on the state that was looked at: a commit meanwhile shows.
                table_now = DeltaTable(path, storage_options=self._options)
                if table_now.transaction_version(run_id) is not None:
                    return
            except TableNotFoundError:
                table_now = path
            if not rows:
                return
            try:
                write_deltalake(
                    table_now,
                    data,
                    mode="append",
                    schema_mode="merge",
                    storage_options=self._options,
                    commit_properties=CommitProperties(
                        custom_metadata={"run_id": run_id},
                        app_transactions=[Transaction(app_id=run_id, version=1)],
                    ),
                )
                return
            except CommitFailedError:
                if attempt == _ATTEMPTS:
                    raise


def _run_row(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{key: run.get(key) for key in _RUN_KEYS},
        "exit_code": run.get("exit_code"),
        "started_at": run.get("started_at"),
        "finished_at": run.get("finished_at"),
        "duration_seconds": run.get("duration_seconds"),
        "window": json.dumps(run.get("window")),
        "versions": json.dumps(run.get("versions")),
        "error": json.dumps(run["error"]) if run.get("error") else None,
    }


def _step_rows(run: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for step in run["steps"]:
        destination, error = step["destination"] or {}, step["error"] or {}
        yield {
            **{name: step.get(name) for name, _ in _STEPS},
            "run_id": run["run_id"],
            "batch_id": run["batch_id"],
            "step_id": step["id"],
            "attempts": len(step["attempts"]),
            **{key: destination.get(key) for key in
               ("format", "path", "version_before", "version_after")},
            "upstream_versions": json.dumps(step["upstream_versions"]),
            "error_type": error.get("type"),
            "error_message": error.get("message"),
        }  # fmt: skip


def _check_rows(run: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for step in run["steps"]:
        for check in step["dq"]:
            yield {
                **{name: check.get(name) for name, _ in _CHECKS},
                "run_id": run["run_id"],
                "batch_id": run["batch_id"],
                "step_id": step["id"],
                "run_started_at": run["started_at"],
            }


def _arrow_table(
    columns: Sequence[Column], rows: Sequence[Mapping[str, Any]], redact: Callable[[str], str]
) -> Any:
    """The rows as an Arrow table, typed as ``columns`` say."""
    from arro3.core import Array, DataType, Field, Schema, Table

    types = {
        "string": DataType.string(),
        "integer": DataType.int32(),
        "long": DataType.int64(),
        "double": DataType.float64(),
        "timestamp": DataType.timestamp("us", tz="UTC"),
    }

    def value(raw: Any, kind: str) -> Any:
        if raw is None:
            return None
        if kind == "timestamp":
            moment = datetime.fromisoformat(str(raw).replace("Z", "+00:00"))
            return round(moment.timestamp() * 1_000_000)
        return redact(str(raw)) if kind == "string" else raw

    fields = [Field(name, types[kind], nullable=True) for name, kind in columns]
    arrays = []
    for name, kind in columns:
        stored = types["long"] if kind == "timestamp" else types[kind]
        arrays.append(
            Array([value(row.get(name), kind) for row in rows], type=stored).cast(types[kind])
        )
    return Table.from_arrays(arrays, schema=Schema(fields))
