"""`pipeline release`: which versions of tables readers see, and going back in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import Config, Env, Flow, ProjectDir
from pipelines.commands.output import prepare, to_stderr, to_stdout
from pipelines.commands.words import check_choice

if TYPE_CHECKING:
    from pipelines.released import ReleasedFlow

app = typer.Typer(
    help="Releases: which versions of a stage's tables readers see.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Stage = Annotated[str | None, typer.Option("--stage", help="Only this stage.")]


@app.command("list")
def list_releases(
    flow: Flow = "main_flow",
    stage: Stage = None,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """List the releases, newest first; the current one of each stage has a star."""
    from pipelines import console

    check_choice("--format", output, ("text", "json"))
    known, current = _released(flow, env, config, project_dir).known(stage)
    if output == "json":
        said = [
            {**one.as_dict(), "is_current": one.release_id == current[name]}
            for name, releases in known.items()
            for one in releases
        ]
        to_stdout(json.dumps(said, indent=1, ensure_ascii=False))
    else:
        to_stdout(console.release_list_text(known, current))


@app.command("show")
def show_release(
    flow: Flow = "main_flow",
    stage: Stage = None,
    release: Annotated[
        str | None, typer.Option("--release", help="Its id or the beginning; else the current.")
    ] = None,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    output: Annotated[
        str, typer.Option("--format", help="text, json, or sql: statements for Spark.")
    ] = "text",
) -> None:
    """Tell readers where the tables are, in which version, and the SQL that reads them."""
    from pipelines import console

    check_choice("--format", output, ("text", "json", "sql"))
    shown = _released(flow, env, config, project_dir).shown(stage, release)
    if output == "json":
        to_stdout(json.dumps(shown, indent=1, ensure_ascii=False))
    else:
        to_stdout((console.release_sql if output == "sql" else console.release_text)(shown))


@app.command("rollback")
def roll_back_release(
    flow: Flow = "main_flow",
    stage: Stage = None,
    to: Annotated[
        str | None, typer.Option("--to", metavar="RELEASE", help="Else the one before.")
    ] = None,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
) -> None:
    """Let readers see an earlier release again; the tables stay as they are."""
    for release in _released(flow, env, config, project_dir).roll_back(stage, to):
        to_stdout(f"{release.stage} is release {release.release_id} now")
    to_stderr("note: the next run that ends well and writes releases anew")


def _released(flow: str, env: Env, config: Config, project_dir: ProjectDir) -> ReleasedFlow:
    from pipelines.released import ReleasedFlow

    return ReleasedFlow(prepare(flow, env=env, config=config, project_dir=project_dir))
