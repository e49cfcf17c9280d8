"""What a step reads its rows from, as its audit column tells it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.plan.origins import origin_text
from pipelines.prepared import Options, PreparedFlow

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("flow", "step", "origin"),
    [
        ("main_flow", "descriptors", "edfi_ods: edfi.Descriptor"),
        (
            "main_flow",
            "demographics",
            "edfi_ods: a query, "
            "edfi_ods: tracked_changes_edfi.StudentEducationOrganizationAssociation",
        ),
        # By its changes alone.
        ("main_flow", "hub_student", "bronze.ingestion.students"),
        (
            "main_flow",
            "dim_school",
            "silver.hubs.hub_school, silver.satellites.sat_school",
        ),
        ("script_flow", "students", "ingestion/bronze/extract_students_jdbc.py"),
    ],
)
def test_origin_text_names_what_is_read_and_no_address(flow: str, step: str, origin: str) -> None:
    prepared = PreparedFlow(flow, Options(project_dir=ROOT))
    assert origin_text(prepared.step(step), prepared.compiled.plan.graph) == origin
