from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from pipelines.spec.config import Config
from pipelines.spec.flow import FlowFile
from pipelines.spec.json_schema import (
    config_schema,
    field_descriptions,
    flow_schema,
    reachable_models,
    sql_tests_schema,
)
from pipelines.spec.sql_tests import SqlTestFile
from pipelines.spec.yaml_document import read_document

if TYPE_CHECKING:
    from pydantic import BaseModel

FLOWS = sorted((Path(__file__).parents[3] / "pipelines" / "flows").glob("*.yaml"))
SQL_TESTS = sorted((Path(__file__).parents[2] / "sql").glob("*.yaml"))
MODELS = sorted(
    {model for root in (FlowFile, Config, SqlTestFile) for model in reachable_models(root)},
    key=lambda model: model.__name__,
)
SCHEMAS = {"flow": flow_schema(), "config": config_schema(), "tests": sql_tests_schema()}
DEFINITIONS = [
    pytest.param(schema, name, id=name)
    for schema in SCHEMAS.values()
    for name in schema["$defs"]
    if "examples" in schema["$defs"][name]
]
STEP = {
    "name": "students",
    "source": {"datasource": "edfi", "table": "edfi.Student"},
    "destination": {"path": "{{ base_path }}/students"},
    "dq_checks": ["dq/a.sql", {"file": "dq/b.sql", "warn_at": "{{ vars.limit }}"}],
}


def flow(step: dict[str, Any]) -> dict[str, Any]:
    stage = {"name": "bronze", "groups": [{"name": "ingestion", "steps": [step]}]}
    return {"pipeline": {"name": "edfi", "stages": [stage]}}


def errors(tree: Any, schema: dict[str, Any] = SCHEMAS["flow"]) -> list[str]:
    return [error.message for error in Draft202012Validator(schema).iter_errors(tree)]


@pytest.mark.parametrize("schema", SCHEMAS.values(), ids=SCHEMAS)
def test_schema_is_valid_and_of_draft_2020_12(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert json.loads(json.dumps(schema)) == schema
    assert schema["title"].startswith("Pipeline ")


@pytest.mark.parametrize("file", FLOWS, ids=lambda file: file.stem)
def test_schema_accepts_the_flows_of_the_project(file: Path) -> None:
    assert errors(yaml.safe_load(file.read_text())) == []


@pytest.mark.parametrize("file", SQL_TESTS, ids=lambda file: file.stem)
def test_schema_accepts_the_sql_tests_of_the_project(file: Path) -> None:
    assert errors(read_document(file).tree, SCHEMAS["tests"]) == []


def test_there_are_files_to_check() -> None:
    assert "main_flow" in {file.stem for file in FLOWS}
    assert {"bronze", "silver", "gold"} <= {file.stem for file in SQL_TESTS}


def test_schema_accepts_a_step_with_templates() -> None:
    assert errors(flow(STEP)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"dependson": []},
        {"depends_on": "students"},
        {"script": "ingestion/a.py"},
        {"source": None},
        {"destination": {}},
        {"destination": {"path": "a", "view": "b"}},
        {"destination": {"path": "a", "schema_policy": "strict"}},
        {"destination": {"path": "a", "mode": "upsert"}},
        {"source": {"datasource": "edfi", "type": "csv"}},
        {"retry": {"attempts": 0}},
        {"timeout_seconds": "soon"},
        {"name": "a-b"},
        {"dq_checks": [{"expect": "value = 0"}]},
    ],
    ids=str,
)
def test_schema_rejects_what_the_models_reject(change: dict[str, Any]) -> None:
    changed = flow({**copy.deepcopy(STEP), **change})
    assert errors(changed)


def test_config_schema_takes_the_config_and_rejects_unknown_keys() -> None:
    config = {"default_environment": "local", "environments": {"local": {"base_path": "lake"}}}
    assert errors(config, SCHEMAS["config"]) == []
    config["environments"]["local"]["basepath"] = "lake"  # type: ignore[index]
    assert len(errors(config, SCHEMAS["config"])) == 1


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_has_a_description(model: type[BaseModel]) -> None:
    keys = {field.alias or name for name, field in model.model_fields.items()}
    texts = field_descriptions(model)
    assert keys - texts.keys() == set()
    assert all(texts.values())


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_shows_its_descriptions_in_the_schema(model: type[BaseModel]) -> None:
    roots = {FlowFile: "flow", Config: "config", SqlTestFile: "tests"}
    shown = [SCHEMAS[roots[model]]] if model in roots else []
    shown += [s["$defs"][model.__name__] for s in SCHEMAS.values() if model.__name__ in s["$defs"]]
    assert shown
    for definition in shown:
        assert definition["description"]
        described = {key: prop.get("description") for key, prop in definition["properties"].items()}
        assert described == field_descriptions(model)


@pytest.mark.parametrize(("schema", "name"), DEFINITIONS)
def test_examples_are_valid(schema: dict[str, Any], name: str) -> None:
    one = {**schema, "$ref": f"#/$defs/{name}"}
    for key in ("properties", "required", "additionalProperties"):
        one.pop(key)
    for example in schema["$defs"][name]["examples"]:
        assert errors(example, one) == []
