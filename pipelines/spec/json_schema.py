"""JSON Schemas of the flow, the config and SQL tests, for editors and CI."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from pipelines.spec.config import Config, Environment
from pipelines.spec.flow import Datasource, FlowFile, Group, PipelineSpec, Stage
from pipelines.spec.policies import CheckpointPolicy, Notifications, RetryPolicy, SamplePolicy
from pipelines.spec.secret_settings import VaultSettings
from pipelines.spec.sql_tests import ExpectedRows, FixtureFile, SqlTest, SqlTestFile
from pipelines.spec.steps import Destination, DqCheck, PreView, Source, Step
from pipelines.spec.templated import Spec

DRAFT = "https://json-schema.org/draft/2020-12/schema"

_STEP = {
    "name": "students",
    "source": {"datasource": "edfi", "table": "edfi.Student", "query": "sql/bronze/students.sql"},
    "destination": {"path": "{{ base_path }}/bronze/{{ name }}", "mode": "merge", "keys": ["id"]},
    "dq_checks": ["dq/bronze/students/row_count.sql"],
}
_GROUP = {"name": "ingestion", "steps": [_STEP]}
_STAGE = {"name": "bronze", "depends_on": [], "groups": [_GROUP]}
_DATASOURCE = {
    "type": "jdbc",
    "url": "jdbc:postgresql://ods:5432/edfi",
    "user": "etl",
    "password": "{{ secret('EDFI_PASSWORD') }}",
}
_SQL_TEST = {
    "name": "blank ids make no hub row",
    "step": "hub_student",
    "given": {"students": [{"student_unique_id": "S1"}, {"student_unique_id": " "}]},
    "expect": {"rows": [{"student_unique_id": "S1"}]},
}
_EXAMPLES: Mapping[type[BaseModel], tuple[Any, ...]] = {
    FlowFile: ({"pipeline": {"name": "edfi", "stages": [_STAGE]}},),
    PipelineSpec: ({"name": "edfi", "datasources": {"edfi": _DATASOURCE}, "stages": [_STAGE]},),
    Stage: (_STAGE,),
    Group: (_GROUP,),
    Step: (
        _STEP,
        {
            "name": "calendar",
            "script": "ingestion/gold/calendar.py",
            "destination": {"view": "calendar"},
        },
    ),
    Source: (_STEP["source"], {"type": "delta", "query": "sql/silver/hub_student.sql"}),
    PreView: ({"name": "codes", "format": "csv", "path": "data/codes.csv"},),
    Destination: (_STEP["destination"], {"view": "calendar"}),
    DqCheck: ({"file": "dq/bronze/students/row_count.sql", "expect": "value >= 1"},),
    Datasource: (_DATASOURCE,),
    RetryPolicy: ({"attempts": 3, "delay_seconds": 10},),
    SamplePolicy: ({"keys": ["StudentUSI"]},),
    CheckpointPolicy: ({"enabled": True},),
    Notifications: ({"on_failure": "Teams://#data-alerts"},),
    SqlTestFile: ({"flow": "main_flow", "tests": [_SQL_TEST]},),
    SqlTest: (_SQL_TEST,),
    ExpectedRows: (_SQL_TEST["expect"], {"rows": "id,name\n1,Ada\n", "ordered": True}),
    FixtureFile: ({"file": "students.csv"},),
    VaultSettings: (
        {
            "address": "https://vault.example.org:8200",
            "path": "edfi/etl",
            "auth": {"kubernetes": {"role": "etl"}},
        },
    ),
    Environment: ({"base_path": "lakehouse", "spark": {"master": "local[*]"}},),
    Config: (
        {"default_environment": "local", "environments": {"local": {"base_path": "lakehouse"}}},
    ),
}
_ONE_OF: Mapping[type[BaseModel], tuple[str, ...]] = {
    Step: ("source", "script"),
    Destination: ("path", "view"),
    PreView: ("path", "datasource", "query"),
    Source: ("datasource", "type"),
}
"""Keys of which exactly one is given; the models ask for it in Python."""


def flow_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a flow file, with JSON types only."""
    return _schema(FlowFile, "Pipeline flow")


def config_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of the config file, with JSON types only."""
    return _schema(Config, "Pipeline config")


def sql_tests_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a file of SQL tests, with JSON types only."""
    return _schema(SqlTestFile, "Pipeline SQL tests")


def field_descriptions(model: type[BaseModel]) -> dict[str, str]:
    """The docstrings below the fields of ``model``, its bases' included, by the YAML's key.

    They are read from the source when asked for, since a run has no need of them.
    """
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__):
        if issubclass(cls, Spec) and cls is not Spec:
            found |= _attribute_docstrings(cls)
    for name, field in model.model_fields.items():
        if field.description and name not in found:
            found[name] = field.description
    return {
        field.alias or name: found[name]
        for name, field in model.model_fields.items()
        if name in found
    }


def _schema(root: type[BaseModel], title: str) -> dict[str, Any]:
    schema = root.model_json_schema(by_alias=True)
    models = {model.__name__: model for model in reachable_models(root)}
    _describe(schema, root)
    for name, definition in schema.get("$defs", {}).items():
        if name in models:
            _describe(definition, models[name])
    return {"$schema": DRAFT, **schema, "title": title}


def _describe(definition: dict[str, Any], model: type[BaseModel]) -> None:
    """Fills in what the class says of itself and of its fields."""
    definition["description"] = inspect.getdoc(model) or ""
    if model in _EXAMPLES:
        definition["examples"] = list(_EXAMPLES[model])
    if model in _ONE_OF:
        # A key that is null counts as not given, as it does to the models.
        definition["oneOf"] = [
            {"required": [key], "properties": {key: {"not": {"type": "null"}}}}
            for key in _ONE_OF[model]
        ]
    texts = field_descriptions(model)
    for key, prop in definition.get("properties", {}).items():
        if key in texts:
            prop["description"] = texts[key]


def reachable_models(root: type[BaseModel]) -> list[type[BaseModel]]:
    """``root`` and all models that its fields are made of, each once."""
    found: dict[type[BaseModel], None] = {}
    pending: list[Any] = [root]
    while pending:
        kind = pending.pop()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            if kind in found:
                continue
            found[kind] = None
            pending += [field.annotation for field in kind.model_fields.values()]
        pending += _parts(kind)
    return list(found)


def _parts(kind: Any) -> Iterable[Any]:
    """What a type such as ``tuple[Step, ...]`` or ``Stage | None`` is made of."""
    return getattr(kind, "__args__", ())


def _attribute_docstrings(cls: type) -> dict[str, str]:
    """The string that stands below each annotated name of the class body."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    if not isinstance(body, ast.ClassDef):
        return {}
    found = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
            continue
        if isinstance(below, ast.Expr) and isinstance(below.value, ast.Constant):
            found[field.target.id] = inspect.cleandoc(str(below.value.value))
    return found
