"""Tables of another environment in the scratch place: cloned without a copy, never touched."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.execution.reads import outputs_read
from pipelines.plan.plan import Action
from pipelines.utils.sql_runner import DeltaLog, as_sql_error

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.plan.compile import CompiledPlan, CompiledStep


@dataclass(frozen=True)
class Clone:
    """A table to bring: from where, to where, and whose it is."""

    step_id: str
    format: str
    origin: str
    target: str


def clones_needed(compiled: CompiledPlan, there: CompiledPlan) -> tuple[Clone, ...]:
    """What the selected steps read or write, in the flow's order.

    Args:
        compiled: the plan, rendered for the scratch place.
        there: the flow, rendered for the environment that has the tables.
    """
    graph = compiled.plan.graph
    runs = [one for one in compiled.steps.values() if one.planned.action is not Action.SKIP]
    needed = {step.id for step in runs}
    for step in runs:
        needed |= outputs_read(step, graph).keys()
    paths = {path for step in runs for path in _paths_read(step)}
    found = []
    for step_id, step in compiled.steps.items():
        target = step.settings.destination.path
        origin = there.steps[step_id].settings.destination.path if step_id in there.steps else None
        if target and origin and (step_id in needed or target in paths):
            found.append(Clone(step_id, step.settings.destination.format, origin, target))
    return tuple(found)


def bring_clones(session: SparkSession, clones: Iterable[Clone], threads: int) -> tuple[Clone, ...]:
    """Makes the tables, as they are now; returns those that are not there to be cloned.

    A Delta table is cloned: its files stay where they are, and what is written goes beside the
    clone. Other formats are copied. What stands in its place already is left alone.

    Raises:
        SqlError: a table cannot be cloned, or files cannot be copied.
    """
    every = tuple(clones)
    with ThreadPoolExecutor(max_workers=threads, thread_name_prefix="clone") as pool:
        came = pool.map(lambda clone: _bring(session, clone), every)
        return tuple(clone for clone, is_here in zip(every, came, strict=True) if not is_here)


def _paths_read(step: CompiledStep) -> Iterable[str]:
    """The paths that a step reads by itself."""
    parts = (step.settings.source, *step.settings.pre_views)
    return [part.path for part in parts if part is not None and part.path is not None]


def _bring(session: SparkSession, clone: Clone) -> bool:
    try:
        if clone.format == "delta":
            return _bring_delta(session, clone)
        return _bring_files(session, clone)
    except Exception as error:
        raise as_sql_error(error, where=clone.origin) from error


def _bring_delta(session: SparkSession, clone: Clone) -> bool:
    origin, target = (DeltaLog(session, path) for path in (clone.origin, clone.target))
    if origin.version() is None:
        return False
    if target.version() is None:
        session.sql(f"create table {target.sql_name} shallow clone {origin.sql_name}").collect()
    return True


def _bring_files(session: SparkSession, clone: Clone) -> bool:
    jvm: Any = session._jvm
    conf = session._jsparkSession.sessionState().newHadoopConf()
    origin, target = (
        getattr(jvm, "org.apache.hadoop.fs.Path")(path) for path in (clone.origin, clone.target)
    )
    there, here = origin.getFileSystem(conf), target.getFileSystem(conf)
    if not there.exists(origin):
        return False
    if not here.exists(target):
        getattr(jvm, "org.apache.hadoop.fs.FileUtil").copy(there, origin, here, target, False, conf)
    return True
