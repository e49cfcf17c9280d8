"""Columns that sources are read by: whether they are there, and can grow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.spec.incremental import misfit_of

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.execution.analysis.sources import Columns, RawInput
    from pipelines.spec.yaml_document import Document


def unfit_to_watch(raw: RawInput, columns: Columns, document: Document) -> Iterator[Finding]:
    """What is wrong with the `incremental` of a source that has ``columns``."""
    if raw.what.incremental is None:
        return
    wrong = misfit_of(raw.what.incremental, {one.name: one.type for one in columns})
    if wrong is not None:
        yield document.finding(
            wrong.code,
            f"{raw.label} {wrong.message}",
            (*raw.place, "incremental", wrong.key),
            near=wrong.near,
            hint=wrong.hint,
        )
