"""Which versions a stage may be released with after a run, and what keeps it back; no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.errors import Finding, UsageError, near_names
from pipelines.plan.outside import is_below
from pipelines.results.release import Release, ReleasedTable
from pipelines.results.status import NOT_SELECTED, Status

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.results.step import StepResult

_MOST_NAMED = 3


@dataclass(frozen=True)
class Candidate:
    """What could be released.

    Attributes:
        tables: in the flow's order.
        obstacle: why nothing may be; empty where it may.
    """

    tables: tuple[ReleasedTable, ...] = ()
    obstacle: str = ""


def candidate_of(
    steps: Sequence[CompiledStep],
    results: Mapping[str, StepResult],
    standing: Release | None,
    base_path: str,
) -> Candidate:
    """What of a stage may be released after a run.

    A step that was left out keeps the version that readers see. One that this batch had done
    before never takes them back to an older one.

    Args:
        steps: the stage's.
        results: of the run, by step id.
        standing: the release that readers see now.
        base_path: root of the lakehouse.
    """
    bad = [one.id for one in steps if not results[one.id].status.is_ok]
    if bad:
        told = [f"{step_id} ended as {results[step_id].status.value}" for step_id in bad]
        return Candidate(obstacle=_listed(told))
    tables, unknown = [], []
    for step in steps:
        if not step.table:
            continue
        result = results[step.id]
        seen = standing.version_of(step.id) if standing is not None else None
        written = result.destination.version_after if result.destination is not None else None
        if result.status is Status.SKIPPED:
            version = seen
            if version is None and result.reason != NOT_SELECTED:
                continue  # its 'when' says that the table is not wanted here
        elif result.status is Status.CHECKPOINTED and written is not None:
            version = max(written, seen if seen is not None else written)
        else:
            version = written
        if version is None:
            unknown.append(f"{step.id} was left out, and no release holds it yet")
        else:
            tables.append(table_of(step, version, base_path))
    if unknown:
        return Candidate(obstacle=_listed(unknown))
    return Candidate(tuple(tables), "" if tables else "no step of it has written a Delta table")


def table_of(step: CompiledStep, version: int, base_path: str) -> ReleasedTable:
    """A version of a step's table, as a release holds it."""
    root = base_path.rstrip("/")
    relative = step.table[len(root) :].strip("/") if is_below(step.table, root) else ""
    return ReleasedTable(step.id, step.node.step.name, step.table, relative, version)


def choose(releases: Sequence[Release], current: str, to: str | None) -> Release:
    """The release to go back to: the one before ``current``, or that which ``to`` begins.

    Args:
        releases: newest first.
        current: id of the one that readers see; empty where there is none.
        to: an id, or its beginning.

    Raises:
        UsageError: there is none, or several begin so.
    """
    if to is None:
        older = [one for one in releases if one.release_id < current]
        if not older:
            raise UsageError(
                f"there is no release before {current}" if current else "nothing is released",
                hint="'pipeline release list' shows what there is",
            )
        return older[0]
    fits = [one for one in releases if one.release_id == to] or [
        one for one in releases if one.release_id.startswith(to)
    ]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise UsageError(f"{len(fits)} releases begin with {to!r}", hint="give more of the id")
    near = near_names(to, [one.release_id for one in releases])
    raise UsageError(
        f"there is no release {to!r}",
        hint=f"did you mean {near[0]}?" if near else "'pipeline release list' shows what there is",
    )


def releases_touched(
    releases: Iterable[Release], firsts: Mapping[str, int], base_path: str
) -> list[Release]:
    """The releases that hold what is about to go.

    Args:
        releases: of one stage.
        firsts: the first version of each table that goes, by its path.
        base_path: root of the lakehouse.
    """
    known = {path.rstrip("/"): first for path, first in firsts.items()}

    def is_touched(table: ReleasedTable) -> bool:
        first = known.get(table.place(base_path).rstrip("/"))
        return first is not None and table.version >= first

    return [one for one in releases if any(map(is_touched, one.tables))]


def check_publishes(compiled: CompiledPlan) -> Iterable[Finding]:
    """Stages that are published, and cannot be as they are told to."""
    document, views = compiled.plan.flow.document, dict[tuple[str, str], str]()
    for number, stage in enumerate(compiled.plan.flow.pipeline.stages):
        policy = compiled.publishes.get(stage.name)
        if policy is None:
            continue
        place = ("pipeline", "stages", number, "publish")
        steps = [one for one in compiled.steps.values() if one.node.stage.name == stage.name]
        tables = [one for one in steps if one.table]
        if steps and not tables:
            yield document.finding(
                "nothing-to-publish",
                f"stage {stage.name!r} is published, and no step of it writes a Delta table",
                place,
                hint="take 'publish' out, or publish the stage whose tables are read",
            )
        for step in tables if policy.schema_name else ():
            view = (str(policy.schema_name).lower(), step.node.step.name.lower())
            other = views.setdefault(view, step.id)
            if other != step.id:
                yield document.finding(
                    "two-views",
                    f"{other} and {step.id} would both be the view {'.'.join(view)}",
                    place,
                    hint="rename one of the steps, or publish into another schema",
                )


def _listed(told: Sequence[str]) -> str:
    more = f", and {len(told) - _MOST_NAMED} more" if len(told) > _MOST_NAMED else ""
    return "; ".join(told[:_MOST_NAMED]) + more
