"""Data quality checks: how they are judged, and what a failed one does to the step's write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import DataQualityError, FlowError, SqlError
from pipelines.execution.destinations import delta
from pipelines.results import CheckResult, CheckStatus
from pipelines.spec.expectations import parse_expectation
from pipelines.utils import dq_checks
from pipelines.utils.dq_checks import Check, enforce, judge, mask, run_check
from pipelines.utils.sql_runner import write_delta

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from tests.conftest import Project, Ran

PUPILS = """
    select * from values
        (1, 'a', 'Ada', true, date '2010-01-01', 1.5d),
        (2, 'a', 'Bob', false, date '2010-01-02', 2.5d),
        (3, 'b', null, null, null, null)
    as pupils (id, class, name, is_new, born, score)
"""


@pytest.fixture(scope="module")
def pupils(spark: SparkSession) -> SparkSession:
    from pipelines.execution.session import clone_session

    session = clone_session(spark, {})
    session.sql(PUPILS).createOrReplaceTempView("pupils")
    return session


def _check(sql: str, expect: str = "", **settings: Any) -> Check:
    expectation = parse_expectation(expect) if expect else None
    return Check("dq/check.sql", sql, expectation, **settings)


# --- judged without Spark --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "warn_at", "error_at", "status"),
    [
        (0, 1, 10, CheckStatus.PASSED),
        (1, 1, 10, CheckStatus.WARNED),
        (9, 1, 10, CheckStatus.WARNED),
        (10, 1, 10, CheckStatus.FAILED),
        (10, 10, None, CheckStatus.WARNED),
        (9, None, 10, CheckStatus.PASSED),
        (10, None, 10, CheckStatus.FAILED),
        (None, 1, None, CheckStatus.FAILED),
    ],
)
def test_judge_when_limits_are_given_then_they_say_from_where_on(
    value: float | None, warn_at: float | None, error_at: float | None, status: CheckStatus
) -> None:
    check = _check("select 1", warn_at=warn_at, error_at=error_at)
    assert judge(check, value)[0] is status


@pytest.mark.parametrize(
    ("expect", "value", "severity", "status"),
    [
        ("", 0, "error", CheckStatus.PASSED),
        ("", 1, "error", CheckStatus.FAILED),
        ("", 1, "warn", CheckStatus.WARNED),
        ("", None, "error", CheckStatus.FAILED),
        ("", None, "warn", CheckStatus.WARNED),
        ("value >= 1", 1, "error", CheckStatus.PASSED),
        ("value >= 1", 0.99, "error", CheckStatus.FAILED),
        ("value >= 1", None, "error", CheckStatus.FAILED),
        ("value != 0", None, "error", CheckStatus.FAILED),
        ("value between 1 and 3", 3, "error", CheckStatus.PASSED),
        ("value between 1 and 3", 3.5, "error", CheckStatus.FAILED),
        ("value = 0 or value > 100 and value < 200", 150, "error", CheckStatus.PASSED),
        ("value = 0 or value > 100 and value < 200", 200, "error", CheckStatus.FAILED),
    ],
)
def test_judge_when_a_number_is_expected_then_severity_says_how_bad(
    expect: str, value: float | None, severity: str, status: CheckStatus
) -> None:
    assert judge(_check("select 1", expect, severity=severity), value)[0] is status


def test_enforce_when_two_of_three_failed_then_the_error_names_both() -> None:
    def result(file: str, status: CheckStatus) -> CheckResult:
        return CheckResult(file, status, 7, "value = 0", "error", 0.1, message="7 offending rows")

    passed = result("dq/fine.sql", CheckStatus.PASSED)
    warned = result("dq/odd.sql", CheckStatus.WARNED)
    enforce([passed, warned])
    failed = [result("dq/a.sql", CheckStatus.FAILED), result("dq/b.sql", CheckStatus.FAILED)]
    with pytest.raises(DataQualityError, match="2 checks failed") as raised:
        enforce([passed, *failed])
    assert "dq/a.sql" in raised.value.message
    assert "dq/b.sql" in raised.value.message
    assert "dq/fine.sql" not in raised.value.message


@pytest.mark.parametrize(
    ("value", "shown"),
    [("Ada", "<text of 3>"), (12, "<number>"), (1.5, "<number>"), (True, True), (None, None)],
)
def test_mask_when_given_a_value_then_only_its_kind_shows(value: object, shown: object) -> None:
    assert mask(value) == shown


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("-- expct: value = 0", "unknown header 'expct'"),
        ("-- severity: fatal", "severity is 'error' or 'warn'"),
        ("-- returns: number", "returns is 'value' or 'rows'"),
        ("-- expect: vlaue = 0", "is no expectation"),
        ("-- owner: a\n-- owner: b", "stands twice"),
        ("-- scope: ,", "scope names no column"),
        ("-- severity: warn\n-- scope: id", "must be of severity 'error'"),
    ],
)
def test_header_when_it_is_wrong_then_the_flow_is_refused_with_the_line(
    project: Callable[..., Project], header: str, said: str
) -> None:
    made = project(
        """
        - name: pupils
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/pupils"}
          dq_checks: [dq/check.sql]
        """,
        files={"dq/check.sql": f"{header}\nselect id from pupils"},
    )
    with pytest.raises(FlowError) as raised:
        made.pipeline().checked()
    (finding,) = raised.value.findings
    assert said in finding.message
    assert finding.file == "dq/check.sql"
    assert finding.line == header.count("\n") + 1


# --- run in Spark ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("select count(*) from pupils", 3),
        ("select coalesce(sum(id), 0) as total from pupils where id > 1", 5),
        ("with all_of as (select id from pupils) select count(*) from all_of", 3),
        ("select count(*) from (select class from pupils group by class having count(*) > 1)", 1),
        ("select count(*) from pupils limit 1", 3),
        ("-- returns: value does nothing down here\nselect avg(score) from pupils", 2.0),
        ("select max(cast(id as decimal(10, 2))) from pupils", 3.0),
    ],
)
def test_check_when_it_is_one_aggregate_then_its_number_is_judged(
    pupils: SparkSession, sql: str, value: float
) -> None:
    result = run_check(pupils, _check(sql, "value < 0"))
    assert (result.value, result.status) == (value, CheckStatus.FAILED)
    assert result.sample == ()
    assert result.message.startswith("the value is ")


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("select id from pupils", 3),
        ("select id, name from pupils where name is null", 1),
        ("select count(*) from pupils group by class", 2),
        ("select class, count(*) as n from pupils group by class having count(*) > 1", 1),
        ("select count(*), max(id) from pupils", 1),
        ("select distinct class from pupils", 2),
        ("select sum(id) over () from pupils", 3),
    ],
)
def test_check_when_it_is_anything_else_then_its_rows_are_counted(
    pupils: SparkSession, sql: str, rows: int
) -> None:
    result = run_check(pupils, _check(sql))
    assert (result.value, result.status) == (rows, CheckStatus.FAILED)
    assert len(result.sample) == rows


def test_check_when_no_row_offends_then_passes_without_a_sample(pupils: SparkSession) -> None:
    result = run_check(pupils, _check("select id from pupils where id < 0"))
    assert (result.value, result.status, result.sample) == (0, CheckStatus.PASSED, ())
    assert result.message == ""


@pytest.mark.parametrize(
    ("sql", "returns", "value"),
    [
        ("select 5 as n", "value", 5),
        ("select 5 as n", "", 1),
        ("select count(*) as n from pupils", "rows", 1),
    ],
)
def test_check_when_returns_is_said_then_the_form_does_not_matter(
    pupils: SparkSession, sql: str, returns: str, value: int
) -> None:
    assert run_check(pupils, _check(sql, returns=returns)).value == value


@pytest.mark.parametrize(("severity", "status"), [("error", "failed"), ("warn", "warned")])
def test_check_when_its_number_is_null_then_is_never_as_expected(
    pupils: SparkSession, severity: str, status: str
) -> None:
    check = _check("select max(id) from pupils where id < 0", "value >= 0", severity=severity)
    result = run_check(pupils, check)
    assert (result.value, result.status.value) == (None, status)
    assert "null" in result.message


def test_check_when_rows_offend_then_the_sample_is_short_masked_and_shows_what_it_may(
    pupils: SparkSession,
) -> None:
    sql = "select p.id, p.name, p.is_new, p.born, p.score from pupils p, range(4) order by 1, 2"
    result = run_check(pupils, _check(sql, show=("ID",)))
    assert result.value == 12
    assert len(result.sample) == dq_checks.SAMPLE_ROWS
    assert result.sample[0] == {
        "id": 1, "name": "<text of 3>", "is_new": True, "born": "<date>", "score": "<number>",
    }  # fmt: skip
    assert "Ada" not in repr(result)


def test_check_when_it_gives_text_then_says_so_without_the_text(pupils: SparkSession) -> None:
    with pytest.raises(DataQualityError, match="gave str where a number") as raised:
        run_check(pupils, _check("select max(name) from pupils"))
    assert "Bob" not in str(raised.value)
    assert "returns: rows" in raised.value.hint


def test_check_when_it_must_give_a_number_and_gives_rows_then_says_so(
    pupils: SparkSession,
) -> None:
    with pytest.raises(DataQualityError, match="2 rows where one number"):
        run_check(pupils, _check("select id from pupils", returns="value"))


def test_check_when_its_sql_is_broken_then_the_error_names_file_and_place(
    pupils: SparkSession,
) -> None:
    with pytest.raises(SqlError) as raised:
        run_check(pupils, _check("select\n    nope\nfrom pupils"))
    assert raised.value.where == "dq/check.sql:2:5"
    assert raised.value.condition.startswith("UNRESOLVED_COLUMN")


def test_check_when_a_row_breaks_it_then_the_error_tells_no_value(pupils: SparkSession) -> None:
    with pytest.raises(SqlError) as raised:
        run_check(pupils, _check("select id from pupils where cast(name as int) > 1"))
    assert raised.value.condition == "CAST_INVALID_INPUT"
    assert "Ada" not in str(raised.value)
    assert "Bob" not in str(raised.value)


# --- in a run: the gate ----------------------------------------------------------------------

GATED = """
- name: sound
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/sound", mode: append}
  dq_checks:
    - dq/sound/positive.sql
    - {file: dq/sound/row_count.sql, expect: "value >= 2"}
    - {file: dq/sound/row_count.sql, warn_at: 1, error_at: 5}
- name: gated
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/gated"}
  dq_checks: [dq/gated.sql]
- name: fresh
  when: "{{ vars.n < 0 }}"
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/fresh"}
  dq_checks: [dq/fresh.sql]
- name: fresh_by_merge
  when: "{{ vars.n < 0 }}"
  source:
    type: delta
    query: >-
      merge into fresh_by_merge as t using (select {{ vars.n }} as id) as s on t.id = s.id
      when not matched then insert *
  destination: {path: "{{ base_path }}/fresh_by_merge"}
  dq_checks: [dq/fresh_by_merge.sql]
- name: files
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/files", format: parquet, mode: append}
  dq_checks: [dq/files.sql]
- name: fresh_files
  when: "{{ vars.n < 0 }}"
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/fresh_files", format: json}
  dq_checks: [dq/fresh_files.sql]
- name: shown
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {view: shown}
  dq_checks: [dq/shown.sql]
- name: broken
  when: "{{ vars.n < 0 }}"
  source: {type: delta, query: "select {{ vars.n }} as id"}
  destination: {path: "{{ base_path }}/broken"}
  dq_checks: [dq/sound/positive_of_broken.sql, dq/broken.sql]
- name: below_gated
  depends_on: [gated]
  source: {type: delta, query: select * from gated}
  destination: {path: "{{ base_path }}/below_gated"}
- name: below_shown
  depends_on: [shown]
  source: {type: delta, query: select * from shown}
  destination: {path: "{{ base_path }}/below_shown"}
- name: below_below
  depends_on: [below_gated]
  source: {type: delta, query: select * from gated}
  destination: {path: "{{ base_path }}/below_below"}
- name: below_sound
  depends_on: [sound]
  source: {type: delta, query: select * from sound}
  destination: {path: "{{ base_path }}/below_sound"}
"""
HEADED = """\
-- description: no id is below zero
-- owner: registrar
-- severity: warn
-- show: id
select id from sound where id < 0
"""


@pytest.fixture(scope="module")
def gated(project: Callable[..., Project]) -> tuple[Project, Ran, Ran]:
    """Two batches: the first is sound, the second is not."""
    negative = "select id from {} where id < 0".format
    made = project(
        GATED,
        files={
            "dq/sound/positive.sql": HEADED,
            "dq/sound/row_count.sql": "-- expect: value >= 1\nselect count(*) from sound",
            "dq/sound/positive_of_broken.sql": "-- severity: warn\n" + negative("broken"),
            "dq/broken.sql": "select nope from broken",
            **{
                f"dq/{name}.sql": negative(name)
                for name in (
                    "gated", "fresh", "fresh_by_merge", "files", "fresh_files", "shown",
                )
            },
        },
    )  # fmt: skip
    made.put("sound", "select 0 as id")
    first = made.run(batch_id="b1", vars={"n": 1})
    second = made.run(batch_id="b2", vars={"n": -1})
    return made, first, second


def test_gate_when_all_is_sound_then_everything_is_written(
    gated: tuple[Project, Ran, Ran],
) -> None:
    made, first, _ = gated
    assert first.result.exit_code == 0
    assert {status for status in first.statuses.values()} == {"success", "skipped"}
    assert made.rows("below_sound") == [(-1,), (0,), (1,)]


def test_gate_when_a_check_fails_then_the_table_is_as_before_and_the_exit_code_is_three(
    gated: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = gated
    step = second["gated"]
    assert step.status.value == "dq_failed"
    assert made.rows("gated") == [(1,)]
    assert made.commits("gated") == ["RESTORE", "WRITE", "WRITE"]
    assert step.destination is not None
    assert (step.destination.version_before, step.destination.version_after) == (0, 2)
    assert step.counts.written is None
    assert step.error is not None
    assert "dq/gated.sql" in step.error.message
    assert step.attempts[-1].number == 1


@pytest.mark.parametrize("name", ["fresh", "fresh_by_merge", "fresh_files"])
def test_gate_when_the_step_made_the_destination_then_it_is_removed(
    gated: tuple[Project, Ran, Ran], name: str
) -> None:
    made, _, second = gated
    assert second[name].status.value == "dq_failed"
    assert not Path(made.path(name)).exists()
    assert list((made.root / "lake").glob(f"{name}.__*")) == []


def test_gate_when_files_fail_then_staged_ones_never_arrive(
    gated: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = gated
    assert second["files"].status.value == "dq_failed"
    assert made.rows("files", "parquet") == [(1,)]
    assert list((made.root / "lake").glob("files.__*")) == []


def test_gate_when_a_view_fails_then_its_readers_are_blocked(
    gated: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = gated
    assert second["shown"].status.value == "dq_failed"
    assert second["below_shown"].status.value == "blocked"
    assert made.rows("below_shown") == [(1,)]


def test_gate_when_a_check_fails_then_all_below_is_blocked_and_the_rest_goes_on(
    gated: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = gated
    for name in ("below_gated", "below_below"):
        assert second[name].status.value == "blocked"
        assert second[name].reason == "stage.group.gated did not succeed"
        assert made.rows(name) == [(1,)]
    assert second["below_sound"].status.value == "success"
    assert made.rows("below_sound") == [(-1,), (0,), (1,)]


def test_gate_when_a_check_only_warns_then_the_write_stands_and_the_headers_are_told(
    gated: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = gated
    positive, count, limits = second["sound"].checks
    assert positive.status is CheckStatus.WARNED
    assert (positive.description, positive.owner) == ("no id is below zero", "registrar")
    assert positive.severity == "warn"
    assert [dict(row) for row in positive.sample] == [{"id": -1}]
    assert (count.status, count.expectation) == (CheckStatus.PASSED, "value >= 2")
    assert (limits.status, limits.value) == (CheckStatus.WARNED, 3)
    assert limits.expectation == "error_at 5, warn_at 1"
    assert second["sound"].warnings == (positive, limits)
    assert made.rows("sound") == [(-1,), (0,), (1,)]


def test_gate_when_a_check_cannot_run_then_the_step_fails_and_its_write_is_undone(
    gated: tuple[Project, Ran, Ran],
) -> None:
    made, _, second = gated
    step = second["broken"]
    assert step.status.value == "failed"
    assert step.error is not None
    assert step.error.type.startswith("UNRESOLVED_COLUMN")
    assert "dq/broken.sql:1:8" in step.error.message
    assert not Path(made.path("broken")).exists()
    assert second.result.exit_code == 1


def test_gate_when_only_checks_fail_then_the_exit_code_is_three_and_mended_data_passes(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: gated
          source: {type: delta, query: "select {{ vars.n }} as id"}
          destination: {path: "{{ base_path }}/gated", mode: append}
          dq_checks: [dq/gated.sql]
        """,
        files={"dq/gated.sql": "select id from gated where id < 0"},
    )
    made.put("gated", "select 0 as id")
    assert made.run(vars={"n": -1}).result.exit_code == 3
    assert made.rows("gated") == [(0,)]
    mended = made.run(vars={"n": 1})
    assert mended.statuses == {"gated": "success"}
    assert made.rows("gated") == [(0,), (1,)]


def test_gate_when_someone_else_has_committed_since_then_nothing_is_undone_and_it_is_said(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(
        """
        - name: shared
          source: {type: delta, query: select -1 as id}
          destination: {path: "{{ base_path }}/shared", mode: append}
          dq_checks: [dq/shared.sql]
        """,
        files={"dq/shared.sql": "select id from shared where id < 0"},
    )
    made.put("shared", "select 0 as id")

    def check_while_another_writes(session: SparkSession, check: Check) -> CheckResult:
        made.put("shared", "select 7 as id", "append")
        return run_check(session, check)

    monkeypatch.setattr(dq_checks, "run_check", check_while_another_writes)
    step = made.run()["shared"]
    assert step.status.value == "failed"
    assert step.error is not None
    assert "cannot undo version 1" in step.error.message
    assert made.rows("shared") == [(-1,), (0,), (7,)]


def test_gate_when_someone_else_has_committed_just_before_then_their_rows_stay(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = project(
        """
        - name: shared
          source: {type: delta, query: select -1 as id}
          destination: {path: "{{ base_path }}/shared", mode: append}
          dq_checks: [dq/shared.sql]
        """,
        files={"dq/shared.sql": "select id from shared where id < 0"},
    )
    made.put("shared", "select 0 as id")

    def write_after_another(*args: Any) -> None:
        made.put("shared", "select 7 as id", "append")
        write_delta(*args)

    monkeypatch.setattr(delta, "write_delta", write_after_another)
    step = made.run()["shared"]
    assert step.error is not None
    assert step.error.type == "DataQualityError"
    assert made.rows("shared") == [(0,), (7,)]
