"""Promises of `columns`: rows and schemas that break one are not written."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project


def _steps(columns: str, mode: str = "mode: overwrite") -> str:
    return f"""
- name: people
  source: {{type: delta, query: sql/people.sql}}
  columns: [{columns}]
  destination: {{path: "{{{{ base_path }}}}/people", {mode}}}
- name: after
  depends_on: [people]
  source: {{type: delta, query: select count(*) as n from people}}
  destination: {{path: "{{{{ base_path }}}}/after"}}
"""


GOOD = "select * from values (1, 'a'), (2, 'b'), (cast(null as int), 'c') as t (id, name)"


@pytest.mark.parametrize(
    ("columns", "sql", "told"),
    [
        ("{name: id, nullable: false}", GOOD, "id is null"),
        ("{name: NAME, unique: true}", f"{GOOD} union all select 9, 'a'", "name is not unique"),
        (
            "{name: id, nullable: false}, {name: name, unique: true, nullable: false}",
            "select * from values (1, 'a'), (2, 'a') as t (id, name)",
            "name is not unique",
        ),
    ],
)
@pytest.mark.parametrize("mode", ["mode: overwrite", "mode: merge, keys: [id]", "format: parquet"])
def test_step_when_a_row_breaks_a_promise_then_the_table_stays_and_the_gate_fails(
    columns: str, sql: str, told: str, mode: str, project: Callable[..., Project]
) -> None:
    kept = "select 5 as id, 'kept' as name"
    made = project(_steps(columns, mode), files={"sql/people.sql": kept})
    assert made.run(batch_id="b1").result.exit_code == 0
    made.write("sql/people.sql", sql)
    ran = made.run(batch_id="b2")
    assert ran.statuses == {"people": "dq_failed", "after": "blocked"}, ran["people"].error
    assert ran.result.exit_code == 3
    error = ran["people"].error
    assert error is not None
    assert told in error.message
    assert len(ran["people"].attempts) == 1  # a broken promise is not tried again
    kind = "parquet" if "parquet" in mode else "delta"
    assert made.rows("people", kind) == [(5, "kept")]


def test_step_when_promises_hold_then_nulls_of_unique_columns_are_not_compared(
    project: Callable[..., Project],
) -> None:
    sql = "select * from values (1, null), (2, null), (3, 'x') as t (id, name)"
    columns = "{name: id, type: int, nullable: false, unique: true}, {name: name, unique: true}"
    made = project(_steps(columns), files={"sql/people.sql": sql})
    assert made.run().result.exit_code == 0
    assert made.rows("after") == [(3,)]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ("{name: id, type: bigint}", "column 'id' is int, and bigint is promised"),
        ("{name: ident}", "column 'ident' is promised, and the result has none"),
        ("{name: id, type: whole}", "has the type 'whole', which Spark does not know"),
    ],
)
def test_step_when_a_column_is_not_as_promised_then_it_fails_before_anything_is_written(
    columns: str, told: str, project: Callable[..., Project]
) -> None:
    made = project(_steps(columns), files={"sql/people.sql": GOOD})
    ran = made.run()
    assert ran.statuses == {"people": "failed", "after": "blocked"}
    error = ran["people"].error
    assert error is not None
    assert told in error.message
    assert made.log("people").version() is None


def test_statement_when_it_breaks_a_promise_then_its_commit_is_undone(
    project: Callable[..., Project],
) -> None:
    columns = "{name: id, nullable: false}"
    made = project(
        _steps(columns), files={"sql/people.sql": "insert into {{ destination }} select 1 as id"}
    )
    assert made.run(batch_id="b1").result.exit_code == 0
    made.write("sql/people.sql", "insert into {{ destination }} select cast(null as int) as id")
    ran = made.run(batch_id="b2")
    assert ran.statuses == {"people": "dq_failed", "after": "blocked"}
    assert made.rows("people") == [(1,)]


def test_sample_when_a_column_is_classified_public_then_its_values_are_shown(
    project: Callable[..., Project],
) -> None:
    columns = "{name: id, classification: public}, {name: name, classification: pii}"
    made = project(
        _steps(columns).replace("- name: after", "  dq_checks: [dq/none.sql]\n- name: after"),
        files={"sql/people.sql": GOOD, "dq/none.sql": "select id, name from people where id = 1"},
    )
    ran = made.run()
    (check,) = ran["people"].checks
    assert check.sample == ({"id": 1, "name": "<text of 1>"},)
