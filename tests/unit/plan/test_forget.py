"""Which tables hold a person, by which columns, and in which order they are erased."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from pipelines.plan.forget import FlowTable, HeldTable, erase_order, key_columns
from pipelines.spec.privacy import Subject

SUBJECT = Subject.model_validate(
    {
        "keys": {"uid": ["people"], "hk": ["hub", "same_as"]},
        "columns": {"old": {"pupil": "uid"}},
        "skip": ["statistics"],
    }
)


def table(name: str) -> FlowTable:
    return FlowTable(f"s.g.{name}", name, f"/lake/{name}", "delta")


@pytest.mark.parametrize(
    ("name", "columns", "expected"),
    [
        ("people", ["USI", "UID"], {"UID": "uid"}),
        ("old", ["Pupil", "hk"], {"Pupil": "uid", "hk": "hk"}),
        ("people", ["pupil"], {}),
        ("statistics", ["uid"], {}),
    ],
)
def test_columns_are_known_by_the_names_of_keys_or_as_the_flow_says(
    name: str, columns: list[str], expected: dict[str, str]
) -> None:
    assert key_columns(SUBJECT, table(name), columns) == expected


def test_tables_that_tell_a_key_are_erased_last_and_the_first_key_s_at_the_end() -> None:
    held = [HeldTable(table(name), {}) for name in ("people", "hub", "fact", "same_as", "sat")]
    order = [one.table.name for one in erase_order(held, SUBJECT)]
    assert order == ["fact", "sat", "same_as", "hub", "people"]


def test_column_that_is_said_to_hold_no_key_is_refused() -> None:
    with pytest.raises(ValidationError, match="which is no key"):
        Subject.model_validate({"keys": {"uid": []}, "columns": {"old": {"pupil": "id"}}})
