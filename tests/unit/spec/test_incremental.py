"""How far below the watermark a source is read again, as people write it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from pipelines.spec.incremental import Incremental, misfit_of, read_overlap


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        (None, None),
        (1000, Decimal(1000)),
        ("2.5", Decimal("2.5")),
        ("1 hour", timedelta(hours=1)),
        ("90 minutes", timedelta(minutes=90)),
        ("2 days", timedelta(days=2)),
        ("1week", timedelta(weeks=1)),
    ],
)
def test_overlap_when_written_as_people_do_then_it_is_a_number_or_a_time(
    written: str | int | None, meant: Decimal | timedelta | None
) -> None:
    assert read_overlap(written) == meant


@pytest.mark.parametrize("written", ["a while", "-1", "1 fortnight", "1 hour 5 minutes", ""])
def test_overlap_when_it_is_neither_then_the_message_says_how_to_write_it(written: str) -> None:
    with pytest.raises(ValueError, match="such as '1 hour' or '2 days'"):
        read_overlap(written)


@pytest.mark.parametrize(
    ("column", "overlap", "code", "key"),
    [
        ("version", None, None, None),
        ("VERSION", "1000", None, None),
        ("changed", "2 days", None, None),
        ("amount", 5, None, None),
        ("verson", None, "unknown-column", "column"),
        ("name", None, "type-clash", "column"),
        ("lasted", None, "type-clash", "column"),
        ("version", "2 days", "type-clash", "overlap"),
        ("changed", 5, "type-clash", "overlap"),
    ],
)
def test_misfit_of_tells_columns_that_nothing_can_be_read_by(
    column: str, overlap: str | int | None, code: str | None, key: str | None
) -> None:
    types = {
        "version": "bigint",
        "changed": "timestamp_ntz",
        "amount": "decimal(10,2)",
        "name": "string",
        "lasted": "interval day to second",
    }
    found = misfit_of(Incremental(column=column, overlap=overlap), types)
    assert (found and found.code, found and found.key) == (code, key)
    if code == "unknown-column":
        assert found is not None
        assert found.near == ("version",)
