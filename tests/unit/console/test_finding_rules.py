from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from pipelines.console.finding_rules import RULES, FindingRule

ROOT = Path(__file__).resolve().parents[3]
REFERENCE = ROOT / "docs" / "reference" / "findings.md"
CORPORA = ("broken_flows", "warned_flows", "analysed_flows")

# Every word with a hyphen in what judges a flow is a code, but for these.
NO_CODES = {"utf-8-sig", "read-only", "num-children"}
_HYPHENED = re.compile(r"[a-z]+(-[a-z]+)+")
_CODE = re.compile(r"[a-z]+([-_][a-z]+)*")
_MAKERS = {"Finding", "finding", "_finding", "add", "_wrong", "PydanticCustomError"}
_JUDGES = ("spec", "plan", "lineage", "execution/analysis", "execution/sql_tests", "prepared.py",
           "tested.py", "errors.py", "utils/sql_loader")  # fmt: skip


def row(code: str, rule: FindingRule) -> str:
    return f"| `{code}` | {rule.severity} | {rule.summary} | {rule.remedy} |"


def test_every_code_in_the_code_base_has_a_rule() -> None:
    used = dict(_used_codes())
    assert len(used) > 40, "the search finds too little to be right"
    missing = {code: file for code, file in used.items() if code not in RULES}
    assert not missing, "add to pipelines/console/finding_rules.py"


def test_every_rule_is_of_a_code_in_the_code_base() -> None:
    assert RULES.keys() <= dict(_used_codes()).keys()


def test_every_code_of_the_corpus_has_a_rule() -> None:
    expect = re.compile(r"^# expect: (\S+) at ", re.MULTILINE)
    codes = {
        code
        for folder in CORPORA
        for flow in (ROOT / "tests" / "fixtures" / folder).glob("*.yaml")
        for code in expect.findall(flow.read_text(encoding="utf-8"))
    }
    assert codes
    assert codes <= RULES.keys()


def test_reference_lists_every_rule_and_no_other() -> None:
    wanted = [row(code, rule) for code, rule in RULES.items()]
    text = REFERENCE.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if re.match(r"\| `[a-z-]+` \| (error|warn)", line)]
    assert found == wanted, "\n" + "\n".join(wanted)


def _used_codes() -> Iterator[tuple[str, str]]:
    for file in _files():
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if _HYPHENED.fullmatch(node.value) and node.value not in NO_CODES:
                    yield node.value, file.name
            elif isinstance(node, ast.Call) and _called(node) in _MAKERS:
                for argument in node.args[:2]:
                    value = getattr(argument, "value", None)
                    if isinstance(value, str) and _CODE.fullmatch(value):
                        yield value.replace("_", "-"), file.name
            elif isinstance(node, ast.FunctionDef):
                yield from ((code, file.name) for code in _defaults(node))


def _defaults(function: ast.FunctionDef) -> Iterator[str]:
    """What a parameter called ``code`` is where it is not given."""
    named = dict(zip(function.args.kwonlyargs, function.args.kw_defaults, strict=True))
    for argument, default in named.items():
        if argument.arg == "code" and isinstance(default, ast.Constant):
            yield str(default.value)


def _called(call: ast.Call) -> str:
    function = call.func
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def _files() -> Iterator[Path]:
    for name in _JUDGES:
        place = ROOT / "pipelines" / name
        yield from place.rglob("*.py") if place.is_dir() else [place]
