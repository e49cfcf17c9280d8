"""Every step's settings and SQL as they will run; no Spark."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pipelines.errors import shorten
from pipelines.plan.compile.compiled import CompiledPlan, absolute_path
from pipelines.plan.compile.steps import StepCompiler
from pipelines.plan.compile.templates import Renderer, Templates
from pipelines.plan.outside import is_below
from pipelines.spec.flow import CompleteDatasource
from pipelines.spec.loader import merged_datasources
from pipelines.spec.policies import (
    CheckpointPolicy,
    MaintenancePolicy,
    Notifications,
    PublishPolicy,
    RetryPolicy,
)
from pipelines.spec.templated import Spec
from pipelines.spec.validation import validate

if TYPE_CHECKING:
    from pipelines.plan.compile.compiled import CompiledStep
    from pipelines.plan.compile.templates import Place
    from pipelines.plan.plan import Plan
    from pipelines.spec.config import Environment

_CONFIG = "pipelines_config.yaml"
_Policy = TypeVar("_Policy", bound=Spec)


def compile_plan(
    plan: Plan,
    renderer: Renderer,
    environment_name: str,
    environment: Environment,
    batch_id: str | None = None,
) -> CompiledPlan:
    """``plan`` with everything rendered; problems become findings of the result.

    Args:
        plan: what to run.
        renderer: the template engine.
        environment_name: name of the environment.
        environment: its settings.
        batch_id: the batch, where it is known already; else the flow's `batch_id` is rendered,
            and where it has none, the run's id stands in.
    """
    compiler = _PlanCompiler(plan, renderer, environment)
    names = compiler.names(environment_name, batch_id)
    datasources = compiler.datasources(names)
    checkpoint = compiler.checkpoint(names)
    base_path = names["base_path"]
    steps = StepCompiler(
        plan,
        compiler.templates,
        names,
        datasources,
        compiler.policy("default_retry", RetryPolicy, names),
        compiler.seconds("default_timeout_seconds", names),
        home=base_path if is_below(checkpoint.path, base_path) else "",
    )
    compiled = {planned.id: steps.compile(planned) for planned in plan.steps.values()}
    compiler.look_at_addresses(plan.flow.pipeline.notifications, names)
    hmac_key = compiler.hmac_key(compiled.values(), names)
    return CompiledPlan(
        plan=plan,
        environment_name=environment_name,
        environment=environment,
        batch_id=names["batch_id"],
        base_path=base_path,
        names=names,
        steps={step_id: step for step_id, step in compiled.items() if step is not None},
        datasources=datasources,
        notifications=plan.flow.pipeline.notifications,
        secrets=frozenset(compiler.secrets),
        checkpoint=checkpoint,
        publishes=compiler.publishes(names),
        maintenance=compiler.policy("maintenance", MaintenancePolicy, names),
        timeout_seconds=compiler.seconds("timeout_seconds", names),
        hmac_key=hmac_key,
        findings=tuple(compiler.templates.findings),
    )


class _PlanCompiler:
    """Compiles what stands above the steps."""

    def __init__(self, plan: Plan, renderer: Renderer, environment: Environment) -> None:
        self._plan, self._environment = plan, environment
        self.templates = Templates(renderer, plan.flow.document)
        self.secrets: set[str] = set()

    def names(self, environment_name: str, batch_id: str | None) -> dict[str, Any]:
        """What the templates of all steps see."""
        flow, request = self._plan.flow, self._plan.request
        pipeline, templates = flow.pipeline, self.templates
        names: dict[str, Any] = {
            "project_dir": str(flow.project_dir),
            "env": environment_name,
            "pipeline": {"name": pipeline.name, "description": pipeline.description},
            "run_id": request.run_id,
            "run_date": request.run_date.isoformat(),
            "run": {
                "mode": request.mode,
                "window_start": request.window.start.isoformat(),
                "window_end": request.window.end.isoformat(),
            },
        }
        path = templates.text(self._environment.base_path, names, ("base_path",), file=_CONFIG)
        names["base_path"] = absolute_path(path, flow.project_dir)
        merged = {**pipeline.vars, **self._environment.vars, **request.vars}
        names["vars"] = {
            name: templates.tree(value, names, ("pipeline", "vars", name))
            for name, value in merged.items()
        }
        if batch_id is None and pipeline.batch_id is not None:
            batch_id = templates.text(pipeline.batch_id, names, ("pipeline", "batch_id"))
        names["batch_id"] = batch_id or request.run_id
        return names

    def datasources(self, names: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """Raw settings by name: the flow's, the environment's over them."""
        merged, findings = merged_datasources(self._plan.flow, self._environment)
        self.templates.findings += findings
        for name, settings in merged.items():
            at: Place = ("pipeline", "datasources", name)
            trial = self.templates.tree(settings, {**names, "secret": self._note_secret}, at)
            self.templates.findings += validate(
                CompleteDatasource, trial, self.templates.document, at, strict=False
            )[1]
        return merged

    def policy(self, key: str, kind: type[_Policy], names: Mapping[str, Any]) -> _Policy:
        """A policy of the flow, rendered."""
        at: Place = ("pipeline", key)
        raw = self.templates.document.tree["pipeline"].get(key) or {}
        tree = self.templates.tree(raw, names, at)
        policy, findings = validate(kind, tree, self.templates.document, at, strict=False)
        self.templates.findings += findings
        return policy or kind()

    def publishes(self, names: Mapping[str, Any]) -> dict[str, PublishPolicy]:
        """How each stage that is published is, by the stage's name; rendered."""
        found = {}
        for number, stage in enumerate(self._plan.flow.pipeline.stages):
            if stage.publish is None:
                continue
            at: Place = ("pipeline", "stages", number, "publish")
            raw = stage.publish.model_dump(by_alias=True, exclude_unset=True)
            tree = self.templates.tree(raw, {**names, "stage": {"name": stage.name}}, at)
            policy, findings = validate(
                PublishPolicy, tree, self.templates.document, at, strict=False
            )
            self.templates.findings += findings
            found[stage.name] = policy or PublishPolicy()
        return found

    def seconds(self, key: str, names: Mapping[str, Any]) -> float | None:
        """A time limit of the flow in seconds, rendered."""
        place: Place = ("pipeline", key)
        value = getattr(self._plan.flow.pipeline, key)
        rendered = self.templates.text_or_value(value, names, place)
        try:
            return None if rendered is None else float(rendered)
        except ValueError:
            self.templates.findings.append(
                self.templates.document.finding(
                    "bad-type", "expected a number of seconds", place, found=shorten(rendered)
                )
            )
            return None

    def checkpoint(self, names: Mapping[str, Any]) -> CheckpointPolicy:
        """The policy, rendered, its path absolute."""
        policy = self._plan.flow.pipeline.checkpoint
        at: Place = ("pipeline", "checkpoint")
        path = self.templates.text(policy.path, names, (*at, "path"))
        enabled = self.templates.text_or_value(policy.enabled, names, (*at, "enabled"))
        return policy.model_copy(
            update={
                "path": absolute_path(path, self._plan.flow.project_dir),
                "enabled": str(enabled).strip().lower() == "true",
            }
        )

    def look_at_addresses(self, notifications: Notifications, names: Mapping[str, Any]) -> None:
        """Finds what is wrong with addresses, and which secrets they ask for."""
        known = {**names, "secret": self._note_secret}
        for name, value in self._environment.notifications.items():
            at: Place = ("notifications", name)
            self.templates.text(value.get_secret_value(), known, at, file=_CONFIG)
        for event in ("on_failure", "on_success", "on_dq_warning"):
            for address in getattr(notifications, event):
                self.templates.text(address, known, ("pipeline", "notifications", event))

    def hmac_key(self, steps: Iterable[CompiledStep | None], names: Mapping[str, Any]) -> str:
        """The template of the key of mask `hmac`; empty where no column of ``steps`` needs one."""
        key = self._plan.flow.pipeline.privacy.hmac_key
        masks = {one.mask for step in steps if step is not None for one in step.settings.columns}
        if key is None or "hmac" not in masks:
            return ""
        known = {**names, "secret": self._note_secret}
        self.templates.text(key, known, ("pipeline", "privacy", "hmac_key"))
        return key

    def _note_secret(self, name: str) -> str:
        """Stands in for the real look-up: nothing secret is touched while compiling."""
        self.secrets.add(name)
        return "secret"
