from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.spec.yaml_document import (
    MAX_ALIAS_NODES,
    MAX_DEPTH,
    Document,
    parse_document,
    path_text,
    read_document,
)


def _parsed(text: str) -> Document:
    return parse_document(text, "flow.yaml")


def _tree(text: str) -> Any:
    document = _parsed(text)
    assert document.findings == ()
    return document.tree


def _codes(text: str) -> list[tuple[str, int]]:
    return [(one.code, one.line) for one in _parsed(text).findings]


# --- values ------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["no", "yes", "on", "off", "Yes", "NO", "12:30:45", "010", "0x1F",
                                  "0o17", "1_000", "2026-11-23", ".inf", ".nan", "1e", "-", "=",
                                  "nil", "tRue", "1.2.3", "00"])  # fmt: skip
def test_scalar_when_it_is_a_word_that_older_yaml_reads_otherwise_then_stays_text(
    text: str,
) -> None:
    assert _tree(f"a: [{text}]") == {"a": [text]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True), ("False", False), ("TRUE", True), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-7", -7), ("+7", 7), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0),
        ("-2.5E-1", -0.25), ("0.0", 0.0),
        ("999999999999999999", 999999999999999999),
        ("1234567890123456789", "1234567890123456789"),  # too long for a number of a database
    ],
)  # fmt: skip
def test_scalar_when_plain_then_has_the_type_that_it_looks_like(text: str, value: Any) -> None:
    found = _tree(f"a: {text}")["a"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize("text", ["'5'", '"5"', "|-\n  5", ">-\n  5"])
def test_scalar_when_quoted_or_a_block_then_stays_text(text: str) -> None:
    assert _tree(f"a: {text}\n") == {"a": "5"}


_KEYS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1, max_size=6)
_SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["C", "Zl", "Zp"]), max_size=12)
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None)
@given(tree=st.dictionaries(_KEYS, _TREES, min_size=1, max_size=5))
def test_document_when_it_is_json_then_is_read_as_json_reads_it(tree: Any) -> None:
    for indent in (None, 2):
        text = json.dumps(tree, ensure_ascii=False, indent=indent)
        assert _tree(text) == json.loads(text)


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("a: 1\nb: 2\na: 3\n", [("duplicate-key", 3)]),
        ("a: {b: 1, b: 2}\n", [("duplicate-key", 1)]),
        ('a: 1\n"a": 2\n', [("duplicate-key", 2)]),
        ("a:\n  - b: 1\n    b: 2\n  - b: 3\n", [("duplicate-key", 3)]),
        ("a: 1\na: 2\na: 3\n", [("duplicate-key", 2), ("duplicate-key", 3)]),
        ("[a]: 1\n", [("bad-key", 1)]),
        ("a:\n  {b: c}: 1\n", [("bad-key", 2)]),
        ("a: !!python/object/apply:os.system [ls]\n", [("tag", 1)]),
        ("a: 1\nb: !env HOME\n", [("tag", 2)]),
        ("a: !!set {b, c}\n", [("tag", 1)]),
        ("a: !!int 5\n", [("tag", 1)]),
        ("<<: 5\n", [("bad-merge", 1)]),
        ("a: &a {b: 1}\nc:\n  <<: [*a, 5]\n", [("bad-merge", 3)]),
        ("a: [b\nc: d\n", [("unreadable", 2)]),
        ("a:\n\tb: 1\n", [("unreadable", 2)]),
        ("a: *nobody\n", [("unreadable", 1)]),
        ("a: 1\n---\nb: 2\n", [("unreadable", 2)]),
        ("a: 'open\n", [("unreadable", 2)]),
        ("a: \x00\n", [("unreadable", 0)]),
        ("a: b: c\n", [("unreadable", 1)]),
    ],
)
def test_document_when_not_strict_yaml_then_each_fault_has_its_line(
    text: str, found: list[tuple[str, int]]
) -> None:
    assert _codes(text) == found


@pytest.mark.parametrize("text", ['!env "HOME"', "!!int '5'", "!secret |-\n  x"])
def test_tag_when_before_quoted_text_then_is_refused_too(text: str) -> None:
    assert _codes(f"a: {text}\n") == [("tag", 1)]


@pytest.mark.parametrize("text", ["5", "true", "null"])
def test_tag_when_it_says_text_then_is_text_or_refused(text: str) -> None:
    document = _parsed(f"a: !!str {text}\n")
    assert document.findings or document.tree == {"a": text}


def test_merge_when_it_stands_twice_then_is_a_duplicate_key() -> None:
    assert _codes("a: &a {x: 1}\nb: &b {x: 2}\nc:\n  <<: *a\n  <<: *b\n") == [("duplicate-key", 5)]


def test_duplicate_key_when_told_then_the_first_one_s_line_and_the_place_are_named() -> None:
    (found,) = _parsed("a:\n  - b: 1\n\n    b: 2\n").findings
    assert found.path == "a[0].b"
    assert (found.line, found.column) == (4, 5)
    assert "line 2" in found.message


def test_merge_when_a_key_is_said_outright_then_it_wins_and_the_first_alias_before_the_second() -> (
    None
):
    tree = _tree(
        "one: &one {a: 1, b: 1}\ntwo: &two {b: 2, c: 2}\n"
        "both:\n  <<: [*one, *two]\n  a: own\nplain:\n  '<<': text\n"
    )
    assert tree["both"] == {"a": "own", "b": 1, "c": 2}
    assert tree["plain"] == {"<<": "text"}


def test_alias_when_used_twice_then_each_place_has_a_value_of_its_own() -> None:
    tree = _tree("a: &a {b: [1]}\nc: *a\nd: *a\n")
    tree["c"]["b"].append(2)
    assert tree["a"] == tree["d"] == {"b": [1]}


# --- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", ["[%s]", "{a: %s}"])
def test_nesting_when_at_the_limit_then_is_read_and_one_deeper_is_refused(item: str) -> None:
    def nested(depth: int) -> str:
        text = "x"
        for _ in range(depth):
            text = item % text
        return text

    assert _parsed(nested(MAX_DEPTH)).findings == ()
    (found,) = _parsed(nested(MAX_DEPTH + 2)).findings
    assert found.code in ("unreadable", "too-large")


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, "? " * 50_000])
def test_nesting_when_endless_then_is_refused_without_exhausting_the_stack(text: str) -> None:
    assert [code for code, _ in _codes(text)] == ["unreadable"]


@pytest.mark.parametrize(
    "text", ["&a [*a]", "&a {b: *a}", "a: &a\n  <<: *a\n", "a: &a [&b [*a, *b]]"]
)
def test_alias_when_it_holds_itself_then_is_refused(text: str) -> None:
    assert [code for code, _ in _codes(text)] == ["too-large"]


@pytest.mark.parametrize("expand", ["[%s]", "{<<: [%s], k: %s}"], ids=["list", "merge"])
def test_aliases_when_they_multiply_then_are_refused_once(expand: str) -> None:
    text = "a0: &a0 {x: 1}\n"
    for level in range(1, 12):
        many = ", ".join([f"*a{level - 1}"] * 9)
        body = expand.replace("k: %s", f"k: *a{level - 1}") % many
        text += f"a{level}: &a{level} {body}\n"
    assert [code for code, _ in _codes(text)] == ["too-large"]


def test_document_when_large_without_aliases_then_is_read() -> None:
    count = MAX_ALIAS_NODES + 100
    assert len(_tree("".join(f"- {number}\n" for number in range(count)))) == count


# --- places ------------------------------------------------------------------------------------

PLACED = """\
pipeline:
  name: toy

  stages:
    - name: one   # a remark
      tags: [a, b]
    - {name: two, tags: []}
"""


@pytest.mark.parametrize(
    ("path", "key", "place"),
    [
        ((), False, (1, 1)),
        (("pipeline",), True, (1, 1)),
        (("pipeline", "name"), False, (2, 9)),
        (("pipeline", "name"), True, (2, 3)),
        (("pipeline", "stages", 0, "tags", 1), False, (6, 17)),
        (("pipeline", "stages", 1, "name"), False, (7, 14)),
        (("pipeline", "stages", 1), False, (7, 7)),
        (("pipeline", "nobody"), True, (1, 1)),
        (("pipeline", "stages", 9), False, (5, 5)),
    ],
)
def test_place_when_asked_then_is_line_and_column_and_the_parents_where_it_lacks(
    path: tuple[str | int, ...], key: bool, place: tuple[int, int]
) -> None:
    assert _parsed(PLACED).locate(path, key=key) == place


def test_path_when_shown_then_reads_as_people_write_it() -> None:
    assert path_text(("pipeline", "stages", 0, "name")) == "pipeline.stages[0].name"
    assert path_text((0, "a")) == "[0].a"
    assert path_text(()) == ""


@settings(deadline=None)
@given(tree=st.dictionaries(_KEYS, _TREES, min_size=1, max_size=5))
def test_place_when_any_value_is_asked_for_then_the_text_there_is_that_value(tree: Any) -> None:
    text = json.dumps(tree, ensure_ascii=False, indent=1)
    document, lines = _parsed(text), text.splitlines()

    def look(value: Any, path: tuple[str | int, ...]) -> None:
        line, column = document.locate(path)
        start = lines[line - 1][column - 1 :]
        if isinstance(value, dict):
            assert start.startswith("{")
        elif isinstance(value, list):
            assert start.startswith("[")
        else:
            assert start.startswith(json.dumps(value, ensure_ascii=False))
        if isinstance(value, dict):
            for name, item in value.items():
                look(item, (*path, name))
        elif isinstance(value, list):
            for number, item in enumerate(value):
                look(item, (*path, number))

    look(tree, ())


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"# only a remark\n", b"---\n", b"null\n", b"\xff\xfe"])
def test_file_when_nothing_can_be_read_from_it_then_is_one_finding_with_its_name(
    tmp_path: Path, content: bytes
) -> None:
    file = tmp_path / "flow.yaml"
    file.write_bytes(content)
    (found,) = read_document(file, shown_as="flows/flow.yaml").findings
    assert (found.code, found.file) == ("unreadable", "flows/flow.yaml")


def test_file_when_missing_or_a_folder_then_is_a_finding_and_no_exception(tmp_path: Path) -> None:
    for path in (tmp_path / "nobody.yaml", tmp_path, tmp_path / ("x" * 300), Path("a\0b")):
        (found,) = read_document(path).findings
        assert found.code == "unreadable"
        assert found.message.startswith("cannot be read")


def test_file_when_it_has_windows_line_ends_then_lines_and_values_are_the_same(
    tmp_path: Path,
) -> None:
    file = tmp_path / "flow.yaml"
    file.write_bytes(PLACED.replace("\n", "\r\n").encode())
    document = read_document(file)
    assert document.tree == _tree(PLACED)
    assert document.locate(("pipeline", "stages", 1, "name")) == (7, 14)


# --- anything ----------------------------------------------------------------------------------

_YAML_BITS = st.lists(
    st.sampled_from(["a", "b: ", "- ", "\n", "  ", "[", "]", "{", "}", ", ", ": ", "&a ", "*a",
                     "<<", "!!int ", "!x ", "'", '"', "|", ">", "#", "? ", "---\n", "...\n",
                     "%YAML 1.2\n", "5", "true", "\t", "\\", "\x00", "é", "\ud800",
                     "\U0001f600", "\ufeff"]),
    max_size=40,
).map("".join)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(text=_YAML_BITS | st.text(max_size=60))
def test_document_when_the_text_is_random_then_is_read_or_told_and_never_raises(text: str) -> None:
    document = _parsed(text)
    for found in document.findings:
        assert found.file == "flow.yaml"
        assert found.line <= text.count("\n") + text.count("\r") + 3
        assert found.message
    if not document.findings:
        json.dumps(document.tree)
