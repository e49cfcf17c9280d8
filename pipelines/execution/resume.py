"""What a batch has done already: which steps a run leaves out, and why; no Spark."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from pipelines.execution.files import LocalFiles, is_local
from pipelines.execution.reads import digest, outputs_read, view_identity
from pipelines.plan.plan import Action
from pipelines.results import Status

if TYPE_CHECKING:
    from datetime import datetime

    from pipelines.execution.checkpoints import Marker
    from pipelines.execution.files import FileStore
    from pipelines.plan.compile import CompiledPlan, CompiledStep
    from pipelines.results import StepResult

_TO_COME = "to come"  # unlike the identity of anything that is there


@dataclass(frozen=True)
class Decision:
    """That a step does not run, and why; with its marker, what it gave earlier in this batch."""

    status: Status
    reason: str
    marker: Marker | None = None


def decide(
    step: CompiledStep,
    marker: Marker | None,
    identities: Mapping[str, str],
    *,
    destination_exists: Callable[[], bool],
) -> Decision | None:
    """Whether ``step`` is left out; None where it runs.

    Args:
        step: the step.
        marker: what this batch noted when the step was done.
        identities: of the outputs of other steps as they are now, as far as they are known.
        destination_exists: asked only where everything else says that the step is done.
    """
    if step.planned.action is Action.SKIP:
        return Decision(Status.SKIPPED, step.planned.reason, marker)
    if not step.settings.when:
        return Decision(Status.SKIPPED, "its 'when' is false", marker)
    if marker is None or step.settings.destination.view or marker.fingerprint != step.fingerprint:
        return None
    reads_the_same = all(identities.get(one, was) == was for one, was in marker.read.items())
    if not reads_the_same or not destination_exists():
        return None
    return Decision(Status.CHECKPOINTED, f"done by run {marker.run_id}", marker)


def decide_all(
    compiled: CompiledPlan,
    marker: Callable[[str], Marker | None],
    files: FileStore,
) -> Mapping[str, Decision | None]:
    """For every step whether it is left out, as far as can be told beforehand; None where it runs.

    A view is no work by itself: where all that read it are done, it is not made either.
    """
    decisions: dict[str, Decision | None] = {}
    identities: dict[str, str] = {}
    graph = compiled.plan.graph
    for step_id in graph.order:
        step = compiled.steps[step_id]
        found = marker(step_id)
        exists = partial(destination_exists, step, found, files)
        decision = decide(step, found, identities, destination_exists=exists)
        decisions[step_id] = decision
        if decision is not None:
            if decision.marker is not None and decision.marker.identity:
                identities[step_id] = decision.marker.identity
        elif step.settings.destination.view is not None:
            read = {one: identities[one] for one in outputs_read(step, graph) if one in identities}
            identities[step_id] = view_identity(step.fingerprint, digest(read))
        else:
            identities[step_id] = _TO_COME
    return decisions


def left_out(
    compiled: CompiledPlan, decisions: Mapping[str, Decision | None], at: datetime
) -> Iterator[StepResult]:
    """The results of a run that has nothing to do."""
    idle = Decision(Status.SKIPPED, "nothing reads its view")
    for step_id, decision in decisions.items():
        yield left_out_result(compiled.steps[step_id], decision or idle, at)


def has_work(compiled: CompiledPlan, decisions: Mapping[str, Decision | None]) -> bool:
    """Whether any step has to write."""
    return any(
        decision is None and not compiled.steps[step_id].settings.destination.view
        for step_id, decision in decisions.items()
    )


def destination_exists(step: CompiledStep, marker: Marker | None, files: FileStore) -> bool:
    """Whether what ``marker`` says was written is still there, as far as ``files`` reaches."""
    destination = step.settings.destination
    path = destination.path or ""
    if isinstance(files, LocalFiles) and not is_local(path):
        return True
    is_table = destination.format == "delta" and marker is not None
    return files.exists(f"{path}/_delta_log" if is_table else path)


def unreached(step: CompiledStep, reason: str, status: Status = Status.BLOCKED) -> StepResult:
    """The result of a step that did not run."""
    from pipelines.results import StepResult

    node = step.node
    return StepResult(
        id=step.id,
        stage=node.stage.name,
        group=node.group.name,
        name=node.step.name,
        status=status,
        sql_sha256=step.sql.sha256 if step.sql else "",
        fingerprint=step.fingerprint,
        reason=reason,
    )


def left_out_result(step: CompiledStep, decision: Decision, at: datetime) -> StepResult:
    """The result of a step that ``decision`` leaves out."""
    from pipelines.results import DestinationState

    result = replace(unreached(step, decision.reason, decision.status), finished_at=at)
    if decision.marker is None or decision.status is not Status.CHECKPOINTED:
        return result
    destination, version = step.settings.destination, decision.marker.version_after
    return replace(
        result,
        upstream_versions=decision.marker.upstream_versions,
        destination=DestinationState(destination.format, destination.path or "", version, version),
    )
