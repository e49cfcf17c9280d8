"""`pipeline ods`: words to one call of the sample ODS."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The embedded sample ODS: a real database in a folder, no server.")

ProjectDir = Annotated[Path | None, typer.Option("--project-dir", help="Root of the project.")]
Folder = Annotated[
    Path | None, typer.Option("--folder", help="Its folder; data/ods of the project if not given.")
]


@app.command("create")
def create(
    folder: Folder = None,
    project_dir: ProjectDir = None,
    students: Annotated[int, typer.Option(min=1, help="How many students.")] = 1_000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same data.")] = 42,
    if_missing: Annotated[bool, typer.Option("--if-missing", help="Or leave as it is.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace one that is there.")] = False,
) -> None:
    """Make a sample ODS with synthetic students, some of their data dirty on purpose."""
    from pipelines.sample_ods import derby

    place = _folder(folder, project_dir)
    if if_missing and derby.exists(place):
        return
    derby.create(place, students, seed, force=force)
    _tell(f"made {place} with {students:,} students")


@app.command("change")
def change(
    folder: Folder = None,
    project_dir: ProjectDir = None,
    changes: Annotated[int, typer.Option(min=1, help="How many changes the day brings.")] = 50,
) -> None:
    """Let a day pass: inserts, updates, deletes and re-enrollments."""
    from pipelines.sample_ods import derby

    place = _folder(folder, project_dir)
    _tell(f"{derby.apply_changes(place, changes)}")


@app.command("info")
def info(folder: Folder = None, project_dir: ProjectDir = None) -> None:
    """Count what is in the sample ODS."""
    from pipelines.sample_ods import derby

    sys.stdout.write(f"{derby.describe(_folder(folder, project_dir))}\n")


def _folder(folder: Path | None, project_dir: Path | None) -> Path:
    from pipelines.spec.loader import find_project_dir

    return folder or (project_dir or find_project_dir(Path.cwd())) / "data" / "ods"


def _tell(text: str) -> None:
    sys.stderr.write(f"{text}\n")
