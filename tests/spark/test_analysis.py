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


SILENT = """
pipeline:
  name: toy
  datasources:
    ods:
      type: jdbc
      url: jdbc:postgresql://127.0.0.1:1/ods
      classification: internal
      columns: {students: {birth_date: sensitive}}
  stages:
    - name: bronze
      max_classification: internal
      groups:
        - name: load
          steps:
            - name: students
              source: {datasource: ods, table: students}
              destination: {path: lake/students}
            - name: schools
              source: {datasource: ods, table: schools}
              destination: {path: lake/schools}
            - name: counted
              depends_on: [students]
              source: {type: delta, query: select count(*) as n from students}
              destination: {path: lake/counted, mode: scd1, keys: [n]}
"""


@pytest.mark.parametrize(
    ("sources", "code", "severity"),
    [("database", "silent-source", "error"), ("auto", "unknown-columns", "warning")],
)
def test_analysis_when_a_database_is_silent_then_that_is_all_it_says_and_it_says_it_once(
    spark: SparkSession, tmp_path: Path, sources: str, code: str, severity: str
) -> None:
    root = tmp_path / "toy"
    shutil.copytree(CORPUS / "files", root)
    flow = root / "pipelines/flows/silent.yaml"
    flow.write_text(SILENT, encoding="utf-8")
    prepared = PreparedFlow(str(flow), Options(project_dir=root))
    (finding,) = analyse(prepared, sources=sources, spark=spark).findings
    assert (finding.code, finding.severity) == (code, severity)
    assert "ods: students are not known" in finding.message
    assert "datasource ods at 127.0.0.1:1" in finding.message
    assert "is the database up?" in finding.hint
    assert ("pipeline schema record" in finding.hint) == (sources == "auto")
