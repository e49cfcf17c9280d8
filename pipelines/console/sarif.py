"""Findings as SARIF 2.1.0, which code scanning takes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pipelines import __version__
from pipelines.console.finding_rules import RULES
from pipelines.console.fingerprints import fingerprints
from pipelines.console.words import clean

if TYPE_CHECKING:
    from pipelines.errors import Finding

SARIF_VERSION = "2.1.0"
SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
FINGERPRINT = "findingIdentity/v1"
_ROOT = "%SRCROOT%"


def sarif_text(findings: Sequence[Finding]) -> str:
    """``findings`` as one run of a SARIF log, every rule with it, in the order given.

    Paths are relative to the project; a line that is not known is told as the first. The
    fingerprint of a finding stays the same when lines or steps are put in above it.
    """
    unknown = sorted({finding.code for finding in findings} - RULES.keys())
    codes = [*RULES, *unknown]
    numbers = {code: number for number, code in enumerate(codes)}
    prints = fingerprints(findings)
    run = {
        "tool": {
            "driver": {
                "name": "pipeline",
                "version": __version__,
                "semanticVersion": __version__,
                "rules": [_rule(code) for code in codes],
            }
        },
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"description": {"text": "The project's folder."}}},
        "results": [
            _result(finding, numbers[finding.code], fingerprint)
            for finding, fingerprint in zip(findings, prints, strict=True)
        ],
    }
    log = {"$schema": SARIF_SCHEMA, "version": SARIF_VERSION, "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False)


def _rule(code: str) -> dict[str, Any]:
    rule = RULES.get(code)
    if rule is None:
        return {"id": code, "shortDescription": {"text": f"{code}."}}
    plain = (rule.summary.replace("`", ""), rule.remedy.replace("`", ""))
    return {
        "id": code,
        "shortDescription": {"text": plain[0]},
        "fullDescription": {"text": plain[0]},
        "help": {"text": " ".join(plain), "markdown": f"{rule.summary} {rule.remedy}"},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(finding: Finding, rule: int, fingerprint: str) -> dict[str, Any]:
    told = clean(replace(finding, file="", line=0, column=0).text())
    result: dict[str, Any] = {
        "ruleId": finding.code,
        "ruleIndex": rule,
        "level": finding.severity,
        "message": {"text": told},
        "partialFingerprints": {FINGERPRINT: fingerprint},
    }
    if finding.file:
        region = {"startLine": finding.line or 1}
        if finding.line and finding.column:
            region["startColumn"] = finding.column
        place = {"artifactLocation": _artifact(finding.file), "region": region}
        result["locations"] = [{"physicalLocation": place}]
    return result


def _artifact(file: str) -> dict[str, str]:
    path = Path(file)
    if path.is_absolute():  # outside of the project
        return {"uri": path.as_uri()}
    return {"uri": quote(path.as_posix()), "uriBaseId": _ROOT}
