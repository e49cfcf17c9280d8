"""What maintenance does to a table, and what it keeps."""

from __future__ import annotations

from pipelines.plan.maintenance import Pin, pins_of, releases_past, work_of
from pipelines.results import Release
from pipelines.spec.policies import MaintenancePolicy, TableMaintenance


def release(name: str) -> Release:
    return Release(name, "toy", "gold", "test", name, "b1", "", "", ())


def test_a_table_when_it_says_something_itself_then_wins_key_by_key() -> None:
    flow = MaintenancePolicy.model_validate({"vacuum": {"retain_hours": 200, "allow_short": True}})
    own = TableMaintenance.model_validate({"optimize": False, "vacuum": {"retain_hours": 24}})
    work = work_of("s.g.t", "/lake/t/", flow, own, {"/lake/t": [Pin(3, "release R1")]})
    assert not work.optimize
    assert (work.vacuum.retain_hours, work.vacuum.allow_short) == (24, True)
    assert work.pins == (Pin(3, "release R1"),)
    plain = work_of("s.g.t", "/lake/t", flow, None, {})
    assert (plain.optimize, plain.vacuum.retain_hours, plain.pins) == (True, 200, ())


def test_releases_when_they_are_many_then_the_current_one_is_among_those_that_stay() -> None:
    known = [release(name) for name in ("R4", "R3", "R2", "R1")]

    def gone(current: str, keep: int) -> list[str]:
        return [one.release_id for one in releases_past(known, current, keep)]

    assert gone("R4", 2) == ["R2", "R1"]
    assert gone("R1", 2) == ["R3", "R2"]
    assert gone("R2", 1) == ["R4", "R3", "R1"]
    assert gone("", 3) == ["R1"]
    assert gone("R4", 9) == []


def test_pins_when_a_path_ends_in_a_slash_then_it_is_the_same_table() -> None:
    found = [("/lake/t/", 3, "a"), ("/lake/t", 4, "b"), ("/lake/u", None, "c"), ("", 1, "d")]
    assert pins_of(found) == {"/lake/t": [Pin(3, "a"), Pin(4, "b")]}
