"""Commands about personal data: where it lives."""

from __future__ import annotations

from typing import Annotated

import typer

from pipelines.commands.options import Config, Env, Flow, ProjectDir, Sources, Var
from pipelines.commands.output import prepare, to_stdout
from pipelines.commands.words import check_choice

app = typer.Typer(help="Personal data: which class of data lives where, and why.")


@app.callback()
def privacy() -> None:
    """Lets `report` be a word of its own, though there is no other."""


@app.command("report")
def report(
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    var: Var = None,
    least: Annotated[
        str, typer.Option("--class", help="This class and those above it: public, internal, …")
    ] = "public",
    sources: Sources = "auto",
    output: Annotated[str, typer.Option("--format", help="text, json or markdown.")] = "text",
) -> None:
    """List the class of every column that a flow writes, and where it has it from."""
    from pipelines import console
    from pipelines.spec.privacy import CLASSES, rank

    check_choice("--format", output, ("text", "json", "markdown"))
    check_choice("--sources", sources, ("auto", "recorded", "database"))
    check_choice("--class", least, CLASSES)
    from pipelines.analysed import private_columns_of

    prepared = prepare(flow, env=env, config=config, project_dir=project_dir, var=var)
    columns = private_columns_of(prepared, sources=sources)
    shown = [one for one in columns if rank(one.what.classification) >= rank(least)]
    to_stdout(console.privacy_text(shown, output))
