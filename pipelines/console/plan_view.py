"""What a run would do: as a table for people, as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.console.words import counted, counts_text, marked, render, styled, table

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledPlan
    from pipelines.plan.plan import PlannedStep
    from pipelines.results import Status


class Decided(Protocol):
    """That a step does not run: ``skipped`` or ``checkpointed``, and why."""

    @property
    def status(self) -> Status:
        """``skipped`` or ``checkpointed``."""

    @property
    def reason(self) -> str:
        """Why."""


Decisions = Mapping[str, "Decided | None"]
"""A ``Decided`` or None by step id; None and a step that is missing go as they are planned."""

_COLLAPSE_FROM = 10
_NAMES_SHOWN = 3


@dataclass(frozen=True)
class _Row:
    """A step as the plan shows it."""

    id: str
    stage: str
    group: str
    name: str
    action: str
    reason: str
    writes: str
    waits_for: tuple[str, ...]
    details: Mapping[str, Any]


def plan_text(
    compiled_plan: CompiledPlan,
    decisions: Decisions | None = None,
    *,
    width: int | None = None,
    color: bool | None = None,
) -> str:
    """The steps in the order of execution, by stage and group, with action and reason.

    What a stage or group waits for stands in its own row and holds for all in it. A group
    of many steps that all do nothing for one reason is one row.
    """
    rows = _rows(compiled_plan, decisions or {})
    made = table(
        "step",
        "action",
        "writes",
        "waits for",
        "reason",
        fold=("writes", "waits for", "reason"),
    )
    if not any(row.reason for row in rows):
        made.columns[-1].min_width = None
    graph = compiled_plan.plan.graph
    for stage, in_stage in groupby(rows, key=lambda row: row.stage):
        waits = _short(_box_waits(graph.waits_for, stage))
        made.add_row(styled(stage, "bold"), "", "", styled(waits), "")
        for group, members in groupby(in_stage, key=lambda row: row.group):
            waits = _short(_box_waits(graph.waits_for, f"{stage}.{group}"))
            made.add_row(styled(f"  {group}"), "", "", styled(waits), "")
            for cells in _member_cells(list(members)):
                made.add_row(*cells)
    plan, request = compiled_plan.plan, compiled_plan.plan.request
    head = (
        f"{plan.flow.pipeline.name}  batch {compiled_plan.batch_id}  "
        f"environment {compiled_plan.environment_name}  run date {request.run_date.isoformat()}  "
        f"mode {request.mode}"
    )
    total = f"{counted(len(rows), 'step')}: {counts_text(row.action for row in rows)}"
    return render(
        styled(head, "bold"),
        styled(f"paths below {compiled_plan.base_path}", "dim"),
        styled("a path that ends with / goes on with the step's name", "dim"),
        "",
        made,
        "",
        styled(total),
        width=width,
        color=color,
    )


def plan_json(compiled_plan: CompiledPlan, decisions: Decisions | None = None) -> str:
    """The plan as a JSON object; ``steps`` is in the order of execution."""
    plan, request = compiled_plan.plan, compiled_plan.plan.request
    rows = _rows(compiled_plan, decisions or {})
    tree = {
        "pipeline": plan.flow.pipeline.name,
        "flow": plan.flow.document.file,
        "environment": compiled_plan.environment_name,
        "run_id": request.run_id,
        "batch_id": compiled_plan.batch_id,
        "run_date": request.run_date.isoformat(),
        "mode": request.mode,
        "base_path": compiled_plan.base_path,
        "steps": [
            {
                "id": row.id,
                "stage": row.stage,
                "group": row.group,
                "name": row.name,
                "action": row.action,
                "reason": row.reason,
                "waits_for": _all_waits(plan.graph.waits_for, row),
                **row.details,
            }
            for row in rows
        ],
    }
    return json.dumps(tree, indent=2, ensure_ascii=False)


def _rows(compiled: CompiledPlan, decisions: Decisions) -> list[_Row]:
    """The steps in the order of execution; each stage and group stands together."""
    graph = compiled.plan.graph
    rank: dict[str, int] = {}
    for number, step_id in enumerate(graph.order):
        node = graph.steps[step_id]
        for box in (node.stage.name, f"{node.stage.name}.{node.group.name}", step_id):
            rank.setdefault(box, number)
    nodes = sorted(
        graph.steps.values(),
        key=lambda node: (
            rank[node.stage.name],
            rank[f"{node.stage.name}.{node.group.name}"],
            rank[node.id],
        ),
    )
    rows = []
    for node in nodes:
        planned = compiled.plan.steps[node.id]
        step = compiled.steps.get(node.id)
        action, reason = _action(planned, decisions.get(node.id))
        if step is None:
            reason = "cannot be rendered; see validate"
        settings = (step.settings if step else node.step).destination
        path = settings.path or ""
        below = path.removeprefix(f"{compiled.base_path.rstrip('/')}/")
        if below.endswith(f"/{node.step.name}"):
            below = below.removesuffix(node.step.name)
        rows.append(
            _Row(
                node.id,
                node.stage.name,
                node.group.name,
                node.step.name,
                action,
                reason,
                f"view {settings.view}" if settings.view else f"{settings.mode} → {below}",
                _step_waits(graph.waits_for, node.id),
                {
                    "destination": {
                        "format": None if settings.view else settings.format,
                        "mode": None if settings.view else settings.mode,
                        "path": settings.path,
                        "view": settings.view,
                    },
                    "checks": len(node.step.dq_checks),
                    "timeout_seconds": step.timeout_seconds if step else None,
                    "fingerprint": step.fingerprint if step else None,
                },
            )
        )
    return rows


def _action(planned: PlannedStep, decided: Decided | None) -> tuple[str, str]:
    if decided is None:
        return planned.action.value, planned.reason
    word = decided.status.value
    return "skip" if word == "skipped" else word, decided.reason


def _member_cells(members: list[_Row]) -> Iterable[tuple[Any, ...]]:
    actions = {(row.action, row.reason) for row in members}
    if len(members) > _COLLAPSE_FROM and len(actions) == 1 and members[0].action != "run":
        row = members[0]
        yield (
            styled(f"    {counted(len(members), 'step')}", "dim"),
            marked(row.action),
            "",
            "",
            styled(row.reason),
        )
        return
    for row in members:
        quiet = "dim" if row.action in ("skip", "checkpointed") else ""
        yield (
            styled(f"    {row.name}", quiet),
            marked(row.action),
            styled(row.writes, quiet),
            styled(_short(row.waits_for), quiet),
            styled(row.reason, quiet),
        )


def _short(names: Iterable[str]) -> str:
    """The last part of each name, a few of them, and how many more."""
    last = [name.rsplit(".", 1)[-1] for name in names]
    more = len(last) - _NAMES_SHOWN
    shown = ", ".join(last[:_NAMES_SHOWN])
    return f"{shown} and {more:,} more" if more > 0 else shown


def _step_waits(waits: Mapping[str, frozenset[str]], step_id: str) -> tuple[str, ...]:
    return tuple(sorted(_named(waits[step_id])))


def _box_waits(waits: Mapping[str, frozenset[str]], box: str) -> tuple[str, ...]:
    return tuple(sorted(_named(waits[f"{box}:start"])))


def _named(nodes: Iterable[str]) -> set[str]:
    """Steps and whole groups or stages among ``nodes``, without the start of their own."""
    return {node.split(":")[0] for node in nodes if not node.endswith(":start")}


def _all_waits(waits: Mapping[str, frozenset[str]], row: _Row) -> list[str]:
    boxes = (row.stage, f"{row.stage}.{row.group}")
    return sorted({*row.waits_for, *(name for box in boxes for name in _box_waits(waits, box))})
