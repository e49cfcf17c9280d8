"""`pipeline maintain`: small files joined, and what nobody needs any more cleared away."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipelines.commands.options import Config, Env, Flow, ProjectDir
from pipelines.commands.output import prepare, to_stdout
from pipelines.commands.words import check_choice


def maintain(
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look.")] = False,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Maintain tables and what runs left, as the flow's `maintenance` says."""
    from pipelines import console

    check_choice("--format", output, ("text", "json"))
    from pipelines.maintained import maintain as maintain_flow

    prepared = prepare(flow, env=env, config=config, project_dir=project_dir)
    done = maintain_flow(prepared, is_dry=dry_run)
    if output == "json":
        to_stdout(json.dumps(done.as_dict(), indent=1, ensure_ascii=False))
    else:
        to_stdout(console.maintenance_text(done))
    raise typer.Exit(0 if done.is_well else 1)
