"""SQL tests as people read them while they run, and as JSON and JUnit's XML for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.console.rows_diff import cell_text, diff_lines
from pipelines.console.words import clean, render, styled, use_color
from pipelines.results import SqlTestStatus, duration_text

if TYPE_CHECKING:
    from pipelines.results import CheckSaid, SqlTestResult

SQL_TEST_FORMATS = ("text", "json", "junit")
_MARKS: Mapping[SqlTestStatus, tuple[str, str]] = {
    SqlTestStatus.PASSED: ("✓", "green"),
    SqlTestStatus.FAILED: ("✗", "bold red"),
    SqlTestStatus.ERROR: ("✗", "bold red"),
    SqlTestStatus.NOT_RUN: ("-", "dim"),
}
_SIGNS = {"-": "red", "+": "green", "~": "yellow"}
_INDENT = "    "


def sql_test_text(result: SqlTestResult, *, color: bool | None = None) -> str:
    """One test: a line, and below it what is wrong."""
    sign, style = _MARKS[result.status]
    step = result.step.rpartition(".")[2]
    head = f"{sign} {step}: {clean(result.name)}"
    if result.status is SqlTestStatus.NOT_RUN:
        head += "  not run"
    else:
        head += f"  {duration_text(result.duration_seconds)}"
    told = [(head, style), *((_INDENT + line, _style(line)) for line in _told(result))]
    if not (use_color(sys.stdout) if color is None else color):
        return "\n".join(line for line, _ in told)
    width = max(len(line) for line, _ in told) + 1
    return "\n".join(render(styled(*line), width=width, color=True) for line in told)


def sql_tests_summary(results: Sequence[SqlTestResult], seconds: float) -> str:
    """How many tests ended how: ``12 passed, 1 failed in 14.2 s``."""
    parts = [
        f"{number} {words}"
        for status, words in (
            (SqlTestStatus.PASSED, "passed"),
            (SqlTestStatus.FAILED, "failed"),
            (SqlTestStatus.ERROR, "broken"),
            (SqlTestStatus.NOT_RUN, "not run"),
        )
        if (number := sum(result.status is status for result in results))
    ]
    return f"{', '.join(parts) or 'no tests'} in {duration_text(seconds)}"


def sql_tests_report(results: Sequence[SqlTestResult], seconds: float, fmt: str) -> str:
    """All tests as ``json`` or ``junit``.

    Raises:
        ValueError: a format that is none of these.
    """
    if fmt not in _REPORTS:
        raise ValueError(f"format {fmt!r} is none of {', '.join(_REPORTS)}")
    return _REPORTS[fmt](results, seconds)


def _told(result: SqlTestResult) -> list[str]:
    """What is wrong with a test, in lines; nothing where it passed."""
    if not result.is_broken:
        return []
    lines = [f"{result.file}:{result.line}"]
    if result.description:
        lines += clean(result.description).splitlines()
    lines += _wrong(result)
    if result.empty_views:
        lines.append(f"empty, since nothing is given: {', '.join(result.empty_views)}")
    return lines


def _wrong(result: SqlTestResult) -> list[str]:
    """What broke, and what is not as expected."""
    lines = []
    if result.message:
        lines += clean(result.message).splitlines()
    if result.diff is not None:
        lines += diff_lines(result.diff)
    for check in result.checks:
        lines += _check_lines(check)
    return lines


def _check_lines(check: CheckSaid) -> list[str]:
    says = "must fail, and passes" if check.expected == "fails" else "must pass, and does not"
    lines = [f"{check.file} {says}: {clean(check.message)}"]
    for row in check.sample:
        lines.append("  " + ", ".join(f"{name}={cell_text(value)}" for name, value in row.items()))
    return lines


def _style(line: str) -> str:
    """The colour of a row of a difference, by its sign."""
    sign, _, rest = line.partition("  ")
    return _SIGNS.get(sign.rstrip("0123456789 "), "") if rest else ""


def _json(results: Sequence[SqlTestResult], seconds: float) -> str:
    counts = {
        status.value: sum(result.status is status for result in results) for status in SqlTestStatus
    }
    said: dict[str, Any] = {
        "duration_seconds": round(seconds, 3),
        "counts": counts,
        "tests": [result.as_dict() for result in results],
    }
    return json.dumps(said, indent=2, ensure_ascii=False)


def _junit(results: Sequence[SqlTestResult], seconds: float) -> str:
    """A suite for each file; the class of a test is its step."""
    from xml.etree import ElementTree as xml

    root = xml.Element("testsuites", _totals(results, seconds) | {"name": "pipeline test"})
    for file in dict.fromkeys(result.file for result in results):
        of_file = [result for result in results if result.file == file]
        time = sum(result.duration_seconds for result in of_file)
        suite = xml.SubElement(root, "testsuite", _totals(of_file, time) | {"name": file})
        for result in of_file:
            case = xml.SubElement(
                suite,
                "testcase",
                {
                    "classname": clean(result.step),
                    "name": clean(result.name),
                    "file": result.file,
                    "line": str(result.line),
                    "time": f"{result.duration_seconds:.3f}",
                },
            )
            if result.status is SqlTestStatus.NOT_RUN:
                xml.SubElement(case, "skipped", {"message": "an earlier test failed"})
            elif result.is_broken:
                tag = "error" if result.status is SqlTestStatus.ERROR else "failure"
                wrong = _wrong(result)
                told = xml.SubElement(case, tag, {"message": wrong[0] if wrong else ""})
                told.text = "\n".join(_told(result))
    xml.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + xml.tostring(root, encoding="unicode")


def _totals(results: Sequence[SqlTestResult], seconds: float) -> dict[str, str]:
    def count(status: SqlTestStatus) -> str:
        return str(sum(result.status is status for result in results))

    return {
        "tests": str(len(results)),
        "failures": count(SqlTestStatus.FAILED),
        "errors": count(SqlTestStatus.ERROR),
        "skipped": count(SqlTestStatus.NOT_RUN),
        "time": f"{seconds:.3f}",
    }


_REPORTS: Mapping[str, Callable[[Sequence[SqlTestResult], float], str]] = {
    "json": _json,
    "junit": _junit,
}
