"""SQL tests as a user writes them: on toy steps, and those of the project itself."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from pipelines import console
from pipelines.errors import SqlTestError
from pipelines.prepared import Options
from pipelines.results import SqlTestResult, SqlTestStatus
from pipelines.tested import run_sql_tests

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from tests.conftest import Project

ROOT = Path(__file__).resolve().parents[2]

STEPS = """
- name: orders
  source: {type: csv, path: in/orders, query: sql/orders.sql, options: {header: true}}
  destination: {path: "{{ base_path }}/orders"}
- name: totals
  depends_on: [orders]
  pre_views:
    - {name: paid, query: "select * from orders where amount > {{ vars.least }}"}
  source:
    type: delta
    query: |
      select customer, sum(amount) as total, cast(count(*) as double) / 3 as third,
        date '{{ run_date }}' as day, collect_list(id) as ids
      from paid group by customer order by customer
  destination: {path: "{{ base_path }}/totals"}
  columns: [{name: customer, type: string, nullable: false}]
  dq_checks: [dq/small_totals.sql]
- name: kinds
  depends_on: [orders]
  source:
    type: delta
    query: |
      select id, map('a', amount) as m, named_struct('x', id, 'y', customer) as s,
        array(struct(id as i)) as l, binary(customer) as b, at,
        assert_true(coalesce(id < 90, true)) as u
      from orders
  destination: {path: "{{ base_path }}/kinds"}
- name: history
  depends_on: [orders]
  source:
    type: delta
    query: select id, customer, at, amount < 0 as is_gone from orders where id is not null
  destination: {path: "{{ base_path }}/history", mode: scd2, keys: [id], sequence_by: at,
                except_columns: [is_gone]}
- name: merged
  depends_on: [orders]
  source: {type: delta, query: "insert into {{ destination }} select id from orders"}
  destination: {path: "{{ base_path }}/merged"}
- name: script
  script: ingestion/script.py
  destination: {path: "{{ base_path }}/script"}
- name: after_script
  depends_on: [script]
  source: {type: delta, query: select * from script}
  destination: {path: "{{ base_path }}/after_script"}
"""
FILES = {
    "sql/orders.sql": """\
        select cast(id as bigint) as id, customer, cast(amount as decimal(10,2)) as amount,
          cast(at as timestamp) as at
        from orders
        """,
    "dq/small_totals.sql": "-- returns: rows\nselect customer, total from totals where total > 100",
    "in/orders/a.csv": "id,customer,amount,at\n",
    "ingestion/script.py": "def ingest(spark, context):\n    return spark.range(1)\n",
}
HEAD = "vars: {least: 0}\ntests:\n"
Run = Callable[..., "list[SqlTestResult]"]


@pytest.fixture(scope="module")
def shop(project: Callable[..., Project]) -> Project:
    return project(STEPS, "vars: {least: 0}", FILES)


@pytest.fixture
def run(shop: Project, tmp_path: Path) -> Run:
    """A function that runs tests, given as a YAML list."""

    def made(tests: str, **more: Any) -> list[SqlTestResult]:
        options = Options(project_dir=shop.root, select=more.pop("select", ()))
        file = tmp_path / "cases.yaml"
        shop.write(str(file), HEAD + tests)
        return list(run_sql_tests([file], options, spark=shop.spark, **more))

    return made


def refused(run: Run, tests: str) -> list[tuple[str, str]]:
    with pytest.raises(SqlTestError) as raised:
        run(tests)
    return [(one.code, one.message) for one in raised.value.findings]


def test_sql_tests_of_the_project_pass(spark: SparkSession) -> None:
    results = list(run_sql_tests((), Options(project_dir=ROOT), sources="recorded", spark=spark))
    broken = [console.sql_test_text(one, color=False) for one in results if one.is_broken]
    assert not broken, "\n".join(broken)
    assert {one.step.split(".")[0] for one in results} == {"bronze", "silver", "gold"}


def test_example_of_the_reference_passes(spark: SparkSession, tmp_path: Path) -> None:
    text = (ROOT / "docs/reference/sql-tests.md").read_text(encoding="utf-8")
    file = tmp_path / "example.yaml"
    file.write_text(text.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    options = Options(project_dir=ROOT)
    results = list(run_sql_tests([file], options, sources="recorded", spark=spark))
    broken = [console.sql_test_text(one, color=False) for one in results if one.is_broken]
    assert not broken, "\n".join(broken)
    assert len(results) == 2


def test_case_when_the_step_gives_what_is_expected_then_it_passes(run: Run, shop: Project) -> None:
    (result,) = run("""\
- name: sums
  step: totals
  run_date: 2026-05-04
  given:
    orders:
      - {id: 1, customer: Ada, amount: 1.10}
      - {id: 2, customer: Ada, amount: 2.20}
      - {id: 3, customer: Bob, amount: -1}
      - {id: 4, customer: Eve, amount: 5}
  expect:
    ordered: true
    rows:
      - {customer: Ada, total: 3.3, third: 0.66666666667, day: 2026-05-04, ids: [1, 2]}
      - {CUSTOMER: Eve, total: 5.00, third: 0.33333333333, day: 2026-05-04, ids: [4]}
""")
    assert (result.status, result.message, result.diff) == (SqlTestStatus.PASSED, "", None)
    assert not (shop.root / "lake").exists()  # nothing was written


def test_case_when_variables_differ_then_each_sees_its_own(run: Run) -> None:
    results = run("""\
- &case
  name: all
  step: totals
  given: &given {orders: [{id: 1, customer: Ada, amount: 5}]}
  expect: {rows: [{customer: Ada}]}
- {name: none, step: totals, vars: {least: 9}, given: *given, expect: {rows: []}}
""")
    assert [one.status.value for one in results] == ["passed", "passed"]


def test_case_when_rows_differ_then_missing_unexpected_and_changed_are_told(run: Run) -> None:
    (result,) = run("""\
- name: wrong
  step: totals
  given:
    orders: |
      id,customer,amount
      1,Ada,5
      2,Bob,7
  expect:
    rows:
      - {customer: Ada, total: 6, day: 2026-01-01}
      - {customer: Zoe, total: 1, day: 2020-01-01}
""")
    assert result.status is SqlTestStatus.FAILED
    diff = result.diff
    assert diff is not None
    assert diff.columns == ("customer", "total", "day")
    five, six, seven = (Decimal(f"{n}.00") for n in (5, 6, 7))
    assert diff.changed == ((("Ada", six, "2026-01-01"), ("Ada", five, "2026-01-01")),)
    assert diff.missing == (("Zoe", Decimal("1.00"), "2020-01-01"),)
    assert diff.unexpected == (("Bob", seven, "2026-01-01"),)


def test_case_when_only_the_order_differs_then_it_fails_where_order_counts(run: Run) -> None:
    case = """\
- name: order
  step: totals
  given: {orders: [{id: 1, customer: Ada, amount: 5}, {id: 2, customer: Bob, amount: 5}]}
  expect: {ordered: %s, rows: [{customer: Bob}, {customer: Ada}]}
"""
    assert run(case % "false")[0].status is SqlTestStatus.PASSED
    (result,) = run(case % "true")
    assert result.diff is not None
    assert result.diff.moved == ((1, ("Bob",), ("Ada",)), (2, ("Ada",), ("Bob",)))


def test_values_when_nested_or_of_any_type_then_compared_as_written(run: Run) -> None:
    (result,) = run("""\
- name: kinds
  step: kinds
  given:
    orders:
      - {id: 1, customer: Ada, amount: 1.5, at: '2026-03-01 10:00:00.25'}
      - {id: 2, at: '2026-03-01T10:00:00+02:00'}
      - {}
  expect:
    rows:
      - {id: 1, m: {a: 1.5}, s: {x: 1, y: Ada}, l: [{i: 1}], b: '416461',
         at: '2026-03-01 10:00:00.25'}
      - {id: 2, m: {a: null}, s: {x: 2}, l: [{i: 2}], at: '2026-03-01 08:00:00'}
      - {m: {a: null}, s: {}, l: [{}]}
""")
    assert result.status is SqlTestStatus.PASSED, console.sql_test_text(result, color=False)


def test_step_when_its_mode_makes_columns_then_its_query_is_tested(run: Run) -> None:
    (result,) = run("""\
- name: history
  step: history
  given: {orders: [{id: 7, amount: -1}, {id: 8, amount: 1}, {}]}
  expect: {rows: [{id: 7, is_gone: true}, {id: 8, is_gone: false}]}
""")
    assert result.status is SqlTestStatus.PASSED, console.sql_test_text(result, color=False)
    assert refused(run, """\
- {name: made, step: history, expect: {rows: [{valid_from: 2026-01-01}]}}
""") == [("unknown-column", "its result has no column 'valid_from'")]  # fmt: skip


def test_step_when_it_reads_a_source_then_the_view_has_its_columns(run: Run) -> None:
    (result,) = run("""\
- name: casts
  step: orders
  given: {orders: [{ID: '7', customer: Ada, amount: '1.005'}]}
  expect: {rows: [{id: 7, customer: Ada, amount: 1.01}]}
""")
    assert result.status is SqlTestStatus.PASSED, console.sql_test_text(result, color=False)


def test_step_when_it_breaks_then_the_cause_is_told_with_its_place(run: Run) -> None:
    given = "given: {orders: [{id: 99}]}"
    expected, unexpected, other, promise, condition = run(f"""\
- {{name: a, step: kinds, {given}, expect_error: id < 90}}
- {{name: b, step: kinds, {given}, expect: {{rows: []}}}}
- {{name: c, step: kinds, {given}, expect_error: something else}}
- {{name: d, step: totals, given: {{orders: [{{amount: 5}}]}}, expect_error: customer is null}}
- {{name: e, step: kinds, {given}, expect_error: USER_RAISED_EXCEPTION}}
""")
    assert expected.status is SqlTestStatus.PASSED
    assert unexpected.status is SqlTestStatus.ERROR
    assert "id < 90" in unexpected.message
    assert other.status is SqlTestStatus.FAILED
    assert "expected an error with 'something else', found: " in other.message
    assert promise.status is SqlTestStatus.PASSED
    assert condition.status is SqlTestStatus.PASSED, condition.message


def test_step_when_it_should_break_and_does_not_then_it_fails(run: Run) -> None:
    (result,) = run("- {name: a, step: totals, expect_error: boo}\n")
    assert result.status is SqlTestStatus.FAILED
    assert "the step gave 0 rows" in result.message
    assert result.empty_views == ("orders",)


def test_checks_when_named_then_they_see_the_rows_of_the_step(run: Run) -> None:
    given = "given: {orders: [{id: 1, customer: Ada, amount: 500}]}"
    fails, passes = run(f"""\
- {{name: a, step: totals, {given}, checks: {{small_totals.sql: fails}}}}
- {{name: b, step: totals, {given}, checks: {{dq/small_totals.sql: passes}}}}
""")
    assert fails.status is SqlTestStatus.PASSED
    assert passes.status is SqlTestStatus.FAILED
    (said,) = passes.checks
    assert said.message == "1 offending rows, expected value = 0"
    assert said.sample == ({"customer": "Ada", "total": "500.00"},)


def test_faults_when_rows_do_not_fit_then_all_are_told_and_nothing_runs(run: Run) -> None:
    assert refused(run, """\
- name: a
  step: totals
  given:
    order: [{id: 1}]
    paid: [{id: 1}]
    orders: [{id: x, amout: 1}, {id: 1, ID: 2, amout: 2}]
  expect: {columns: [total], rows: [{totl: 1, customer: Ada}]}
  checks: {tiny_totals.sql: passes}
- {name: b, step: merged, expect: {rows: []}}
- {name: c, step: after_script, expect: {rows: []}}
""") == [
        ("unknown-view", "stage.group.totals reads no view 'order'"),
        ("unknown-view", "view 'paid' is made by a query of the step"),
        ("bad-fixture", "column 'id': expected a whole number, found 'x'"),
        ("unknown-column", "orders has no column 'amout'"),
        ("duplicate-key", "the row names column 'ID' twice"),
        ("unknown-column", "its result has no column 'totl'"),
        ("unknown-column", "the rows name 'totl', and 'columns' does not"),
        ("unknown-column", "the rows name 'customer', and 'columns' does not"),
        ("unknown-check", "stage.group.totals has no check 'tiny_totals.sql'"),
        ("untestable-step", "the SQL of stage.group.merged is INSERT, which writes by itself"),
        ("untyped-view", "the columns of 'script', which stage.group.after_script reads, "
                         "are not known"),
    ]  # fmt: skip


def test_first_failure_when_it_is_to_be_the_last_then_the_rest_is_not_run(run: Run) -> None:
    results = run("""\
- {name: a, step: totals, expect: {rows: [{customer: Ada}]}}
- {name: b, step: totals, expect: {rows: []}}
""", fail_fast=True)  # fmt: skip
    assert [one.status.value for one in results] == ["failed", "not_run"]


def test_tests_when_chosen_by_step_or_name_then_only_those_run(run: Run) -> None:
    tests = """\
- {name: Nobody bought, step: totals, expect: {rows: []}}
- {name: nothing sold, step: orders, expect: {rows: []}}
"""
    assert [one.name for one in run(tests, keyword="BOUGHT")] == ["Nobody bought"]
    assert [one.name for one in run(tests, select=("orders",))] == ["nothing sold"]
    assert len(run(tests, select=("+totals",))) == 2
