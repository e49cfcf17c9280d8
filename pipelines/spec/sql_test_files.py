"""Files of SQL tests found and read: all faults of all files at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import Finding, UsageError
from pipelines.spec.fixture_rows import FixtureRows, read_rows
from pipelines.spec.sql_tests import DEFAULT_RUN_DATE, Rows, SqlTest, SqlTestFile
from pipelines.spec.validation import validate
from pipelines.spec.yaml_document import Document, read_document

if TYPE_CHECKING:
    from datetime import date

TESTS_FOLDER = Path("tests") / "sql"
Place = tuple["str | int", ...]


@dataclass(frozen=True)
class SqlCase:
    """One SQL test, with its rows read.

    Attributes:
        spec: what the file says of it.
        document: the file.
        place: where the test stands in it.
        flow: name or path of its flow.
        run_date: the day of the run.
        vars: template variables.
        given: rows by the name of their view.
        expected: the rows that must come out; None where none are named.
    """

    spec: SqlTest
    document: Document
    place: Place
    flow: str
    run_date: date
    vars: Mapping[str, Any]
    given: Mapping[str, FixtureRows]
    expected: FixtureRows | None

    def finding(self, code: str, message: str, *within: str | int, **more: Any) -> Finding:
        """A finding at a place within the test."""
        return self.document.finding(code, message, (*self.place, *within), **more)


def find_test_files(named: Sequence[Path], project_dir: Path) -> tuple[Path, ...]:
    """The files that are meant: those named, and the YAML files in folders named.

    Without a name these are the files below `tests/sql` of the project.

    Raises:
        UsageError: a path does not exist, or there is no file at all.
    """
    found: dict[Path, None] = {}
    for path in named or [project_dir / TESTS_FOLDER]:
        if path.is_file():
            found[path.resolve()] = None
        elif path.is_dir():
            files = (one for one in path.rglob("*.y*ml") if one.suffix in (".yaml", ".yml"))
            found |= dict.fromkeys(sorted(file.resolve() for file in files))
        elif named:
            raise UsageError(f"{str(path)!r} does not exist", hint="name a file or a folder")
    if not found:
        raise UsageError(
            "no SQL tests found",
            where=", ".join(map(str, named)) or str(project_dir / TESTS_FOLDER),
            hint="add one, as NAME.yaml; docs/reference/sql-tests.md says how",
        )
    return tuple(found)


def load_cases(
    files: Sequence[Path], project_dir: Path
) -> tuple[tuple[SqlCase, ...], tuple[Finding, ...]]:
    """The tests in ``files``, in their order, and every fault of all the files.

    A file with a fault in its form gives no test; one with a fault in its rows gives all.
    """
    cases: list[SqlCase] = []
    findings: list[Finding] = []
    for file in files:
        root = project_dir.resolve()
        shown = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
        document = read_document(file, shown_as=shown)
        found = list(document.findings)
        spec = None
        if document.tree is not None or not found:
            spec, more = validate(SqlTestFile, document.tree, document)
            found += more
        if spec is not None and not found:
            cases += _cases(spec, document, file.parent, found)
        findings += sorted(found, key=lambda one: (one.line, one.column))
    return tuple(cases), tuple(findings)


def _cases(
    spec: SqlTestFile, document: Document, folder: Path, findings: list[Finding]
) -> Iterator[SqlCase]:
    first: dict[str, int] = {}
    for number, test in enumerate(spec.tests):
        place: Place = ("tests", number)
        if test.name in first:
            line, _ = document.locate(("tests", first[test.name], "name"))
            message = f"test {test.name!r} exists already, on line {line}"
            findings.append(document.finding("duplicate-name", message, (*place, "name")))
        first.setdefault(test.name, number)

        def rows(what: Rows, *within: str | int, at: Place = place) -> FixtureRows:
            found = read_rows(what, folder)
            findings.extend(
                document.finding("bad-fixture", problem, (*at, *within))
                for problem in found.problems
            )
            return found

        yield SqlCase(
            spec=test,
            document=document,
            place=place,
            flow=spec.flow,
            run_date=test.run_date or spec.run_date or DEFAULT_RUN_DATE,
            vars={**spec.vars, **test.vars},
            given={view: rows(what, "given", view) for view, what in test.given.items()},
            expected=rows(test.expect.rows, "expect", "rows") if test.expect else None,
        )
