"""What a step's SQL and script see: what was declared, at the version that this run wrote."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import pytest

from pipelines.errors import FlowError

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project, Ran

STEPS = """
- name: base
  source: {type: delta, query: "select * from values (1, 'a'), (2, 'b') as t (id, name)"}
  destination: {path: "{{ base_path }}/base"}
- name: second
  depends_on: [base]
  source: {type: delta, query: "select id * 10 as id from base"}
  destination: {path: "{{ base_path }}/second"}
- name: third
  depends_on: [second]
  source: {type: delta, query: "select base.id, second.id as tenfold from base, second where second.id = base.id * 10"}
  destination: {path: "{{ base_path }}/third"}
- name: undeclared
  source: {type: delta, query: "select * from base"}
  destination: {path: "{{ base_path }}/undeclared"}
- name: by_source
  depends_on: [second]
  source: {type: delta, query: sql/by_source.sql}
  destination: {path: "{{ base_path }}/by_source"}
- name: interloper
  depends_on: [base]
  script: ingestion/interloper.py
  destination: {path: "{{ base_path }}/interloper"}
- name: pinned
  depends_on: [interloper]
  source: {type: delta, query: "select id, name from base"}
  destination: {path: "{{ base_path }}/pinned"}
- name: view_step
  depends_on: [base]
  source: {type: delta, query: "select id + 100 as id from base"}
  destination: {view: hundreds}
- name: reads_view
  depends_on: [view_step]
  source: {type: delta, query: "select id from hundreds"}
  destination: {path: "{{ base_path }}/reads_view"}
- name: reads_view_by_step
  depends_on: [view_step]
  source: {type: delta, query: "select view_step.id, base.name from view_step join base on view_step.id = base.id + 100"}
  destination: {path: "{{ base_path }}/reads_view_by_step"}
- name: raw
  source: {type: csv, path: data/raw.csv, options: {header: true, inferSchema: true}}
  destination: {path: "{{ base_path }}/raw"}
- name: raw_by_query
  source: {type: csv, path: data/raw.csv, options: {header: true}, query: "select upper(name) as name from raw_by_query"}
  destination: {path: "{{ base_path }}/raw_by_query"}
- name: from_folder
  source: {datasource: folder, table: raw.csv, query: "select NAME from from_folder"}
  destination: {path: "{{ base_path }}/from_folder"}
- name: pre_views
  depends_on: [base]
  pre_views:
    - {name: files, format: csv, path: data/raw.csv, options: {header: true}}
    - {name: outside, format: delta, path: "{{ base_path }}/outside"}
    - {name: stored, datasource: folder, table: raw.csv}
    - {name: chosen, query: "select id from base where id > 1"}
    - {name: filed, query: sql/filed.sql}
  source:
    type: delta
    query: >-
      select 'files' as kind, count(*) as n from {{ pre_views.files }}
      union all select 'outside', count(*) from outside
      union all select 'stored', count(*) from stored
      union all select 'chosen', count(*) from chosen
      union all select 'filed', count(*) from filed
  destination: {path: "{{ base_path }}/pre_views"}
- name: one_pre_view
  pre_views: [{name: only, query: "select 7 as id"}]
  source: {type: delta, query: sql/one_pre_view.sql}
  destination: {path: "{{ base_path }}/one_pre_view"}
- name: broken_pre_view
  pre_views: [{name: absent, query: "select * from nowhere"}]
  source: {type: delta, query: "select * from absent"}
  destination: {path: "{{ base_path }}/broken_pre_view"}
- name: script
  depends_on: [second]
  params: {factor: 3}
  script: ingestion/good.py
  destination: {path: "{{ base_path }}/script"}
- name: script_that_breaks
  script: ingestion/breaks.py
  destination: {path: "{{ base_path }}/script_that_breaks"}
- name: script_with_bad_sql
  script: ingestion/bad_sql.py
  destination: {path: "{{ base_path }}/script_with_bad_sql"}
- name: script_of_nothing
  script: ingestion/returns_a_list.py
  destination: {path: "{{ base_path }}/script_of_nothing"}
- name: script_reads_undeclared
  script: ingestion/reads_undeclared.py
  destination: {path: "{{ base_path }}/script_reads_undeclared"}
"""  # noqa: E501
HEAD = """
datasources:
  folder: {type: csv, path: data, options: {header: true}, identifier_case: upper}
vars: {unit: km}
"""
FILES = {
    "data/raw.csv": "id,name\n1,a\n2,b\n3,c\n",
    "sql/by_source.sql": "select id from {{ source('second') }}",
    "sql/filed.sql": "-- sees earlier pre_views\nselect * from chosen",
    "sql/one_pre_view.sql": "select * from {{ pre_view_name }}",
    "ingestion/interloper.py": """\
        def ingest(spark, context):
            later = spark.sql("select 99 as id, 'later' as name")
            later.write.format("delta").mode("append").save(f"{context.base_path}/base")
            return later
        """,
    "ingestion/good.py": """\
        from pyspark.sql.functions import lit


        def ingest(spark, context):
            frame = spark.table("second").where(f"id > {context.params['factor']}")
            assert not hasattr(context, "datasource")
            told = (context.name, context.vars["unit"], context.run_date, *context.datasources)
            return frame.select("id", *(lit(value).alias(f"c{n}") for n, value in enumerate(told)))
        """,
    "ingestion/breaks.py": """\
        def ingest(spark, context):
            return _divide(1)


        def _divide(number):
            return number / 0
        """,
    "ingestion/bad_sql.py": """\
        def ingest(spark, context):
            name = "nowhere"
            return spark.table(name)
        """,
    "ingestion/returns_a_list.py": "def ingest(spark, context):\n    return [1, 2]\n",
    "ingestion/reads_undeclared.py": """\
        def ingest(spark, context):
            return spark.table("base")
        """,
}


@pytest.fixture(scope="module")
def ran(project: Callable[..., Project]) -> tuple[Project, Ran]:
    made = project(STEPS, HEAD, FILES)
    made.put("outside", "select id from range(4)")
    return made, made.run(run_date=date(2026, 1, 5))


def test_upstream_when_declared_then_is_seen_and_so_is_what_it_depends_on(
    ran: tuple[Project, Ran],
) -> None:
    made, result = ran
    assert made.rows("second") == [(10,), (20,)]
    assert made.rows("third") == [(1, 10), (2, 20)]
    assert made.rows("by_source") == [(10,), (20,)]
    assert result["third"].upstream_versions == {"stage.group.base": 0, "stage.group.second": 0}


@pytest.mark.parametrize("name", ["undeclared", "script_reads_undeclared"])
def test_table_when_it_was_not_declared_then_is_not_found(
    ran: tuple[Project, Ran], name: str
) -> None:
    _, result = ran
    error = result[name].error
    assert result[name].status.value == "failed"
    assert error is not None
    assert "TABLE_OR_VIEW_NOT_FOUND" in f"{error.type} {error.message}"
    assert "`base`" in error.message


def test_upstream_when_someone_writes_to_it_later_then_the_pinned_version_is_read(
    ran: tuple[Project, Ran],
) -> None:
    made, result = ran
    assert (99, "later") in made.rows("base")
    assert made.rows("pinned") == [(1, "a"), (2, "b")]
    assert result["pinned"].upstream_versions["stage.group.base"] == 0


def test_view_when_two_steps_read_it_then_both_see_it_by_either_name(
    ran: tuple[Project, Ran],
) -> None:
    made, result = ran
    assert made.rows("reads_view") == [(101,), (102,)]
    assert made.rows("reads_view_by_step") == [(101, "a"), (102, "b")]
    destination = result["view_step"].destination
    assert destination is not None
    assert (destination.format, destination.path) == ("view", "hundreds")
    assert not made.marker("view_step").exists()


def test_source_when_it_is_raw_then_is_seen_under_the_steps_name(ran: tuple[Project, Ran]) -> None:
    made, _ = ran
    assert made.rows("raw") == [(1, "a"), (2, "b"), (3, "c")]
    assert made.rows("raw_by_query") == [("A",), ("B",), ("C",)]
    assert made.rows("from_folder") == [("a",), ("b",), ("c",)]


def test_pre_views_when_of_each_kind_then_all_are_seen(ran: tuple[Project, Ran]) -> None:
    made, result = ran
    assert result["pre_views"].error is None
    assert dict(made.rows("pre_views")) == {
        "files": 3, "outside": 4, "stored": 3, "chosen": 1, "filed": 1,
    }  # fmt: skip
    assert made.rows("one_pre_view") == [(7,)]


def test_pre_view_when_it_is_broken_then_the_error_names_it(ran: tuple[Project, Ran]) -> None:
    _, result = ran
    error = result["broken_pre_view"].error
    assert error is not None
    assert "pre_view absent" in error.message
    assert "`nowhere`" in error.message


def test_views_when_the_run_is_over_then_none_is_left_in_the_session(
    ran: tuple[Project, Ran],
) -> None:
    made, _ = ran
    assert made.spark.catalog.listTables() == []


def test_script_when_it_returns_rows_then_they_are_written(ran: tuple[Project, Ran]) -> None:
    made, result = ran
    assert result["script"].error is None
    row = ("script", "km", "2026-01-05", "folder")
    assert made.rows("script") == [(10, *row), (20, *row)]
    assert result["script"].counts.written == 2


@pytest.mark.parametrize(
    ("name", "where", "said"),
    [
        ("script_that_breaks", "ingestion/breaks.py:6: ", "ZeroDivisionError: division by zero"),
        ("script_with_bad_sql", "ingestion/bad_sql.py:3: ", "`nowhere`"),
        ("script_of_nothing", "ingestion/returns_a_list.py: ", "returned list, not a DataFrame"),
    ],
)
def test_script_when_it_is_wrong_then_the_error_names_the_place(
    ran: tuple[Project, Ran], name: str, where: str, said: str
) -> None:
    _, result = ran
    error = result[name].error
    assert error is not None
    assert error.message.startswith(where)
    assert said in error.message


# --- found before Spark starts ---------------------------------------------------------------


def test_name_clash_when_a_pre_view_hides_an_upstream_then_the_flow_is_refused(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: base
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/base"}
        - name: reader
          depends_on: [base]
          pre_views: [{name: Base, query: select 2 as id}]
          source: {type: delta, query: select * from base}
          destination: {path: "{{ base_path }}/reader"}
        """
    )
    with pytest.raises(FlowError) as raised:
        made.pipeline().checked()
    (finding,) = raised.value.findings
    assert finding.code == "name-clash"
    assert finding.path.endswith("steps[1].pre_views[0].name")


def test_name_clash_when_a_step_would_see_two_of_one_name_then_the_flow_is_refused(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: one
          source: {type: delta, query: select 1 as id}
          destination: {view: shared}
        - name: two
          source: {type: delta, query: select 2 as id}
          destination: {view: SHARED}
        - name: reader
          depends_on: [one, two]
          source: {type: delta, query: select * from shared}
          destination: {path: "{{ base_path }}/reader"}
        - name: content
          depends_on: [one]
          source: {type: delta, query: select * from shared}
          destination: {path: "{{ base_path }}/content"}
        """
    )
    with pytest.raises(FlowError) as raised:
        made.pipeline().checked()
    (finding,) = raised.value.findings
    assert finding.code == "name-clash"
    assert "stage.group.one and stage.group.two" in finding.message


def test_name_clash_when_a_pre_view_has_the_name_of_the_raw_source_then_the_flow_is_refused(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: pupils
          pre_views: [{name: pupils, query: select 2 as id}]
          source: {type: csv, path: data/raw.csv, query: select * from pupils}
          destination: {path: "{{ base_path }}/pupils"}
        """
    )
    with pytest.raises(FlowError) as raised:
        made.pipeline().checked()
    assert raised.value.findings[0].code == "name-clash"


def test_source_function_when_the_step_does_not_depend_on_it_then_the_flow_is_refused(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: base
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/base"}
        - name: reader
          source: {type: delta, query: "select * from {{ source('base') }}"}
          destination: {path: "{{ base_path }}/reader"}
        """
    )
    with pytest.raises(FlowError, match="does not depend on it"):
        made.pipeline().checked()


def test_reader_when_its_upstream_was_never_written_then_says_how_to_get_it(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: base
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/base"}
        - name: reader
          depends_on: [base]
          source: {type: delta, query: select * from base}
          destination: {path: "{{ base_path }}/reader"}
        """
    )
    error = made.run(select=("reader",))["reader"].error
    assert error is not None
    assert "reads stage.group.base, which has never been written" in error.message
    assert error.hint == "run it too: --select +reader"


def test_run_when_nobody_reads_what_it_tells_any_more_then_it_goes_on_to_its_end(
    project: Callable[..., Project],
) -> None:
    import json

    made = project(
        """
        - name: one
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/one"}
        """
    )

    def closed(event: object) -> None:
        raise BrokenPipeError

    ran = made.run(on_event=closed)
    assert ran.statuses == {"one": "success"}
    log = json.loads((made.root / "pipelines/logs/pipeline_log.json").read_text(encoding="utf-8"))
    assert log["status"] == "success"
