"""The order of steps: what waits for what, and what cannot be put in order."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import Finding, FlowError
from pipelines.plan.graph import Graph, build_graph
from tests.fakes import flow, group, stage, step

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def _findings(*stages: dict[str, Any]) -> tuple[Finding, ...]:
    with pytest.raises(FlowError) as raised:
        build_graph(flow(*stages))
    return raised.value.findings


def _finding(*stages: dict[str, Any]) -> Finding:
    (found,) = _findings(*stages)
    return found


def _waits(graph: Graph) -> dict[str, set[str]]:
    """For each step by its name those that it waits for, directly or through others."""
    return {
        step_id.rsplit(".", 1)[1]: {one.rsplit(".", 1)[1] for one in graph.ancestors(step_id)}
        for step_id in graph.steps
    }


# --- parallel ----------------------------------------------------------------------------------


def test_steps_when_nothing_is_said_then_wait_for_nothing() -> None:
    graph = build_graph(
        flow(
            stage("a", group("g", step("one"), step("two")), group("h", step("three"))),
            stage("b", group("i", step("four"))),
        )
    )
    assert _waits(graph) == {"one": set(), "two": set(), "three": set(), "four": set()}
    assert graph.order == ("a.g.one", "a.g.two", "a.h.three", "b.i.four")


def test_steps_when_their_group_is_not_parallel_then_each_waits_for_the_one_above() -> None:
    graph = build_graph(
        flow(stage("a", group("g", *map(step, ("one", "two", "three")), parallel=False)))
    )
    assert graph.order == ("a.g.one", "a.g.two", "a.g.three")
    assert graph.parents("a.g.three") == {"a.g.two"}
    assert graph.parents("a.g.one") == frozenset()


def test_groups_when_their_stage_is_not_parallel_then_each_waits_for_all_of_the_one_above() -> None:
    graph = build_graph(
        flow(
            stage(
                "a",
                group("g", step("one"), step("two")),
                group("h", step("three"), step("four")),
                group("i", step("five")),
                parallel=False,
            )
        )
    )
    assert _waits(graph) == {
        "one": set(),
        "two": set(),
        "three": {"one", "two"},
        "four": {"one", "two"},
        "five": {"one", "two", "three", "four"},
    }
    assert graph.parents("a.i.five") == {"a.h.three", "a.h.four"}


# --- depends_on of three levels ----------------------------------------------------------------

BRONZE = stage("bronze", group("load", step("students"), step("schools")))


@pytest.mark.parametrize("reference", ["students", "bronze.students", "bronze.load.students"])
def test_step_when_it_names_a_step_then_waits_for_it_alone(reference: str) -> None:
    graph = build_graph(flow(BRONZE, stage("s", group("g", step("hub", reference), step("x")))))
    assert _waits(graph)["hub"] == {"students"}
    assert _waits(graph)["x"] == set()


@pytest.mark.parametrize("reference", ["load", "bronze.load", "bronze"])
def test_step_when_it_names_a_group_or_stage_then_waits_for_all_in_it(reference: str) -> None:
    graph = build_graph(flow(BRONZE, stage("s", group("g", step("hub", reference), step("x")))))
    assert _waits(graph)["hub"] == {"students", "schools"}
    assert _waits(graph)["x"] == set()


@pytest.mark.parametrize(
    ("reference", "awaited"),
    [("students", {"students"}), ("load", {"students", "schools"}),
     ("bronze", {"students", "schools"})],
)  # fmt: skip
def test_group_and_stage_when_they_depend_then_all_their_steps_wait(
    reference: str, awaited: set[str]
) -> None:
    of_group = stage(
        "s", group("g", step("one"), step("two"), depends_on=[reference]), group("h", step("free"))
    )
    waits = _waits(build_graph(flow(BRONZE, of_group)))
    assert (waits["one"], waits["two"], waits["free"]) == (awaited, awaited, set())
    of_stage = stage("s", group("g", step("one")), group("h", step("two")), depends_on=[reference])
    waits = _waits(build_graph(flow(BRONZE, of_stage)))
    assert (waits["one"], waits["two"]) == (awaited, awaited)


def test_step_when_it_depends_on_what_stands_below_then_the_order_follows_the_dependency() -> None:
    graph = build_graph(flow(stage("a", group("g", step("late", "early"), step("early")))))
    assert graph.order == ("a.g.early", "a.g.late")


def test_path_lengths_when_groups_follow_each_other_then_barriers_add_nothing() -> None:
    graph = build_graph(
        flow(
            stage("a", group("g", step("x"), step("y")), group("h", step("z"))),
            stage("b", group("k", step("w", depends_on=["y"])), depends_on=["a"]),
        )
    )
    lengths = {step_id: graph.path_lengths[step_id] for step_id in graph.steps}
    assert lengths == {"a.g.x": 2, "a.g.y": 2, "a.h.z": 2, "b.k.w": 1}


def test_neighbours_when_asked_within_a_distance_then_barriers_are_no_steps() -> None:
    graph = build_graph(
        flow(
            stage("a", group("g", step("one"))),
            stage("b", group("g2", step("two")), depends_on=["a"]),
            stage("c", group("g3", step("three")), depends_on=["b"]),
        )
    )
    one, two, three = "a.g.one", "b.g2.two", "c.g3.three"
    assert graph.ancestors(three, 1) == graph.parents(three) == {two}
    assert graph.ancestors(three, 2) == graph.ancestors(three) == {one, two}
    assert graph.ancestors(three, 0) == frozenset()
    assert graph.descendants(one, 1) == {two}
    assert graph.descendants(one) == {two, three}


def test_graph_when_large_stages_follow_each_other_then_edges_do_not_multiply() -> None:
    count = 300
    graph = build_graph(
        flow(
            stage("a", group("g", *(step(f"a{n}") for n in range(count)))),
            stage("b", group("h", *(step(f"b{n}") for n in range(count))), depends_on=["a"]),
        )
    )
    assert sum(map(len, graph.waits_for.values())) < 6 * count
    assert len(graph.ancestors("b.h.b0")) == count


# --- names that fit nothing, or two things -----------------------------------------------------


@pytest.mark.parametrize(
    ("second", "reference", "both"),
    [
        (group("dup", step("other")), "dup", ("step s.g.dup", "group s.dup")),
        (group("h", step("dup")), "dup", ("step s.g.dup", "step s.h.dup")),
        (group("h", step("dup")), "s.dup", ("step s.g.dup", "step s.h.dup")),
        (group("h", step("s")), "s", ("step s.h.s", "stage s")),
    ],
)
def test_name_when_it_fits_two_then_is_an_error_that_lists_both(
    second: dict[str, Any], reference: str, both: tuple[str, str]
) -> None:
    found = _finding(
        stage("s", group("g", step("dup")), second),
        stage("t", group("k", step("reader", reference))),
    )
    assert found.code == "ambiguous-dependency"
    assert all(thing in found.message for thing in (repr(reference), *both))
    assert "stage.group.step" in found.hint
    assert found.path == "pipeline.stages[1].groups[0].steps[0].depends_on[0]"


@pytest.mark.parametrize("reference", ["s.g.dup", "s.h.dup"])
def test_name_when_it_is_a_whole_path_then_is_exact_whatever_else_is_called_so(
    reference: str,
) -> None:
    graph = build_graph(
        flow(
            stage("s", group("g", step("dup")), group("h", step("dup"))),
            stage("dup", group("dup", step("reader", reference))),
        )
    )
    assert graph.ancestors("dup.dup.reader") == {reference}


def test_name_when_it_fits_a_group_and_a_step_of_the_stage_then_is_an_error_too() -> None:
    found = _finding(
        stage("s", group("dup", step("one")), group("h", step("dup"))),
        stage("t", group("k", step("reader", "s.dup"))),
    )
    assert found.code == "ambiguous-dependency"


@pytest.mark.parametrize(
    ("reference", "near"),
    [("studnts", "students"), ("bronze.load.student", "bronze.load.students"), ("lod", "load"),
     ("bronz", "bronze")],
)  # fmt: skip
def test_name_when_it_fits_nothing_then_its_line_and_near_names_are_told(
    reference: str, near: str
) -> None:
    stages = (BRONZE, stage("s", group("g", step("hub", "schools", reference))))
    found = _finding(*stages)
    assert found.code == "unknown-dependency"
    assert repr(reference) in found.message
    assert near in found.near
    line = flow(*stages).document.text.splitlines()[found.line - 1]
    assert line.strip() == f'"{reference}"'


@pytest.mark.parametrize(
    "stages",
    [
        (stage("s", group("g", step("one", "one"))),),
        (stage("s", group("g", step("one", "g"))),),
        (stage("s", group("g", step("one", "s"))),),
        (stage("s", group("g", step("one"), depends_on=["s"])),),
        (stage("s", group("g", step("one")), depends_on=["s"]),),
        (stage("s", group("g", step("one"), depends_on=["g"])),),
    ],
)
def test_thing_when_it_depends_on_itself_or_what_it_is_in_then_is_an_error(
    stages: tuple[dict[str, Any], ...],
) -> None:
    assert _finding(*stages).code == "own-dependency"


def test_names_when_several_are_wrong_then_all_are_told_at_once() -> None:
    found = _findings(
        stage("s", group("g", step("one", "x"), step("two", "y", "one", "one"), depends_on=["z"]))
    )
    assert [(one.code, re.findall(r"'(\w)'", one.message)) for one in found] == [
        ("unknown-dependency", ["z"]),
        ("unknown-dependency", ["x"]),
        ("unknown-dependency", ["y"]),
    ]


# --- cycles ------------------------------------------------------------------------------------

CYCLES = {
    "steps": (
        (stage("s", group("g", step("a", "c"), step("b", "a"), step("c", "b"), step("d", "a"))),),
        {"s.g.a", "s.g.b", "s.g.c"},
    ),
    "a step and the one above it": (
        (stage("s", group("g", step("a", "b"), step("b"), parallel=False)),),
        {"s.g.a", "s.g.b"},
    ),
    "groups": (
        (
            stage(
                "s",
                group("g", step("a"), depends_on=["h"]),
                group("h", step("b"), depends_on=["g"]),
            ),
        ),
        {"s.g", "s.h"},
    ),
    "a step and a group": (
        (stage("s", group("g", step("a", "h")), group("h", step("b", "a"))),),
        {"s.g.a", "s.h", "s.h.b"},
    ),
    "stages": (
        (
            stage("s", group("g", step("a")), depends_on=["t"]),
            stage("t", group("h", step("b")), depends_on=["s"]),
        ),
        {"s", "t"},
    ),
}


@pytest.mark.parametrize(("stages", "around"), CYCLES.values(), ids=CYCLES)
def test_cycle_when_there_is_one_then_the_way_round_is_told_with_its_lines(
    stages: tuple[dict[str, Any], ...], around: set[str]
) -> None:
    found = _finding(*stages)
    assert found.code == "cycle"
    told = re.findall(r"([\w.]+) \(line (\d+)\)", found.message)
    assert told[0] == told[-1]
    assert around <= {name for name, _ in told}
    assert found.line > 0
    lines = flow(*stages).document.text.splitlines()
    for name, line in told:
        block = "\n".join(lines[int(line) - 1 : int(line) + 1])
        assert f'"{name.rsplit(".", 1)[-1]}"' in block
    assert found.hint


# --- flows at random ---------------------------------------------------------------------------


@st.composite
def forward_flows(draw: st.DrawFn) -> tuple[list[dict[str, Any]], dict[str, set[str]]]:
    """Stages in which everything waits for things above it, and which steps each waits for."""
    stages: list[dict[str, Any]] = []
    waits: dict[str, set[str]] = {}
    boxes: dict[str, list[str]] = {}
    flags = st.booleans()

    def some(names: Sequence[str]) -> list[str]:
        if not names:
            return []
        return draw(st.lists(st.sampled_from(sorted(names)), max_size=2, unique=True))

    def steps_of(names: Sequence[str]) -> set[str]:
        return {one for name in names for one in boxes[name]}

    for i in range(draw(st.integers(1, 3))):
        above_stage = some(list(boxes))
        in_turn = not draw(flags)
        groups: list[dict[str, Any]] = []
        in_stage: list[list[str]] = []
        for j in range(draw(st.integers(1, 3))):
            group_id = f"s{i}.g{j}"
            above_group = some(list(boxes))
            one_by_one = not draw(flags)
            members: list[str] = []
            steps = []
            for k in range(draw(st.integers(1, 3))):
                step_id = f"{group_id}.n{k}"
                above = some(list(boxes))
                waits[step_id] = steps_of([*above_stage, *above_group, *above])
                if in_turn and in_stage:
                    waits[step_id] |= set(in_stage[-1])
                if one_by_one and members:
                    waits[step_id].add(members[-1])
                steps.append(step(f"n{k}", *above))
                members.append(step_id)
                boxes[step_id] = [step_id]
            groups.append(group(f"g{j}", *steps, parallel=not one_by_one, depends_on=above_group))
            in_stage.append(members)
            boxes[group_id] = members
        stages.append(stage(f"s{i}", *groups, parallel=not in_turn, depends_on=above_stage))
        boxes[f"s{i}"] = [one for members in in_stage for one in members]
    return stages, waits


def _closure(waits: Mapping[str, set[str]]) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for name, direct in waits.items():  # each waits for things above it only
        known[name] = direct.union(*(known[one] for one in direct))
    return known


@settings(deadline=None)
@given(forward_flows())
def test_order_when_flows_are_random_then_every_step_comes_once_and_after_what_it_waits_for(
    made: tuple[list[dict[str, Any]], dict[str, set[str]]],
) -> None:
    stages, waits = made
    graph = build_graph(flow(*stages))
    assert sorted(graph.order) == sorted(graph.steps) == sorted(waits)
    place = {step_id: number for number, step_id in enumerate(graph.order)}
    assert all(place[one] < place[name] for name, before in waits.items() for one in before)


@settings(deadline=None)
@given(forward_flows())
def test_waiting_when_flows_are_random_then_is_what_the_flow_says_and_nothing_more(
    made: tuple[list[dict[str, Any]], dict[str, set[str]]],
) -> None:
    stages, waits = made
    graph = build_graph(flow(*stages))
    closure = _closure(waits)
    assert {name: graph.ancestors(name) for name in graph.steps} == closure
    for name in graph.steps:
        assert graph.descendants(name) == {one for one, before in closure.items() if name in before}


@settings(deadline=None)
@given(forward_flows(), st.data())
def test_cycle_when_one_is_put_into_a_random_flow_then_its_way_round_is_a_real_one(
    made: tuple[list[dict[str, Any]], dict[str, set[str]]], data: st.DataObject
) -> None:
    _, waits = made
    closure = _closure(waits)
    pairs = sorted((one, name) for name, before in closure.items() for one in before)
    if not pairs:
        return
    first, last = data.draw(st.sampled_from(pairs))
    edges = {name: set(before) for name, before in waits.items()}
    edges[first].add(last)
    names = {name: name.replace(".", "_") for name in edges}
    steps = [step(names[name], *sorted(names[one] for one in edges[name])) for name in edges]
    found = _finding(stage("s", group("g", *steps)))
    assert found.code == "cycle"
    told = [name.rsplit(".", 1)[1] for name in re.findall(r"([\w.]+) \(line", found.message)]
    assert told[0] == told[-1]
    assert len(set(told)) == len(told) - 1
    for waiting, awaited in pairwise(told):
        assert awaited in {
            names[one] for name in edges if names[name] == waiting for one in edges[name]
        }
