"""What a check's SQL file says of itself in the comment lines at its top."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.errors import Finding, near_names
from pipelines.spec.expectations import parse_expectation

HEADERS = ("expect", "severity", "description", "owner", "returns", "show", "warn_at", "error_at",
           "scope")  # fmt: skip
_HEADER = re.compile(r"--\s*([A-Za-z_]+)\s*:(?!//)\s*(.*?)\s*\Z")


@dataclass(frozen=True)
class CheckHeader:
    """The headers of a check's file.

    Attributes:
        values: header -> text, only those that are there.
        show: columns whose values may stand unmasked in the log.
        scope: columns of which each value is right or wrong whatever other rows there are.
    """

    values: Mapping[str, str] = field(default_factory=dict)

    @property
    def show(self) -> tuple[str, ...]:
        """Columns that the check's author declares free of personal data."""
        return _listed(self.values.get("show", ""))

    @property
    def scope(self) -> tuple[str, ...]:
        """Columns, in lower case, of which each value is right or wrong by itself."""
        return _listed(self.values.get("scope", "").lower())


def read_check_header(text: str, file: str) -> tuple[CheckHeader, list[Finding]]:
    """The headers in the comment lines before the statement, and what is wrong with them.

    A comment line that is not ``-- word: text`` is a plain comment.
    """
    values: dict[str, str] = {}
    findings: list[Finding] = []

    def add(code: str, message: str, number: int, near: tuple[str, ...] = ()) -> None:
        hint = "" if near else f"known headers: {', '.join(HEADERS)}"
        findings.append(
            Finding(code, message, file=file, line=number, column=1, near=near, hint=hint)
        )

    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if stripped and not stripped.startswith("--"):
            break
        match = _HEADER.match(stripped)
        if match is None:
            continue
        name, value = match[1].lower(), match[2]
        if name not in HEADERS:
            add("unknown-header", f"unknown header {name!r}", number, near_names(name, HEADERS))
        elif name in values:
            add("duplicate-header", f"header {name!r} stands twice", number)
        else:
            values[name] = value
            problem = _problem(name, value)
            if problem:
                findings.append(Finding("bad-header", problem, file=file, line=number, column=1))
    if "expect" in values and values.keys() & {"warn_at", "error_at"}:
        message = "give 'expect', or 'warn_at' and 'error_at'"
        findings.append(Finding("bad-header", message, file=file, line=1, column=1))
    return CheckHeader(values), findings


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _problem(name: str, value: str) -> str:
    """What is wrong with a header's value; empty if nothing is."""
    if name == "severity" and value not in ("error", "warn"):
        return f"severity is 'error' or 'warn', not {value!r}"
    if name == "returns" and value not in ("value", "rows"):
        return f"returns is 'value' or 'rows', not {value!r}"
    if name == "scope" and not _listed(value):
        return "scope names no column"
    try:
        if name == "expect":
            parse_expectation(value)
        elif name in ("warn_at", "error_at"):
            float(value)
    except ValueError as error:
        return str(error)
    return ""
