"""Findings as text, JSON, SARIF, or what GitHub and GitLab show in a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.console.words import clean, counted

if TYPE_CHECKING:
    from pipelines.errors import Finding

FINDING_FORMATS = ("text", "json", "sarif", "github", "gitlab")


def findings_text(findings: Iterable[Finding], fmt: str = "text") -> str:
    r"""``findings``, errors first, then warnings, each in the order given.

    Args:
        findings: what was found.
        fmt: one of

            - ``text``: for people; the last line counts, such as ``2 errors, 1 warning``.
            - ``json``: a list of objects with the keys ``code``, ``message``, ``severity``
              (``error`` or ``warning``), ``file``, ``line``, ``column`` (from 1, 0 if not known),
              ``path``, ``found``, ``hint`` (empty if there is none) and ``near`` (a list).
            - ``sarif``: SARIF 2.1.0, for code scanning.
            - ``github``: workflow commands, which show up at the line in a pull request;
              the last line counts.
            - ``gitlab``: a code quality report.

    Raises:
        ValueError: a format that is none of these.
    """
    if fmt not in FINDING_FORMATS:
        raise ValueError(f"format {fmt!r} is none of {', '.join(FINDING_FORMATS)}")
    ordered = sorted(findings, key=lambda finding: finding.severity != "error")
    if fmt == "json":
        return json.dumps([finding.as_dict() for finding in ordered], indent=2, ensure_ascii=False)
    if fmt == "sarif":
        from pipelines.console.sarif import sarif_text

        return sarif_text(ordered)
    if fmt == "gitlab":
        from pipelines.console.code_quality import code_quality_text

        return code_quality_text(ordered)
    errors = sum(finding.severity == "error" for finding in ordered)
    total = f"{counted(errors, 'error')}, {counted(len(ordered) - errors, 'warning')}"
    return "\n".join([*map(_LINES[fmt], ordered), total])


def _as_text(finding: Finding) -> str:
    return f"{finding.severity}[{finding.code}]: {clean(finding.text())}"


def _as_github(finding: Finding) -> str:
    place: dict[str, object] = {}
    if finding.file:
        place["file"] = finding.file
        if finding.line:
            place["line"] = finding.line
            if finding.column:
                place["col"] = finding.column
    place["title"] = finding.code
    properties = ",".join(f"{key}={_property(value)}" for key, value in place.items())
    told = clean(replace(finding, file="", line=0, column=0).text())
    return f"::{finding.severity} {properties}::{_data(told)}"


def _data(text: object) -> str:
    escaped = str(text).replace("%", "%25")
    return escaped.replace("\r", "%0D").replace("\n", "%0A")


def _property(value: object) -> str:
    return _data(value).replace(":", "%3A").replace(",", "%2C")


_LINES: Mapping[str, Callable[[Finding], str]] = {"text": _as_text, "github": _as_github}
