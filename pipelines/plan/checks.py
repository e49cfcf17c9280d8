"""What is wrong with a compiled plan: every finding that needs no Spark."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from pipelines.errors import Finding, near_names
from pipelines.plan.outside import check_small_run
from pipelines.plan.part_checks import check_parts
from pipelines.plan.releases import check_publishes
from pipelines.plan.table_checks import Tables, check_tables

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledPlan, CompiledStep

RUN_MODES = ("daily", "history")
_MODE = re.compile(r"""run\.mode\s*==\s*['"]([^'"]*)['"]""")
_NEVER = re.compile(r"\s*(?:\{\{)?\s*(?:false|not\s+true)\s*(?:\}\})?\s*", re.IGNORECASE)


def check_plan(compiled: CompiledPlan, tables: Tables) -> tuple[Finding, ...]:
    """All findings of ``compiled``, in the order of the file; errors and warnings.

    Args:
        compiled: the plan.
        tables: tells the tables of a statement.
    """
    findings = [
        *compiled.findings,
        *check_tables(compiled, tables),
        *check_parts(compiled, tables),
    ]
    for check in _CHECKS:
        findings += check(compiled)
    return in_file_order(findings)


def in_file_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """``findings``, each once, by file and line."""
    known = dict.fromkeys(findings)
    return tuple(sorted(known, key=lambda finding: (finding.file, finding.line, finding.column)))


def _unknown_datasources(compiled: CompiledPlan) -> Iterable[Finding]:
    for step in compiled.steps.values():
        settings, place = step.settings, step.node.place
        used = [(settings.source.datasource, (*place, "source"))] if settings.source else []
        used += [
            (view.datasource, (*place, "pre_views", number))
            for number, view in enumerate(settings.pre_views)
        ]
        for name, at in used:
            if name is not None and name not in compiled.datasources:
                yield _finding(
                    compiled,
                    "unknown-datasource",
                    f"no datasource is called {name!r}",
                    (*at, "datasource"),
                    near=near_names(name, compiled.datasources),
                )


def _hmac_has_a_key(compiled: CompiledPlan) -> Iterable[Finding]:
    if compiled.plan.flow.pipeline.privacy.hmac_key is not None:
        return
    for step in compiled.steps.values():
        for number, column in enumerate(step.settings.columns):
            if column.mask == "hmac":
                yield _finding(
                    compiled,
                    "missing-hmac-key",
                    f"column {column.name!r} has mask 'hmac', and the flow names no key",
                    (*step.node.place, "columns", number, "mask"),
                    hint="name it under pipeline: privacy: {hmac_key: "
                    "\"{{ secret('PSEUDONYM_KEY') }}\"}",
                )


def _subject_is_of_the_flow(compiled: CompiledPlan) -> Iterable[Finding]:
    subject = compiled.plan.flow.pipeline.privacy.subject
    known = {node.step.name for node in compiled.plan.graph.steps.values()}
    for name in subject.steps if subject is not None else ():
        if name not in known:
            yield _finding(
                compiled,
                "unknown-step",
                f"no step is called {name!r}",
                ("pipeline", "privacy", "subject"),
                near=near_names(name, known),
            )


def _one_writer_a_path(compiled: CompiledPlan) -> Iterable[Finding]:
    first: dict[str, CompiledStep] = {}
    for step in compiled.steps.values():
        path = step.settings.destination.path
        if path is None:
            continue
        other = first.setdefault(path.rstrip("/"), step)
        if other is not step:
            yield _finding(
                compiled,
                "two-writers",
                f"{step.id} writes where {other.id} writes: {path}",
                (*step.node.place, "destination", "path"),
                hint="give each step a path of its own",
            )


def _views_once(compiled: CompiledPlan) -> Iterable[Finding]:
    """A step's SQL must not see two things under one name."""
    graph = compiled.plan.graph
    by_name: dict[str, list[str]] = {}
    for step_id, node in graph.steps.items():
        for name in {node.step.name, node.step.destination.view or node.step.name}:
            by_name.setdefault(name.lower(), []).append(step_id)
    shared = {name: ids for name, ids in by_name.items() if len(ids) > 1}
    for step in compiled.steps.values():
        views = {view.name.lower(): number for number, view in enumerate(step.settings.pre_views)}
        own = step.settings.name.lower()
        source = step.settings.source
        if own in views and source is not None and source.has_raw_input:
            yield _finding(
                compiled,
                "name-clash",
                f"pre_view {own!r} has the name that the step's own source gets",
                (*step.node.place, "pre_views", views[own], "name"),
                hint="rename the pre_view",
            )
        if not shared and not views.keys() & by_name.keys():
            continue
        above = graph.ancestors(step.id)
        for name, number in views.items():
            if any(other in above for other in by_name.get(name, ())):
                yield _finding(
                    compiled,
                    "name-clash",
                    f"pre_view {name!r} hides the output of a step that {step.id} depends on",
                    (*step.node.place, "pre_views", number, "name"),
                )
        for name, ids in shared.items():
            seen = [step_id for step_id in ids if step_id in above]
            if len(seen) > 1:
                yield _finding(
                    compiled,
                    "name-clash",
                    f"{step.id} would see {name!r} of both {' and '.join(seen)}",
                    (*step.node.place, "name"),
                    hint="rename one of the steps",
                )


def _mapped_notifications(compiled: CompiledPlan) -> Iterable[Finding]:
    notifications = compiled.notifications
    known = compiled.environment.notifications
    for event in ("on_failure", "on_success", "on_dq_warning"):
        for number, address in enumerate(getattr(notifications, event)):
            if address not in known:
                yield _finding(
                    compiled,
                    "unmapped-notification",
                    f"environment {compiled.environment_name!r} maps {address!r} to no address",
                    ("pipeline", "notifications", event, number),
                    severity="warning",
                    hint="add it under notifications in pipelines_config.yaml",
                )


def _keys_are_plain(compiled: CompiledPlan) -> Iterable[Finding]:
    for step in compiled.steps.values():
        destination = step.settings.destination
        for field in ("keys", "partition_by", "cluster_by"):
            columns = getattr(destination, field)
            twice = {column for column in columns if columns.count(column) > 1}
            for column in sorted(twice):
                yield _finding(
                    compiled,
                    "duplicate-column",
                    f"{field} names {column!r} twice",
                    (*step.node.place, "destination", field),
                )


def _runs_some_day(compiled: CompiledPlan) -> Iterable[Finding]:
    """A `when` that no run makes true, as far as that can be told without one."""
    for node in compiled.plan.graph.steps.values():
        when = str(node.step.when)  # a template, or the value that it has in every run
        unknown = [mode for mode in _MODE.findall(when) if mode not in RUN_MODES]
        if unknown:
            near = near_names(unknown[0], RUN_MODES)
            message = f"run.mode is never {unknown[0]!r}: it is {' or '.join(RUN_MODES)}"
        elif _NEVER.fullmatch(when):
            near, message = (), f"{node.id} never runs: its 'when' is always false"
        else:
            continue
        yield _finding(
            compiled,
            "never-runs",
            message,
            (*node.place, "when"),
            severity="warning",
            near=near,
            hint="" if near else "take the step out, or say when it runs",
        )


def _finding(
    compiled: CompiledPlan, code: str, message: str, place: tuple[str | int, ...], **more: Any
) -> Finding:
    return compiled.plan.flow.document.finding(code, message, place, **more)


_CHECKS: tuple[Callable[[CompiledPlan], Iterable[Finding]], ...] = (
    _unknown_datasources,
    _hmac_has_a_key,
    _subject_is_of_the_flow,
    _one_writer_a_path,
    _views_once,
    _mapped_notifications,
    _keys_are_plain,
    _runs_some_day,
    check_small_run,
    check_publishes,
)
