"""One step's settings, SQL and checks as they will run, and its fingerprint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from pipelines.errors import TemplateError, near_names
from pipelines.plan.changes import changes_view
from pipelines.plan.compile.checks import CheckCompiler
from pipelines.plan.compile.compiled import CompiledStep, Sql, absolute_path
from pipelines.spec.steps import Step, is_sql_file
from pipelines.spec.templated import is_template
from pipelines.spec.validation import validate

if TYPE_CHECKING:
    from pipelines.plan.compile.compiled import CompiledCheck
    from pipelines.plan.compile.templates import Place, Templates
    from pipelines.plan.graph import StepNode
    from pipelines.plan.plan import Plan, PlannedStep
    from pipelines.spec.policies import RetryPolicy

# What a step is told by, not what it does: a change of these makes no other result.
_NOT_PRINTED = {"name", "description", "owner", "tags", "retry", "timeout_seconds", "debug", "when",
                "on_failure", "depends_on"}  # fmt: skip
_UNPRINTED: Any = {
    **dict.fromkeys(_NOT_PRINTED, True),
    "destination": {"maintenance", "max_classification"},
    "columns": {"__all__": {"classification", "declassify"}},
    "pre_views": {"__all__": {"keep"}},
}
# Nor do these make other rows of the same inputs.
_NOT_IN_EDITION: Any = {**_UNPRINTED, "dq_checks": True, "columns": True,
                        "source": {"incremental"},
                        "pre_views": {"__all__": {"incremental", "keep"}}}  # fmt: skip
_CLASSES_OF_DATASOURCE = ("classification", "columns")
_LEAST_BATCH_ID = 8
"""A shorter one could stand anywhere in a text without meaning the batch."""


class StepCompiler:
    """Compiles the steps of one plan.

    Args:
        plan: the plan.
        templates: fills in templates and keeps what goes wrong.
        names: what all steps' templates see.
        datasources: raw settings by name, for the fingerprint.
        retry: the flow's default policy.
        timeout_seconds: the flow's default limit.
        home: root of the lakehouse, where its checkpoints are in it too: such a lakehouse may be
            moved, and its steps stay what they are. Else empty.
    """

    def __init__(
        self,
        plan: Plan,
        templates: Templates,
        names: Mapping[str, Any],
        datasources: Mapping[str, Mapping[str, Any]],
        retry: RetryPolicy,
        timeout_seconds: float | None,
        *,
        home: str = "",
    ) -> None:
        self._plan, self._templates, self._names = plan, templates, names
        self._datasources, self._retry, self._timeout = datasources, retry, timeout_seconds
        # First the lakehouse, which may be in the project.
        self._places = [place for place in (home, str(plan.flow.project_dir)) if place]

    def compile(self, planned: PlannedStep) -> CompiledStep | None:
        """The step; None where something is wrong with it, which the findings tell."""
        templates, place = self._templates, planned.node.place
        before = len(templates.findings)
        raw = _at(templates.document.tree, place)
        names = self._step_names(planned.node, raw)
        tree = templates.tree(raw, names, place)
        if len(templates.findings) > before:
            return None
        settings, findings = validate(
            Step, tree, templates.document, place, strict=not _has_template(raw)
        )
        templates.findings += findings
        if settings is None:
            return None
        settings = self._settled(settings)
        sql = self._sql(settings.source.query if settings.source else None, names,
                        (*place, "source", "query"))  # fmt: skip
        pre_view_sql = {}
        for number, view in enumerate(settings.pre_views):
            statement = self._sql(view.query, names, (*place, "pre_views", number, "query"))
            if statement is not None:
                pre_view_sql[view.name] = statement
        compiler = CheckCompiler(templates, names, settings.destination)
        checks = [
            compiler.compile(check, (*place, "dq_checks", number))
            for number, check in enumerate(settings.dq_checks)
        ]
        script = ""
        if settings.script is not None:
            script = templates.script_text(settings.script, (*place, "script"))
        if len(templates.findings) > before:
            return None
        done = tuple(check for check in checks if check is not None)
        return CompiledStep(
            planned=planned,
            settings=settings,
            sql=sql,
            pre_view_sql=pre_view_sql,
            checks=done,
            retry=self._retry.overridden_by(settings.retry),
            timeout_seconds=settings.timeout_seconds or self._timeout,
            fingerprint=self._fingerprint(settings, sql, pre_view_sql, done, script),
            edition=self._edition(settings, sql, pre_view_sql, script),
        )

    def _step_names(self, node: StepNode, raw: Mapping[str, Any]) -> dict[str, Any]:
        """What the step's templates see."""
        graph, place = self._plan.graph, node.place

        def upstream(word: str, name: str) -> str:
            above = {graph.steps[step_id].step.name for step_id in graph.ancestors(node.id)}
            if name not in above:
                raise TemplateError(
                    f"{word}({name!r}): {node.id} does not depend on it",
                    near=near_names(name, above),
                )
            return name

        def source(name: str) -> str:
            return upstream("source", name)

        def changes(name: str) -> str:
            return changes_view(upstream("changes", name))

        names = {
            **self._names,
            "stage": {"name": node.stage.name, "description": node.stage.description},
            "group": {"name": node.group.name, "description": node.group.description},
            "name": node.step.name,
            "source": source,
            "changes": changes,
        }
        params = raw.get("params") or {}
        names["params"] = self._templates.tree(params, names, (*place, "params"))
        views = [view.name for view in node.step.pre_views]
        names["pre_views"] = {view: view for view in views}
        if views:
            names["pre_view_name"] = views[0]
        for view in views:
            names.setdefault(view, view)
        if node.step.destination.path is not None:
            with suppress(TemplateError):  # told where the destination itself is rendered
                path = self._templates.renderer.render_text(node.step.destination.path, names)
                escaped = absolute_path(path, self._plan.flow.project_dir).replace("`", "``")
                names["destination"] = f"delta.`{escaped}`"
        return names

    def _sql(self, query: str | None, names: Mapping[str, Any], place: Place) -> Sql | None:
        if query is None:
            return None
        return self._templates.sql_file(query, names, place) if is_sql_file(query) else Sql(query)

    def _settled(self, settings: Step) -> Step:
        """``settings`` with absolute paths, and with what the flow says for all steps."""

        def absolute(part: Any) -> Any:
            """A copy of a source, view or destination with its path absolute."""
            if part is None or part.path is None:
                return part
            path = absolute_path(part.path, self._plan.flow.project_dir)
            return part.model_copy(update={"path": path})

        destination = absolute(settings.destination)
        if destination.audit_columns is None and destination.path and destination.format == "delta":
            audited = self._plan.flow.pipeline.audit_columns
            destination = destination.model_copy(update={"audit_columns": audited})
        return settings.model_copy(
            update={
                "source": absolute(settings.source),
                "destination": destination,
                "pre_views": tuple(absolute(view) for view in settings.pre_views),
            }
        )

    def _fingerprint(
        self,
        settings: Step,
        sql: Sql | None,
        pre_views: Mapping[str, Sql],
        checks: Iterable[CompiledCheck],
        script: str,
    ) -> str:
        used = {settings.source.datasource} if settings.source else set()
        used |= {view.datasource for view in settings.pre_views}
        content = {
            "settings": settings.model_dump(mode="json", exclude=_UNPRINTED, exclude_defaults=True),
            "sql": sql.text if sql else "",
            "pre_views": {name: statement.text for name, statement in pre_views.items()},
            "checks": [check.sql.text for check in checks],
            "script": script,
            **self._masks(settings),
            "datasources": {
                name: {
                    key: value
                    for key, value in raw.items()
                    if key not in ("password", *_CLASSES_OF_DATASOURCE)
                }
                for name, raw in self._datasources.items()
                if name in used
            },
        }
        # Neither the run nor the folders that project and lakehouse lie in make another result.
        return _digest(content, (self._plan.request.run_id, *self._places))

    def _masks(self, settings: Step) -> dict[str, Any]:
        """The masks, and the name of the key of pseudonyms; nothing where there is no mask."""
        masks = {one.name.lower(): one.mask for one in settings.columns if one.mask is not None}
        if not masks:
            return {}
        key = self._plan.flow.pipeline.privacy.hmac_key if "hmac" in masks.values() else None
        return {"masks": masks, "hmac_key": key}

    def _edition(
        self, settings: Step, sql: Sql | None, pre_views: Mapping[str, Sql], script: str
    ) -> str:
        content = {
            "settings": settings.model_dump(
                mode="json", exclude=_NOT_IN_EDITION, exclude_defaults=True
            ),
            "sql": sql.text if sql else "",
            "pre_views": {name: statement.text for name, statement in pre_views.items()},
            "script": script,
            **self._masks(settings),
        }
        request, batch_id = self._plan.request, str(self._names["batch_id"])
        days = [
            day.isoformat() for day in (request.run_date, request.window.start, request.window.end)
        ]
        days += [day.replace("-", "") for day in days]
        told = [request.run_id, *self._places, *days]
        told += [batch_id] if len(batch_id) >= _LEAST_BATCH_ID else []
        return _digest(content, told)[:16]


def _digest(content: Mapping[str, Any], leave_out: Iterable[str]) -> str:
    """The hash of ``content``, wherever the texts to leave out stand in it."""
    text = json.dumps(content, sort_keys=True, default=str)
    for told in leave_out:
        text = text.replace(told, "")
    return hashlib.sha256(text.encode()).hexdigest()


def _at(tree: Any, place: Place) -> Any:
    for part in place:
        tree = tree[part]
    return tree


def _has_template(tree: Any) -> bool:
    if isinstance(tree, dict):
        return any(_has_template(value) for value in tree.values())
    if isinstance(tree, list):
        return any(_has_template(value) for value in tree)
    return is_template(tree)
