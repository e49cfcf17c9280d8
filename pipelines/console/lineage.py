"""Lineage as a tree of text, as JSON, or as a Mermaid chart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.lineage.graph import Edge, LineageGraph, LineageNode

LINEAGE_FORMATS = ("text", "json", "mermaid")


def lineage_text(
    graph: LineageGraph,
    start: LineageNode,
    *,
    upstream: bool,
    depth: int | None = None,
    fmt: str = "text",
) -> str:
    """What ``start`` is made of, or what is made of it.

    Args:
        graph: of tables or columns.
        start: where to begin.
        upstream: whether to show what it is made of; else what is made of it.
        depth: how many edges far; None is all the way.
        fmt: one of

            - ``text``: a tree; what stands further up already is not spelt out again.
            - ``json``: an object with ``start``, ``direction`` and ``edges``, a list of pairs
              ``from`` and ``to``, each with ``table`` and ``column`` (empty for a whole table).
            - ``mermaid``: a flowchart, the tables as boxes around their columns.

    Raises:
        ValueError: a format that is none of these.
    """
    if fmt not in LINEAGE_FORMATS:
        raise ValueError(f"format {fmt!r} is none of {', '.join(LINEAGE_FORMATS)}")
    edges = list(graph.edges_from(start, upstream=upstream, depth=depth))
    if fmt == "json":
        return _as_json(start, edges, upstream=upstream)
    if fmt == "mermaid":
        return _as_mermaid(start, edges)
    lines = [str(start)]
    _branches(graph, start, lines, "", {start}, upstream=upstream, depth=depth)
    return "\n".join(lines)


def _branches(
    graph: LineageGraph,
    node: LineageNode,
    lines: list[str],
    indent: str,
    seen: set[LineageNode],
    *,
    upstream: bool,
    depth: int | None,
) -> None:
    if depth == 0:
        return
    following = graph.next_to(node, upstream=upstream)
    for number, other in enumerate(following):
        is_last = number == len(following) - 1
        again = other in seen and bool(graph.next_to(other, upstream=upstream))
        lines.append(f"{indent}{'└─' if is_last else '├─'} {other}{' …' if again else ''}")
        if other not in seen:
            seen.add(other)
            further = indent + ("   " if is_last else "│  ")
            less = None if depth is None else depth - 1
            _branches(graph, other, lines, further, seen, upstream=upstream, depth=less)


def _as_json(start: LineageNode, edges: list[Edge], *, upstream: bool) -> str:
    def node(one: LineageNode) -> dict[str, str]:
        return {"table": one.table, "column": one.column}

    said = {
        "start": node(start),
        "direction": "upstream" if upstream else "downstream",
        "edges": [{"from": node(source), "to": node(target)} for source, target in edges],
    }
    return json.dumps(said, indent=2, ensure_ascii=False)


def _as_mermaid(start: LineageNode, edges: list[Edge]) -> str:
    nodes = sorted({start, *(node for edge in edges for node in edge)})
    numbers = {node: f"n{number}" for number, node in enumerate(nodes)}
    lines = ["flowchart LR"]
    for count, table in enumerate(dict.fromkeys(node.table for node in nodes)):
        columns = [node for node in nodes if node.table == table]
        if columns == [columns[0]] and not columns[0].column:
            lines.append(f'    {numbers[columns[0]]}["{_label(table)}"]')
            continue
        lines.append(f'    subgraph t{count}["{_label(table)}"]')
        lines += [f'        {numbers[one]}["{_label(one.column or "*")}"]' for one in columns]
        lines.append("    end")
    lines += [f"    {numbers[source]} --> {numbers[target]}" for source, target in edges]
    lines.append(f"    style {numbers[start]} stroke-width:3px")
    return "\n".join(lines)


def _label(text: str) -> str:
    return text.replace('"', "#quot;")
