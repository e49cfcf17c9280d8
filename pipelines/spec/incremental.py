"""How a source is read in parts: by a column that grows with every change."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pipelines.errors import near_names
from pipelines.spec.templated import Spec, Templated, is_template

_DURATION = re.compile(r"(\d+) *(second|minute|hour|day|week)s?")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
_TIMES = ("date", "timestamp", "timestamp_ntz")


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


@dataclass(frozen=True)
class Misfit:
    """Why a source cannot be read by its column.

    Attributes:
        code: of the finding.
        key: the key of `incremental` that is wrong.
        message: what is wrong, to be said of the source.
        hint: what to write instead; empty where a near name is.
        near: near names.
    """

    code: str
    key: str
    message: str
    hint: str = ""
    near: tuple[str, ...] = ()


def misfit_of(incremental: Incremental, types: Mapping[str, str]) -> Misfit | None:
    """What is wrong with reading columns of these ``types`` by ``incremental``; None if nothing.

    Args:
        incremental: what the flow says.
        types: of the source's columns by name, in Spark's DDL.
    """
    name = incremental.column
    kind = next((text for one, text in types.items() if one.lower() == name.lower()), None)
    if kind is None:
        near = near_names(name, types)
        hint = "" if near else f"columns: {', '.join(types)}"
        return Misfit(
            "unknown-column", "column", f"is read by {name!r}, and has no such column", hint, near
        )
    base = kind.partition("(")[0]
    if base not in (*_NUMBERS, *_TIMES):
        return Misfit(
            "type-clash",
            "column",
            f"is read by {name!r}, which is {kind}",
            "take a number, date or time that grows with every change",
        )
    overlap = read_overlap(incremental.overlap)
    if overlap is not None and isinstance(overlap, Decimal) != (base in _NUMBERS):
        return Misfit(
            "type-clash",
            "overlap",
            f"has an overlap of {incremental.overlap}: it does not suit {name!r}, which is {kind}",
            "a column of numbers takes a number, one of dates or times such as '2 days'",
        )
    return None
