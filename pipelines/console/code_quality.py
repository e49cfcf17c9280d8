"""Findings as the code quality report that GitLab takes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.console.fingerprints import fingerprints
from pipelines.console.words import clean

if TYPE_CHECKING:
    from pipelines.errors import Finding

_SEVERITIES: Mapping[str, str] = {"error": "critical", "warning": "minor"}


def code_quality_text(findings: Sequence[Finding]) -> str:
    """``findings`` as a list in JSON, in the order given.

    Errors are ``critical``, warnings ``minor``; a line that is not known is told as the first.
    """
    prints = fingerprints(findings)
    issues = [_issue(one, known) for one, known in zip(findings, prints, strict=True)]
    return json.dumps(issues, indent=2, ensure_ascii=False)


def _issue(finding: Finding, fingerprint: str) -> dict[str, Any]:
    return {
        "check_name": finding.code,
        "description": clean(replace(finding, file="", line=0, column=0).text()),
        "severity": _SEVERITIES[finding.severity],
        "fingerprint": fingerprint,
        "location": {
            "path": Path(finding.file).as_posix(),
            "lines": {"begin": finding.line or 1},
        },
    }
