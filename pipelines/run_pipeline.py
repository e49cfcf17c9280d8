"""The command line: words to one call of the engine, and its exit code."""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from pipelines.command_words import (
    check_choice,
    flows_of,
    is_history,
    one_value_an_option,
    options_of,
    period_of,
    words_of,
)
from pipelines.errors import ConfigError, FlowError, PipelineError, UsageError
from pipelines.sample_ods.commands import app as sample_ods

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.plan.rollback import RollbackPlan
    from pipelines.plan.windows import Period
    from pipelines.prepared import Options, PreparedFlow
    from pipelines.sinks.base import Sink

# Nobody's plugin is wanted, and looking for some takes pydantic as long as validating a flow.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
_HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="pipeline",
    help="Runs flows of SQL on Spark into a Delta lakehouse: checked, resumable, recorded.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings=_HELP,
)
app.add_typer(sample_ods, name="ods")

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


@app.command()
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
    threads: Annotated[int, typer.Option(min=0, help="Steps side by side; 0: by itself.")] = 0,
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
    _tell(warnings)
    if is_history(pipeline, is_asked=(first, last, window) != (None,) * 3):
        _run_history(flow, options, period, log_format, dry_run=dry_run)
    if dry_run:
        _print(console.plan_text(pipeline.compiled, pipeline.decisions()))
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
        _message(f"note: {history.order}")
    if dry_run:
        _print(console.intervals_text(history.rows(), "json" if log_format == "json" else "text"))
        raise typer.Exit(0)
    result = history.run()
    _print(console.intervals_text(result.rows, "json" if log_format == "json" else "text"))
    raise typer.Exit(result.exit_code)


@app.command()
def validate(
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    var: Var = None,
    every: Annotated[bool, typer.Option("--all", help="Every flow in pipelines/flows.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings count as errors.")] = False,
    analyze: Annotated[
        bool, typer.Option("--analyze", help="Let Spark resolve every statement; no data is read.")
    ] = False,
    sources: Sources = "auto",
    output: Annotated[
        str, typer.Option("--format", help="text, json, sarif, github or gitlab.")
    ] = "text",
) -> None:
    """Look for everything that is wrong with a flow and the files it names; no data is read."""
    from pipelines import console

    check_choice("--format", output, ("text", "json", "sarif", "github", "gitlab"))
    check_choice("--sources", sources, ("auto", "recorded", "database"))
    findings: dict[Finding, None] = {}  # the config's are found again with each flow
    for name in flows_of(flow, project_dir, every=every):
        pipeline = _prepare(name, env=env, config=config, project_dir=project_dir, var=var)
        try:
            if analyze:
                from pipelines.analysed import analyse

                found = analyse(pipeline, sources=sources).findings
            else:
                found = pipeline.findings()
        except (FlowError, ConfigError) as error:
            found = error.findings
        findings |= dict.fromkeys(found)
    _print(console.findings_text(findings, output))
    if any(strict or finding.severity == "error" for finding in findings):
        raise typer.Exit(2)


@app.command()
def plan(
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
    against: Annotated[
        str | None,
        typer.Option(metavar="DIR|GIT_REF", help="state:modified means: other than there."),
    ] = None,
    columns: Annotated[
        bool, typer.Option("--columns/--no-columns", help="With --against: what Spark sees change.")
    ] = True,
    output: Annotated[str, typer.Option("--format", help="text or json.")] = "text",
) -> None:
    """Show what a run would do with each step, and why; no JVM but for --against."""
    from pipelines import console

    check_choice("--format", output, ("text", "json"))
    pipeline = _prepare(flow, env=env, config=config, project_dir=project_dir, batch_id=batch_id,
                         run_date=run_date, select=select, exclude=exclude, var=var, resume=resume,
                         full_refresh=full_refresh, against=against)  # fmt: skip
    decisions = pipeline.decisions()
    impact = None
    if against is not None and columns:
        from pipelines.analysed import impact_of

        impact = impact_of(pipeline)
    if output == "json":
        said = json.loads(console.plan_json(pipeline.compiled, decisions))
        if impact is not None:
            said["impact"] = console.impact_dict(impact)
        _print(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        _print(console.plan_text(pipeline.compiled, decisions))
        if impact is not None:
            _print("\n" + console.impact_text(impact, against or ""))


@app.command()
def render(
    flow: Annotated[str, typer.Argument(help="Flow, or the step alone for main_flow.")],
    step: Annotated[str | None, typer.Argument(help="Step, or stage.group.step.")] = None,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    run_date: RunDate = None,
    var: Var = None,
) -> None:
    """Show the SQL and the settings of a step as they would run."""
    from pipelines import console

    name, wanted = (flow, step) if step is not None else ("main_flow", flow)
    pipeline = _prepare(
        name, env=env, config=config, project_dir=project_dir, run_date=run_date, var=var
    )
    _print(console.step_text(pipeline.step(wanted)))


@app.command()
def graph(
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    output: Annotated[
        str, typer.Option("--format", help="Any of png, pdf, svg, mermaid, dot; by commas.")
    ] = "png,pdf",
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")] = Path(),
    run_id: Annotated[
        str | None, typer.Option("--run", help="Colour by this run's statuses; 'last' works.")
    ] = None,
) -> None:
    """Draw the DAG."""
    from pipelines.flows.visualize_pipeline_dag import draw
    from pipelines.plan.graph import build_graph
    from pipelines.sinks.run_log import read_run

    pipeline = _prepare(flow, env=env, config=config, project_dir=project_dir)
    statuses = None
    if run_id is not None:
        log = read_run(pipeline.log_folder, run_id)
        statuses = {s["id"]: (s["status"], s["duration_seconds"]) for s in log["steps"]}
    for file in draw(
        build_graph(pipeline.flow),
        title=pipeline.flow.pipeline.name,
        statuses=statuses,
        formats=[part.strip() for part in output.split(",") if part.strip()],
        out_dir=out,
        name=pipeline.flow.path.stem,
        datasource_types={n: d.type for n, d in pipeline.flow.pipeline.datasources.items()},
    ):
        _print(str(file))


@app.command()
def lineage(
    flow: Annotated[str, typer.Argument(help="Flow, or the name alone for main_flow.")],
    name: Annotated[str | None, typer.Argument(help="STEP, or STEP.COLUMN.")] = None,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    var: Var = None,
    upstream: Annotated[
        bool, typer.Option("--upstream/--downstream", help="What it is made of, or what of it.")
    ] = True,
    depth: Annotated[int | None, typer.Option(min=1, help="At most so many steps far.")] = None,
    sources: Sources = "auto",
    output: Annotated[str, typer.Option("--format", help="text, json or mermaid.")] = "text",
) -> None:
    """Show what a table or column is made of, or what is made of it; columns take a JVM."""
    from pipelines import console
    from pipelines.analysed import lineage_of

    check_choice("--format", output, ("text", "json", "mermaid"))
    check_choice("--sources", sources, ("auto", "recorded", "database"))
    named, wanted = (flow, name) if name is not None else ("main_flow", flow)
    pipeline = _prepare(named, env=env, config=config, project_dir=project_dir, var=var)
    found, start = lineage_of(pipeline, wanted, sources=sources)
    _print(console.lineage_text(found, start, upstream=upstream, depth=depth, fmt=output))


@app.command()
def test(
    files: Annotated[
        list[Path] | None, typer.Argument(help="Files and folders; without any tests/sql.")
    ] = None,
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    select: Select = None,
    keyword: Annotated[
        str, typer.Option("--keyword", "-k", metavar="TEXT", help="Names that hold it.")
    ] = "",
    sources: Sources = "auto",
    fail_fast: Annotated[bool, typer.Option("--fail-fast", help="Stop at a failure.")] = False,
    output: Annotated[str, typer.Option("--format", help="text, json or junit.")] = "text",
) -> None:
    """Run the SQL tests: steps on rows of their own, compared with what must come out."""
    from pipelines import console

    check_choice("--format", output, ("text", "json", "junit"))
    check_choice("--sources", sources, ("auto", "recorded", "database"))
    from pipelines.tested import run_sql_tests

    options = options_of(env=env, config=config, project_dir=project_dir, select=select)
    started, results = time.monotonic(), []
    for result in run_sql_tests(
        files or (), options, keyword=keyword, sources=sources, fail_fast=fail_fast
    ):
        results.append(result)
        if output == "text":
            _print(console.sql_test_text(result))
    seconds = time.monotonic() - started
    if output == "text":
        _print(console.sql_tests_summary(results, seconds))
    else:
        _print(console.sql_tests_report(results, seconds, output))
    raise typer.Exit(1 if any(result.is_broken for result in results) else 0)


@app.command()
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
        wanted = _prepare(flow, project_dir=project_dir).flow.pipeline.name
    runs = read_runs(log_folder(project_dir, config, env), wanted, limit=limit)
    if output == "json":
        _print(json.dumps(runs, indent=1, ensure_ascii=False))
    else:
        _print(console.history_text(runs))


@app.command()
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
    _print(console.intervals_text(rows, output))


@app.command()
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
        _print(json.dumps(log, indent=1, ensure_ascii=False))
    else:
        _print(console.show_text(log, log=str(folder / f"{log['run_id']}.json")))


@app.command()
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
        _message(console.rollback_text(plan))
        return typer.confirm("roll back?", err=True)

    options = options_of(env=env, config=config, project_dir=project_dir)
    done = roll_back(run_id, options, force=force, dry_run=dry_run, agree=agree)
    if output == "json":
        _print(json.dumps(done.as_dict(), indent=1, ensure_ascii=False))
    else:
        _print(console.rollback_text(done.plan, done.outcome))
    raise typer.Exit(0 if done.is_well else 1)


@app.command()
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
        _prepare(name, env=one, config=config, project_dir=project_dir) for one in environments
    )
    asked = Asked(tuple(run_ids or ()), tuple(versions or ()), others[0] if others else None,
                  against, words_of(keys), limit, show_values)  # fmt: skip
    found = diff_of(prepared, wanted, asked)
    if output == "json":
        _print(json.dumps(found.as_dict(), indent=1, ensure_ascii=False))
    else:
        _print(console.diff_text(found))
    raise typer.Exit(1 if exit_code and not found.is_same else 0)


@app.command()
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
    prepared = _prepare(name, env=env, config=config, project_dir=project_dir)
    found = blame_of(prepared, wanted, where=where, limit=limit, show_values=show_values)
    if output == "json":
        _print(json.dumps(found.as_dict(), indent=1, ensure_ascii=False))
    else:
        _print(console.blame_text(found))


@app.command()
def schema(
    of: Annotated[str, typer.Argument(help="flow, config, tests or record.")] = "flow",
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
    var: Var = None,
    check: Annotated[
        bool, typer.Option("--check", help="Only compare what is recorded with the sources.")
    ] = False,
) -> None:
    """Print the JSON Schema of flow, config or SQL tests; or record the columns of sources."""
    from pipelines.spec.json_schema import config_schema, flow_schema, sql_tests_schema

    check_choice("OF", of, ("flow", "config", "tests", "record"))
    if of == "record":
        from pipelines.analysed import record

        pipeline = _prepare(flow, env=env, config=config, project_dir=project_dir, var=var)
        file, differs = record(pipeline, only_compare=check)
        _print("\n".join(differs) or f"{file} is as the sources are")
        raise typer.Exit(1 if check and differs else 0)
    schemas = {"flow": flow_schema, "config": config_schema, "tests": sql_tests_schema}
    _print(json.dumps(schemas[of](), indent=2, ensure_ascii=False))


@app.command()
def doctor(
    flow: Flow = "main_flow",
    env: Env = None,
    config: Config = None,
    project_dir: ProjectDir = None,
) -> None:
    """Look whether this machine has what a run needs."""
    from pipelines import console
    from pipelines.execution.doctor import examine
    from pipelines.execution.jars import DEFAULT_PACKAGES

    pipeline = _prepare(flow, env=env, config=config, project_dir=project_dir)
    compiled = pipeline.checked()
    rows = list(
        examine(
            pipeline.cache_folder,
            (*DEFAULT_PACKAGES, *pipeline.environment.spark.packages),
            compiled.datasources,
            pipeline.connections.datasource,
            sorted(compiled.secrets),
            pipeline.connections.has_secret,
            pipeline.connections.secret_services,
        )
    )
    redact = pipeline.connections.redact  # a path or a host may be made of a secret
    _print(console.doctor_text([row.redacted(redact) for row in rows]))
    if any(row.state == "fail" for row in rows):
        raise typer.Exit(1)


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
        app(one_value_an_option(given), prog_name="pipeline")
    except SystemExit as end:
        code = end.code
    except PipelineError as error:
        _message(f"error: {error}")
        code = error.exit_code
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:  # `… | head`: else Python complains of it at its end
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    sys.exit(code)


def _prepare(flow: str, **words: Any) -> PreparedFlow:
    from pipelines.prepared import PreparedFlow

    return PreparedFlow(flow, options_of(**words))


def _tell(findings: Sequence[Any]) -> None:
    for finding in findings:
        _message(f"warning: {finding.text()}")


def _print(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


def _message(text: str) -> None:
    sys.stderr.write(text.rstrip("\n") + "\n")


if __name__ == "__main__":
    run_process()
