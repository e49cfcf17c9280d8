"""Which flows a project has."""

from __future__ import annotations

from pathlib import Path

from pipelines.errors import UsageError
from pipelines.spec.loader import FLOWS_FOLDER, find_project_dir


def flow_files(project_dir: Path | None = None) -> tuple[Path, ...]:
    """Every YAML file below `pipelines/flows/`, by name.

    Raises:
        UsageError: there is none.
    """
    folder = (project_dir or find_project_dir(Path.cwd())) / FLOWS_FOLDER
    found = sorted(file for file in folder.rglob("*.y*ml") if file.suffix in (".yaml", ".yml"))
    if not found:
        raise UsageError("the project has no flow", where=str(folder), hint="add one, as NAME.yaml")
    return tuple(found)
