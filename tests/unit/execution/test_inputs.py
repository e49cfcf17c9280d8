"""What a person is told of a source that cannot be read."""

from __future__ import annotations

import pytest

from pipelines.errors import SqlError
from pipelines.execution.inputs import _unreadable
from pipelines.utils.datasource import DataSource


@pytest.mark.parametrize(
    ("kind", "state", "condition", "hint"),
    [
        ("jdbc", "08001", "", "is the database up"),
        ("jdbc", "42501", "", "is the database up, and do user and password fit"),
        ("jdbc", "42601", "", "look at table or query_text"),
        ("jdbc", "", "JDBC_EXTERNAL_ENGINE_SYNTAX_ERROR.DURING_OUTPUT_SCHEMA", "query_text"),
        ("csv", "42601", "", "is the path right"),
    ],
)
def test_hint_when_a_source_cannot_be_read_then_fits_the_fault(
    kind: str, state: str, condition: str, hint: str
) -> None:
    url = "jdbc:postgresql://ods/edfi" if kind == "jdbc" else None
    source = DataSource.from_settings("ods", {"type": kind, "url": url, "path": "data/in"})
    error = SqlError("broken", sql_state=state, condition=condition)
    assert hint in _unreadable(source, error).hint
