"""A DAG as Graphviz's DOT."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import TYPE_CHECKING

from graphviz import Digraph

from pipelines.flows.arrows import Arrow, find_arrows
from pipelines.flows.layout import choose_direction, find_columns
from pipelines.flows.palette import (
    LINE,
    LOOKS,
    QUIET_TEXT,
    TEXT,
    Statuses,
    kind_text,
    look_of,
    size_text,
    status_text,
)

if TYPE_CHECKING:
    from pipelines.plan.graph import Graph, StepNode

FONT = "Helvetica,Arial,DejaVu Sans,sans-serif"
STAGE_FILLS = ("#f4f6f8", "#eef3f8")
GROUP_FILL = "#fbfcfd"
_THICK = {
    "penwidth": "2.4",
    "color": "#8c959f",
    "arrowsize": "0.9",
    "weight": "4",
    "minlen": "3",
}


def dot_source(
    graph: Graph,
    *,
    title: str,
    statuses: Statuses | None = None,
    datasource_types: Mapping[str, str] | None = None,
    dots_per_inch: int | None = None,
) -> str:
    """The DOT text of ``graph``.

    Args:
        graph: the DAG.
        title: heading of the picture.
        statuses: status and seconds of each step of a run, by step id; None draws no run.
        datasource_types: type of each datasource by name; `jdbc` where it is not known.
        dots_per_inch: resolution of a bitmap; None leaves it to the format.
    """
    body = _Body(graph, find_arrows(graph), statuses, datasource_types or {})
    picture = Digraph("flow")
    picture.attr(
        "graph",
        rankdir=choose_direction(graph),
        compound="true",
        newrank="true",
        fontname=FONT,
        fontsize="11",
        fontcolor=TEXT,
        bgcolor="#ffffff",
        nodesep="0.22",
        ranksep="0.25",
        pad="0.3",
        labelloc="t",
        labeljust="l",
        label=_heading(graph, title, statuses, body),
    )
    if dots_per_inch:
        picture.attr("graph", dpi=str(dots_per_inch))
    picture.attr(
        "node",
        shape="box",
        style="rounded,filled",
        fontname=FONT,
        fontsize="11",
        fontcolor=TEXT,
        color=LINE,
        fillcolor="#ffffff",
        margin="0.12,0.06",
        height="0.3",
    )
    picture.attr("edge", color=LINE, arrowsize="0.7", penwidth="1.1", minlen="2")
    body.draw(picture)
    return str(picture.source)


class _Body:
    """Draws clusters, nodes and edges of one picture."""

    def __init__(
        self,
        graph: Graph,
        arrows: Iterable[Arrow],
        statuses: Statuses | None,
        datasource_types: Mapping[str, str],
    ) -> None:
        self.graph, self.arrows, self.statuses = graph, tuple(arrows), statuses
        self.datasource_types = datasource_types
        between_steps = find_arrows(graph, lineage=True)
        self.hidden = [
            arrow
            for arrow in between_steps
            if arrow not in self.arrows and {arrow.tail, arrow.head} <= graph.steps.keys()
        ]
        """Arrows that are not drawn but still put each step beside what it depends on."""
        self.ids = {
            step: step if re.fullmatch(r"[\w.]+", step) else f"step{number}"
            for number, step in enumerate(graph.steps)
        }
        self.boxes: dict[str, str] = {}
        self.members: dict[str, list[str]] = {}
        for node in graph.steps.values():
            for box in (node.stage.name, f"{node.stage.name}.{node.group.name}"):
                self.boxes.setdefault(box, f"cluster_{len(self.boxes)}")
                self.members.setdefault(box, []).append(node.id)
        self.columns = find_columns(self.boxes, between_steps) - set(self.arrows)
        """Boxes of which one stands behind the other, though no arrow says so as a whole."""
        whole = {*self.arrows, *self.columns}
        self.ends = {arrow.tail for arrow in whole} & self.boxes.keys()
        self.starts = {arrow.head for arrow in whole} & self.boxes.keys()
        self.has_thick = any({arrow.tail, arrow.head} & self.boxes.keys() for arrow in self.arrows)

    def draw(self, picture: Digraph) -> None:
        by_stage = groupby(self.graph.steps.values(), key=lambda node: node.stage.name)
        for number, (stage, nodes) in enumerate(by_stage):
            with picture.subgraph(name=self.boxes[stage]) as cluster:
                cluster.attr(
                    label=f"<<b>{html.escape(stage)}</b>>",
                    style="rounded,filled",
                    fillcolor=STAGE_FILLS[number % 2],
                    color="#8c959f",
                    penwidth="1.2",
                    fontsize="14",
                    margin="14",
                    labeljust="l",
                    labelloc="t",
                )
                self.anchors(cluster, stage)
                for group, members in groupby(nodes, key=lambda node: node.group.name):
                    self.group(cluster, f"{stage}.{group}", group, members)
        for arrow in self.arrows:
            self.edge(picture, arrow)
        for arrow in sorted(self.columns):
            tail, head = self.boxes[arrow.tail], self.boxes[arrow.head]
            picture.edge(f"{tail}_end", f"{head}_start", minlen="1", style="invis")
        for arrow in self.hidden:
            picture.edge(self.ids[arrow.tail], self.ids[arrow.head], minlen="1", style="invis")

    def group(self, cluster: Digraph, box: str, name: str, members: Iterable[StepNode]) -> None:
        with cluster.subgraph(name=self.boxes[box]) as inner:
            inner.attr(
                label=html.escape(name).join(("<", ">")),
                style="rounded,filled",
                fillcolor=GROUP_FILL,
                color="#b6bec7",
                penwidth="1",
                fontsize="12",
                fontcolor=QUIET_TEXT,
                margin="10",
                labeljust="l",
                labelloc="t",
            )
            self.anchors(inner, box)
            for node in members:
                self.step(inner, node)

    def step(self, cluster: Digraph, node: StepNode) -> None:
        status = (self.statuses or {}).get(node.id) if self.statuses is not None else None
        look = look_of(status[0] if status else None)
        small = f'<font point-size="9" color="{QUIET_TEXT}">%s</font>'
        lines = [f"<b>{html.escape(node.step.name)}</b>"]
        lines.append(small % html.escape(kind_text(node.step, self.datasource_types)))
        if status:
            words = html.escape(status_text(status))
            lines.append(f'<font point-size="9" color="{TEXT}">{words}</font>')
        cluster.node(
            self.ids[node.id],
            label=f"<{'<br/>'.join(lines)}>",
            fillcolor=look.fill,
            color=look.border,
            style=f"rounded,filled,{look.style}",
            penwidth=str(look.width),
            tooltip=html.escape(node.id),
        )

    def anchors(self, cluster: Digraph, box: str) -> None:
        """Unseen points before and behind a box, so that what waits for all of it stands behind."""
        hidden = {"style": "invis", "shape": "point", "width": "0", "height": "0", "label": ""}
        cluster_id = self.boxes[box]
        if box in self.ends:
            cluster.node(f"{cluster_id}_end", **hidden)
            for step in self.members[box]:
                cluster.edge(self.ids[step], f"{cluster_id}_end", style="invis", minlen="1")
        if box in self.starts:
            cluster.node(f"{cluster_id}_start", **hidden)
            for step in self.members[box]:
                cluster.edge(f"{cluster_id}_start", self.ids[step], style="invis", minlen="1")

    def edge(self, picture: Digraph, arrow: Arrow) -> None:
        more: dict[str, str] = {}
        tail, head = self.ids.get(arrow.tail, ""), self.ids.get(arrow.head, "")
        if not tail:
            more["ltail"] = self.boxes[arrow.tail]
            tail = f"{more['ltail']}_end"
        if not head:
            more["lhead"] = self.boxes[arrow.head]
            head = f"{more['lhead']}_start"
        if more:
            more |= _THICK
        picture.edge(tail, head, **more)


def _heading(graph: Graph, title: str, statuses: Statuses | None, body: _Body) -> str:
    """Title, size, and a legend of what occurs, as an HTML-like label."""
    notes = [size_text(graph)]
    if body.has_thick:
        notes.append("thick arrow: waits for all of it")
    if body.hidden:
        notes.append(f"{len(body.hidden)} arrows between steps are implied and not drawn")
    quiet = f'<font color="{QUIET_TEXT}">{" · ".join(notes)}</font>'
    rows = [f'<font point-size="18"><b>{html.escape(title)}</b></font>', quiet]
    if statuses and any(step in statuses for step in graph.steps):
        rows.append(_legend(graph, statuses))
    cells = "".join(f'<tr><td align="left">{row}</td></tr>' for row in rows)
    return f'<<table border="0" cellborder="0" cellspacing="2">{cells}</table>>'


def _legend(graph: Graph, statuses: Statuses) -> str:
    found = [statuses[step][0] for step in graph.steps if step in statuses]
    cells = []
    for status in [*(word for word in LOOKS if word in found), *sorted(set(found) - LOOKS.keys())]:
        look = look_of(status)
        style = "rounded" if look.style == "solid" else f"rounded,{look.style}"
        cells.append(
            f'<td border="{max(1, round(look.width))}" style="{style}" cellpadding="5"'
            f' bgcolor="{look.fill}" color="{look.border}">'
            f"{found.count(status)} {html.escape(look.word)}</td>"
        )
    return f'<table border="0" cellspacing="6"><tr>{"".join(cells)}</tr></table>'
