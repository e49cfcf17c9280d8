"""Whose values may be seen in an audit."""

from __future__ import annotations

from typing import Any

from pipelines.execution.audits.shown import shown_of
from pipelines.spec.steps import Step

STEP: dict[str, Any] = {
    "name": "students",
    "source": {"type": "delta", "query": "select 1"},
    "destination": {"path": "x", "mode": "scd2", "keys": ["id", "email"], "surrogate_key": "sk"},
    "columns": [
        {"name": "Email", "classification": "pii"},
        {"name": "city", "classification": "public"},
        {"name": "grade", "classification": "internal"},
    ],
}


def test_keys_and_public_columns_are_shown_and_personal_ones_are_not() -> None:
    shown = shown_of(Step.model_validate(STEP), ("id", "email"))
    assert shown.value("ID", 7) == 7
    assert shown.value("city", "Rome") == "Rome"
    assert shown.value("valid_from", "2026-01-01") == "2026-01-01"
    assert shown.value("sk", "ab") == "ab"
    assert shown.value("email", "a@b.c") == "<text of 5>"
    assert shown.value("grade", 3) == "<number>"
    assert shown.value("name", None) is None


def test_values_are_exact_and_fit_json() -> None:
    shown = shown_of(Step.model_validate(STEP), (), show_values=True)
    assert shown.value("name", 0.1 + 0.2) == 0.30000000000000004
    assert shown.value("name", float("nan")) == "nan"
    assert shown.value("name", b"\x01") == "01"
