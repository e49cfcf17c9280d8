"""Templates that would never end, or need all memory: each is refused, in time, with its place."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import TemplateError
from pipelines.utils.sql_loader import MAX_TEXT, SqlLoader

ROOT = Path(__file__).resolve().parents[3]
HOSTILE = ROOT / "tests/fixtures/hostile_templates.txt"
MOST_SECONDS = 10
"""Two are promised; others may be at work on this machine."""
NAMES: dict[str, Any] = {
    "run_date": "2026-11-23",
    "vars": {"year": 2026, "schools": ["a", "b"], "long": "ab" * 20_000, "map": {"k": [1, {}]}},
}
_TRY_ALL = """
import resource, sys, time
from pathlib import Path
from pipelines.errors import TemplateError
from pipelines.utils.sql_loader import SqlLoader
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
loader = SqlLoader(Path())
for line in Path(sys.argv[1]).read_text().splitlines():
    started, said = time.process_time(), "was rendered"
    try:
        loader.render_text(line, {})
    except TemplateError as error:
        said = "refused" if error.line == 1 else "refused without its line"
    print(f"{time.process_time() - started:.3f} {said}: {line}", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits the memory of a process")
def test_template_when_it_is_hostile_then_is_refused_before_time_and_memory_end() -> None:
    lines = HOSTILE.read_text(encoding="utf-8").splitlines()
    done = subprocess.run(
        [sys.executable, "-c", _TRY_ALL, str(HOSTILE)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    told = [line.split(" ", 1) for line in done.stdout.splitlines()]
    assert len(told) == len(lines) > 30, done.stderr
    assert [said for _, said in told if not said.startswith("refused: ")] == []
    assert [said for seconds, said in told if float(seconds) > MOST_SECONDS] == []


@pytest.mark.parametrize(
    ("template", "rendered"),
    [
        ("{% for a in range(500) %}{{ loop.last }}{% endfor %}", "False" * 499 + "True"),
        ("{% for k, v in vars.map.items() if k %}{{ k }}{{ loop.length }}{% endfor %}", "k1"),
        ("{% for a in [] %}{% else %}none{% endfor %}", "none"),
        ("{% for a in [[1, [2]], [3]] recursive %}{{ loop(a) if a is iterable else a }}"
         "{% endfor %}", "123"),
        ("{{ 2000000 | string }} {{ '{} {:>5}'.format(2000000, 7) }}", "2000000 2000000     7"),
        ("{{ '%05d' % 7 }} {{ '%s of %s' | format('a', 'b') }}", "00007 a of b"),
        ("{{ 'a' < 'b' == true }} {{ 2 in [1, 2] }} {{ vars.year * 1000000 }}",
         "False True 2026000000"),
        ("{{ vars.schools | map('upper') | join(', ') }}", "A, B"),
    ],
)  # fmt: skip
def test_template_when_it_is_none_of_these_then_the_limits_change_nothing(
    template: str, rendered: str
) -> None:
    assert SqlLoader(ROOT).render_text(template, NAMES) == rendered


def test_limit_when_many_templates_are_rendered_then_each_has_its_own() -> None:
    loader = SqlLoader(ROOT)
    for _ in range(5):
        assert loader.render_text("{% for a in range(90000) %}{% endfor %}", NAMES) == ""


def test_limit_when_a_filter_is_used_then_names_that_it_is_not_given_do_not_count() -> None:
    names = {**NAMES, "large": ["ab"] * 300_000}
    template = "{{ vars.schools | map('upper') | join }}"
    assert SqlLoader(ROOT).render_text(template, names) == "AB"


def _one_of(words: str) -> st.SearchStrategy[str]:
    return st.sampled_from(words.split())


_ATOMS = _one_of(
    """vars vars.year vars.long vars.schools vars.map run_date nobody loop x 1 -1 100000 9999999999
    1.5 'a' '' '%999999d' '{:>{}}' none true [] {} range(99999) dict(a=1) namespace(v=1)
    cycler('a')"""
)
_FILTERS = _one_of(
    """list length upper string sort join join(vars.long) batch(3) sum int center(99999)
    indent(99999) replace('a',vars.long) map('upper') tojson first groupby('a') slice(9)
    wordwrap(1) format(9) sql_literal sql_identifier items unique reverse default('a') pprint
    xmlattr urlize striptags nothing"""
)
_METHODS = _one_of(
    """upper() format(1,99) join(vars.schools) split('a') zfill(99999) items() replace('a','bb')
    __class__ mro() append(1) count('a') encode() v"""
)
_OPERATORS = st.sampled_from(["+", "-", "*", "**", "//", "%", "~", "==", "<", "in", "and", "is"])
_EXPRESSIONS = st.recursive(
    _ATOMS,
    lambda inner: st.one_of(
        st.tuples(inner, _FILTERS).map(lambda two: f"({two[0]})|{two[1]}"),
        st.tuples(inner, _METHODS).map(lambda two: f"({two[0]}).{two[1]}"),
        st.tuples(inner, _OPERATORS, inner).map(" ".join).map("({})".format),
        st.tuples(inner, inner).map(lambda two: f"{two[0]}[{two[1]}:]"),
        st.lists(inner, max_size=3).map(", ".join).map("[{}]".format),
    ),
    max_leaves=8,
)
_TEMPLATES = st.recursive(
    st.one_of(
        _EXPRESSIONS.map("{{{{ {} }}}}".format),
        _EXPRESSIONS.map("{{% set x = {} %}}".format),
        st.text(max_size=8),
    ),
    lambda inner: st.one_of(
        st.tuples(_EXPRESSIONS, inner).map(
            lambda two: "{% for a in " + two[0] + " %}" + two[1] + "{% endfor %}"
        ),
        st.tuples(_EXPRESSIONS, inner).map(
            lambda two: "{% if " + two[0] + " %}" + two[1] + "{% endif %}"
        ),
        st.lists(inner, max_size=4).map("".join),
        inner.map("{{% macro f(x) %}}{}{{{{ f(x) }}}}{{% endmacro %}}{{{{ f(1) }}}}".format),
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None)
@given(_TEMPLATES)
def test_template_when_it_is_random_then_is_rendered_or_refused_in_time(template: str) -> None:
    loader, started = SqlLoader(ROOT), time.process_time()
    try:
        assert len(loader.render_text(template, NAMES, file="sql/a.sql")) <= MAX_TEXT
    except TemplateError as error:
        assert error.file == "sql/a.sql"
        assert error.line >= 1
        assert error.message
    assert time.process_time() - started < MOST_SECONDS
