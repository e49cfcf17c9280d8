"""The lineage graph, walked up and down, and shown."""

from __future__ import annotations

import json

import pytest

from pipelines.console import lineage_text
from pipelines.lineage.graph import LineageGraph, LineageNode


def _node(text: str) -> LineageNode:
    table, _, column = text.partition(".")
    return LineageNode(table, column)


def _graph(*edges: str) -> LineageGraph:
    pairs = (edge.split(" -> ") for edge in edges)
    return LineageGraph((_node(source), _node(target)) for source, target in pairs)


DIAMOND = _graph("a.x -> b.x", "a.x -> c.x", "b.x -> d.x", "c.X -> d.x", "d.x -> e.x")


def test_graph_when_walked_then_each_edge_is_told_once_and_columns_without_case() -> None:
    up = list(DIAMOND.edges_from(_node("D.x".lower()), upstream=True))
    assert [f"{a} -> {b}" for a, b in up] == [
        "b.x -> d.x", "c.x -> d.x", "a.x -> b.x", "a.x -> c.x",
    ]  # fmt: skip
    down = list(DIAMOND.edges_from(_node("a.X"), upstream=False, depth=1))
    assert [f"{a} -> {b}" for a, b in down] == ["a.x -> b.x", "a.x -> c.x"]
    assert _node("a.X") in DIAMOND
    assert _node("a.y") not in DIAMOND


def test_graph_when_it_goes_round_then_the_walk_ends() -> None:
    ring = _graph("a -> b", "b -> a", "a -> a")
    assert len(list(ring.edges_from(_node("a"), upstream=False))) == 2
    assert lineage_text(ring, _node("a"), upstream=False).count("\n") == 2


def test_text_when_a_node_stands_above_then_its_branch_is_not_told_twice() -> None:
    assert lineage_text(DIAMOND, _node("e.x"), upstream=True).splitlines() == [
        "e.x",
        "└─ d.x",
        "   ├─ b.x",
        "   │  └─ a.x",
        "   └─ c.x",
        "      └─ a.x",
    ]


def test_json_and_mermaid_when_asked_for_then_hold_every_edge() -> None:
    said = json.loads(lineage_text(DIAMOND, _node("a.x"), upstream=False, fmt="json"))
    assert said["start"] == {"table": "a", "column": "x"}
    assert said["direction"] == "downstream"
    assert len(said["edges"]) == 5
    chart = lineage_text(DIAMOND, _node("a.x"), upstream=False, fmt="mermaid")
    assert chart.startswith("flowchart LR")
    assert chart.count("-->") == 5
    assert chart.count("subgraph") == 5
    with pytest.raises(ValueError, match="text, json, mermaid"):
        lineage_text(DIAMOND, _node("a.x"), upstream=False, fmt="xml")
