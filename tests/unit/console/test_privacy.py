"""Personal data, and what erasing a person takes, as people and machines read them."""

from __future__ import annotations

import json

from pipelines.console import erasure_text, privacy_text
from pipelines.lineage.classes import ColumnClass
from pipelines.lineage.graph import LineageNode
from pipelines.plan.erased_releases import FOLLOWS, STAYS, ErasedRelease
from pipelines.plan.forget import ErasurePlan, TableErasure, warnings_of
from pipelines.plan.privacy import PrivateColumn
from pipelines.results.release import Release
from pipelines.spec.policies import VacuumPolicy

ORIGIN = LineageNode("ods: edfi.Student", "FirstName")
COLUMNS = (
    PrivateColumn(
        "s.g.dim", "name", ColumnClass("pii", "source", ORIGIN, "pii"), (ORIGIN,), "sensitive"
    ),
    PrivateColumn(
        "s.g.dim", "name_hmac", ColumnClass("internal", "masked", ORIGIN, "pii", "hmac"),
        (ORIGIN,), "sensitive",
    ),
    PrivateColumn("s.g.fact", "count|all", ColumnClass("public", "made"), (), None),
    PrivateColumn("s.g.odd", "", ColumnClass("internal", "not classified"), (), None),
)  # fmt: skip


def test_columns_when_listed_then_each_table_tells_its_highest_class_and_why() -> None:
    assert privacy_text(COLUMNS).splitlines() == [
        "s.g.dim: pii, at most sensitive",
        "  name       pii        of ods: edfi.Student.FirstName",
        "  name_hmac  internal   mask hmac, over pii; of ods: edfi.Student.FirstName",
        "s.g.fact: public",
        "  count|all  public     made of no column",
        "s.g.odd: internal",
        "  (any)  internal   nothing is said of it",
        "4 columns: 1 pii, 2 internal, 1 public",
    ]


def test_columns_when_listed_as_markdown_then_a_bar_in_a_name_breaks_no_table() -> None:
    rows = [line for line in privacy_text(COLUMNS, "markdown").splitlines() if "count" in line]
    assert rows == [r"| count\|all | public | made of no column |"]


def test_columns_when_listed_as_json_then_the_way_of_the_class_is_told() -> None:
    first = json.loads(privacy_text(COLUMNS, "json"))[0]
    assert (first["table"], first["column"], first["classification"]) == ("s.g.dim", "name", "pii")
    assert first["path"] == ["ods: edfi.Student.FirstName"]
    assert first["max_classification"] == "sensitive"


def test_erasure_when_told_then_says_what_goes_what_stays_and_until_when() -> None:
    release = Release("R1", "toy", "gold", "test", "r", "b", "2026-01-01", "", ())
    plan = ErasurePlan(
        "uid",
        {"uid": 1, "usi": 2},
        (TableErasure("s.g.a", "/a", 1, 7), TableErasure("s.g.b", "/b", 0)),
        ("s.g.c: files of format csv cannot be erased from; look at them by hand",),
        ("s.g.d",),
        (ErasedRelease(release, FOLLOWS), ErasedRelease(release, STAYS)),
        warnings_of(VacuumPolicy(retain_hours=48)),
    )
    lines = erasure_text(plan, "erased by F1").splitlines()
    assert lines[:7] == [
        "a person by uid: 1 uid, 2 usi",
        "  s.g.a: 1 row, version 7",
        "  s.g.b: 0 rows",
        "  without a key of the person: s.g.d",
        "  - release R1 of gold shows them no more",
        "  ! release R1 of gold still shows the person, its tables have moved on since: "
        "let a run release anew, then say this again",
        "  ! s.g.c: files of format csv cannot be erased from; look at them by hand",
    ]
    assert "until 'pipeline maintain' in 2 days" in lines[7]
    assert lines[-1] == "erased by F1"


def test_erasure_when_the_flow_never_vacuums_then_the_user_is_told_to() -> None:
    assert "until you VACUUM them" in warnings_of(VacuumPolicy(enabled=False))[0]
