"""What a stage may be released with after a run, told without Spark."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from pipelines.errors import UsageError
from pipelines.execution.resume import unreached
from pipelines.plan.compile import CompiledPlan, compile_plan
from pipelines.plan.plan import RunRequest, build_plan
from pipelines.plan.releases import candidate_of, check_publishes, choose, releases_touched
from pipelines.results import NOT_SELECTED, DestinationState, Release, ReleasedTable, Status
from pipelines.spec.config import Environment
from pipelines.utils.sql_loader import SqlLoader
from tests.fakes import flow, group, stage, step

LAKE = "/project/lake"


def compiled(*stages: dict[str, Any]) -> CompiledPlan:
    made = flow(*stages)
    request = RunRequest(run_id="r1", run_date=date(2026, 11, 25))
    environment = Environment(base_path="lake")
    return compile_plan(build_plan(made, request), SqlLoader(made.project_dir), "test", environment)


def gold(*steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return stage("gold", group("g", *steps), **{"publish": {}, **more})


def released(release_id: str = "R1", **versions: int) -> Release:
    tables = tuple(
        ReleasedTable(f"gold.g.{name}", name, f"{LAKE}/{name}", name, version)
        for name, version in versions.items()
    )
    return Release(release_id, "toy", "gold", "test", release_id, "b", "", "", tables)


def candidate(standing: Release | None = None, **ended: Any) -> Any:
    """After a run in which each step ended so: a status, with a version or a reason."""
    plan = compiled(gold(*(step(name) for name in ended)))
    results = {}
    for name, (status, told) in ended.items():
        one = plan.steps[f"gold.g.{name}"]
        result = unreached(one, told if isinstance(told, str) else "", status)
        if isinstance(told, int):
            at = DestinationState("delta", one.table, None, told)
            result = replace(result, destination=at)
        results[one.id] = result
    found = candidate_of(list(plan.steps.values()), results, standing, plan.base_path)
    return found.obstacle or {table.name: table.version for table in found.tables}


def test_a_stage_when_all_its_steps_ended_well_then_is_released_as_they_left_it() -> None:
    ended = {
        "a": (Status.SUCCESS, 3),
        "b": (Status.UNCHANGED, 7),
        "c": (Status.CHECKPOINTED, 1),
    }
    assert candidate(**ended) == {"a": 3, "b": 7, "c": 1}


@pytest.mark.parametrize(
    "bad", [Status.FAILED, Status.DQ_FAILED, Status.BLOCKED, Status.CANCELLED, Status.INTERRUPTED]
)
def test_a_stage_when_one_step_ended_badly_then_is_held_back(bad: Status) -> None:
    told = candidate(released(a=1, b=1), a=(Status.SUCCESS, 3), b=(bad, ""))
    assert told == f"gold.g.b ended as {bad.value}"


def test_a_step_when_not_selected_then_keeps_what_readers_see() -> None:
    ended = {"a": (Status.SUCCESS, 3), "b": (Status.SKIPPED, NOT_SELECTED)}
    assert candidate(released(a=2, b=5), **ended) == {"a": 3, "b": 5}
    assert candidate(**ended) == "gold.g.b was left out, and no release holds it yet"


def test_a_step_when_its_when_is_false_then_its_table_is_not_waited_for() -> None:
    ended = {"a": (Status.SUCCESS, 3), "b": (Status.SKIPPED, "its 'when' is false")}
    assert candidate(**ended) == {"a": 3}
    assert candidate(released(a=2, b=5), **ended) == {"a": 3, "b": 5}


def test_an_old_batch_when_run_again_then_does_not_take_readers_back() -> None:
    ended = {"a": (Status.CHECKPOINTED, 3), "b": (Status.SUCCESS, 9)}
    assert candidate(released(a=4, b=8), **ended) == {"a": 4, "b": 9}


def test_paths_when_in_the_lakehouse_then_are_relative_and_a_moved_one_is_the_same() -> None:
    inside = released(a=1).tables[0]
    assert inside.place("/elsewhere/lake") == "/elsewhere/lake/a"
    assert replace(inside, path="/elsewhere/lake/a").pin == inside.pin
    outside = replace(inside, path="/other/a", relative_path="")
    assert outside.place("/elsewhere/lake") == "/other/a"


def test_going_back_when_nothing_is_named_then_it_is_the_release_before() -> None:
    known = [released("R3"), released("R2"), released("R1")]
    assert choose(known, "R2", None).release_id == "R1"
    assert choose(known, "R1", "R3").release_id == "R3"
    for current, to, said in (
        ("R1", None, "no release before R1"),
        ("R3", "R", "3 releases begin with 'R'"),
        ("R3", "R9", "no release 'R9'"),
    ):
        with pytest.raises(UsageError, match=said):
            choose(known, current, to)


def test_releases_when_a_commit_goes_then_those_that_hold_it_are_touched() -> None:
    known = [released("R3", a=5, b=1), released("R2", a=4, b=1), released("R1", a=3, b=1)]
    touched = releases_touched(known, {f"{LAKE}/a": 4}, LAKE)
    assert [one.release_id for one in touched] == ["R3", "R2"]
    assert releases_touched(known, {f"{LAKE}/elsewhere": 0}, LAKE) == []


def test_views_when_two_stages_make_the_same_then_it_is_an_error() -> None:
    one = stage("gold", group("g", step("a")), publish={"schema": "reporting"})
    other = stage("mart", group("h", step("A")), publish={"schema": "Reporting"})
    apart = stage("mart", group("h", step("A")), publish={"schema": "mart"})
    (finding,) = check_publishes(compiled(one, other))
    assert finding.code == "two-views"
    assert list(check_publishes(compiled(one, apart))) == []


def test_a_schema_when_it_is_a_template_then_it_is_rendered() -> None:
    plan = compiled(gold(step("a"), publish={"schema": "{{ stage.name }}_{{ env }}"}))
    assert plan.publishes["gold"].schema_name == "gold_test"
    broken = compiled(gold(step("a"), publish={"schema": "{{ env }}.x"}))
    assert [one.path for one in broken.findings] == ["pipeline.stages[0].publish.schema"]
