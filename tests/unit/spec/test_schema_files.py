from __future__ import annotations

import json
from pathlib import Path

import pytest

from pipelines.spec.json_schema import config_schema, flow_schema, sql_tests_schema

SCHEMAS = Path(__file__).resolve().parents[3] / "pipelines" / "schema"


@pytest.mark.parametrize(
    ("name", "made"),
    [("flow", flow_schema), ("config", config_schema), ("tests", sql_tests_schema)],
    ids=["flow", "config", "tests"],
)
def test_schema_file_when_the_models_change_then_it_is_made_anew(name: str, made: object) -> None:
    kept = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    assert callable(made)
    assert kept == json.loads(json.dumps(made())), f"pipeline schema {name} >{name}.schema.json"
