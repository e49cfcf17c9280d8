"""Commands that audit tables: put back, compared, asked who wrote a row."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import Config, Env, ProjectDir
from pipelines.commands.output import prepare, to_stderr, to_stdout
from pipelines.commands.words import check_choice, options_of, words_of
from pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipelines.plan.rollback import RollbackPlan


def rollback(
    run_id: Annotated[str, typer.Argument(help="A run's id, its beginning, or 'last'.")],
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Undo also what was committed since.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Put every table that a run wrote back to its state before it: all, or none."""
    from pipelines import console

    check_choice("--format", output, ("text", "json"))
    if not (yes or dry_run or console.is_terminal(sys.stdin)):
        raise UsageError("a rollback asks first, and nobody is there to answer", hint="give --yes")
    from pipelines.audited import roll_back

    def agree(plan: RollbackPlan) -> bool:
        if yes:
            return True
        to_stderr(console.rollback_text(plan))
        return typer.confirm("roll back?", err=True)

    options = options_of(env=env, config=config, project_dir=project_dir)
    done = roll_back(run_id, options, force=force, dry_run=dry_run, agree=agree)
    if output == "json":
        to_stdout(json.dumps(done.as_dict(), indent=1, ensure_ascii=False))
    else:
        to_stdout(console.rollback_text(done.plan, done.outcome))
    raise typer.Exit(0 if done.is_well else 1)


def diff(
    flow: Annotated[str, typer.Argument(help="Flow, or the step alone for main_flow.")],
    step: Annotated[str | None, typer.Argument(help="Step, or stage.group.step.")] = None,
    run_ids: Annotated[
        list[str] | None, typer.Option("--run", help="One: before and after it. Two: after each.")
    ] = None,
    versions: Annotated[
        list[int] | None, typer.Option("--version", help="One: with the newest. Or two.")
    ] = None,
    env: Annotated[
        list[str] | None, typer.Option("--env", "-e", help="Environment; two are compared.")
    ] = None,
    against: Annotated[
        str | None, typer.Option(metavar="DIR", help="A table, lakehouse or small run's place.")
    ] = None,
    keys: Annotated[str | None, typer.Option(help="Columns that tell rows apart: a,b.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Sample rows of each kind.")] = 20,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Show personal data too.")
    ] = False,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with 1 where they differ.")
    ] = False,
    config: Config = None,
    project_dir: ProjectDir = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Compare two states of a step's table; without more, before and after the last run."""
    from pipelines import console
    from pipelines.audited import Asked, diff_of

    check_choice("--format", output, ("text", "json"))
    name, wanted = (flow, step) if step is not None else ("main_flow", flow)
    environments: list[str | None] = list(env or ()) or [None]
    if len(environments) > len(("before", "after")):
        raise UsageError(f"--env is given twice at most, found {len(environments)}")
    prepared, *others = (
        prepare(name, env=one, config=config, project_dir=project_dir) for one in environments
    )
    asked = Asked(tuple(run_ids or ()), tuple(versions or ()), others[0] if others else None,
                  against, words_of(keys), limit, show_values)  # fmt: skip
    found = diff_of(prepared, wanted, asked)
    if output == "json":
        to_stdout(json.dumps(found.as_dict(), indent=1, ensure_ascii=False))
    else:
        to_stdout(console.diff_text(found))
    raise typer.Exit(1 if exit_code and not found.is_same else 0)


def blame(
    flow: Annotated[str, typer.Argument(help="Flow, or the step alone for main_flow.")],
    step: Annotated[str | None, typer.Argument(help="Step, or stage.group.step.")] = None,
    where: Annotated[str, typer.Option(help='SQL condition: "student_id = 7".')] = "",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    limit: Annotated[int, typer.Option(min=0, help="Sample rows.")] = 20,
    show_values: Annotated[
        bool, typer.Option("--show-values", help="Show personal data too.")
    ] = False,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Tell which run, commit and SQL wrote each row that a step's table has now."""
    from pipelines import console
    from pipelines.audited import blame_of

    check_choice("--format", output, ("text", "json"))
    name, wanted = (flow, step) if step is not None else ("main_flow", flow)
    prepared = prepare(name, env=env, config=config, project_dir=project_dir)
    found = blame_of(prepared, wanted, where=where, limit=limit, show_values=show_values)
    if output == "json":
        to_stdout(json.dumps(found.as_dict(), indent=1, ensure_ascii=False))
    else:
        to_stdout(console.blame_text(found))
