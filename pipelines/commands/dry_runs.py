"""Commands that look at a flow before it runs: what is wrong, what would run, what of what."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.options import (
    BatchId,
    Config,
    Env,
    Exclude,
    Flow,
    FullRefresh,
    ProjectDir,
    Resume,
    RunDate,
    Select,
    Sources,
    Var,
)
from pipelines.commands.output import prepare, to_stdout
from pipelines.commands.words import check_choice, flows_of, options_of
from pipelines.errors import ConfigError, FlowError

if TYPE_CHECKING:
    from pipelines.errors import Finding


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
        pipeline = prepare(name, env=env, config=config, project_dir=project_dir, var=var)
        try:
            if analyze:
                from pipelines.analysed import analyse

                found = analyse(pipeline, sources=sources).findings
            else:
                found = pipeline.findings()
        except (FlowError, ConfigError) as error:
            found = error.findings
        findings |= dict.fromkeys(found)
    to_stdout(console.findings_text(findings, output))
    if any(strict or finding.severity == "error" for finding in findings):
        raise typer.Exit(2)


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
    pipeline = prepare(flow, env=env, config=config, project_dir=project_dir, batch_id=batch_id,
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
        to_stdout(json.dumps(said, indent=2, ensure_ascii=False))
    else:
        to_stdout(console.plan_text(pipeline.compiled, decisions))
        if impact is not None:
            to_stdout("\n" + console.impact_text(impact, against or ""))


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
    pipeline = prepare(
        name, env=env, config=config, project_dir=project_dir, run_date=run_date, var=var
    )
    to_stdout(console.step_text(pipeline.step(wanted)))


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

    pipeline = prepare(flow, env=env, config=config, project_dir=project_dir)
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
        to_stdout(str(file))


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
    pipeline = prepare(named, env=env, config=config, project_dir=project_dir, var=var)
    found, start = lineage_of(pipeline, wanted, sources=sources)
    to_stdout(console.lineage_text(found, start, upstream=upstream, depth=depth, fmt=output))


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
            to_stdout(console.sql_test_text(result))
    seconds = time.monotonic() - started
    if output == "text":
        to_stdout(console.sql_tests_summary(results, seconds))
    else:
        to_stdout(console.sql_tests_report(results, seconds, output))
    raise typer.Exit(1 if any(result.is_broken for result in results) else 0)


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

        pipeline = prepare(flow, env=env, config=config, project_dir=project_dir, var=var)
        file, differs = record(pipeline, only_compare=check)
        to_stdout("\n".join(differs) or f"{file} is as the sources are")
        raise typer.Exit(1 if check and differs else 0)
    schemas = {"flow": flow_schema, "config": config_schema, "tests": sql_tests_schema}
    to_stdout(json.dumps(schemas[of](), indent=2, ensure_ascii=False))


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

    pipeline = prepare(flow, env=env, config=config, project_dir=project_dir)
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
    to_stdout(console.doctor_text([row.redacted(redact) for row in rows]))
    if any(row.state == "fail" for row in rows):
        raise typer.Exit(1)
