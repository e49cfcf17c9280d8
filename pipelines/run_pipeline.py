"""The command line: words to one call of the engine, and its exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import typer

from pipelines.commands import audits, backups, dry_runs, logs, maintenance, privacy, running
from pipelines.commands.output import to_stderr
from pipelines.commands.releases import app as releases
from pipelines.commands.words import one_value_an_option
from pipelines.errors import PipelineError
from pipelines.sample_ods.commands import app as sample_ods

# Nobody's plugin is wanted, and looking for some takes pydantic as long as validating a flow.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
_HELP = {"help_option_names": ["-h", "--help"]}

_COMMANDS: dict[str, Callable[..., None] | typer.Typer] = {
    "run": running.run,
    "validate": dry_runs.validate,
    "plan": dry_runs.plan,
    "render": dry_runs.render,
    "graph": dry_runs.graph,
    "lineage": dry_runs.lineage,
    "test": dry_runs.test,
    "history": logs.history,
    "intervals": logs.intervals,
    "show": logs.show,
    "rollback": audits.rollback,
    "diff": audits.diff,
    "blame": audits.blame,
    "backup": backups.backup,
    "restore": backups.restore,
    "maintain": maintenance.maintain,
    "forget": privacy.forget,
    "schema": dry_runs.schema,
    "doctor": dry_runs.doctor,
    "release": releases,
    "privacy": privacy.app,
    "ods": sample_ods,
}


def command_line(words: Sequence[str] = ()) -> typer.Typer:
    """The command line, with the command that ``words`` begin with; with all if it is none.

    Working out the options of all commands takes a third of what validating a flow does.
    """
    app = typer.Typer(
        name="pipeline",
        help="Runs flows of SQL on Spark into a Delta lakehouse: checked, resumable, recorded.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=_HELP,
    )
    app.callback()(_nothing_before_the_command)
    named = {word: _COMMANDS[word] for word in words[:1] if word in _COMMANDS}
    for name, command in (named or _COMMANDS).items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def _nothing_before_the_command() -> None:
    """Keeps the command a word of its own, though there be no other."""


def run_process() -> NoReturn:
    """The whole life of a process that is the command line; `main` for one that is more.

    A command that starts no Spark is done in the time that Python takes to look for garbage
    among what it imports, and to take its modules apart in the end: it does neither.
    """
    gc.set_threshold(100_000)
    try:
        main()
    except SystemExit as end:
        if "pyspark" not in sys.modules and isinstance(end.code, int):
            os._exit(end.code)
        raise


def main(words: Sequence[str] | None = None) -> NoReturn:
    """Runs the command line, flushes its output, and exits with its code."""
    given = list(sys.argv[1:] if words is None else words)
    code: Any = 0
    try:
        command_line(given)(one_value_an_option(given), prog_name="pipeline")
    except SystemExit as end:
        code = end.code
    except PipelineError as error:
        to_stderr(f"error: {error}")
        code = error.exit_code
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:  # `… | head`: else Python complains of it at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


if __name__ == "__main__":
    run_process()
