"""`pipeline run`: a flow run today, or window by window over the past."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from pipelines.commands.options import (
    BatchId,
    CloneFrom,
    Config,
    Empty,
    Env,
    Exclude,
    First,
    Flow,
    FullRefresh,
    Last,
    Mode,
    ProjectDir,
    Resume,
    RunDate,
    Sample,
    Scratch,
    Select,
    Var,
    WindowSize,
)
from pipelines.commands.output import tell_findings, to_stderr, to_stdout
from pipelines.commands.words import check_choice, is_history, options_of, period_of

if TYPE_CHECKING:
    from pipelines.plan.windows import Period
    from pipelines.prepared import Options
    from pipelines.sinks.base import Sink


def run(
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    batch_id: BatchId = None,
    run_date: RunDate = None,
    select: Select = None,
    exclude: Exclude = None,
    var: Var = None,
    resume: Resume = None,
    full_refresh: FullRefresh = False,
    mode: Mode = None,
    first: First = None,
    last: Last = None,
    window: WindowSize = None,
    reprocess: Annotated[
        str, typer.Option(help="Windows to run: none (missing ones), failed too, or all.")
    ] = "failed",
    empty: Empty = False,
    sample: Sample = None,
    clone_from: CloneFrom = None,
    scratch: Scratch = None,
    threads: Annotated[int, typer.Option(min=0, help="Steps and checks side by side; 0: 4.")] = 0,
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at a failure.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Validate and plan only.")] = False,
    log_format: Annotated[str, typer.Option(help="auto, rich, text or json.")] = "auto",
    debug: Annotated[bool, typer.Option("--debug", help="Plans, and Spark's warnings.")] = False,
) -> None:
    """Run a flow."""
    from pipelines import console

    check_choice("--log-format", log_format, ("auto", "rich", "text", "json"))
    from pipelines.pipeline import Pipeline

    options = options_of(env=env, config=config, project_dir=project_dir, batch_id=batch_id,
                       run_date=run_date, select=select, exclude=exclude, var=var, resume=resume,
                       full_refresh=full_refresh, threads=threads, fail_fast=fail_fast,
                       debug=debug, empty=empty, sample=sample, clone_from=clone_from,
                       scratch=scratch, mode=mode)  # fmt: skip
    period = period_of(first, last, window, reprocess)
    pipeline = Pipeline(flow, options, sinks=[console.progress(log_format)])
    warnings = [finding for finding in pipeline.findings() if finding.severity == "warning"]
    pipeline.checked()
    tell_findings(warnings)
    if is_history(pipeline, is_asked=(first, last, window) != (None,) * 3):
        _run_history(flow, options, period, log_format, dry_run=dry_run)
    if dry_run:
        to_stdout(console.plan_text(pipeline.compiled, pipeline.decisions()))
        return
    result = pipeline.run()
    raise typer.Exit(result.exit_code or 0)


def _run_history(
    flow: str, options: Options, period: Period, log_format: str, *, dry_run: bool
) -> NoReturn:
    """Windows of the past, and what became of each."""
    from pipelines import console
    from pipelines.history_run import HistoryRun

    def sinks(label: str) -> list[Sink]:
        return [console.progress(log_format, label=label)]

    history = HistoryRun(flow, options, period, sinks=sinks)
    if history.order:
        to_stderr(f"note: {history.order}")
    if dry_run:
        to_stdout(
            console.intervals_text(history.rows(), "json" if log_format == "json" else "text")
        )
        raise typer.Exit(0)
    result = history.run()
    to_stdout(console.intervals_text(result.rows, "json" if log_format == "json" else "text"))
    if result.releases:
        to_stderr(console.stage_releases_text(result.releases))
    if result.failure:
        to_stderr(f"error: {result.failure}")
    raise typer.Exit(result.exit_code)
