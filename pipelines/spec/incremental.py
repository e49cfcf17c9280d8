"""How a source is read in parts: by a column that grows with every change."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pipelines.spec.templated import Spec, Templated, is_template

_DURATION = re.compile(r"(\d+) *(second|minute|hour|day|week)s?")
_NUMBER = re.compile(r"\d+(\.\d+)?")


class Incremental(Spec):
    """Read only rows that came or changed since the step last succeeded."""

    column: str
    """Column that grows with every change: a time, a date or a number."""
    overlap: Annotated[str | int | float | None, Templated] = None
    """Read again so much below the watermark, for late rows: a number, or such as `2 days`."""
    full_every_days: Annotated[int | None, Field(ge=1), Templated] = None
    """Read everything again where the last time is so many days ago; finds deleted rows."""

    @model_validator(mode="after")
    def _is_whole(self) -> Incremental:
        if not is_template(self.overlap):
            try:
                read_overlap(self.overlap)
            except ValueError as error:
                raise PydanticCustomError("overlap", "{text}", {"text": str(error)}) from None
        return self


def read_overlap(overlap: str | int | float | None) -> Decimal | timedelta | None:
    """An overlap as a number, for columns of numbers, or as a time; None where there is none.

    Raises:
        ValueError: it is neither; the message says how to write it.
    """
    if overlap is None:
        return None
    text = str(overlap).strip()
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(
            f"overlap {text!r} is neither a number nor a time such as '1 hour' or '2 days'"
        )
    return timedelta(**{f"{match[2]}s": int(match[1])})
