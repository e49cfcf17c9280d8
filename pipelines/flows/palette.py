"""What a step looks like in a picture: its words, and its colours after a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.results import duration_text

if TYPE_CHECKING:
    from pipelines.plan.graph import Graph
    from pipelines.spec.steps import Step

Statuses = Mapping[str, tuple[str, float]]
"""Status and duration in seconds, by step id."""

TEXT = "#1b1f24"
QUIET_TEXT = "#4a5059"
LINE = "#59636e"


@dataclass(frozen=True)
class Look:
    """How a status is shown: never by colour alone, the border and the words tell it too."""

    word: str
    fill: str
    border: str
    style: str = "solid"
    width: float = 1.2


PLAIN = Look("", "#ffffff", LINE)
LOOKS: Mapping[str, Look] = {
    "success": Look("success", "#c5ead9", "#00684a", width=1.4),
    "failed": Look("FAILED", "#ffc6a8", "#a33500", width=3.5),
    "dq_failed": Look("CHECKS FAILED", "#ffe08a", "#7a5200", width=3.5),
    "blocked": Look("blocked", "#e6d3e3", "#7b3f72", "dashed", 1.8),
    "skipped": Look("skipped", "#eceef0", "#59636e", "dotted", 1.4),
    "checkpointed": Look("checkpointed", "#cfe6f7", "#0b5c94", width=1.4),
    "unchanged": Look("unchanged", "#e3eff9", "#0b5c94", "dotted", 1.4),
    "running": Look("running …", "#fff4b8", "#6b5d00", "dashed", 1.8),
    "pending": Look("pending", "#ffffff", "#59636e", "dotted", 1.4),
    "interrupted": Look("INTERRUPTED", "#f4d6d6", "#7d1f1f", "dashed", 2.4),
    "cancelled": Look("cancelled", "#f4d6d6", "#7d1f1f", "dotted", 1.8),
}


def look_of(status: str | None) -> Look:
    """The look of ``status``; None is a picture without a run."""
    if status is None:
        return PLAIN
    return LOOKS.get(status) or Look(status, "#ffffff", LINE)


def kind_text(step: Step, datasource_types: Mapping[str, str]) -> str:
    """What the step is made of and how it is written, such as ``jdbc · merge``."""
    written = "view" if step.destination.view else step.destination.mode.replace("_", " ")
    return f"{_kind(step, datasource_types)} · {written}"


def _kind(step: Step, datasource_types: Mapping[str, str]) -> str:
    source = step.source
    if source is None:
        return "script"
    if source.datasource is not None:
        return datasource_types.get(source.datasource, "jdbc")
    return str(source.type) if source.path is not None else "sql"


def status_text(status: tuple[str, float] | None) -> str:
    """The words for a step's status, such as ``success · 12.3 s``; empty without a run."""
    if status is None:
        return ""
    word = look_of(status[0]).word
    return f"{word} · {duration_text(status[1])}" if status[1] > 0 else word


def size_text(graph: Graph) -> str:
    """How big the flow is, such as ``12 steps in 5 groups and 3 stages``."""
    groups = {(node.stage.name, node.group.name) for node in graph.steps.values()}
    counts = (
        (len(graph.steps), "step"),
        (len(groups), "group"),
        (len({stage for stage, _ in groups}), "stage"),
    )
    steps, in_groups, stages = (f"{count} {word}{'s' * (count != 1)}" for count, word in counts)
    return f"{steps} in {in_groups} and {stages}"
