"""A flow analysed by Spark without reading a row: every statement resolved, in the DAG's order."""

from pipelines.execution.analysis.flow import analyse_flow
from pipelines.execution.analysis.sources import (
    CHOICES,
    SourceColumns,
    raw_inputs,
    read_recorded,
    recorded_text,
)

__all__ = [
    "CHOICES",
    "SourceColumns",
    "analyse_flow",
    "raw_inputs",
    "read_recorded",
    "recorded_text",
]
