"""How far below the watermark a source is read again, as people write it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from pipelines.spec.incremental import read_overlap


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
