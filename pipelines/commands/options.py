"""Options that several commands take, each with its words and its help."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

Flow = Annotated[str, typer.Argument(help="Name of a flow in pipelines/flows, or a path.")]
Env = Annotated[str | None, typer.Option("--env", "-e", help="Environment of the config.")]
Config = Annotated[Path | None, typer.Option("--config", help="Another config file.")]
ProjectDir = Annotated[Path | None, typer.Option("--project-dir", help="Root of the project.")]
Select = Annotated[
    list[str] | None,
    typer.Option("--select", "-s", metavar="EXPR…", help="Steps to run: +hub_student, tag:pii."),
]
Exclude = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="EXPR…", help="Steps to leave out.")
]
Var = Annotated[list[str] | None, typer.Option("--var", metavar="K=V…", help="Template variable.")]
BatchId = Annotated[str | None, typer.Option("--batch-id", help="Name of the batch.")]
RunDate = Annotated[
    datetime | None, typer.Option("--run-date", formats=["%Y-%m-%d"], help="Day of the run.")
]
Resume = Annotated[
    bool | None, typer.Option("--resume/--no-resume", help="Skip what this batch has done.")
]
Sources = Annotated[
    str,
    typer.Option(help="Columns of sources: recorded, from the database, or auto, either."),
]
FullRefresh = Annotated[bool, typer.Option("--full-refresh", help="Build tables anew.")]

_DAY = ["%Y-%m-%d"]
Mode = Annotated[str | None, typer.Option("--mode", help="daily or history; else the flow's.")]
First = Annotated[
    datetime | None, typer.Option("--from", formats=_DAY, help="A day of the first window.")
]
Last = Annotated[
    datetime | None, typer.Option("--to", formats=_DAY, help="A day of the last; else yesterday.")
]
WindowSize = Annotated[
    str | None, typer.Option("--window", help="day, week, month or year; else the flow's.")
]
Empty = Annotated[bool, typer.Option("--empty", help="On no rows, in a scratch place.")]
Sample = Annotated[
    str | None,
    typer.Option("--sample", metavar="N|FRACTION", help="On some keys' rows, in a scratch place."),
]
CloneFrom = Annotated[
    str | None,
    typer.Option("--clone-from", metavar="ENV", help="On clones of its tables, untouched."),
]
Scratch = Annotated[
    str | None, typer.Option("--scratch", metavar="DIR", help="Where a small run writes.")
]
