"""Classes of columns: along lineage, under masks, and as declared."""

from __future__ import annotations

from typing import Any

import pytest

from pipelines.lineage.classes import ANY, Classes, TableOrigins
from pipelines.lineage.columns import Column, ColumnRef, StatementColumns
from pipelines.lineage.flow_columns import AnalysedStep
from pipelines.lineage.graph import LineageNode
from pipelines.spec.steps import ColumnContract

SOURCES: Any = {
    "ods: Student": {ANY: "internal", "name": "pii", "born": "sensitive"},
    "ods: Code": {},
}
VIEWS = {"students": "ods: Student", "codes": "ods: Code"}


def contract(**said: Any) -> ColumnContract:
    return ColumnContract.model_validate({"name": "c", **said})


def step(step_id: str, made_of: dict[str, str] | None, views: dict[str, str]) -> AnalysedStep:
    """A step with one column for each key, made of `view.column` words."""
    values = {
        name: frozenset(ColumnRef(*ref.split(".")) for ref in refs.split())
        for name, refs in (made_of or {"c": ""}).items()
    }
    comes_from = None if made_of is None else StatementColumns(values)
    return AnalysedStep(
        step_id, tuple(Column(name, "string") for name in values), comes_from, views
    )


def classed(refs: str, **said: Any) -> Any:
    """What a column `c` made of ``refs`` is, declared as ``said``."""
    contracts = (contract(**said),) if said else ()
    classes = Classes({"s": step("s", {"c": refs}, VIEWS)}, {"s": TableOrigins(contracts)}, SOURCES)
    return classes.of(LineageNode("s", "C"))


@pytest.mark.parametrize(
    ("refs", "expected"),
    [
        ("students.name", "pii"),
        ("students.NAME students.born", "sensitive"),
        ("students.id", "internal"),
        ("codes.code", "internal"),
        ("", "public"),
    ],
)
def test_column_is_as_high_as_the_highest_that_it_is_made_of(refs: str, expected: str) -> None:
    assert classed(refs).classification == expected


@pytest.mark.parametrize(
    ("mask", "expected"),
    [("hash", "internal"), ("hmac", "internal"), ("year", "internal"), ("redact", "public"),
     (None, "public")],
)  # fmt: skip
def test_mask_lowers_a_class_and_yaml_s_null_is_a_mask(mask: Any, expected: str) -> None:
    found = classed("students.born", mask=mask)
    assert (found.classification, found.made_of, found.why) == (expected, "sensitive", "masked")


def test_mask_never_raises_a_class() -> None:
    assert classed("", mask="hash").classification == "public"


def test_declaration_raises_and_lowers_only_with_a_reason() -> None:
    assert classed("students.name", classification="sensitive").classification == "sensitive"
    lowered = classed("students.name", classification="internal")
    assert (lowered.classification, lowered.is_lowered) == ("pii", True)
    reasoned = classed("students.name", classification="internal", declassify="it is a count")
    assert (reasoned.classification, reasoned.is_lowered) == ("internal", False)
    assert reasoned.reason == "it is a count"


def test_column_of_which_nobody_said_anything_may_be_called_public() -> None:
    assert classed("codes.code", classification="public").classification == "public"
    assert classed("students.id", classification="public").is_lowered


def test_mask_that_is_declared_lower_than_it_leaves_is_refused_too() -> None:
    assert classed("students.name", mask="hmac", classification="public").is_lowered


def test_class_goes_on_through_steps_and_tells_its_way() -> None:
    steps = {
        "a": step("a", {"c": "students.name", "d": "students.name"}, VIEWS),
        "b": step("b", {"c": "a.c", "d": "a.d"}, {"a": "a"}),
    }
    origins = {"a": TableOrigins((contract(name="d", mask="hash"),)), "b": TableOrigins()}
    classes = Classes(steps, origins, SOURCES)
    way = [str(node) for node in classes.path(LineageNode("b", "c"))]
    assert way == ["b.c", "a.c", "ods: Student.name"]
    assert {name: one.classification for name, one in classes.of_table("b").items()} == {
        "c": "pii", "d": "internal",
    }  # fmt: skip


def test_what_nobody_can_follow_is_as_high_as_all_that_it_may_read() -> None:
    steps = {"a": step("a", {"c": "students.born"}, VIEWS), "script": step("script", None, {})}
    reads = TableOrigins((), ("a", "ods: Code"))
    found = Classes(steps, {"a": TableOrigins(), "script": reads}, SOURCES)
    assert found.of(LineageNode("script", "c")).classification == "sensitive"
    unseen = AnalysedStep("script", None)
    found = Classes({**steps, "script": unseen}, {"a": TableOrigins(), "script": reads}, SOURCES)
    assert found.of(LineageNode("script", "whatever")).classification == "sensitive"


def test_files_of_a_later_step_read_by_their_path_are_followed() -> None:
    steps = {
        "early": step("early", {"c": "late.c"}, {"late": "/lake/late"}),
        "late": step("late", {"c": "students.name"}, VIEWS),
    }
    names = TableOrigins(names={"/lake/late": "late"})
    classes = Classes(steps, {"early": names, "late": TableOrigins()}, SOURCES)
    assert classes.of(LineageNode("early", "c")).classification == "pii"
