"""Flows with faults as test cases: each says in its header what has to be found, and where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.errors import Finding

_EXPECTED = re.compile(
    r"# expect: (?P<code>\S+) at (?P<line>\d+)(?: in (?P<file>\S+))?(?: from (?P<named_on>\d+))?"
    r"(?: path (?P<path>\S+))?(?: near (?P<near>\S+))?$"
)


@dataclass(frozen=True)
class Expected:
    """What the header of a broken flow says of one finding.

    Attributes:
        code: the finding's code.
        line: its line.
        file: its file; empty is the flow itself.
        named_on: line of the flow that names that other file; 0 if there is none.
        path: its place in the document; empty if the header does not say.
        near: a name that it offers; empty if the header does not say.
    """

    code: str
    line: int
    file: str
    named_on: int
    path: str
    near: str


def expected_of(flow: Path) -> list[Expected]:
    """The header of a broken flow."""
    lines = [
        line for line in flow.read_text(encoding="utf-8").splitlines() if line.startswith("# e")
    ]
    matches = [_EXPECTED.match(line) for line in lines]
    assert all(matches), f"cannot read the header of {flow}"
    return [
        Expected(
            code=match["code"],
            line=int(match["line"]),
            file=match["file"] or f"pipelines/flows/{flow.name}",
            named_on=int(match["named_on"] or 0),
            path=match["path"] or "",
            near=match["near"] or "",
        )
        for match in matches
        if match
    ]


def compare(flow: Path, expected: list[Expected], found: tuple[Finding, ...]) -> None:
    """Fails unless ``found`` is what ``flow`` says of itself, each once."""
    assert sorted((one.code, one.file, one.line) for one in found) == sorted(
        (one.code, one.file, one.line) for one in expected
    ), "\n".join(one.text() for one in found)
    for want in expected:
        one = next(
            one
            for one in found
            if (one.code, one.file, one.line) == (want.code, want.file, want.line)
            and want.path in ("", one.path)
        )
        if want.near:
            assert want.near in one.near
            assert f"did you mean '{one.near[0]}'" in one.text()
        if want.named_on:
            assert f"pipelines/flows/{flow.name}:{want.named_on}" in one.text()
