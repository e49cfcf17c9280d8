"""YAML files to frozen models: all problems at once, each with its place."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipelines.errors import ConfigError, Finding, FlowError, UsageError, near_names
from pipelines.spec.config import Config, Environment
from pipelines.spec.flow import CompleteDatasource, Flow, FlowFile, PipelineSpec
from pipelines.spec.salvage import salvage
from pipelines.spec.validation import validate
from pipelines.spec.yaml_document import Document, parse_document, path_text, read_document

FLOWS_FOLDER = Path("pipelines") / "flows"
CONFIG_FILE = Path("pipelines") / "pipelines_config.yaml"
_ENV_PREFIX = "PIPELINE__"


def find_project_dir(start: Path) -> Path:
    """The nearest folder, from ``start`` upwards, with a `pipelines/` or a `pyproject.toml`.

    Raises:
        UsageError: there is none.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        if (folder / "pyproject.toml").is_file() or (folder / "pipelines").is_dir():
            return folder
    raise UsageError(
        f"no project found at or above {start}",
        hint="a project has a pipelines/ folder or a pyproject.toml; or give --project-dir",
    )


def find_flow_file(flow: str, project_dir: Path | None = None) -> Path:
    """The file that ``flow`` means: a path, or a name below `pipelines/flows/`.

    Raises:
        UsageError: there is no such file; near names are offered.
    """
    as_path = Path(flow).expanduser()
    if as_path.suffix in (".yaml", ".yml"):
        candidates = [as_path] if project_dir is None else [as_path, project_dir / as_path]
        for candidate in candidates:
            if candidate.is_file():
                return candidate.resolve()
        raise UsageError(f"flow file {flow!r} does not exist", where=str(as_path))
    root = project_dir or find_project_dir(Path.cwd())
    folder = root / FLOWS_FOLDER
    for suffix in (".yaml", ".yml"):
        candidate = folder / f"{flow}{suffix}"
        if candidate.is_file():
            return candidate.resolve()
    known = sorted(file.stem for file in folder.glob("*.y*ml"))
    near = near_names(flow, known) or tuple(known[:5])
    hint = f"known flows: {', '.join(near)}" if near else f"no flow in {folder}"
    raise UsageError(f"flow {flow!r} does not exist", where=str(folder), hint=hint)


def load_flow(path: Path, project_dir: Path | None = None) -> Flow:
    """The flow in the file at ``path``.

    Raises:
        FlowError: with every finding of the file.
        UsageError: the file is in no project.
    """
    root = project_dir.resolve() if project_dir else find_project_dir(path.parent)
    document = read_document(path, shown_as=_shown(path, root))
    findings = list(document.findings)
    flow_file = None
    if document.tree is not None or not findings:
        flow_file, more = validate(FlowFile, document.tree, document)
        findings += more
    findings += _duplicate_names(document)
    digest = hashlib.sha256(document.text.encode()).hexdigest()
    if findings or flow_file is None:
        left = _salvaged(document, findings)
        partial = left and Flow(path.resolve(), root, digest, left[0], left[1])
        raise FlowError(_in_order(findings), partial)
    return Flow(path.resolve(), root, digest, flow_file.pipeline, document)


def _salvaged(
    document: Document, findings: Iterable[Finding]
) -> tuple[PipelineSpec, Document] | None:
    """The pipeline without its faults, and the document that says so; None where too little is."""
    tree = salvage(document.tree, findings) if document.tree is not None else None
    if tree is None:
        return None
    left = replace(document, tree=tree, findings=())
    flow_file, more = validate(FlowFile, tree, left)
    if flow_file is None or more or _duplicate_names(left):
        return None
    return flow_file.pipeline, left


def _in_order(findings: Iterable[Finding]) -> list[Finding]:
    return sorted(findings, key=lambda finding: (finding.line, finding.column))


def load_environment(
    project_dir: Path,
    *,
    config_file: Path | None = None,
    name: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> tuple[str, Environment]:
    """The environment to run in, and its name: the config's, overridden by ``variables``.

    The name is ``name``, else ``PIPELINE_ENV``, else the config's default. A variable such
    as ``PIPELINE__SPARK__MASTER`` replaces the key `spark.master`; its value is read as YAML.

    Raises:
        ConfigError: with every finding of the config.
    """
    variables = os.environ if variables is None else variables
    file = config_file or project_dir / CONFIG_FILE
    document = read_document(file, shown_as=_shown(file, project_dir))
    findings = list(document.findings)
    config = None
    if document.tree is not None or not findings:
        config, more = validate(Config, document.tree, document)
        findings += more
    if findings or config is None:
        raise ConfigError(_in_order(findings))
    chosen = name or variables.get("PIPELINE_ENV") or config.default_environment
    if chosen not in config.environments:
        known = ", ".join(config.environments)
        raise ConfigError(
            [
                document.finding(
                    "unknown-environment",
                    f"environment {chosen!r} is not in the config",
                    ("environments",),
                    key=True,
                    near=near_names(chosen, config.environments),
                    hint=f"known: {known}",
                )
            ]
        )
    overrides = {
        key[len(_ENV_PREFIX) :]: value
        for key, value in variables.items()
        if key.startswith(_ENV_PREFIX)
    }
    if not overrides:
        return chosen, config.environments[chosen]
    return chosen, _overridden(document, chosen, overrides)


def log_folder(project_dir: Path | None, config: Path | None, env: str | None) -> Path:
    """Where the JSON logs of an environment are; no flow is looked at."""
    root = project_dir or find_project_dir(Path.cwd())
    _, environment = load_environment(root, config_file=config, name=env)
    return environment.logs.folder(root)


def merged_datasources(
    flow: Flow, environment: Environment
) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    """Every datasource as raw settings, the environment's keys over the flow's.

    The values are templates still. Findings name datasources that are not whole.
    """
    raw = (flow.document.tree["pipeline"].get("datasources") or {}) if flow.document.tree else {}
    merged: dict[str, dict[str, Any]] = {name: dict(settings) for name, settings in raw.items()}
    for name, override in environment.datasources.items():
        merged[name] = override.over(merged.get(name))
    findings: list[Finding] = []
    for name, settings in merged.items():
        settings.update(
            {
                key: value.get_secret_value()
                for key, value in settings.items()
                if hasattr(value, "get_secret_value")
            }
        )
        place = ("pipeline", "datasources", name)
        findings += validate(CompleteDatasource, settings, flow.document, place, strict=False)[1]
    return merged, findings


def _overridden(document: Document, chosen: str, overrides: Mapping[str, str]) -> Environment:
    tree = json_copy(document.tree["environments"][chosen])
    at = ("environments", chosen)
    texts: dict[str, tuple[dict[str, Any], str, str]] = {}
    for name, text in overrides.items():
        *folders, last = name.split("__")
        node = tree
        for part in folders:
            key = _same_key(node, part)
            node = node.setdefault(key, {})
            if not isinstance(node, dict):
                raise UsageError(f"{_ENV_PREFIX}{name} goes into {key!r}, which is no mapping")
        value = parse_document(text, _ENV_PREFIX + name)
        key = _same_key(node, last)
        node[key] = text if value.findings else value.tree
        if not isinstance(node[key], list | dict):
            texts[path_text((*at, *folders, key)).lower()] = (node, key, text)
    environment, findings = validate(Environment, tree, document, at)
    for finding in findings:
        if finding.code == "bad-type" and finding.path.lower() in texts:
            node, key, text = texts[finding.path.lower()]
            node[key] = text  # a password of digits is still a text
    if findings:
        environment, findings = validate(Environment, tree, document, at)
    if environment is None:
        named = ", ".join(_ENV_PREFIX + name for name in sorted(overrides))
        raise ConfigError(
            [
                Finding(**{**finding.as_dict(), "near": finding.near, "hint": f"set by {named}"})
                for finding in findings
            ]
        )
    return environment


def json_copy(tree: Any) -> Any:
    """A deep copy of plain values."""
    if isinstance(tree, dict):
        return {key: json_copy(value) for key, value in tree.items()}
    return [json_copy(value) for value in tree] if isinstance(tree, list) else tree


def _same_key(node: Mapping[str, Any], part: str) -> str:
    """The key of ``node`` that is ``part`` but for case; variables are in capitals."""
    new = part if "." in part else part.lower()  # Spark's own settings are told apart by case
    return next((key for key in node if key.lower() == part.lower()), new)


def _shown(path: Path, root: Path) -> str:
    resolved = path.resolve()
    return str(resolved.relative_to(root)) if resolved.is_relative_to(root) else str(path)


def _duplicate_names(document: Document) -> list[Finding]:
    """Two stages, two groups of a stage, or two steps of a group with one name."""
    findings: list[Finding] = []

    def look(kind: str, items: list[Any], place: tuple[str | int, ...]) -> None:
        first: dict[str, int] = {}
        for number, item in enumerate(items):
            name = item.get("name") if isinstance(item, dict) else None
            if not isinstance(name, str):
                continue
            if name.lower() in first:
                line, _ = document.locate((*place, first[name.lower()], "name"))
                message = f"{kind} {name!r} exists already, on line {line}"
                findings.append(
                    document.finding("duplicate-name", message, (*place, number, "name"))
                )
            else:
                first[name.lower()] = number

    stages_at: tuple[str | int, ...] = ("pipeline", "stages")
    stages = _list_in(_list_in(document.tree, "pipeline", dict), "stages")
    look("stage", stages, stages_at)
    for i, stage in enumerate(stages):
        groups = _list_in(stage, "groups")
        look("group", groups, (*stages_at, i, "groups"))
        for j, group in enumerate(groups):
            look("step", _list_in(group, "steps"), (*stages_at, i, "groups", j, "steps"))
    return findings


def _list_in(node: Any, key: str, kind: type = list) -> Any:
    """What stands under ``key`` where it is of its kind, else an empty one."""
    found = node.get(key) if isinstance(node, dict) else None
    return found if isinstance(found, kind) else kind()
