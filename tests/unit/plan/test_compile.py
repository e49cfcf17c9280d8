"""A plan with everything filled in: what templates see, what a step's fingerprint covers."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

import pytest

from pipelines.errors import FlowError
from pipelines.execution.reads import outputs_read
from pipelines.plan.changes import changes_read, changes_wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipelines.errors import Finding
    from pipelines.plan.compile import CompiledStep
    from tests.conftest import Project

FLOW_FILE = "pipelines/flows/main_flow.yaml"
CONFIG_FILE = "pipelines/pipelines_config.yaml"
HEAD = """\
description: all of it
default_timeout_seconds: 3600
vars: {year: 2025, n: 3}
datasources:
  ods: {type: jdbc, url: "jdbc:postgresql://host/ods", user: etl, password: "{{ secret('PW') }}"}
"""
STEPS = """\
- name: orders
  description: orders of the year
  owner: sales
  tags: [pii]
  source: {datasource: ods, table: public.orders, query: sql/orders.sql}
  params: {region: north}
  pre_views: [{name: lookup, query: "select {{ vars.n }} as id"}]
  destination: {path: "{{ base_path }}/orders", mode: append}
  dq_checks: [{file: dq/orders.sql, expect: value >= 1, params: {least: 5}}]
- name: scripted
  depends_on: [orders]
  script: scripts/load.py
  params: {size: 10}
  destination: {path: "{{ base_path }}/scripted"}
"""
FILES = {
    "sql/orders.sql": "select * from orders {% include 'where.sql.j2' %}",
    "sql/templates/where.sql.j2": "where year = {{ vars.year }}",
    "dq/orders.sql": "select count(*) from orders where n > {{ params.least }}",
    "scripts/load.py": "def ingest(spark, context):\n    return spark.range(1)\n",
}
DAY = date(2026, 11, 23)


def _edit(made: Project, path: str, old: str, new: str) -> None:
    file = made.root / path
    text = file.read_text(encoding="utf-8")
    assert text.count(old) == 1, text
    file.write_text(text.replace(old, new), encoding="utf-8")


def _step(made: Project, name: str = "orders", **options: Any) -> CompiledStep:
    options.setdefault("run_date", DAY)
    return made.pipeline(**options).step(name)


def _findings(made: Project, **options: Any) -> tuple[Finding, ...]:
    with pytest.raises(FlowError) as raised:
        made.pipeline(**options).checked()
    return raised.value.findings


@pytest.fixture
def made(project: Callable[..., Project]) -> Project:
    return project(STEPS, HEAD, FILES)


# --- the fingerprint ---------------------------------------------------------------------------

COVERED = {
    "SQL file": ("sql/orders.sql", "select *", "select id"),
    "template that the SQL includes": ("sql/templates/where.sql.j2", "=", ">="),
    "variable that the SQL uses": (FLOW_FILE, "year: 2025", "year: 2026"),
    "check file": ("dq/orders.sql", "count(*)", "count(id)"),
    "what a check asks": (FLOW_FILE, "value >= 1", "value >= 2"),
    "a check's parameters": (FLOW_FILE, "least: 5", "least: 6"),
    "a check's severity": (FLOW_FILE, "expect: value >= 1", "severity: warn, expect: value >= 1"),
    "check taken away": (
        FLOW_FILE,
        "dq_checks: [{file: dq/orders.sql, expect: value >= 1, params: {least: 5}}]",
        "dq_checks: []",
    ),
    "SQL of a view": (FLOW_FILE, "as id", "as key"),
    "variable in a view's SQL": (FLOW_FILE, "n: 3", "n: 4"),
    "name of a view": (FLOW_FILE, "name: lookup", "name: other"),
    "write mode": (FLOW_FILE, "mode: append", "mode: overwrite"),
    "destination": (FLOW_FILE, "base_path }}/orders", "base_path }}/orders2"),
    "partitions of the destination": (
        FLOW_FILE, "mode: append", "mode: append, partition_by: [year]"
    ),
    "schema policy": (FLOW_FILE, "mode: append", "mode: append, schema: evolve"),
    "source table": (FLOW_FILE, "public.orders", "public.orders_v2"),
    "source options": (
        FLOW_FILE, "table: public.orders", "table: public.orders, options: {fetchsize: 9}"
    ),
    "parameters": (FLOW_FILE, "region: north", "region: south"),
    "address of the database": (FLOW_FILE, "host/ods", "other/ods"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "old", "new"), COVERED.values(), ids=COVERED)
def test_fingerprint_when_what_the_step_does_is_edited_then_changes(
    made: Project, path: str, old: str, new: str
) -> None:
    before = _step(made).fingerprint
    _edit(made, path, old, new)
    assert _step(made).fingerprint != before


NOT_COVERED = {
    "description": ("description: orders of the year", "description: all orders"),
    "owner": ("owner: sales", "owner: finance"),
    "tags": ("tags: [pii]", "tags: [pii, daily]"),
    "comment": ("- name: orders", "# a remark\n            - name: orders"),
    "retry": ("owner: sales", "owner: sales\n              retry: {attempts: 9}"),
    "time-out": ("owner: sales", "owner: sales\n              timeout_seconds: 9"),
    "debug": ("owner: sales", "owner: sales\n              debug: true"),
    "on_failure": ("owner: sales", "owner: sales\n              on_failure: continue"),
    "default retry": ("delay_seconds: 0", "delay_seconds: 9"),
    "maintenance": ("mode: append", "mode: append, maintenance: {optimize: false}"),
    "default said outright": ("mode: append", "mode: append, format: delta"),
    "order of keys": ("{name: lookup, query: \"select {{ vars.n }} as id\"}",
                      "{query: \"select {{ vars.n }} as id\", name: lookup}"),
    "password": ("secret('PW')", "secret('PW2')"),
    "variable that is not used": ("year: 2025", "year: 2025, other: 1"),
    "another step": ("size: 10", "size: 11"),
    "notifications": ("pipeline:\n", "pipeline:\n  notifications: {on_success: 'json://h'}\n"),
    "the flow's description": ("description: all of it", "description: some of it"),
    "the group's description": ("- name: group", "- name: group\n          description: g"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new"), NOT_COVERED.values(), ids=NOT_COVERED)
def test_fingerprint_when_only_words_and_policies_are_edited_then_stays(
    made: Project, old: str, new: str
) -> None:
    before = _step(made).fingerprint
    _edit(made, FLOW_FILE, old, new)
    assert _step(made).fingerprint == before


@pytest.mark.parametrize(
    ("checkpoint", "is_same"),
    [("", True), ("checkpoint: {path: 'all/{{ pipeline.name }}'}\n", False)],
    ids=["its checkpoints in it", "its checkpoints elsewhere"],
)
def test_fingerprint_when_the_lakehouse_moves_then_stays_only_where_checkpoints_move_with_it(
    project: Callable[..., Project], checkpoint: str, is_same: bool
) -> None:
    made = project(STEPS, HEAD + checkpoint, FILES)
    before = _step(made)
    _edit(made, CONFIG_FILE, "base_path: lake", "base_path: /srv/lake")
    after = _step(made)
    assert after.settings.destination.path == "/srv/lake/orders"
    assert (after.fingerprint == before.fingerprint) is is_same
    assert (after.edition == before.edition) is is_same


def test_fingerprint_when_a_script_or_its_parameters_are_edited_then_changes_for_that_step_only(
    made: Project,
) -> None:
    seen, orders = {_step(made, "scripted").fingerprint}, _step(made).fingerprint
    _edit(made, "scripts/load.py", "range(1)", "range(2)")
    seen.add(_step(made, "scripted").fingerprint)
    _edit(made, FLOW_FILE, "size: 10", "size: 11")
    seen.add(_step(made, "scripted").fingerprint)
    assert len(seen) == 3
    assert _step(made).fingerprint == orders


def test_fingerprint_when_compiled_again_then_is_the_same_though_the_run_is_another(
    made: Project,
) -> None:
    _edit(made, "sql/orders.sql", "select *", "select '{{ run_id }}' as run_id, *")
    one, other = _step(made), _step(made)
    assert one.sql is not None
    assert other.sql is not None
    assert one.sql.text != other.sql.text
    assert one.fingerprint == other.fingerprint


def test_fingerprint_when_the_sql_uses_the_day_then_changes_with_it_and_else_it_does_not(
    made: Project,
) -> None:
    next_day = date(2026, 11, 24)
    assert _step(made).fingerprint == _step(made, run_date=next_day).fingerprint
    _edit(made, "sql/orders.sql", "select *", "select '{{ run.window_end }}' as day, *")
    assert _step(made).fingerprint != _step(made, run_date=next_day).fingerprint


def test_fingerprint_when_an_environment_reads_another_database_then_differs(
    made: Project,
) -> None:
    test = _step(made).fingerprint
    config = (
        "  prod:\n    base_path: lake\n"
        "    datasources: {ods: {url: 'jdbc:postgresql://prod/ods'}}\n"
    )
    file = made.root / CONFIG_FILE
    file.write_text(file.read_text(encoding="utf-8") + config, encoding="utf-8")
    assert _step(made, env="prod").fingerprint != test
    assert _step(made, env="test").fingerprint == test


# --- what templates see ------------------------------------------------------------------------

EVERY_NAME = """\
select '{{ base_path }}|{{ pipeline.name }}|{{ stage.name }}|{{ group.name }}|{{ name }}
|{{ batch_id }}|{{ run_date }}|{{ run.mode }}|{{ run.window_start }}|{{ run.window_end }}
|{{ env }}|{{ vars.year }}|{{ params.region }}|{{ pre_views.lookup }}|{{ pre_view_name }}' as text
"""


def test_sql_when_it_uses_every_name_then_all_are_filled_in(made: Project) -> None:
    made.write("sql/orders.sql", EVERY_NAME)
    sql = _step(made).sql
    assert sql is not None
    assert sql.file == "sql/orders.sql"
    said = sql.text.replace("\n", "").split("'")[1].split("|")
    assert said == [
        f"{made.root}/lake", "toy", "stage", "group", "orders",
        "b1", "2026-11-23", "daily", "2026-11-23", "2026-11-24",
        "test", "2025", "north", "lookup", "lookup",
    ]  # fmt: skip


def test_source_when_the_step_depends_on_it_then_is_its_view_and_else_an_error(
    project: Callable[..., Project],
) -> None:
    steps = """
        - name: upper
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/upper"}
        - name: apart
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/apart"}
        - name: lower
          depends_on: [upper]
          source: {type: delta, query: "select * from {{ source('%s') }}"}
          destination: {path: "{{ base_path }}/lower"}
        """
    sql = project(steps % "upper").pipeline().step("lower").sql
    assert sql is not None
    assert sql.text == "select * from upper"
    (found,) = _findings(project(steps % "apart"))
    assert found.message == "source('apart'): stage.group.lower does not depend on it"
    assert found.path.endswith("steps[2].source.query")


def test_variable_when_set_in_several_places_then_the_command_line_wins_then_the_environment(
    made: Project,
) -> None:
    def year(**options: Any) -> str:
        sql = _step(made, **options).sql
        assert sql is not None
        return sql.text.rsplit(" ", 1)[1]

    assert year() == "2025"
    _edit(made, CONFIG_FILE, "base_path: lake", "base_path: lake\n    vars: {year: 2030}")
    assert year() == "2030"
    assert year(vars={"year": 2031}) == "2031"


def test_settings_when_they_hold_templates_then_are_checked_as_what_they_render_to(
    made: Project,
) -> None:
    more = (
        'retry: {attempts: "{{ vars.n }}", delay_seconds: "{{ vars.n * 2 }}"}\n'
        '              timeout_seconds: "{{ vars.n * 60 }}"\n'
        "              when: \"{{ run.mode == 'history' }}\""
    )
    _edit(made, FLOW_FILE, "owner: sales", more)
    step = _step(made)
    assert (step.retry.attempts, step.retry.delay_seconds) == (3, 6.0)
    assert step.timeout_seconds == 180
    assert step.settings.when is False
    assert _step(made, "scripted").timeout_seconds == 3600
    assert _step(made, "scripted").settings.when is True
    (found,) = _findings(made, vars={"n": 0.5})
    assert found.path.endswith("steps[0].retry.attempts")
    assert found.line > 0


def test_paths_when_relative_then_are_the_projects_and_remote_ones_stay(made: Project) -> None:
    assert _step(made).settings.destination.path == f"{made.root}/lake/orders"
    _edit(made, CONFIG_FILE, "base_path: lake", "base_path: s3a://bucket/lake/")
    assert _step(made).settings.destination.path == "s3a://bucket/lake/orders"
    assert made.pipeline().compiled.checkpoint.path == "s3a://bucket/lake/_checkpoints/toy"


def test_secret_when_a_datasource_asks_for_it_then_is_noted_and_not_looked_up(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PW", "hunter2")
    compiled = made.pipeline().checked()
    assert compiled.secrets == {"PW"}
    assert "hunter2" not in repr(compiled)
    assert "hunter2" not in repr(compiled.datasources)


def test_check_when_the_file_says_what_it_asks_then_holds_unless_the_flow_says_otherwise(
    made: Project,
) -> None:
    made.write(
        "dq/orders.sql",
        "-- expect: value = 7\n-- severity: warn\n-- owner: sales\nselect count(*) from orders",
    )
    (check,) = _step(made).checks
    assert (check.expectation and check.expectation.text) == "value >= 1"
    assert (check.severity, check.header.values["owner"]) == ("warn", "sales")
    _edit(made, FLOW_FILE, "expect: value >= 1", "severity: error")
    (check,) = _step(made).checks
    assert (check.expectation and check.expectation.text) == "value = 7"
    assert check.severity == "error"


# --- what is wrong -----------------------------------------------------------------------------


def test_templates_when_several_are_wrong_then_all_are_told_each_at_its_own_place(
    made: Project,
) -> None:
    _edit(made, "sql/templates/where.sql.j2", "vars.year", "vars.yaer")
    made.write("dq/orders.sql", "select\n{{ params.leest }}")
    _edit(made, FLOW_FILE, "base_path }}/scripted", "base_pth }}/scripted")
    found = {(one.file, one.near): one for one in _findings(made)}
    assert {file for file, _ in found} == {"sql/orders.sql", "dq/orders.sql", FLOW_FILE}
    assert found["sql/orders.sql", ("year",)].line == 1
    check = found["dq/orders.sql", ("least",)]
    assert check.line == 2
    assert check.hint.startswith(f"named in {FLOW_FILE}:")
    path = found[FLOW_FILE, ("base_path",)]
    assert "scripted" in (made.root / FLOW_FILE).read_text().splitlines()[path.line - 1]


def test_files_when_missing_or_empty_then_the_flow_line_is_told(made: Project) -> None:
    (made.root / "sql/orders.sql").rename(made.root / "sql/order.sql")
    made.write("dq/orders.sql", "{# nothing left #}\n")
    (made.root / "scripts/load.py").unlink()
    found = {one.message: one for one in _findings(made)}
    assert set(found) == {"the file does not exist", "dq/orders.sql holds no SQL"}
    missing = {one.found: one for one in _findings(made) if one.code == "missing-file"}
    assert missing["'sql/orders.sql'"].near == ("sql/order.sql",)
    assert missing["'scripts/load.py'"].where.startswith(f"{FLOW_FILE}:")


@pytest.mark.parametrize(
    ("old", "new", "code", "told"),
    [
        ("datasource: ods", "datasource: osd", "unknown-datasource", "'osd'"),
        ("base_path }}/scripted", "base_path }}/orders/", "two-writers", "stage.group.orders"),
        (
            "script: scripts/load.py",
            "script: scripts/load.py\n              pre_views: [{name: Orders, query: select 1}]",
            "name-clash",
            "hides the output of a step",
        ),
        (
            "mode: append",
            "mode: merge, keys: [id, id]",
            "duplicate-column",
            "keys names 'id' twice",
        ),
        ('host/ods", user: etl', 'host/ods", type: csv', "duplicate-key", "type"),
    ],
)
def test_plan_when_things_do_not_fit_together_then_says_what_and_on_which_line(
    made: Project, old: str, new: str, code: str, told: str
) -> None:
    _edit(made, FLOW_FILE, old, new)
    (found,) = _findings(made)
    assert found.code == code
    assert told in found.message
    assert (found.file, found.line > 0) == (FLOW_FILE, True)


# --- what reads in part -------------------------------------------------------------------------

DAILY = """\
- name: orders
  source: {datasource: ods, table: public.orders, query: sql/orders.sql, incremental: {column: at}}
  destination: {path: "{{ base_path }}/orders", mode: merge, keys: [id]}
  dq_checks: [dq/orders.sql]
- name: totals
  depends_on: [orders]
  source: {type: delta, query: "select * from {{ changes('orders') }}"}
  destination: {path: "{{ base_path }}/totals", mode: merge, keys: [id]}
"""
DAILY_FILES = {
    "sql/orders.sql": "select *, '{{ run_date }}' as day, '{{ batch_id }}' as batch, "
    "'{{ run.window_end | replace('-', '') }}' as until, '{{ run_id }}' as run from orders",
    "dq/orders.sql": "select count(*) from orders",
}


def test_edition_when_another_day_runs_then_it_stays_and_when_the_sql_is_edited_it_changes(
    project: Callable[..., Project],
) -> None:
    made = project(DAILY, HEAD, DAILY_FILES)

    def edition(day: date, batch_id: str) -> str:
        return _step(made, run_date=day, batch_id=batch_id).edition

    first = edition(DAY, "batch-of-monday")
    assert edition(date(2026, 12, 1), "batch-of-tuesday") == first
    _edit(made, "dq/orders.sql", "count(*)", "count(1)")
    _edit(made, FLOW_FILE, "{column: at}", "{column: at, overlap: 1 day}")
    assert edition(DAY, "batch-of-monday") == first, "no other rows are made by these"
    _edit(made, "sql/orders.sql", "select *,", "select id,")
    assert edition(DAY, "batch-of-monday") != first


def test_changes_when_named_in_sql_then_it_is_a_view_of_the_step_and_that_keeps_a_feed(
    project: Callable[..., Project],
) -> None:
    made = project(DAILY, HEAD, DAILY_FILES)
    compiled = made.pipeline().compiled
    totals = _step(made, "totals")
    assert totals.sql is not None
    assert totals.sql.text == "select * from orders__changes"
    orders = "stage.group.orders"
    assert changes_read(totals, compiled.plan.graph) == {orders: "orders__changes"}
    assert outputs_read(totals, compiled.plan.graph) == {orders: frozenset()}
    assert changes_wanted(compiled) == {orders}


@pytest.mark.parametrize(
    ("header", "line", "told"),
    [
        ("-- severity: warn\n-- scope: id", 2, "must be of severity 'error'"),
        ("-- expect: value < 9\n-- scope: id", 2, "expect value = 0"),
        ("-- error_at: 5\n-- scope: id", 2, "expect value = 0"),
        ("-- scope: id, idd", 1, "names 'idd', which is no key"),
    ],
)
def test_scope_when_what_was_not_touched_would_be_forgotten_then_it_is_refused_with_the_line(
    project: Callable[..., Project], header: str, line: int, told: str
) -> None:
    steps = f"{DAILY}  dq_checks: [dq/part.sql]\n"
    made = project(steps, HEAD, {**DAILY_FILES, "dq/part.sql": f"{header}\nselect 1"})
    (found,) = _findings(made)
    assert (found.code, found.file, found.line) == ("bad-header", "dq/part.sql", line)
    assert told in found.message
