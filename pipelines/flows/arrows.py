"""Which arrows a picture of a DAG needs: as few as tell who waits for whom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.plan.graph import Graph

LINEAGE_STEPS = 60
"""Up to so many steps, arrows between steps are drawn even where their groups' arrow says it."""

Waits = Mapping[str, Iterable[str]]


@dataclass(frozen=True, order=True)
class Arrow:
    """``head`` waits for ``tail``: each the id of a step, or of a group or stage as a whole."""

    tail: str
    head: str


def find_arrows(graph: Graph, *, lineage: bool | None = None) -> tuple[Arrow, ...]:
    """The arrows to draw, sorted.

    What follows from other arrows is left out, and a group or stage that waits for another
    gets one arrow for all its steps.

    Args:
        graph: the DAG.
        lineage: whether dependencies between steps are drawn even where an arrow between
            their groups or stages implies them; None decides by the number of steps.
    """
    if lineage is None:
        lineage = len(graph.steps) <= LINEAGE_STEPS
    barriers = {
        Arrow(_box(tail), _box(head))
        for tail, head in _reduced(graph.waits_for)
        if not tail.endswith(":start") and not head.endswith(":end")
    }
    if not lineage:
        return tuple(sorted(barriers))
    between_steps = {
        step: [earlier for earlier in graph.waits_for[step] if earlier in graph.steps]
        for step in graph.steps
    }
    arrows = {Arrow(tail, head) for tail, head in _reduced(between_steps)}
    above = _ancestors(between_steps)
    for barrier in sorted(barriers - arrows):
        tails, heads = _ends(graph, arrows, barrier)
        pairs = {Arrow(tail, head) for tail in tails for head in heads}
        if len(tails) > 1 and len(heads) > 1 and pairs <= arrows:
            arrows = (arrows - pairs) | {barrier}
        elif not all(above.has(head, tail) for tail in tails for head in heads):
            arrows.add(barrier)
    return tuple(sorted(arrows))


def _box(node: str) -> str:
    return node.split(":", maxsplit=1)[0]


def _ends(graph: Graph, arrows: set[Arrow], barrier: Arrow) -> tuple[list[str], list[str]]:
    """The last steps of an arrow's tail and the first ones of its head."""
    tails, heads = _members(graph, barrier.tail), _members(graph, barrier.head)
    inner_tails = {arrow.tail for arrow in arrows if {arrow.tail, arrow.head} <= tails}
    inner_heads = {arrow.head for arrow in arrows if {arrow.tail, arrow.head} <= heads}
    return sorted(tails - inner_tails), sorted(heads - inner_heads)


def _members(graph: Graph, box: str) -> set[str]:
    if box in graph.steps:
        return {box}
    return {step for step in graph.steps if step.startswith(f"{box}.")}


class _Ancestors:
    """All that each node waits for, as one bit a node."""

    def __init__(self, waits: Waits) -> None:
        order = TopologicalSorter(waits).static_order()
        self.bit: dict[str, int] = {}
        self.masks: dict[str, int] = {}
        for number, node in enumerate(order):
            self.bit[node] = 1 << number
            self.masks[node] = 0
            for earlier in waits.get(node, ()):
                self.masks[node] |= self.bit[earlier] | self.masks[earlier]

    def has(self, node: str, earlier: str) -> bool:
        return bool(self.masks[node] & self.bit[earlier])


def _ancestors(waits: Waits) -> _Ancestors:
    return _Ancestors(waits)


def _reduced(waits: Waits) -> list[tuple[str, str]]:
    """The pairs (earlier, later) of ``waits`` that no longer way round implies."""
    above = _ancestors(waits)
    pairs = []
    for node, before in waits.items():
        implied = 0
        for earlier in before:
            implied |= above.masks[earlier]
        pairs += [(earlier, node) for earlier in before if not above.bit[earlier] & implied]
    return pairs
