"""A DAG as Mermaid's flowchart, as GitHub and many wikis show it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from pipelines.flows.arrows import find_arrows
from pipelines.flows.layout import choose_direction
from pipelines.flows.palette import TEXT, Statuses, kind_text, look_of, status_text

if TYPE_CHECKING:
    from pipelines.plan.graph import Graph

_DASHES = {"dashed": "5 4", "dotted": "2 3"}


def mermaid_source(
    graph: Graph,
    *,
    title: str,
    statuses: Statuses | None = None,
    datasource_types: Mapping[str, str] | None = None,
) -> str:
    """The Mermaid text of ``graph``; the arguments are those of ``dot_source``."""
    ids: dict[str, str] = {}
    lines = ["---", f"title: {json.dumps(title)}", "---", f"flowchart {choose_direction(graph)}"]
    for stage, nodes in groupby(graph.steps.values(), key=lambda node: node.stage.name):
        ids[stage] = f"stage{len(ids)}"
        lines.append(f"    subgraph {ids[stage]}[{_quoted(stage)}]")
        for group, members in groupby(nodes, key=lambda node: node.group.name):
            box = f"{stage}.{group}"
            ids[box] = f"group{len(ids)}"
            lines.append(f"        subgraph {ids[box]}[{_quoted(group)}]")
            for node in members:
                ids[node.id] = f"step{len(ids)}"
                status = (statuses or {}).get(node.id)
                parts = [node.step.name, kind_text(node.step, datasource_types or {})]
                parts += [status_text(status)] if status else []
                label = "<br/>".join(_escaped(part) for part in parts)
                mark = f":::{_class_name(status[0])}" if status else ""
                lines.append(f'            {ids[node.id]}("{label}"){mark}')
            lines.append("        end")
        lines.append("    end")
    for arrow in find_arrows(graph):
        shaft = "-->" if arrow.tail in graph.steps and arrow.head in graph.steps else "==>"
        lines.append(f"    {ids[arrow.tail]} {shaft} {ids[arrow.head]}")
    for word in sorted({status for status, _ in (statuses or {}).values()}):
        look = look_of(word)
        dash = f",stroke-dasharray:{_DASHES[look.style]}" if look.style in _DASHES else ""
        lines.append(
            f"    classDef {_class_name(word)} fill:{look.fill},stroke:{look.border},"
            f"stroke-width:{look.width}px,color:{TEXT}{dash}"
        )
    return "\n".join(lines) + "\n"


def _class_name(status: str) -> str:
    return "status_" + re.sub(r"\W", "_", status)


def _escaped(text: str) -> str:
    """``text`` with what Mermaid or HTML would take for syntax as entities."""
    return re.sub(r'[&<>"#`\\;]', lambda match: f"#{ord(match[0])};", " ".join(text.split()))


def _quoted(text: str) -> str:
    return f'"{_escaped(text)}"'
