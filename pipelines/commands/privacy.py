"""Commands about personal data: where it lives, and a person erased."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import Config, Env, Flow, ProjectDir, Sources, Var
from pipelines.commands.output import prepare, to_stderr, to_stdout
from pipelines.commands.words import check_choice
from pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipelines.plan.forget import ErasurePlan

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


def forget(
    flow: Flow = "main_flow",
    key: Annotated[
        str, typer.Option("--key", metavar="COLUMN=VALUE", help="Who: student_unique_id=123.")
    ] = "",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    var: Var = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Erase a person from every table of a flow; first it shows how many rows that takes."""
    from pipelines import console

    check_choice("--format", output, ("text", "json"))
    name, equals, value = key.partition("=")
    if not (name and equals and value):
        raise UsageError("--key takes COLUMN=VALUE", hint="such as --key student_unique_id=123")
    if not (yes or dry_run or console.is_terminal(sys.stdin)):
        raise UsageError("forget asks first, and nobody is there to answer", hint="give --yes")
    from pipelines import audited

    def agree(plan: ErasurePlan) -> bool:
        if yes:
            return True
        to_stderr(console.erasure_text(plan))
        return typer.confirm("erase them?", err=True)

    prepared = prepare(flow, env=env, config=config, project_dir=project_dir, var=var)
    done = audited.forget(prepared, name.strip(), value, dry_run=dry_run, agree=agree)
    if output == "json":
        to_stdout(json.dumps(done.as_dict(), indent=1, ensure_ascii=False))
    else:
        to_stdout(console.erasure_text(done.plan, done.outcome))
    raise typer.Exit(0 if done.is_well else 1)
