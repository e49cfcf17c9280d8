"""The plan of a run: which steps run, which are left out, and why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from pipelines.plan.graph import Graph, StepNode, build_graph
from pipelines.plan.selection import History, select_steps
from pipelines.plan.windows import Window, window_at
from pipelines.results import NOT_SELECTED

if TYPE_CHECKING:
    from datetime import date

    from pipelines.plan.small_run import SmallRun
    from pipelines.spec.flow import Flow


class Action(str, Enum):
    """What a run does with a step."""

    RUN = "run"
    SKIP = "skip"
    VIEW = "view"
    """Not selected, but its temp view is needed by a step that is."""


@dataclass(frozen=True)
class RunRequest:
    """What a user asked for.

    Attributes:
        run_id: names this run.
        run_date: the day that the run is for; SQL sees it as `run_date`.
        mode: SQL sees it as `run.mode`.
        batch_id: the command line's; it wins over the flow's.
        vars: the command line's; they win over the environment's and the flow's.
        select: expressions of the steps to run; empty is all.
        exclude: expressions of the steps to leave out.
        full_refresh: whether tables are built anew, whatever their mode.
        debug: whether plans are explained and Spark's warnings shown.
        small: what is small about the run; None is a regular one.
        given_window: the days that the run is for; None is its own.
    """

    run_id: str
    run_date: date
    mode: str = "daily"
    batch_id: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    full_refresh: bool = False
    debug: bool = False
    small: SmallRun | None = None
    given_window: Window | None = None

    @property
    def window(self) -> Window:
        """The given one, else the day of the run."""
        return self.given_window or window_at(self.run_date, "day")


@dataclass(frozen=True)
class PlannedStep:
    """A step and what the run does with it; ``reason`` says why where it does not just run."""

    node: StepNode
    action: Action
    reason: str = ""

    @property
    def id(self) -> str:
        """``stage.group.step``."""
        return self.node.id


@dataclass(frozen=True)
class Plan:
    """What a run would do, by step id, in the flow's order."""

    flow: Flow
    graph: Graph
    request: RunRequest
    steps: Mapping[str, PlannedStep]


def build_plan(
    flow: Flow, request: RunRequest, history: History | None = None, graph: Graph | None = None
) -> Plan:
    """The plan of ``request`` for ``flow``.

    Args:
        flow: the flow.
        request: what is asked of it.
        history: of the last run, where a selection asks for it.
        graph: of the flow, where it has been built already.

    Raises:
        FlowError: dependencies that do not resolve, or cycles.
        SelectionError: a selection that fits no step.
    """
    graph = graph or build_graph(flow)
    selected = select_steps(graph, request.select, request.exclude, history)
    needed_views = _needed_views(graph, selected)
    steps = {}
    for step_id, node in graph.steps.items():
        if step_id in selected:
            steps[step_id] = PlannedStep(node, Action.RUN)
        elif step_id in needed_views:
            steps[step_id] = PlannedStep(node, Action.VIEW, "a selected step reads its view")
        else:
            steps[step_id] = PlannedStep(node, Action.SKIP, NOT_SELECTED)
    return Plan(flow, graph, request, steps)


def _needed_views(graph: Graph, selected: frozenset[str]) -> frozenset[str]:
    """Steps that give a temp view which a selected step may read, selected or not."""
    views = {step_id for step_id, node in graph.steps.items() if node.step.destination.view}
    if not views or len(selected) == len(graph.steps):
        return frozenset()
    above = {step for chosen in selected for step in graph.ancestors(chosen)}
    return frozenset((views & above) - selected)
