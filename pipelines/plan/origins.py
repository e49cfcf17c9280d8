"""What a step reads its rows from, in the words of the flow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.plan.changes import names_of
from pipelines.spec.steps import label_of

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledStep
    from pipelines.plan.graph import Graph
    from pipelines.spec.steps import PreView, Source

_WORD = re.compile(r"\w+")
_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def origin_text(step: CompiledStep, graph: Graph) -> str:
    """Tables, files and steps that ``step`` reads, each once, joined by commas; never an address.

    Such as ``edfi_ods: edfi.Student, edfi_ods: tracked_changes_edfi.Student`` or
    ``bronze.ingestion.students``.
    """
    settings = step.settings
    parts = [settings.script] if settings.script else []
    if settings.source is not None and settings.source.has_raw_input:
        parts += _outside(settings.source)
    for view in settings.pre_views:
        parts += _outside(view)
    return ", ".join(dict.fromkeys([*parts, *_upstream(step, graph)]))


def _outside(raw: Source | PreView) -> Iterator[str]:
    if raw.datasource is not None:
        yield label_of(raw)
    elif raw.path is not None:
        yield raw.path.rstrip("/").rpartition("/")[2]


def _upstream(step: CompiledStep, graph: Graph) -> Iterator[str]:
    """The steps that the SQL of ``step`` names, in the order of the flow; of a script, all."""
    words = {
        word for sql in step.queries for word in _WORD.findall(_COMMENT.sub(" ", sql.text).lower())
    }
    above, reads_all = graph.ancestors(step.id), step.settings.script is not None
    for step_id, node in graph.steps.items():
        if step_id in above and (reads_all or names_of(node.step) & words):
            yield step_id
