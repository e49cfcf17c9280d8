"""SQL templates: what is filled in, what is refused, and where a message says the fault is."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlglot
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from pipelines.errors import TemplateError
from pipelines.utils.sql_loader import (
    MAX_TEXT,
    RenderedSql,
    SqlLoader,
    sql_identifier,
    sql_literal,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]
NAMES = {
    "run_date": "2026-11-23",
    "base_path": "/lake",
    "vars": {"school_year": 2026, "schools": ["a", "b"]},
    "pipeline": {"name": "toy"},
    "source": lambda name: name,
}
BARE = SqlLoader(Path("/nonexistent"))


@pytest.fixture
def loader(tmp_path: Path) -> SqlLoader:
    return SqlLoader(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str | bytes], Path]:
    """Writes a file of the project."""

    def made(path: str, text: str | bytes) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return made


def _refused(loader: SqlLoader, text: str, **where: Any) -> TemplateError:
    with pytest.raises(TemplateError) as raised:
        loader.render_text(text, NAMES, **where)
    return raised.value


# --- filled in ---------------------------------------------------------------------------------


def test_file_when_rendered_then_names_loops_and_conditions_are_filled_in(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    write(
        "sql/bronze/students.sql",
        "select {% for school in vars.schools %}'{{ school }}'{{ ', ' if not loop.last }}"
        "{% endfor %}\nfrom {{ source('orders') }}\n"
        "{% if vars.school_year > 2025 -%}\nwhere day = '{{ run_date }}'\n{% endif -%}\n",
    )
    made = loader.render_file("sql/bronze/students.sql", NAMES)
    assert made.text == "select 'a', 'b'\nfrom orders\nwhere day = '2026-11-23'\n"
    assert made.file == "sql/bronze/students.sql"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{{ vars.absent | default(7) }}", "7"),
        ("{{ 'no' if vars.absent is not defined else 'yes' }}", "no"),
        ("{{ vars['school_year'] + 1 }}", "2027"),
        ("{% raw %}{{ kept }}{% endraw %}", "{{ kept }}"),
        ("a{# a remark #}b", "ab"),
        ("{{ vars.schools | join(', ') }}", "a, b"),
        ("{{ '<&>' }}", "<&>"),
    ],
)
def test_template_when_rendered_then_jinja_means_what_its_manual_says(text: str, told: str) -> None:
    assert BARE.render_text(text, NAMES) == told


@pytest.mark.parametrize("key", ["items", "keys", "values", "get", "name"])
def test_variable_when_it_is_called_like_a_method_then_is_still_the_variable(key: str) -> None:
    assert BARE.render_text(f"{{{{ vars.{key} }}}}", {"vars": {key: "mine"}}) == "mine"


@given(st.text())
def test_value_when_filled_in_then_is_neither_rendered_again_nor_escaped(value: str) -> None:
    assert BARE.render_text("a {{ value }} b", {"value": value}) == f"a {value} b"


@given(st.text().filter(lambda text: not any(mark in text for mark in ("{{", "{%", "{#"))))
def test_text_when_it_holds_no_template_then_stays_as_it_is(text: str) -> None:
    assert BARE.render_text(text, {}) == text


def test_sha256_when_the_rendered_text_differs_then_differs() -> None:
    assert RenderedSql("select 1", "a.sql").sha256 == RenderedSql("select 1", "b.sql").sha256
    assert RenderedSql("select 1").sha256 != RenderedSql("select 2").sha256


def test_file_when_it_begins_with_a_byte_order_mark_then_the_sql_does_not(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    write("sql/a.sql", b"\xef\xbb\xbfselect 'r\xc3\xa9gion'")
    assert loader.render_file("sql/a.sql", NAMES).text == "select 'région'"


# --- undefined names ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "near"),
    [
        ("select '{{ run_dat }}'", 1, "run_date"),
        ("select 1,\n\n  {{ vars.scool_year }}", 3, "school_year"),
        ("{{ run_date }}\n{{ pipline.name }}", 2, "pipeline"),
        ("{% if bas_path %}\n{% endif %}", 1, "base_path"),
        ("\n{% for one in vars.school %}{% endfor %}", 2, "schools"),
        ("\n{{ sources('a') }}", 2, "source"),
    ],
)
def test_name_when_it_is_not_known_then_place_and_near_name_are_told(
    loader: SqlLoader, write: Callable[..., Path], text: str, line: int, near: str
) -> None:
    write("sql/a.sql", text)
    with pytest.raises(TemplateError) as raised:
        loader.render_file("sql/a.sql", NAMES)
    error = raised.value
    assert (error.file, error.line, error.near[0]) == ("sql/a.sql", line, near)
    assert str(error).startswith(f"sql/a.sql:{line}: ")


def test_name_when_nothing_is_like_it_then_the_known_ones_are_told() -> None:
    error = _refused(BARE, "{{ zzz }}", file="a.sql")
    assert error.near == ()
    assert error.hint == "known names: base_path, pipeline, run_date, source, vars"


def test_text_when_it_stands_in_a_document_then_the_line_is_the_documents() -> None:
    assert _refused(BARE, "a\n{{ nope }}", file="flow.yaml", line=40).line == 41
    assert _refused(BARE, "a\n{% if %}", file="flow.yaml", line=40).line == 41


def test_secret_when_sql_asks_for_it_then_is_told_where_secrets_work() -> None:
    error = _refused(BARE, "select '{{ secret('PW') }}'", file="a.sql")
    assert error.hint == "secret() works in datasources and notifications only"


@pytest.mark.parametrize("text", ["in {{ (2026, vars.nope) }}", "{{ [nope] }}", "{{ {1: nope} }}"])
def test_name_when_not_known_inside_of_a_list_then_is_an_error_too(text: str) -> None:
    assert "nope" in _refused(BARE, text).message


# --- templates that are missing or malformed ---------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("{{ run_date", 1),
        ("select\n{% if run_date %}", 2),
        ("\n\n{% endif %}", 3),
        ("\n{% fi run_date %}", 2),
        ("{{ run_date | no_such_filter }}", 1),
        ("\n{{ run_date is no_such_test }}", 2),
        ("\n{{ 1 + }}", 2),
        ("\n{# no end", 2),
        ("\n{% for x %}{% endfor %}", 2),
        ("\n{% do vars.clear() %}", 2),
    ],
)
def test_template_when_malformed_then_the_line_is_told(
    loader: SqlLoader, write: Callable[..., Path], text: str, line: int
) -> None:
    write("sql/a.sql", text)
    with pytest.raises(TemplateError, match="template syntax: ") as raised:
        loader.render_file("sql/a.sql", NAMES)
    assert (raised.value.file, raised.value.line) == ("sql/a.sql", line)


@pytest.mark.parametrize(
    "text", ["{{ 1 / 0 }}", "{{ 'a' + 1 }}", "{{ vars[[]] }}",
             "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"],
)  # fmt: skip
def test_template_when_it_breaks_while_rendered_then_is_an_error_with_its_place(text: str) -> None:
    error = _refused(BARE, f"\n{text}", file="sql/a.sql")
    assert (error.file, error.line) == ("sql/a.sql", 2)
    assert error.message


def test_file_when_missing_then_near_files_are_told(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    write("sql/students.sql", "select 1")
    with pytest.raises(TemplateError, match="does not exist") as raised:
        loader.render_file("sql/studens.sql", NAMES)
    assert (raised.value.file, raised.value.near) == (
        "sql/studens.sql",
        ("sql/students.sql",),
    )
    with pytest.raises(TemplateError, match="does not exist"):
        loader.render_file("no/such/folder.sql", NAMES)


@pytest.mark.parametrize("content", [b"select '\xff'", b"\x00\xd8\x00\x00\xff\xfe"])
def test_file_when_it_is_not_utf_8_then_is_refused_by_name(
    loader: SqlLoader, write: Callable[..., Path], content: bytes
) -> None:
    write("sql/a.sql", content)
    with pytest.raises(TemplateError, match="cannot be read") as raised:
        loader.render_file("sql/a.sql", NAMES)
    assert raised.value.file == "sql/a.sql"


def test_file_when_it_is_a_folder_then_is_refused_by_name(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    write("sql/a.sql", "select 1")
    with pytest.raises(TemplateError, match="cannot be read"):
        loader.render_file("sql", NAMES)


# --- include and import ------------------------------------------------------------------------


def test_template_when_it_includes_and_imports_then_the_projects_templates_are_found(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    write("sql/templates/filter.sql.j2", "where day = '{{ run_date }}'")
    write(
        "sql/templates/own/macros.sql.j2",
        "{% macro both(one, other) -%} {{ one }} || {{ other }} {%- endmacro %}",
    )
    text = (
        "{% import 'own/macros.sql.j2' as own -%}\n"
        "select {{ own.both('a', 'b') }} from t {% include 'filter.sql.j2' %}"
    )
    assert loader.render_text(text, NAMES) == "select a || b from t where day = '2026-11-23'"


def test_template_when_an_included_one_is_edited_then_the_next_rendering_has_it(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    file = write("sql/templates/a.j2", "one")
    assert loader.render_text("{% include 'a.j2' %}", NAMES) == "one"
    write("sql/templates/a.j2", "two")
    os.utime(file, (1, 1))
    assert loader.render_text("{% include 'a.j2' %}", NAMES) == "two"


def test_engine_template_when_the_project_has_one_of_the_same_name_then_that_wins(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    text = "{% import 'macros/hash.sql.j2' as dv %}{{ dv.hash_key('id') }}"
    assert "sha2(" in loader.render_text(text, NAMES)
    write(
        "sql/templates/macros/hash.sql.j2",
        "{% macro hash_key(column) %}md5({{ column }}){% endmacro %}",
    )
    fresh = SqlLoader(loader.project_dir)
    assert fresh.render_text(text, NAMES) == "md5(id)"


def test_template_when_an_included_one_is_malformed_then_that_ones_place_is_told(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    write("sql/templates/bad.j2", "select 1\n{% if %}")
    error = _refused(loader, "\n\n\n{% include 'bad.j2' %}", file="sql/a.sql")
    assert (error.file, error.line) == ("sql/templates/bad.j2", 2)


def test_template_when_a_macro_meets_an_unknown_name_then_the_place_of_the_call_is_told(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    write("sql/templates/m.j2", "{% macro year(v) %}\n\n\n{{ v.scool_year }}{% endmacro %}")
    error = _refused(
        loader, "{% import 'm.j2' as m %}\nselect {{ m.year(vars) }}", file="sql/a.sql"
    )
    assert (error.file, error.line, error.near) == ("sql/a.sql", 2, ("school_year",))


def test_template_when_an_included_one_is_missing_then_its_name_is_told(loader: SqlLoader) -> None:
    error = _refused(loader, "{% include 'nope.j2' %}", file="sql/a.sql")
    assert error.message == "template 'nope.j2' does not exist"
    assert error.file == "sql/a.sql"


def test_template_when_an_included_one_is_missing_then_the_line_is_told(loader: SqlLoader) -> None:
    assert _refused(loader, "select 1\n\n{% include 'nope.j2' %}", file="sql/a.sql").line == 3


# --- files outside of the project --------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["../secret.sql", "sql/../../secret.sql", "{outside}/secret.sql", "sql/link.sql",
     "sql/folder/secret.sql"],
)  # fmt: skip
def test_file_when_outside_of_the_project_then_is_refused(tmp_path: Path, path: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "outside/project"
    (inside / "sql").mkdir(parents=True)
    (outside / "secret.sql").write_text("select 'hidden'", encoding="utf-8")
    (inside / "sql/link.sql").symlink_to(outside / "secret.sql")
    (inside / "sql/folder").symlink_to(outside)
    with pytest.raises(TemplateError, match="outside of the project") as raised:
        SqlLoader(inside).read_file(path.format(outside=outside))
    assert "hidden" not in str(raised.value)


def test_file_when_linked_within_the_project_then_is_read(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    file = write("sql/a.sql", "select 1")
    (file.parent / "link.sql").symlink_to(file)
    assert loader.read_file("sql/../sql/link.sql") == "select 1"


@pytest.mark.parametrize(
    "name", ["../../secret.j2", "/etc/hostname", "link.j2", "folder/secret.j2"]
)
def test_include_when_it_leads_out_of_the_templates_then_is_refused(
    loader: SqlLoader, write: Callable[..., Path], name: str
) -> None:
    secret = write("secret.j2", "hidden")
    inside = write("sql/templates/a.j2", "").parent
    (inside / "link.j2").symlink_to(secret)
    (inside / "folder").symlink_to(secret.parent)
    error = _refused(loader, f"{{% include '{name}' %}}")
    assert "hidden" not in str(error)


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            "sql/a\0.sql",
            id="null byte",
        ),
        pytest.param(
            "sql/loop.sql",
            id="link to itself",
        ),
        pytest.param("x" * 5_000, id="long name"),
        pytest.param("", id="no name"),
    ],
)
def test_file_when_its_name_is_none_then_is_an_error_like_any_other(
    loader: SqlLoader, write: Callable[..., Path], path: str
) -> None:
    folder = write("sql/a.sql", "select 1").parent
    (folder / "loop.sql").symlink_to(folder / "loop.sql")
    with pytest.raises(TemplateError):
        loader.read_file(path)


# --- attacks -----------------------------------------------------------------------------------

ATTACKS = [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ ''['__class__'] }}",
    "{{ '' | attr('__class__') }}",
    "{{ '{0.__class__}'.format(1) }}",
    "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "{{ ('{0.__class__}' | safe).format(1) }}",
    "{{ source.__globals__ }}",
    "{{ source.__code__.co_consts }}",
    "{{ cycler.__init__.__globals__.os.environ }}",
    "{{ lipsum.__globals__['os'].popen('id').read() }}",
    "{{ self.__init__.__globals__ }}",
    "{{ self._TemplateReference__context }}",
    "{{ vars.__class__ }}",
    "{{ vars.schools.append('c') }}",
    "{{ vars.update({'school_year': 1}) }}",
    "{{ vars.pop('school_year') }}",
    "{% set vars.school_year = 1 %}",
    "{{ ().__class__.__bases__ }}",
    "{{ [vars] | map(attribute='__class__') | first }}",
    "{{ [vars] | sum(attribute='__class__') }}",
    "{% import 'os' as os %}",
    "{% include '/proc/self/environ' %}",
]


@pytest.mark.parametrize("text", ATTACKS)
def test_template_when_it_reaches_for_python_then_is_refused_and_changes_nothing(text: str) -> None:
    error = _refused(BARE, text, file="sql/a.sql")
    assert error.file == "sql/a.sql"
    assert NAMES["vars"] == {"school_year": 2026, "schools": ["a", "b"]}


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'x' * 1000000000 }}",
        "{{ 1000000000 * 'x' }}",
        "{{ [0] * 1000000000 }}",
        "{{ ('x' * 100000) * 100000 }}",
        "{{ 9 ** 999999999 }}",
        "{{ (9 ** 64) ** 64 }}",
        "{{ range(1000000000) | list }}",
        "{% for i in range(1000000000) %}x{% endfor %}",
        "{{ 'x' | center(8000000) }}",
        "{{ '%8000000d' % 1 }}",
        "{% for i in range(50000) %}{{ 'x' * 100 }}{% endfor %}",
        pytest.param(
            "{{ 'x'.ljust(10 ** 15) }}",
        ),
    ],
)
def test_template_when_it_grows_without_bound_then_is_refused(text: str) -> None:
    _refused(BARE, text)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_template_when_it_doubles_a_text_on_and_on_then_is_refused_before_memory_ends() -> None:
    program = """
import resource
from pathlib import Path
from pipelines.errors import TemplateError
from pipelines.utils.sql_loader import SqlLoader
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
text = '''{% set box = namespace(text='x') %}
{% for i in range(40) %}{% set box.text = box.text ~ box.text %}{% endfor %}'''
try:
    SqlLoader(Path()).render_text(text, {})
except TemplateError:
    print("refused")
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == "refused\n"


def test_text_when_longer_than_the_limit_then_is_refused_and_at_the_limit_it_is_not(
    loader: SqlLoader, write: Callable[..., Path]
) -> None:
    assert len(BARE.render_text("{{ text }}", {"text": "x" * MAX_TEXT})) == MAX_TEXT
    with pytest.raises(TemplateError, match="longer than"):
        BARE.render_text("{{ text }}", {"text": "x" * (MAX_TEXT + 1)}, file="sql/a.sql")
    write("sql/big.sql", "x" * (MAX_TEXT + 1))
    with pytest.raises(TemplateError, match="larger than"):
        loader.read_file("sql/big.sql")


# --- literals and identifiers ------------------------------------------------------------------


def _parsed(sql: str) -> exp.Expression:
    """The one thing that ``sql`` selects; it must not hold anything else."""
    (select,) = sqlglot.parse(sql, dialect="spark")
    assert isinstance(select, exp.Select)
    assert {key for key, value in select.args.items() if value} == {"expressions"}
    column: exp.Expression
    (column,) = select.expressions
    return column


@settings(deadline=None)
@given(st.text())
def test_literal_when_spark_reads_it_then_is_the_same_text(value: str) -> None:
    literal = _parsed(BARE.render_text("select {{ value | sql_literal }}", {"value": value}))
    assert isinstance(literal, exp.Literal)
    assert literal.is_string
    assert literal.this == value


@settings(deadline=None)
@given(st.integers())
def test_literal_when_it_is_a_number_then_is_the_same_number(value: int) -> None:
    assert int(_parsed(f"select {sql_literal(value)}").sql("spark")) == value


@settings(deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_literal_when_it_is_a_fraction_then_is_the_same_fraction(value: float) -> None:
    assert float(_parsed(f"select {sql_literal(value)}").sql("spark")) == value


@pytest.mark.parametrize(
    ("value", "sql"),
    [
        (None, "null"),
        (True, "true"),
        (False, "false"),
        (date(2026, 11, 23), "'2026-11-23'"),
        (Decimal("1.50"), "'1.50'"),
        ("", "''"),
        ("null", "'null'"),
    ],
)
def test_literal_when_it_is_none_of_these_then_is_spelt_as_spark_does(value: Any, sql: str) -> None:
    assert sql_literal(value) == sql


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_literal_when_it_is_no_finite_number_then_is_no_column_name(value: float) -> None:
    assert not list(_parsed(f"select {sql_literal(value)}").find_all(exp.Column))


@settings(deadline=None)
@given(st.text(min_size=1).filter(lambda text: "." not in text))
def test_identifier_when_spark_reads_it_then_is_the_same_name(value: str) -> None:
    column = _parsed(BARE.render_text("select {{ value | sql_identifier }}", {"value": value}))
    assert isinstance(column, exp.Column)
    assert column.name == value
    assert column.this.quoted


def test_identifier_when_it_has_dots_then_each_part_is_quoted() -> None:
    assert sql_identifier("edfi.Student") == "`edfi`.`Student`"
    assert sql_identifier("a`; drop table b; --.c") == "`a``; drop table b; --`.`c`"


NASTY = [
    *("it's", "''", '"', "`", "\\", "\\'", "\\n", "%_\\%\\_", "$", "{{ a }}", "--", "/* */"),
    *("'; drop table a; --", "line\nbreak", "tab\t", "\x07", "région 授業 \U0001f600"),
]


def test_literals_when_spark_itself_reads_them_then_are_the_same_texts(spark: SparkSession) -> None:
    columns = ", ".join(f"{sql_literal(text)} as c{n}" for n, text in enumerate(NASTY))
    (row,) = spark.sql(f"select {columns}").collect()
    assert list(row) == NASTY


def test_literal_when_it_looks_like_a_variable_then_spark_does_not_fill_it_in(
    spark: SparkSession,
) -> None:
    text = "${env:HOME} ${spark.app.name}"
    (row,) = spark.sql(f"select {sql_literal(text)}").collect()
    assert row[0] == text


PIECES = st.sampled_from(
    ["{{ run_date }}", "{{run_date}}", "{{ vars.school_year }}", "{{ vars.schools }}", "{{ x }}",
     "{{ vars.items }}", "{{ true }}", "{{ none }}", "{{- run_date }}", "{{ run_date -}}", "}}",
     "{{ run_date | upper }}", "{{ vars['school_year'] }}", "{{", "\r\n", "\n", " ", "select '",
     "{{ vars }}", "{{ pipeline.name }}", "{{ pipeline.name.x }}", "{{ source }}", "{", "}",
     "{{ flag }}", "{{ ratio }}", "{{ nested }}"]
)  # fmt: skip


@given(st.lists(PIECES, max_size=6).map(lambda pieces: "".join(["{{ run_date }}", *pieces])))
def test_rendering_when_names_are_all_there_is_then_it_is_what_jinja_gives(text: str) -> None:
    names = {**NAMES, "true": "a name", "flag": True, "ratio": 1.0, "nested": "{{ run_date }}"}
    loader = SqlLoader(ROOT)

    def outcome(template: str) -> str:
        try:
            return loader.render_text(template, names)
        except TemplateError:
            return "refused"

    assert outcome(text) == outcome("{# Jinja's own way #}" + text)
