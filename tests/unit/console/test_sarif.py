from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from pipelines import __version__, console
from pipelines.console.finding_rules import RULES
from pipelines.errors import Finding

FLOW = "pipelines/flows/main flow.yaml"
KEY = Finding(
    "unknown-key",
    "unknown key 'tag'",
    file=FLOW,
    line=11,
    column=15,
    path="pipeline.stages[0].groups[0].steps[2].tag",
    near=("tags",),
)
SECRET = Finding("missing-secret", "no provider has 'PW'", "warning", file=FLOW)
TWICE = replace(KEY, code="duplicate-key", message="key 'x' stands twice; the first is on line 3")

# What SARIF 2.1.0 says of the parts in use, and what code scanning of GitHub asks for besides:
# a help text for each rule; for each result a relative place with a line, and a fingerprint.
_TEXT = {"type": "string", "minLength": 1}
_MESSAGE = {"type": "object", "properties": {"text": _TEXT, "markdown": _TEXT},
            "required": ["text"], "additionalProperties": False}  # fmt: skip
_LEVEL = {"enum": ["none", "note", "warning", "error"]}


def _closed(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {**required, **(optional or {})},
        "required": list(required),
        "additionalProperties": False,
    }


_RULE = _closed(
    {
        "id": _TEXT,
        "shortDescription": _MESSAGE,
        "fullDescription": _MESSAGE,
        "help": _MESSAGE,
        "defaultConfiguration": _closed({"level": _LEVEL}),
    }
)
_NUMBER = {"type": "integer", "minimum": 1}
_PLACE = _closed(
    {
        "artifactLocation": _closed(
            {"uri": {"type": "string", "pattern": r"^[A-Za-z0-9._~%/-]+$"}, "uriBaseId": _TEXT}
        ),
        "region": _closed({"startLine": _NUMBER}, {"startColumn": _NUMBER}),
    }
)
_RESULT = _closed(
    {
        "ruleId": _TEXT,
        "ruleIndex": {"type": "integer", "minimum": 0},
        "level": _LEVEL,
        "message": _MESSAGE,
        "locations": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _closed({"physicalLocation": _PLACE}),
        },
        "partialFingerprints": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {"type": "string", "minLength": 8},
        },
    }
)
_DRIVER = _closed(
    {
        "name": {"const": "pipeline"},
        "version": {"const": __version__},
        "semanticVersion": {"type": "string", "pattern": r"^\d+\.\d+\.\d+"},
        "rules": {"type": "array", "uniqueItems": True, "items": _RULE},
    }
)
_LOG = _closed(
    {
        "$schema": {"type": "string", "pattern": "sarif-2.1.0"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "minItems": 1,
            "maxItems": 1,
            "items": _closed(
                {
                    "tool": _closed({"driver": _DRIVER}),
                    "columnKind": {"enum": ["unicodeCodePoints", "utf16CodeUnits"]},
                    "originalUriBaseIds": {
                        "type": "object",
                        "additionalProperties": _closed({"description": _MESSAGE}),
                    },
                    "results": {"type": "array", "items": _RESULT},
                }
            ),
        },
    }
)


def sarif(*findings: Finding) -> dict[str, Any]:
    log: dict[str, Any] = json.loads(console.findings_text(findings, "sarif"))
    return log


def results(*findings: Finding) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = sarif(*findings)["runs"][0]["results"]
    return made


def fingerprints(*findings: Finding) -> list[str]:
    return [
        text for result in results(*findings) for text in result["partialFingerprints"].values()
    ]


@pytest.mark.parametrize("findings", [(), (KEY,), (KEY, SECRET, TWICE, KEY)], ids=len)
def test_sarif_when_there_are_findings_then_it_is_of_the_standard_s_form(
    findings: tuple[Finding, ...],
) -> None:
    jsonschema.Draft202012Validator(_LOG).validate(sarif(*findings))


def test_sarif_when_a_finding_has_a_place_then_it_tells_file_line_and_column() -> None:
    (result,) = results(KEY)
    (location,) = result["locations"]
    place = location["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "pipelines/flows/main%20flow.yaml"
    assert place["region"] == {"startLine": 11, "startColumn": 15}
    assert (result["ruleId"], result["level"]) == ("unknown-key", "error")
    assert "unknown key 'tag'" in result["message"]["text"]
    assert "did you mean 'tags'?" in result["message"]["text"]


def test_sarif_when_the_line_is_unknown_then_it_tells_the_first() -> None:
    (result,) = results(SECRET)
    assert result["level"] == "warning"
    assert result["locations"][0]["physicalLocation"]["region"] == {"startLine": 1}


def test_sarif_when_a_file_is_outside_of_the_project_then_its_address_is_whole() -> None:
    (result,) = results(replace(KEY, file="/srv/a flow.yaml"))
    place = result["locations"][0]["physicalLocation"]["artifactLocation"]
    assert place == {"uri": "file:///srv/a%20flow.yaml"}


def test_sarif_when_a_result_names_its_rule_then_the_number_fits() -> None:
    log = sarif(KEY, SECRET, replace(KEY, code="of-tomorrow"))
    rules = log["runs"][0]["tool"]["driver"]["rules"]
    named = [(one["ruleId"], rules[one["ruleIndex"]]["id"]) for one in log["runs"][0]["results"]]
    assert all(code == rule for code, rule in named)
    assert {code for code, _ in named} == {"unknown-key", "of-tomorrow", "missing-secret"}


@pytest.mark.parametrize(
    "moved",
    [
        replace(KEY, line=40, column=17),
        replace(KEY, path="pipeline.stages[1].groups[0].steps[7].tag"),
        replace(KEY, hint="named in pipelines/flows/main_flow.yaml:90"),
    ],
)
def test_fingerprint_when_lines_are_put_in_above_then_it_stays(moved: Finding) -> None:
    assert fingerprints(moved) == fingerprints(KEY)


def test_fingerprint_when_the_message_tells_a_line_then_it_stays_too() -> None:
    later = replace(TWICE, line=14, message=TWICE.message.replace("line 3", "line 7"))
    assert fingerprints(later) == fingerprints(TWICE)


@pytest.mark.parametrize(
    "other",
    [
        replace(KEY, code="missing-key"),
        replace(KEY, file="b.yaml"),
        replace(KEY, message="unknown key 'tug'"),
        replace(KEY, path="pipeline.stages[0].tag"),
    ],
)
def test_fingerprint_when_it_is_another_finding_then_it_differs(other: Finding) -> None:
    assert fingerprints(other) != fingerprints(KEY)


def test_fingerprint_when_two_findings_are_alike_then_each_has_its_own() -> None:
    first, second = fingerprints(KEY, replace(KEY, line=20))
    assert first != second
    assert fingerprints(KEY) == [first]


def test_code_quality_report_tells_what_gitlab_asks_for() -> None:
    issues = json.loads(console.findings_text([SECRET, KEY], "gitlab"))
    assert [one["severity"] for one in issues] == ["critical", "minor"]
    assert [one["check_name"] for one in issues] == ["unknown-key", "missing-secret"]
    assert issues[0]["location"] == {"path": FLOW, "lines": {"begin": 11}}
    assert issues[1]["location"]["lines"] == {"begin": 1}
    assert "did you mean 'tags'?" in issues[0]["description"]
    assert [one["fingerprint"] for one in issues] == fingerprints(SECRET, KEY)


def test_rules_tell_what_to_do_in_sentences() -> None:
    for code, rule in RULES.items():
        assert rule.summary.endswith("."), code
        assert rule.remedy.endswith("."), code


def test_findings_for_github_when_they_hold_line_ends_then_none_gets_out() -> None:
    wild = Finding("cycle", "a\r\nb\rc 100%", file="x%,y:\rz.yaml", line=1, column=2)
    text = console.findings_text([wild], "github")
    assert text.splitlines()[1:] == ["1 error, 0 warnings"]
    command = text.splitlines()[0]
    assert command.startswith("::error file=x%25%2Cy%3A%0Dz.yaml,line=1,col=2,title=cycle::a%0Ab")
    assert command.endswith("c 100%25")
