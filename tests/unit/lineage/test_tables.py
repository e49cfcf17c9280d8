"""Tables out of statements: what is read and written, and what the statement makes itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.lineage.tables import TableUse, tables_of


@pytest.mark.parametrize(
    ("sql", "reads", "writes"),
    [
        ("select * from a", "a", ""),
        ("select * from a, b join `C d` using (x)", "a b C d", ""),
        ("with a as (select * from a) select * from a", "a", ""),
        ("with a as (select 1), b as (select * from a) select * from b", "", ""),
        ("with b as (select * from a), a as (select 1) select * from a, b", "a", ""),
        (
            "with recursive r as (select 1 as n union all select n + 1 from r) select * from r",
            "",
            "",
        ),
        (
            "select (with z as (select 1 from q) select max(x) from z) from a "
            "where x in (select y from b)",
            "q a b",
            "",
        ),
        ("with z as (select 1) select * from (select * from Z) union select * from y", "y", ""),
        ("select /*+ broadcast(a, s) */ * from a as s", "a", ""),
        (
            "select * from range(10), values (1) as v (x), a lateral view explode(a.xs) as e",
            "a",
            "",
        ),
        ("select * from json_tuple('x', 'y'), identifier('z')", "", ""),
        ("select * from delta.`/lake/a` version as of 3", "delta./lake/a", ""),
        ("select * from main.sales.orders", "main.sales.orders", ""),
        ("from a |> where x > 1", "a", ""),
        ("insert into t select * from a", "a", "t"),
        ("insert into t (x, y) select x, y from a", "a", "t"),
        (
            "insert overwrite table t partition (d) with c as (select * from a) select * from c",
            "a",
            "t",
        ),
        (
            "merge into delta.`/x` as t using a as s on t.k = s.k "
            "when matched then update set * when not matched then insert *",
            "a",
            "delta./x",
        ),
        ("update t set x = 1 where y in (select y from a)", "a", "t"),
        ("delete from t where not exists (select 1 from a where a.k = t.k)", "a", "t"),
    ],
)
def test_statement_when_read_then_its_own_names_are_not_tables(
    sql: str, reads: str, writes: str
) -> None:
    found = tables_of(sql)
    assert found.problem == ""
    assert " ".join(_name(use) for use in found.reads) == reads
    assert " ".join(_name(use) for use in found.writes) == writes


@pytest.mark.parametrize(
    ("sql", "line", "told"),
    [
        ("select *\nfrom where x", 2, "Expected table name"),
        ("select 1;\nselect 2", 0, "2 statements"),
        ("-- nothing", 0, "0 statements"),
        ("explain select 1", 0, "not understood"),
        ("select ((((", 1, ""),
    ],
)
def test_statement_when_it_cannot_be_read_then_why_and_where_is_told(
    sql: str, line: int, told: str
) -> None:
    found = tables_of(sql)
    assert told in found.problem
    assert found.problem
    assert "\n" not in found.problem
    assert "<" not in found.problem  # no classes of Python's
    assert found.line == line
    assert found.reads == found.writes == ()


def test_table_when_found_then_its_place_is_told() -> None:
    (first, second) = tables_of("select *\nfrom a\n  join `b c`\n  using (x)").reads
    assert (first.line, first.column) == (2, 6)
    assert (second.line, second.column, second.name) == (3, 8, "b c")


NAMES = st.sampled_from(["a", "b", "c"])


@given(st.lists(st.tuples(NAMES, NAMES), min_size=1, max_size=4, unique_by=lambda x: x[0]), NAMES)
def test_cte_when_it_stands_below_its_reader_then_it_is_not_what_is_read(
    ctes: list[tuple[str, str]], last: str
) -> None:
    body = ", ".join(f"{name} as (select * from {source})" for name, source in ctes)
    expected, made = [], set[str]()
    for name, source in ctes:
        if source not in made:
            expected.append(source)
        made.add(name)
    if last not in made:
        expected.append(last)
    found = tables_of(f"with {body} select * from {last}")
    assert [use.name for use in found.reads] == expected


def _name(use: TableUse) -> str:
    return f"{use.schema}.{use.name}" if use.schema else use.name
