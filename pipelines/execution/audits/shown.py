"""Which values of a table may be seen, and how they are written."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.spec.privacy import PERSONAL
from pipelines.spec.steps import HISTORY_COLUMNS
from pipelines.utils.dq_checks import mask

if TYPE_CHECKING:
    from pipelines.spec.steps import Step


@dataclass(frozen=True)
class Shown:
    """Columns whose values may be seen; those of others are masked.

    Attributes:
        names: in lower case; None shows all.
    """

    names: frozenset[str] | None

    def masks(self, column: str) -> bool:
        """Whether the values of a column are masked."""
        return self.names is not None and column.lower() not in self.names

    def value(self, column: str, value: Any) -> Any:
        """``value`` with JSON types only, masked where it may not be seen."""
        return mask(value) if self.masks(column) else plain(value)


def shown_of(step: Step, keys: Iterable[str], *, show_values: bool = False) -> Shown:
    """What of a step's table may be seen.

    That is columns classified as public, keys unless they are classified as personal, and what
    the mode adds by itself; or all, where the user wants it.
    """
    if show_values:
        return Shown(None)
    destination = step.destination
    made = HISTORY_COLUMNS if destination.mode == "scd2" else ()
    names = {*keys, *made, destination.surrogate_key or ""}
    names = {name.lower() for name in names}
    said = {column.name.lower(): column.classification for column in step.columns}
    public = {name for name, word in said.items() if word == "public"}
    return Shown(frozenset({n for n in names if said.get(n) not in PERSONAL} | public) - {""})


def plain(value: Any) -> Any:
    """``value`` with JSON types only; floats as exact as they are."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, bytes | bytearray):
        return value.hex()
    return str(value)
