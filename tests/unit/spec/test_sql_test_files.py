from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from pipelines.errors import Finding, UsageError
from pipelines.spec.sql_test_files import SqlCase, find_test_files, load_cases
from pipelines.spec.sql_tests import ExpectedRows, SqlTest, SqlTestFile

ROOT = Path(__file__).resolve().parents[3]

HEAD = "tests:\n"
CASE = """\
  - name: {name}
    step: hub
    expect: {{rows: [{{id: 1}}]}}
"""


def load(folder: Path, **files: str) -> tuple[tuple[SqlCase, ...], tuple[Finding, ...]]:
    paths = []
    for name, text in files.items():
        path = folder / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        paths.append(path)
    return load_cases(paths, folder)


def test_case_when_it_says_little_then_the_rest_is_the_file_s_or_fixed(tmp_path: Path) -> None:
    text = """\
run_date: 2026-03-01
vars: {year: 2026, region: north}
tests:
  - name: first
    step: hub
    vars: {year: 2027}
    given: {a: [{id: 1}, {name: x}]}
    expect: {rows: []}
  - {name: second, step: hub, run_date: 2026-04-01, checks: {a.sql: fails}}
"""
    (first, second), findings = load(tmp_path, a=text)
    assert findings == ()
    assert (first.flow, first.run_date) == ("main_flow", date(2026, 3, 1))
    assert first.vars == {"year": 2027, "region": "north"}
    assert first.given["a"].columns == ("id", "name")
    assert second.run_date == date(2026, 4, 1)
    assert second.expected is None


def test_run_date_when_nobody_names_one_then_it_is_not_today(tmp_path: Path) -> None:
    (case,), _ = load(tmp_path, a=HEAD + CASE.format(name="x"))
    assert case.run_date == date(2026, 1, 1)


def test_faults_when_in_several_files_then_all_at_once_each_with_its_line(tmp_path: Path) -> None:
    faulty = HEAD + CASE.format(name="x") + "    expekt: 1\n"
    twice = HEAD + CASE.format(name="x") + CASE.format(name="x")
    cases, findings = load(tmp_path, a=faulty, b=twice, c="tests: []\n", d="tests: [", e="")
    told = [(one.file, one.line, one.code) for one in findings]
    assert told == [
        ("a.yaml", 5, "unknown-key"),
        ("b.yaml", 5, "duplicate-name"),
        ("c.yaml", 1, "bad-type"),
        ("d.yaml", 2, "unreadable"),
        ("e.yaml", 0, "unreadable"),
    ]
    assert findings[0].near == ("expect",)
    assert len(cases) == 2  # what is whole is looked at further


@pytest.mark.parametrize(
    ("rest", "code", "path"),
    [
        ("    expect_error: boo\n", "sql-test", "tests[0]"),
        ("    run_date: tomorrow\n", "bad-value", "tests[0].run_date"),
        ("    checks: {a.sql: works}\n", "bad-value", "tests[0].checks.a.sql"),
        ("    given: {a: 5}\n", "bad-type", "tests[0].given.a"),
        ("    given: {a: [5]}\n", "bad-type", "tests[0].given.a[0]"),
        ("    given: {a: {files: a.csv, file: a.csv}}\n", "unknown-key", "tests[0].given.a.files"),
    ],
)
def test_case_when_its_form_is_wrong_then_told_where(
    tmp_path: Path, rest: str, code: str, path: str
) -> None:
    _, findings = load(tmp_path, a=HEAD + CASE.format(name="x") + rest)
    assert [(one.code, one.path) for one in findings] == [(code, path)]


def test_case_when_it_expects_nothing_then_refused(tmp_path: Path) -> None:
    _, (finding,) = load(tmp_path, a="tests: [{name: x, step: hub}]\n")
    assert "has 'expect', 'expect_error' or 'checks'" in finding.message


def test_fixture_when_csv_then_empty_cells_are_null_and_quotes_keep_commas(tmp_path: Path) -> None:
    text = """\
tests:
  - name: x
    step: hub
    given:
      a: |
        id, name
        1, "Lovelace, Ada"

        2,
    expect: {rows: {file: fixtures/out.csv}}
"""
    (tmp_path / "fixtures").mkdir()
    (tmp_path / "fixtures/out.csv").write_text("\ufeffid\n7\n", encoding="utf-8")
    (case,), findings = load(tmp_path, a=text)
    assert findings == ()
    assert case.given["a"].rows == ({"id": "1", "name": "Lovelace, Ada"}, {"id": "2", "name": None})
    assert case.expected is not None
    assert case.expected.rows == ({"id": "7"},)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ('"a,b\\n1\\n"', "line 2 of the CSV text has 1 cells, and the head line 2"),
        ('"a,A\\n1,2\\n"', "the CSV text names column 'a' twice"),
        ('"a,,b\\n"', "column 2 of the CSV text has no name"),
        ('""', "the CSV text has no head line"),
        ('"a\\n\\"x\\n"', "is no CSV"),
        ("{file: nix.csv}", "'nix.csv' cannot be read: No such file or directory"),
    ],
)
def test_fixture_when_broken_then_told_where_it_is_named(
    tmp_path: Path, rows: str, message: str
) -> None:
    text = f"{HEAD}  - name: x\n    step: hub\n    given: {{a: {rows}}}\n    expect: {{rows: []}}\n"
    _, (finding,) = load(tmp_path, a=text)
    assert message in finding.message
    assert (finding.code, finding.line, finding.path) == ("bad-fixture", 4, "tests[0].given.a")


def test_files_when_none_is_named_then_those_of_the_project(tmp_path: Path) -> None:
    for name in ("tests/sql/b.yaml", "tests/sql/a/c.yml", "tests/sql/rows.csv", "else/d.yaml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = find_test_files([], tmp_path)
    assert [file.name for file in found] == ["c.yml", "b.yaml"]
    named = [tmp_path / "else", tmp_path / "tests/sql/b.yaml", tmp_path / "else/d.yaml"]
    assert [file.name for file in find_test_files(named, tmp_path)] == ["d.yaml", "b.yaml"]


def test_files_when_there_is_none_then_said_where_one_goes(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no SQL tests found") as none:
        find_test_files([], tmp_path)
    assert none.value.where == str(tmp_path / "tests/sql")
    with pytest.raises(UsageError, match="does not exist"):
        find_test_files([tmp_path / "nix.yaml"], tmp_path)


@pytest.mark.parametrize("model", [SqlTestFile, SqlTest, ExpectedRows])
def test_reference_tells_of_every_key(model: type[SqlTestFile | SqlTest | ExpectedRows]) -> None:
    text = (ROOT / "docs/reference/sql-tests.md").read_text(encoding="utf-8")
    assert [name for name in model.model_fields if f"\n| `{name}` |" not in text] == []
