"""Columns that sources are read by: whether they are there, and can grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.errors import near_names
from pipelines.spec.incremental import read_overlap

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.execution.analysis.sources import Columns, RawInput
    from pipelines.spec.yaml_document import Document

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal")
_TIMES = ("date", "timestamp")


def unfit_to_watch(raw: RawInput, columns: Columns, document: Document) -> Iterator[Finding]:
    """What is wrong with the `incremental` of a source that has ``columns``."""
    incremental = raw.what.incremental
    if incremental is None:
        return
    name, place = incremental.column, (*raw.place, "incremental")
    found = next((one for one in columns if one.name.lower() == name.lower()), None)
    if found is None:
        yield document.finding(
            "unknown-column",
            f"{raw.label} is read by {name!r}, and has no such column",
            (*place, "column"),
            near=near_names(name, (one.name for one in columns)),
        )
        return
    is_number = found.type.startswith(_NUMBERS)
    if not is_number and not found.type.startswith(_TIMES):
        yield document.finding(
            "type-clash",
            f"{raw.label} is read by {name!r}, which is {found.type}",
            (*place, "column"),
            hint="take a number, date or time that grows with every change",
        )
        return
    overlap = read_overlap(incremental.overlap)
    if overlap is not None and is_number == hasattr(overlap, "days"):
        yield document.finding(
            "type-clash",
            f"an overlap of {incremental.overlap} does not suit {name!r}, which is {found.type}",
            (*place, "overlap"),
            hint="a column of numbers takes a number, one of dates or times such as '2 days'",
        )
