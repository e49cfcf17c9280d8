"""Flows before Spark's analyzer: each fault told with code, file and line, and no row read."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.analysed import analyse
from pipelines.prepared import Options, PreparedFlow
from tests.corpus import compare, expected_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CORPUS = Path(__file__).resolve().parents[1] / "fixtures" / "analysed_flows"


def _prepared(flow: Path, folder: Path) -> PreparedFlow:
    root = folder / "toy"
    shutil.copytree(CORPUS / "files", root)
    copy = root / "pipelines" / "flows" / flow.name
    shutil.copyfile(flow, copy)
    shutil.copyfile(copy.with_name("recorded.sources.json"), copy.with_suffix(".sources.json"))
    return PreparedFlow(str(copy), Options(project_dir=root))


@pytest.mark.parametrize("flow", sorted(CORPUS.glob("*.yaml")), ids=lambda flow: flow.stem)
def test_flow_when_analysed_then_what_production_would_find_is_found(
    flow: Path, tmp_path: Path, spark: SparkSession
) -> None:
    prepared = _prepared(flow, tmp_path)
    compare(flow, expected_of(flow), analyse(prepared, spark=spark).findings)
    assert not (tmp_path / "toy" / "lake").exists()  # nothing was written
