"""The views of releases in a metastore, each pinned to a version of its table."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import as_sql_error

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.results.release import Release


def pinned_select(path: str, version: int) -> str:
    """The SQL that reads a version of the Delta table at ``path``."""
    return f"select * from delta.{quoted_name(path)} version as of {version}"


def keeps_views(session: SparkSession) -> bool:
    """Whether the session's catalog outlives it."""
    return session.conf.get("spark.sql.catalogImplementation", "in-memory") == "hive"


def show_views(
    session: SparkSession, before: Iterable[Release], now: Release | None, base_path: str
) -> None:
    """Makes the views of a release, then drops those that only the ones before it had.

    Views are changed one after another: a reader may see some of both meanwhile. Done again after
    a death it does the rest.

    Raises:
        SqlError: the metastore refused; names the view.
    """
    shown = set()
    if now is not None and now.schema:
        _run(session, f"create schema if not exists {quoted_name(now.schema)}", now.schema)
        for table in now.tables:
            name = _named(now.schema, table.name)
            shown.add(name.lower())
            select = pinned_select(table.place(base_path), table.version)
            comment = f"release {now.release_id} of {now.pipeline}"
            _run(session, f"create or replace view {name} comment '{comment}' as {select}", name)
    had = [_named(one.schema, table.name) for one in before if one.schema for table in one.tables]
    for name in dict.fromkeys(had):
        if name.lower() not in shown:
            _run(session, f"drop view if exists {name}", name)


def _run(session: SparkSession, sql: str, name: str) -> None:
    try:
        session.sql(sql).collect()
    except Exception as error:
        raise as_sql_error(error, where=f"view {name}") from error


def _named(schema: str, name: str) -> str:
    return f"{quoted_name(schema)}.{quoted_name(name)}"
