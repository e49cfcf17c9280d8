"""What a person is told when a datasource cannot be read: which, where, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.errors import DatasourceError
from pipelines.utils.sql_runner import CERTIFICATE_FAULTS, as_sql_error, causes

if TYPE_CHECKING:
    from pipelines.utils.datasource import DataSource

NOT_ANSWERING = ("08", "28", "3D")
"""SQLSTATE classes of a database that lets nobody in: no connection, no login, no database."""
_SYNTAX = "JDBC_EXTERNAL_ENGINE_SYNTAX_ERROR"
_HINTS = {
    "42501": "grant its user select on what the step reads: docs/databases.md has the grants",
    "42": "the database runs this SQL as a subquery: look at table or query_text",
    "28": "do user and password fit?",
    "3D": "is the name of the database in the address right?",
    "": "is the database up? 'pipeline doctor' tries whether it answers",
}
"""By the beginning of the SQLSTATE, the first that fits."""
_TRUST = {
    "postgresql": "sslrootcert in its address names the authority that signed the certificate",
    "sqlserver": "trustStore in its address names the authority that signed the certificate, "
    "hostNameInCertificate the name in it",
}


def unreadable(datasource: DataSource, error: BaseException) -> DatasourceError:
    """``error`` with the datasource and host that it came from, and what to do."""
    known = as_sql_error(error)
    return DatasourceError(
        known.message,
        condition=known.condition,
        sql_state=known.sql_state,
        java_class=known.java_class,
        where=f"datasource {datasource.name} at {datasource.place}",
        hint=_hint(datasource, error, known.sql_state, known.condition),
    )


def _hint(datasource: DataSource, error: BaseException, state: str, condition: str) -> str:
    if datasource.type != "jdbc":
        return "is the path right, and may this user read it?"
    if any(cause.short_name in CERTIFICATE_FAULTS for cause in causes(error)):
        trust = _TRUST.get(datasource.engine, "have Java trust the authority that signed it")
        return f"the server's certificate was refused: {trust}"
    known = "42" if condition.startswith(_SYNTAX) else state
    return next(hint for start, hint in _HINTS.items() if known.startswith(start))
