"""What a person is told of a source that cannot be read."""

from __future__ import annotations

import pytest

from pipelines.execution.datasource_errors import unreadable
from pipelines.utils.datasource import DataSource
from tests.fakes import JavaError, JavaException, jdbc_error, spark_error

SYNTAX = "JDBC_EXTERNAL_ENGINE_SYNTAX_ERROR.DURING_OUTPUT_SCHEMA_RESOLUTION"
POSTGRESQL = "jdbc:postgresql://ods:5432/edfi?user=ada&password=correct-horse"
SQLSERVER = "jdbc:sqlserver://ods:1433;databaseName=edfi"
UNTRUSTED = JavaError(
    JavaException(
        "java.sql.SQLException",
        "PKIX path building failed",
        sql_state="08S01",
        cause=JavaException(
            "javax.net.ssl.SSLHandshakeException",
            cause=JavaException("sun.security.provider.certpath.SunCertPathBuilderException"),
        ),
    )
)


@pytest.mark.parametrize(
    ("url", "error", "hint"),
    [
        (POSTGRESQL, jdbc_error("08001"), "is the database up?"),
        (POSTGRESQL, jdbc_error("28P01"), "do user and password fit?"),
        (POSTGRESQL, jdbc_error("3D000"), "is the name of the database"),
        (POSTGRESQL, jdbc_error("42501"), "grant its user select"),
        (POSTGRESQL, jdbc_error("42601"), "look at table or query_text"),
        (POSTGRESQL, spark_error(SYNTAX), "look at table or query_text"),
        (POSTGRESQL, UNTRUSTED, "certificate was refused: sslrootcert in its address"),
        (SQLSERVER, UNTRUSTED, "certificate was refused: trustStore in its address"),
        ("jdbc:oracle:thin:@//ods/edfi", UNTRUSTED, "certificate was refused: have Java trust"),
    ],
)
def test_hint_when_a_database_cannot_be_read_then_fits_the_fault(
    url: str, error: Exception, hint: str
) -> None:
    told = unreadable(DataSource("ods", url=url), error)
    assert hint in told.hint
    assert told.where.startswith("datasource ods at ")
    assert "correct-horse" not in f"{told} {told.where}"


def test_hint_when_files_cannot_be_read_then_asks_for_the_path() -> None:
    source = DataSource("ods", type="csv", path="data/in")
    assert "is the path right" in unreadable(source, jdbc_error("42601")).hint
