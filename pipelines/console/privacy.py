"""Where each class of data lives, and what erasing a person takes, as text."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from pipelines.console.words import clean, counted
from pipelines.plan.erased_releases import STAYS
from pipelines.spec.privacy import CLASSES, highest

if TYPE_CHECKING:
    from pipelines.plan.forget import ErasurePlan
    from pipelines.plan.privacy import PrivateColumn


def privacy_text(columns: Sequence[PrivateColumn], fmt: str = "text") -> str:
    """``columns``, table by table in the order given, and how many there are of each class."""
    if fmt == "json":
        return json.dumps([column.as_dict() for column in columns], indent=1, ensure_ascii=False)
    lines: list[str] = []
    for table, group in groupby(columns, key=lambda column: column.table):
        found = list(group)
        top = highest(column.what.classification for column in found)
        limit = f", at most {found[0].limit}" if found[0].limit else ""
        lines += _markdown(table, top, limit, found) if fmt == "markdown" else _plain(
            table, top, limit, found
        )  # fmt: skip
    lines.append(_counts(columns))
    return clean("\n".join(lines))


def erasure_text(plan: ErasurePlan, outcome: str = "") -> str:
    """What erasing a person takes, a line a table, what stays all the same, and ``outcome``."""
    found = ", ".join(f"{number} {key}" for key, number in plan.found.items())
    lines = [f"a person by {plan.key}: {found}"]
    for table in plan.tables:
        at = f", version {table.version}" if table.version is not None else ""
        lines.append(f"  {table.step}: {counted(table.rows, 'row')}{at}")
    if plan.without:
        lines.append(f"  without a key of the person: {', '.join(plan.without)}")
    lines += [f"  {'!' if one.outcome == STAYS else '-'} {one.told}" for one in plan.releases]
    lines += [f"  ! {one}" for one in plan.left]
    lines += [f"  note: {one}" for one in plan.warnings] if plan.rows else ["  nothing to erase"]
    return clean("\n".join([*lines, outcome] if outcome else lines))


def _plain(table: str, top: str, limit: str, columns: Sequence[PrivateColumn]) -> list[str]:
    names = [column.column or "(any)" for column in columns]
    width = max(map(len, names))
    most = max(map(len, CLASSES))
    return [f"{table}: {top}{limit}"] + [
        f"  {name:<{width}}  {column.what.classification:<{most}}  {column.reason}"
        for name, column in zip(names, columns, strict=True)
    ]


def _markdown(table: str, top: str, limit: str, columns: Sequence[PrivateColumn]) -> list[str]:
    lines = [f"## {table}", "", f"{top}{limit}", "", "| column | class | why |", "|---|---|---|"]
    for column in columns:
        cells = (column.column or "(any)", column.what.classification, column.reason)
        escaped = " | ".join(cell.replace("|", "\\|") for cell in cells)
        lines.append(f"| {escaped} |")
    return [*lines, ""]


def _counts(columns: Sequence[PrivateColumn]) -> str:
    told = [column.what.classification for column in columns]
    parts = [f"{told.count(one)} {one}" for one in reversed(CLASSES) if one in told]
    return f"{counted(len(columns), 'column')}: {', '.join(parts)}" if columns else "no column"
