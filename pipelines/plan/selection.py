"""Which steps an expression such as `tag:pii,stage:gold+` means; the words are dbt's."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipelines.errors import SelectionError, near_names
from pipelines.results import Status

if TYPE_CHECKING:
    from pipelines.plan.graph import Graph, StepNode

_TERM = re.compile(r"(?P<at>@)?(?:(?P<up>\d*)\+)?(?P<body>[^+@]+)(?:\+(?P<down>\d*))?\Z")
METHODS = ("stage", "group", "tag", "owner", "result", "state", "step")


@dataclass(frozen=True)
class History:
    """What selection by the past needs to know.

    Attributes:
        statuses: status of each step in the last run, by id; None if there was no run.
        modified: ids of steps whose fingerprint is not that of their last success.
    """

    statuses: Mapping[str, str] | None = None
    modified: frozenset[str] = field(default_factory=frozenset)


def select_steps(
    graph: Graph,
    select: Sequence[str] = (),
    exclude: Sequence[str] = (),
    history: History | None = None,
) -> frozenset[str]:
    """Ids of the steps that ``select`` means, less those that ``exclude`` means.

    Each expression may hold several, joined by spaces (union); within one, commas
    intersect. Without ``select`` all steps are meant.

    Raises:
        SelectionError: an expression that cannot be read or that fits no step.
    """
    past = history or History()
    chosen = frozenset(graph.steps)
    if select:
        chosen = _union(graph, select, past)
    return chosen - _union(graph, exclude, past) if exclude else chosen


def _union(graph: Graph, expressions: Iterable[str], history: History) -> frozenset[str]:
    found: frozenset[str] = frozenset()
    for expression in " ".join(expressions).split():
        terms = [_term(graph, term, history) for term in expression.split(",")]
        found |= frozenset.intersection(*terms)
    return found


def _term(graph: Graph, term: str, history: History) -> frozenset[str]:
    match = _TERM.match(term)
    if match is None:
        raise SelectionError(
            f"cannot read the selection {term!r}",
            hint="write for example orders, +orders, orders+2, @orders, stage:gold or tag:pii",
        )
    roots = _roots(graph, match["body"], history)
    found = set(roots)
    for root in roots:
        if match["up"] is not None:
            found |= graph.ancestors(root, int(match["up"]) if match["up"] else None)
        if match["down"] is not None:
            found |= graph.descendants(root, int(match["down"]) if match["down"] else None)
        if match["at"]:
            below = graph.descendants(root)
            found |= below
            for step in (root, *below):
                found |= graph.ancestors(step)
    return frozenset(found)


def _roots(graph: Graph, body: str, history: History) -> frozenset[str]:
    method, colon, value = body.partition(":")
    if colon and method not in METHODS:
        near = near_names(method, METHODS)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(METHODS)}"
        raise SelectionError(f"unknown selection method {method!r} in {body!r}", hint=hint)
    if method == "state" and colon:
        if value != "modified":
            raise SelectionError(f"unknown state {value!r}", hint="known: modified")
        return history.modified
    if method == "result" and colon:
        known = [status.value for status in Status if status.is_final]
        if value not in known:
            near = near_names(value, known)
            hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
            raise SelectionError(f"unknown result {value!r} in {body!r}", hint=hint)
        if history.statuses is None:
            raise SelectionError(f"{body!r}: there is no earlier run to look at")
        return frozenset(
            step_id for step_id in graph.steps if history.statuses.get(step_id) == value
        )
    words = {
        step_id: _words(node, method if colon else "step") for step_id, node in graph.steps.items()
    }
    pattern = value if colon else body
    found = frozenset(
        step_id for step_id, names in words.items()
        if any(fnmatch.fnmatchcase(name, pattern) for name in names)
    )  # fmt: skip
    if not found:
        near = near_names(pattern, {name for names in words.values() for name in names})
        hint = f"did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise SelectionError(f"{body!r} fits no step", hint=hint)
    return found


def _words(node: StepNode, method: str) -> tuple[str, ...]:
    stage, group, name = node.stage.name, node.group.name, node.step.name
    if method == "stage":
        return (stage,)
    if method == "group":
        return (group, f"{stage}.{group}")
    if method == "tag":
        return tuple(node.tags)
    if method == "owner":
        return (node.step.owner,)
    return (name, f"{stage}.{name}", node.id)
