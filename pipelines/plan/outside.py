"""Outside of a small run's scratch place: writes are refused, reads go where they always go."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.plan.compile import CompiledPlan, CompiledStep


def check_small_run(compiled: CompiledPlan) -> Iterable[Finding]:
    """What stands against ``compiled`` as a small run: writes elsewhere, a sample without keys."""
    small, flow = compiled.plan.request.small, compiled.plan.flow
    if small is None:
        return
    hint = "begin the path with {{ base_path }}"
    for step in compiled.steps.values():
        path = step.settings.destination.path
        if path is not None and not is_below(path, compiled.base_path):
            yield flow.document.finding(
                "outside-scratch",
                f"{step.id} would write outside of the scratch place: {path}",
                (*step.node.place, "destination", "path"),
                hint=hint,
            )
    checkpoint = compiled.checkpoint
    if checkpoint.enabled and not is_below(checkpoint.path, compiled.base_path):
        yield flow.document.finding(
            "outside-scratch",
            f"checkpoints would be written outside of the scratch place: {checkpoint.path}",
            ("pipeline", "checkpoint", "path"),
            hint=hint,
        )
    if small.sample is not None and not flow.pipeline.sample.keys:
        yield flow.document.finding(
            "no-sample-keys",
            "the flow does not say by which columns a sample is taken",
            ("pipeline",),
            hint="add under pipeline, for example: sample: {keys: [StudentUSI]}",
        )


def reading_outside(compiled: CompiledPlan, own: CompiledPlan) -> CompiledPlan:
    """``compiled``, with what no step of the flow writes read where it really is.

    Args:
        compiled: the plan, rendered for the scratch place.
        own: the same, rendered for the environment itself.
    """
    written = [
        step.settings.destination.path
        for step in compiled.steps.values()
        if step.settings.destination.path is not None
    ]

    def real(part: Any, there: Any) -> Any:
        """A source or pre_view as the environment has it, unless a step writes what it reads."""
        if part is None or part.path is None or any(is_below(part.path, one) for one in written):
            return part
        return part.model_copy(update={"path": there.path})

    def moved(step: CompiledStep) -> CompiledStep:
        there = own.steps.get(step.id)
        if there is None:
            return step
        settings, others = step.settings, there.settings
        views = zip(settings.pre_views, others.pre_views, strict=True)
        update = {
            "source": real(settings.source, others.source),
            "pre_views": tuple(real(view, other) for view, other in views),
        }
        return replace(step, settings=settings.model_copy(update=update))

    return replace(compiled, steps={one: moved(step) for one, step in compiled.steps.items()})


def is_below(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or lies in it, by its text; ``..`` leads out of anything."""
    root = folder.rstrip("/")
    inside = path.rstrip("/") == root or path.startswith(f"{root}/")
    return inside and ".." not in path.removeprefix(root).split("/")
