"""Which way a picture runs, and which boxes stand behind which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pipelines.flows.arrows import Arrow

if TYPE_CHECKING:
    from pipelines.plan.graph import Graph

_NODE_WIDTH, _NODE_HEIGHT, _GAP, _FRAME = 140, 40, 40, 120
_WIDEST = 1800
"""Points; a wider picture is worth a look at the other direction."""


def choose_direction(graph: Graph) -> str:
    """``LR``, or ``TB`` where that would be too wide a picture and going down fits better."""
    depth: dict[str, int] = {}
    for step in graph.order:
        depth[step] = 1 + max((depth[parent] for parent in graph.parents(step)), default=0)
    levels = list(depth.values())
    deep = max(levels, default=1)
    wide = max((levels.count(level) for level in set(levels)), default=1)
    across = deep * (_NODE_WIDTH + _GAP), wide * (_NODE_HEIGHT + _GAP) + _FRAME
    down = wide * (_NODE_WIDTH + _GAP) + _FRAME, deep * (_NODE_HEIGHT + _GAP)
    if across[0] <= _WIDEST or _misfit(*across) <= _misfit(*down):
        return "LR"
    return "TB"


def _misfit(width: float, height: float, screen: float = 1.6) -> float:
    ratio = width / height / screen
    return max(ratio, 1 / ratio)


def find_columns(boxes: Iterable[str], arrows: Iterable[Arrow]) -> set[Arrow]:
    """Neighbours of one level of which the later needs the earlier, and never the other way."""
    crossings = {_crossing(arrow) for arrow in arrows}
    position = {box: number for number, box in enumerate(boxes)}
    return {
        Arrow(tail, head)
        for tail, head in crossings
        if tail != head
        and (head, tail) not in crossings
        and position.get(tail, 0) < position.get(head, 0)
    }


def _crossing(arrow: Arrow) -> tuple[str, str]:
    """The stages that ``arrow`` goes between, or the groups where both ends are in one stage."""
    tail, head = arrow.tail.split("."), arrow.head.split(".")
    if tail[0] != head[0]:
        return tail[0], head[0]
    return ".".join(tail[:2]), ".".join(head[:2])
