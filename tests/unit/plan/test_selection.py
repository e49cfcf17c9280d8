"""Which steps an expression means, and what is said of one that means none."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import SelectionError
from pipelines.plan.graph import Graph, build_graph
from pipelines.plan.plan import Action, RunRequest, build_plan
from pipelines.plan.selection import History, select_steps
from tests.fakes import flow, group, stage, step

STAGES = (
    stage(
        "bronze",
        group("ods", step("students", tags=["pii"], owner="registrar"), step("schools")),
        tags=["raw"],
    ),
    stage(
        "silver",
        group(
            "hubs",
            step("hub_student", "students", "schools", tags=["pii"]),
            step("hub_school", "schools"),
            tags=["vault"],
        ),
        group("links", step("link", "hub_student", "hub_school"), tags=["vault"]),
    ),
    stage(
        "gold",
        group(
            "dims",
            step("dim_student", "link", tags=["pii"], owner="registrar"),
            step("dim_school", "hub_school", "link"),
        ),
        group("marts", step("report", "dim_student")),
    ),
)
GRAPH = build_graph(flow(*STAGES))
ALL = frozenset(one.rsplit(".", 1)[1] for one in GRAPH.steps)
HISTORY = History(
    statuses={
        "bronze.ods.students": "success",
        "silver.hubs.hub_student": "failed",
        "silver.links.link": "blocked",
        "gold.dims.dim_school": "failed",
        "gold.dims.renamed_since": "failed",
    },
    modified=frozenset({"silver.hubs.hub_school", "bronze.ods.schools"}),
)


def chosen(*select: str, exclude: tuple[str, ...] = (), history: History | None = HISTORY) -> str:
    """The names of the steps that are meant, in the flow's order."""
    steps = select_steps(GRAPH, select, exclude, history)
    return " ".join(one.rsplit(".", 1)[1] for one in GRAPH.steps if one in steps)


MEANINGS = {
    # one step, or several by a pattern
    "link": "link",
    "silver.link": "link",
    "silver.links.link": "link",
    "step:link": "link",
    "hub_*": "hub_student hub_school",
    "silver.*": "hub_student hub_school link",
    "*.links.*": "link",
    "hub_s?????t": "hub_student",
    "hub_[a-s]*": "hub_student hub_school",
    "*": "students schools hub_student hub_school link dim_student dim_school report",
    # by stage, group, tag and owner
    "stage:bronze": "students schools",
    "stage:[bs]*": "students schools hub_student hub_school link",
    "group:hubs": "hub_student hub_school",
    "group:silver.links": "link",
    "group:gold.*": "dim_student dim_school report",
    "tag:pii": "students hub_student dim_student",
    "tag:vault": "hub_student hub_school link",
    "tag:raw": "students schools",
    "owner:registrar": "students dim_student",
    # with what is above and below
    "+link": "students schools hub_student hub_school link",
    "link+": "link dim_student dim_school report",
    "+link+": "students schools hub_student hub_school link dim_student dim_school report",
    "1+link": "hub_student hub_school link",
    "2+link": "students schools hub_student hub_school link",
    "link+1": "link dim_student dim_school",
    "1+link+1": "hub_student hub_school link dim_student dim_school",
    "2+dim_student+1": "hub_student hub_school link dim_student report",
    "0+link+0": "link",
    "99+report": "students schools hub_student hub_school link dim_student report",
    "@dim_student": "students schools hub_student hub_school link dim_student report",
    "@hub_school": "students schools hub_student hub_school link dim_student dim_school report",
    "@report": "students schools hub_student hub_school link dim_student report",
    "stage:bronze+1": "students schools hub_student hub_school",
    "1+group:dims": "hub_school link dim_student dim_school",
    "+tag:pii": "students schools hub_student hub_school link dim_student",
    "1+dim_*": "hub_school link dim_student dim_school",
    # union and intersection
    "students report": "students report",
    "students   students": "students",
    "tag:pii,stage:gold": "dim_student",
    "tag:pii,stage:gold,owner:registrar": "dim_student",
    "tag:pii,tag:raw link": "students link",
    "+link,link+": "link",
    "students+,+report": "students hub_student link dim_student report",
    "stage:bronze,stage:gold": "",
    # by the past
    "result:failed": "hub_student dim_school",
    "result:blocked": "link",
    "result:failed+": "hub_student link dim_student dim_school report",
    "1+result:blocked": "hub_student hub_school link",
    "result:skipped": "",
    "state:modified": "schools hub_school",
    "state:modified,stage:silver": "hub_school",
    "state:modified+": "schools hub_student hub_school link dim_student dim_school report",
}


@pytest.mark.parametrize(("expression", "meant"), MEANINGS.items(), ids=MEANINGS)
def test_expression_when_selected_then_means_these_steps(expression: str, meant: str) -> None:
    assert chosen(expression) == meant


@pytest.mark.parametrize(("expression", "meant"), MEANINGS.items(), ids=MEANINGS)
def test_expression_when_excluded_then_leaves_the_others(expression: str, meant: str) -> None:
    left = [name for name in chosen().split() if name not in meant.split()]
    assert chosen(exclude=(expression,)) == " ".join(left)


def test_selection_when_nothing_is_asked_then_is_everything() -> None:
    assert set(chosen(history=None).split()) == ALL


def test_selection_when_given_several_times_then_is_the_union_less_what_is_excluded() -> None:
    assert chosen("stage:bronze", "hub_student link") == "students schools hub_student link"
    assert chosen("+link", exclude=("students", "tag:vault")) == "schools"
    assert chosen("link", exclude=("*",)) == ""


@pytest.mark.parametrize(
    ("expression", "message", "hint"),
    [
        ("studnts", "'studnts' fits no step", "did you mean 'students'"),
        ("silver.lnk", "'silver.lnk' fits no step", "'silver.link'"),
        ("stage:sliver", "'stage:sliver' fits no step", "did you mean 'silver'"),
        ("group:hub", "'group:hub' fits no step", "did you mean 'hubs'"),
        ("tag:pi", "'tag:pi' fits no step", "did you mean 'pii'"),
        ("tags:pii", "unknown selection method 'tags'", "did you mean 'tag'"),
        ("xyz:pii", "unknown selection method 'xyz'", "known: stage, group, tag"),
        ("state:modifed", "unknown state 'modifed'", "known: modified"),
        ("Students", "'Students' fits no step", "did you mean 'students'"),
        ("link,studnts", "'studnts' fits no step", "did you mean 'students'"),
        ("zzz*", "'zzz*' fits no step", ""),
        ("a+b", "cannot read the selection 'a+b'", "write for example"),
        ("++link", "cannot read the selection '++link'", "write for example"),
        ("link++", "cannot read the selection 'link++'", "write for example"),
        ("x+link", "cannot read the selection 'x+link'", "write for example"),
        ("-1+link", "cannot read the selection '-1+link'", "write for example"),
        ("@", "cannot read the selection '@'", "write for example"),
        ("+", "cannot read the selection '+'", "write for example"),
        ("link,", "cannot read the selection ''", "write for example"),
    ],
)
def test_expression_when_it_means_nothing_then_says_so_with_near_names(
    expression: str, message: str, hint: str
) -> None:
    for asked in ({"select": (expression,)}, {"exclude": (expression,)}):
        with pytest.raises(SelectionError) as raised:
            select_steps(GRAPH, history=HISTORY, **asked)
        assert message in raised.value.message
        assert hint in raised.value.hint
        assert raised.value.exit_code == 2


def test_result_when_there_was_no_run_then_is_an_error() -> None:
    with pytest.raises(SelectionError, match="there is no earlier run"):
        chosen("result:failed", history=None)
    assert chosen("state:modified", history=None) == ""


def test_result_when_it_is_no_status_then_is_an_error() -> None:
    with pytest.raises(SelectionError):
        chosen("result:faild")


@st.composite
def _graphs(draw: st.DrawFn) -> Graph:
    count = draw(st.integers(1, 8))
    steps = []
    for n in range(count):
        above = draw(st.lists(st.integers(0, n - 1), max_size=3, unique=True)) if n else []
        steps.append(step(f"n{n}", *(f"n{one}" for one in above)))
    return build_graph(flow(stage("s", group("g", *steps))))


@settings(deadline=None)
@given(_graphs(), st.data())
def test_operators_when_the_graph_is_random_then_agree_with_each_other(
    graph: Graph, data: st.DataObject
) -> None:
    name = data.draw(st.sampled_from(sorted(graph.steps))).rsplit(".", 1)[1]
    far = len(graph.steps)
    above, below = select_steps(graph, (f"+{name}",)), select_steps(graph, (f"{name}+",))
    (itself,) = select_steps(graph, (name,))
    assert above & below == {itself} == select_steps(graph, (f"+{name},{name}+",))
    assert above | below == select_steps(graph, (f"+{name}+",))
    assert select_steps(graph, (f"{far}+{name}+{far}",)) == above | below
    reach = [select_steps(graph, (f"{n}+{name}",)) for n in range(far + 1)]
    assert reach[0] == {itself}
    assert all(near <= further for near, further in pairwise(reach))
    for one in reach[1] - {itself}:
        assert itself in select_steps(graph, (f"{one}+1",))
    around = frozenset[str]().union(*(select_steps(graph, (f"+{one}",)) for one in below))
    assert select_steps(graph, (f"@{name}",)) == around
    assert select_steps(graph, (), (f"@{name}",)) == frozenset(graph.steps) - around


def test_plan_when_a_selected_step_reads_a_view_then_the_view_is_made_without_being_selected() -> (
    None
):
    view = {"destination": {"view": "between"}}
    made = flow(
        stage(
            "s",
            group(
                "g",
                step("upper"),
                step("between", "upper", **view),
                step("aside", "upper", destination={"view": "aside"}),
                step("lower", "between"),
                step("apart"),
            ),
        )
    )
    request = RunRequest(run_id="r1", run_date=date(2026, 11, 23), select=("lower",))
    plan = build_plan(made, request)
    assert {one.node.step.name: (one.action, one.reason) for one in plan.steps.values()} == {
        "upper": (Action.SKIP, "not selected"),
        "between": (Action.VIEW, "a selected step reads its view"),
        "aside": (Action.SKIP, "not selected"),
        "lower": (Action.RUN, ""),
        "apart": (Action.SKIP, "not selected"),
    }
