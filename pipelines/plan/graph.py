"""The DAG: which step waits for which, from the `depends_on` of three levels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING, Any

from pipelines.errors import Finding, FlowError, near_names

if TYPE_CHECKING:
    from pipelines.spec.flow import Flow, Group, Stage
    from pipelines.spec.steps import Step

Place = tuple["str | int", ...]


@dataclass(frozen=True)
class StepNode:
    """A step where it stands in the flow.

    Attributes:
        id: ``stage.group.step``.
        place: its place in the YAML document.
    """

    id: str
    stage: Stage
    group: Group
    step: Step
    place: Place

    @property
    def tags(self) -> frozenset[str]:
        """Its own tags and those of its group and stage."""
        return frozenset((*self.step.tags, *self.group.tags, *self.stage.tags))


@dataclass(frozen=True)
class Graph:
    """The DAG of a flow.

    Between steps stand barriers: the start and the end of each group and stage
    (``silver:start``, ``silver.hubs:end``). So a stage of thousands of steps after another
    one costs thousands of edges, not millions.

    Attributes:
        steps: every step by id, in the flow's order.
        waits_for: for every step and barrier, those that must be done before.
    """

    steps: Mapping[str, StepNode]
    waits_for: Mapping[str, frozenset[str]]
    _ancestors: dict[str, frozenset[str]] = field(default_factory=dict, repr=False, compare=False)

    def sorter(self) -> TopologicalSorter[str]:
        """A fresh sorter over steps and barriers, ready to hand out what may start."""
        sorter = TopologicalSorter(self.waits_for)
        sorter.prepare()
        return sorter

    @cached_property
    def order(self) -> tuple[str, ...]:
        """Step ids, each after all that it waits for; the flow's order where it is free."""
        position = {step_id: number for number, step_id in enumerate(self.steps)}
        sorter, order = self.sorter(), []
        while sorter.is_active():
            ready = sorted(sorter.get_ready(), key=lambda node: position.get(node, -1))
            order += [node for node in ready if node in position]
            sorter.done(*ready)
        return tuple(order)

    @cached_property
    def path_lengths(self) -> Mapping[str, int]:
        """For every step and barrier, the steps of the longest path that begins with it."""
        lengths: dict[str, int] = {}
        for node in reversed(tuple(TopologicalSorter(self.waits_for).static_order())):
            longest = max((lengths[one] for one in self.followed_by[node]), default=0)
            lengths[node] = longest + (node in self.steps)
        return lengths

    @cached_property
    def followed_by(self) -> Mapping[str, frozenset[str]]:
        """For every step and barrier, those that wait for it."""
        followers: dict[str, set[str]] = defaultdict(set)
        for node, before in self.waits_for.items():
            for earlier in before:
                followers[earlier].add(node)
        return {node: frozenset(followers[node]) for node in self.waits_for}

    def ancestors(self, step_id: str, depth: int | None = None) -> frozenset[str]:
        """Steps that ``step_id`` depends on, directly or through others.

        Args:
            step_id: a step's id.
            depth: how many steps far; None is all the way.
        """
        return self._reach(step_id, self.waits_for, depth)

    def descendants(self, step_id: str, depth: int | None = None) -> frozenset[str]:
        """Steps that depend on ``step_id``, directly or through others."""
        return self._reach(step_id, self.followed_by, depth)

    def parents(self, step_id: str) -> frozenset[str]:
        """Steps that ``step_id`` waits for with no step between."""
        return self._reach(step_id, self.waits_for, 1)

    def _reach(
        self, step_id: str, edges: Mapping[str, frozenset[str]], depth: int | None
    ) -> frozenset[str]:
        found: set[str] = set()
        seen = {step_id}
        layer = [step_id]
        while layer and (depth is None or depth > 0):
            steps = _next_steps(layer, edges, self.steps, seen)
            found.update(steps)
            layer = steps
            depth = None if depth is None else depth - 1
        return frozenset(found)


def _next_steps(
    layer: Iterable[str], edges: Mapping[str, frozenset[str]], steps: Mapping[str, StepNode],
    seen: set[str],
) -> list[str]:  # fmt: skip
    """The steps next to ``layer``, looking through barriers."""
    pending, reached = list(layer), list[str]()
    while pending:
        for node in edges[pending.pop()]:
            if node not in seen:
                seen.add(node)
                (reached if node in steps else pending).append(node)
    return reached


def build_graph(flow: Flow) -> Graph:
    """The DAG of ``flow``.

    Raises:
        FlowError: unknown or ambiguous dependencies, and cycles, all at once.
    """
    builder = _GraphBuilder(flow)
    builder.read()
    findings = list(builder.findings)
    while True:
        graph = Graph(builder.steps, {node: frozenset(b) for node, b in builder.edges.items()})
        try:
            graph.sorter()
        except CycleError as error:
            around = error.args[1]
            if len(findings) == len(builder.findings):  # one way round is often part of others
                findings.append(builder.cycle_finding(around))
            builder.edges[around[-1]].discard(around[-2])
        else:
            break
    if findings:
        raise FlowError(findings, graph)
    return graph


class _GraphBuilder:
    """Gathers steps, edges and findings; one for each flow."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.steps: dict[str, StepNode] = {}
        self.edges: dict[str, set[str]] = {}
        self.names: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.places: dict[str, Place] = {}
        self.findings: list[Finding] = []
        self.pending: list[tuple[str, str, tuple[str, ...]]] = []

    def read(self) -> None:
        for i, stage in enumerate(self.flow.pipeline.stages):
            place: Place = ("pipeline", "stages", i)
            self.add_box("stage", stage.name, stage.name, place, stage.depends_on)
            previous = ""
            for j, group in enumerate(stage.groups):
                group_id = f"{stage.name}.{group.name}"
                self.add_group(stage, group, (*place, "groups", j))
                self.edges[f"{group_id}:start"].add(f"{stage.name}:start")
                self.edges[f"{stage.name}:end"].add(f"{group_id}:end")
                if previous and not stage.parallel:
                    self.edges[f"{group_id}:start"].add(f"{previous}:end")
                previous = group_id
        for node, owner, references in self.pending:
            for number, reference in enumerate(references):
                self.link(node, owner, reference, number)

    def add_group(self, stage: Stage, group: Group, place: Place) -> None:
        group_id = f"{stage.name}.{group.name}"
        self.add_box("group", group_id, group.name, place, group.depends_on)
        previous = ""
        for k, step in enumerate(group.steps):
            step_id = f"{group_id}.{step.name}"
            at = (*place, "steps", k)
            self.steps[step_id] = StepNode(step_id, stage, group, step, at)
            self.edges[step_id] = {f"{group_id}:start"}
            self.edges[f"{group_id}:end"].add(step_id)
            self.name_it("step", step_id, step.name, at)
            self.names[f"{stage.name}.{step.name}"].append(("step", step_id))
            self.pending.append((step_id, step_id, step.depends_on))
            if previous and not group.parallel:
                self.edges[step_id].add(previous)
            previous = step_id

    def add_box(
        self, kind: str, box_id: str, name: str, place: Place, references: tuple[str, ...]
    ) -> None:
        self.edges[f"{box_id}:start"] = set()
        self.edges[f"{box_id}:end"] = set()
        self.name_it(kind, box_id, name, place)
        self.pending.append((f"{box_id}:start", box_id, references))

    def name_it(self, kind: str, thing_id: str, name: str, place: Place) -> None:
        self.places[thing_id] = place
        for alias in {name, thing_id}:
            self.names[alias].append((kind, thing_id))

    def link(self, node: str, owner: str, reference: str, number: int) -> None:
        place = (*self.places[owner], "depends_on", number)
        candidates = sorted(set(self.names.get(reference, ())))
        if reference in self.steps:  # stage.group.step is always exact
            candidates = [("step", reference)]
        if not candidates:
            self.add(
                "unknown-dependency",
                f"no step, group or stage is called {reference!r}",
                place,
                near=near_names(reference, self.names),
            )
        elif len(candidates) > 1:
            both = " and ".join(f"{kind} {thing_id}" for kind, thing_id in candidates)
            self.add(
                "ambiguous-dependency",
                f"{reference!r} fits {both}",
                place,
                hint="write the exact path, as stage.group.step",
            )
        elif owner == candidates[0][1] or owner.startswith(f"{candidates[0][1]}."):
            self.add("own-dependency", f"{owner} cannot wait for {reference!r}, its own", place)
        else:
            kind, target = candidates[0]
            self.edges[node].add(target if kind == "step" else f"{target}:end")

    def cycle_finding(self, nodes: Iterable[str]) -> Finding:
        """A finding that tells the way round; barriers shown as the group or stage they are of."""
        around: list[str] = []
        for node in nodes:
            name = node.split(":")[0]
            if not around or around[-1] != name:
                around.append(name)
        lines = [
            f"{name} (line {self.flow.document.locate(self.places[name])[0]})" for name in around
        ]
        return self.flow.document.finding(
            "cycle",
            f"these wait for each other: {' <- '.join(reversed(lines))}",
            (*self.places[around[0]], "depends_on"),
            key=True,
            hint="take one of the dependencies out",
        )

    def add(self, code: str, message: str, place: Place, **more: Any) -> None:
        self.findings.append(self.flow.document.finding(code, message, place, **more))
