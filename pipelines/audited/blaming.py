"""Asks which run, commit and SQL wrote rows of a step's table."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.audited.comparing import keys_of
from pipelines.audited.opened import opened_session
from pipelines.errors import UsageError
from pipelines.sinks.run_log import read_run

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pipelines.execution.session import SparkSession
    from pipelines.plan.compile import CompiledStep
    from pipelines.prepared import PreparedFlow
    from pipelines.results.blame import Author, Blame


def blame_of(
    prepared: PreparedFlow,
    name: str,
    *,
    where: str = "",
    limit: int = 20,
    show_values: bool = False,
    spark: SparkSession | None = None,
) -> Blame:
    """Who wrote the rows of the table of the step called ``name``.

    Args:
        prepared: the flow.
        name: the step.
        where: SQL condition on the table's columns; empty takes all rows.
        limit: at most so many sample rows.
        show_values: whether personal data may be seen.
        spark: a session to work in; without it one is started, and stopped.

    Raises:
        UsageError: there is no such step, its table has no log, or the condition is wrong.
    """
    step = prepared.step(name)
    destination = step.settings.destination
    if destination.path is None or destination.format != "delta":
        what = "a view" if destination.path is None else f"files of format {destination.format}"
        raise UsageError(f"{step.id} writes {what}: only a Delta table tells who wrote it")
    with opened_session(prepared, spark) as session:
        from pipelines.execution.audits.blame import blame
        from pipelines.execution.audits.shown import shown_of

        keys = keys_of(step)
        shown = shown_of(step.settings, keys, show_values=show_values)
        found = blame(session, step.id, destination.path, where=where, keys=keys, limit=limit,
                      shown=shown)  # fmt: skip
    authors = tuple(_with_sql(author, step, prepared.log_folder) for author in found.authors)
    return replace(found, authors=authors)


def _with_sql(author: Author, step: CompiledStep, logs: Path) -> Author:
    """``author`` with the statement that ran, as far as the log of its run tells."""
    if not author.run_id or author.step != step.id:
        return author
    try:
        log = read_run(logs, author.run_id)
    except UsageError:
        return author
    ran: Mapping[str, Any] = next((one for one in log["steps"] if one["id"] == step.id), {})
    digest = str(ran.get("sql_sha256") or "")
    now = step.sql.sha256 if step.sql is not None else ""
    file = step.sql.file if step.sql is not None else step.settings.script or ""
    is_current = ran.get("fingerprint") == step.fingerprint or (digest == now if digest else None)
    return replace(
        author,
        sql_sha256=digest,
        sql_file=file,
        sql_is_current=is_current if file else None,
        git_commit=str(log.get("git_commit") or ""),
    )
