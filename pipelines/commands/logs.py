"""Commands that read what runs have left: lists of them, one of them, windows of the past."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.options import (
    Config,
    Env,
    First,
    Flow,
    Last,
    ProjectDir,
    Select,
    WindowSize,
)
from pipelines.commands.output import prepare, to_stdout
from pipelines.commands.words import check_choice, options_of, period_of


def history(
    flow: Annotated[str | None, typer.Argument(help="Only runs of this flow.")] = None,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """List the runs, newest first, from their logs; no JVM."""
    from pipelines import console
    from pipelines.sinks.run_log import read_runs
    from pipelines.spec.loader import log_folder

    check_choice("--format", output, ("text", "json"))
    wanted = None
    if flow is not None:
        wanted = prepare(flow, project_dir=project_dir).flow.pipeline.name
    runs = read_runs(log_folder(project_dir, config, env), wanted, limit=limit)
    if output == "json":
        to_stdout(json.dumps(runs, indent=1, ensure_ascii=False))
    else:
        to_stdout(console.history_text(runs))


def intervals(
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    first: First = None,
    last: Last = None,
    window: WindowSize = None,
    select: Select = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """List windows of the past: done, failed or missing; without --from those of the ledger."""
    from pipelines import console
    from pipelines.history_run import intervals_of

    check_choice("--format", output, ("text", "json"))
    options = options_of(env=env, config=config, project_dir=project_dir, select=select)
    rows = intervals_of(flow, options, period_of(first, last, window, "none"))
    to_stdout(console.intervals_text(rows, output))


def show(
    run_id: Annotated[
        str, typer.Argument(help="A run's id, its beginning, its log, or 'last'.")
    ] = "last",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Show one run from its log; no JVM."""
    from pipelines import console
    from pipelines.sinks.run_log import read_run
    from pipelines.spec.loader import log_folder

    check_choice("--format", output, ("text", "json"))
    if run_id.endswith(".json"):
        folder, run_id = Path(run_id).parent, Path(run_id).stem
    else:
        folder = log_folder(project_dir, config, env)
    log = read_run(folder, run_id)
    if output == "json":
        to_stdout(json.dumps(log, indent=1, ensure_ascii=False))
    else:
        to_stdout(console.show_text(log, log=str(folder / f"{log['run_id']}.json")))
