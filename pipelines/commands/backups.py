"""Commands that copy a lakehouse and put it back."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import Config, Env, Flow, ProjectDir
from pipelines.commands.output import prepare, to_stderr, to_stdout
from pipelines.commands.words import check_choice
from pipelines.errors import UsageError

if TYPE_CHECKING:
    from pipelines.results.backups import Restored, Taken, Verified


def backup(
    flow: Flow = "main_flow",
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="Folder of backups.")
    ] = None,
    verify: Annotated[
        Path | None, typer.Option("--verify", metavar="BACKUP", help="Only look through this one.")
    ] = None,
    with_history: Annotated[
        bool, typer.Option("--with-history", help="Files of older versions too.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Copy also what an earlier backup there has.")
    ] = False,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Copy the lakehouse of a flow, as it is now; or look a copy through."""
    from pipelines import backups, console

    check_choice("--format", output, ("text", "json"))
    if (to is None) == (verify is None):
        raise UsageError("a backup takes --to DIR, or --verify BACKUP", hint="give one of them")
    if verify is not None:
        found = backups.verify(verify)
        _tell(output, found, console.verified_text(found))
        raise typer.Exit(0 if found.is_well else 1)
    prepared = prepare(flow, env=env, config=config, project_dir=project_dir)
    taken = backups.back_up(prepared, to or Path(), with_history=with_history, is_full=full)
    _tell(output, taken, console.backup_text(taken))


def restore(
    flow: Annotated[str, typer.Argument(help="Flow, or the backup alone, which knows it.")],
    backup: Annotated[str | None, typer.Argument(help="Folder of the backup.")] = None,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="DIR", help="An empty folder, instead.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Put a backup in the place of the lakehouse, or into an empty folder."""
    from pipelines import backups, console
    from pipelines.spec.loader import find_project_dir

    check_choice("--format", output, ("text", "json"))
    folder = Path(flow if backup is None else backup)
    if to is not None:
        done = backups.restore_to(folder, to, dry_run=dry_run)
    else:
        if not (yes or dry_run or console.is_terminal(sys.stdin)):
            raise UsageError(
                "a restore asks first, and nobody is there to answer", hint="give --yes"
            )

        def agree(plan: Restored) -> bool:
            if yes:
                return True
            to_stderr(console.restored_text(plan))
            return typer.confirm("put it in the place of what is there?", err=True)

        said = backups.read_manifest(folder)
        root = project_dir or find_project_dir(Path.cwd())
        prepared = prepare(
            str(root / said.flow) if backup is None else flow,
            env=env or said.environment,
            config=config,
            project_dir=project_dir,
        )
        done = backups.restore(prepared, folder, dry_run=dry_run, agree=agree)
    _tell(output, done, console.restored_text(done))
    raise typer.Exit(0 if done.is_well else 1)


def _tell(output: str, result: Taken | Verified | Restored, text: str) -> None:
    """Puts a result on stdout, as text or as JSON."""
    if output == "json":
        text = json.dumps(result.as_dict(), indent=1, ensure_ascii=False)
    to_stdout(text)
