"""Whether windows have to be done in their order: told from the steps, and in doubt they have.

Two questions. `is_ordered`: would a window be wrong while an older one is missing? And
`why_one_by_one`: could what windows write depend on which others run at the same time?
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from pipelines.execution.reads import outputs_read, words_of
from pipelines.plan.changes import reads_in_part
from pipelines.plan.outside import is_below
from pipelines.plan.plan import Action
from pipelines.spec.steps import KEYED_MODES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pipelines.plan.compile import CompiledCheck, CompiledPlan, CompiledStep
    from pipelines.plan.table_checks import Tables

_ADDING_MODES = ("append", "replace_window")
"""Modes whose outcome is the same in whatever order windows commit."""


def is_ordered(compiled: CompiledPlan) -> bool:
    """Whether a window must not be done before all older ones are."""
    graph = compiled.plan.graph
    return any(
        step.settings.destination.mode in KEYED_MODES or reads_in_part(step, graph)
        for step in compiled.steps.values()
        if step.planned.action is Action.RUN
    )


def why_one_by_one(
    compiled: CompiledPlan, tables: Tables, folder_of: Callable[[str], str | None]
) -> str:
    """Which step keeps windows from running side by side, and why; empty where none does.

    Windows may run side by side where each step only adds rows to Delta tables, no window reads
    what another may be writing, and nothing may have to be undone by RESTORE, which takes the
    commits of other windows with it.

    Args:
        compiled: the plan of a window.
        tables: tells the tables of a statement.
        folder_of: the folder of a datasource that is none of a database, by name.
    """
    steps = [step for step in compiled.steps.values() if step.planned.action is not Action.SKIP]
    written = {
        step.id: step.settings.destination.path for step in steps if step.settings.destination.path
    }
    for step in steps:
        reasons = chain(
            _by_writing(step, compiled),
            _by_reading(step, compiled, written, folder_of),
            _by_sql(step, tables),
        )
        first = next(reasons, None)
        if first is not None:
            return f"{step.id} {first}"
    return ""


def _by_writing(step: CompiledStep, compiled: CompiledPlan) -> Iterator[str]:
    """Why what ``step`` writes hangs on the windows before."""
    destination = step.settings.destination
    if destination.view is None:
        if destination.format != "delta":
            yield f"writes files of format {destination.format}"
        if destination.mode not in _ADDING_MODES:
            yield f"writes by mode '{destination.mode}'"
        if destination.schema_policy != "strict":
            yield "may change the columns of its table"
    if reads_in_part(step, compiled.plan.graph):
        yield "reads only what is new"
    if any(map(_may_undo, step.checks)):
        yield "has a check that may undo its write"


def _by_reading(
    step: CompiledStep,
    compiled: CompiledPlan,
    written: Mapping[str, str],
    folder_of: Callable[[str], str | None],
) -> Iterator[str]:
    """What ``step`` reads, by its declared inputs, that other windows may be writing."""
    if step.settings.script is not None:
        yield "is a script, which may read any table"
    for step_id in outputs_read(step, compiled.plan.graph):
        if step_id in written:
            yield f"reads the table of {step_id}, to which all windows write"
    for path in _paths_read(step, compiled, folder_of):
        if any(is_below(path, one) or is_below(one, path) for one in written.values()):
            yield f"reads {path}, to which all windows write"


def _by_sql(step: CompiledStep, tables: Tables) -> Iterator[str]:
    """What the statements of ``step`` read that nobody declared."""
    if words_of(step) is None:
        yield "makes up names of tables"
    for found in (tables(sql.text) for sql in step.statements):
        if found.problem or found.writes:
            yield "has SQL of which it is not known what it reads"
        for use in found.reads:
            if use.schema:
                yield f"reads {use.schema}.{use.name}, of which it is not known who writes it"


def _may_undo(check: CompiledCheck) -> bool:
    """Whether ``check`` may fail; with limits it does so over a null, whatever its severity."""
    return check.severity == "error" or (check.warn_at, check.error_at) != (None, None)


def _paths_read(
    step: CompiledStep, compiled: CompiledPlan, folder_of: Callable[[str], str | None]
) -> Iterator[str]:
    """The folders that ``step`` reads by itself."""
    for part in (step.settings.source, *step.settings.pre_views):
        if part is None:
            continue
        if part.path is not None:
            yield part.path
        name = part.datasource
        if name is not None and compiled.datasources[name].get("type", "jdbc") != "jdbc":
            yield "/".join(filter(None, (folder_of(name), part.table)))
