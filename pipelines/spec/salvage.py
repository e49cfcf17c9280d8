"""What is left of a broken flow once its faults are taken out, so that the rest is judged too."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipelines.spec.templated import NAME_PATTERN

if TYPE_CHECKING:
    from pipelines.errors import Finding

_PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
_STEP = ("pipeline", "stages", "groups", "steps")
_DATASOURCES = ("pipeline", "datasources")
_STEP_DEPTH = 7
"""Parts of a step's place: pipeline, stages, number, groups, number, steps, number."""


def salvage(tree: Any, findings: Iterable[Finding]) -> Any | None:
    """``tree`` with faulty steps and datasources replaced by empty ones, other keys taken out.

    Returns:
        A new tree; None where a fault has no place that could be taken out.
    """
    left = copy.deepcopy(tree)
    for finding in findings:
        place = _place(finding.path)
        is_step = (
            len(place) >= _STEP_DEPTH
            and tuple(place[::2][:1]) + tuple(place[1:6:2]) == _STEP
            and isinstance(place[_STEP_DEPTH - 1], int)  # else the steps are no list
        )
        if is_step:
            _empty_step(left, place)
        elif tuple(place[:2]) == _DATASOURCES and len(place) > len(_DATASOURCES):
            _at(left, _DATASOURCES)[place[2]] = {"type": "csv", "path": "unread"}
        elif finding.code == "missing-key" or not _take_out(left, place):
            return None
    return left


def _place(path: str) -> list[str | int]:
    return [int(number) if number else word for number, word in _PART.findall(path)]


def _empty_step(tree: Any, place: list[str | int]) -> None:
    """Puts a step in the place of a faulty one that only has its name and what it waits for."""
    steps = _at(tree, place[: _STEP_DEPTH - 1])
    number = int(place[_STEP_DEPTH - 1])
    raw = steps[number] if isinstance(steps[number], dict) else {}
    name, depends_on = raw.get("name"), raw.get("depends_on")
    is_name = isinstance(name, str) and re.match(NAME_PATTERN, name)
    if not is_name or place[_STEP_DEPTH:] == ["name"]:
        name = "_".join(["unread", *(str(part) for part in place if isinstance(part, int))])
    is_list = isinstance(depends_on, list) and all(isinstance(one, str) for one in depends_on)
    steps[number] = {
        "name": name,
        "depends_on": depends_on if is_list and "depends_on" not in place else [],
        "source": {"type": "delta", "query": "select 1 as id"},
        "destination": {"view": name},
    }


def _take_out(tree: Any, place: list[str | int]) -> bool:
    """Deletes a key; whether there is one to delete."""
    if not place:
        return False
    parent, last = _at(tree, place[:-1]), place[-1]
    if isinstance(parent, dict) and last in parent:
        del parent[last]
        return True
    # An earlier fault at the same place has been taken out already.
    return isinstance(parent, dict)


def _at(tree: Any, place: Iterable[str | int]) -> Any:
    for part in place:
        if isinstance(tree, dict):
            tree = tree.get(part)
        else:
            tree = tree[part] if isinstance(tree, list) and isinstance(part, int) else None
    return tree
