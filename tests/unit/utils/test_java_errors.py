"""What is told of an error of Java's: the database's own words, without the values of rows."""

from __future__ import annotations

import pytest

from pipelines.utils.sql_runner import java_errors
from pipelines.utils.sql_runner.java_errors import Cause, as_sql_error

SQLSERVER = "com.microsoft.sqlserver.jdbc.SQLServerException"
SPARK = Cause("org.apache.spark.SparkException", "Task failed while writing rows.", "", "")


@pytest.mark.parametrize(
    ("state", "told", "expected"),
    [
        ("S0001", 'invalid input syntax for integer: "April"', "invalid input syntax for"),
        ("28000", "Login failed for user 'edfi_reader'.", "Login failed for user 'edfi_reader'."),
    ],
)
def test_error_when_it_is_sqlservers_then_its_own_words_are_told_without_values(
    state: str, told: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(java_errors, "causes", lambda _: (SPARK, Cause(SQLSERVER, told, "", state)))
    error = as_sql_error(RuntimeError("broken"))
    assert error.message.startswith(expected)
    assert "April" not in str(error)
    assert error.sql_state == state
