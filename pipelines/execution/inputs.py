"""The temp views that a step's SQL sees: its declared inputs, each pinned, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING

from pipelines.errors import StepError
from pipelines.execution.context import Output, RunContext
from pipelines.execution.datasource_errors import unreadable
from pipelines.execution.reads import outputs_read, words_of
from pipelines.plan.outside import is_below
from pipelines.utils.sql_runner import (
    DeltaLog,
    StagedFiles,
    as_sql_error,
    in_session,
    kept_rows,
    run_query,
)

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.part_reads import Reading
    from pipelines.plan.compile import CompiledStep
    from pipelines.spec.steps import PreView, Source
    from pipelines.utils.datasource import DataSource

_TRAVELS = ("versionAsOf", "timestampAsOf")


def upstream_outputs(
    session: SparkSession, step: CompiledStep, context: RunContext
) -> dict[str, Output]:
    """The output of each upstream step that ``step`` may read, by step id.

    Raises:
        StepError: one that its SQL names was never written.
    """
    outputs: dict[str, Output] = {}
    for step_id in outputs_read(step, context.compiled.plan.graph):
        output = context.outputs.get(step_id) or current_output(
            session, context.compiled.steps[step_id], context
        )
        if output is None:
            _refuse_if_read(step, step_id)
            continue
        outputs[step_id] = output
    return outputs


def register_inputs(
    session: SparkSession,
    step: CompiledStep,
    context: RunContext,
    outputs: Mapping[str, Output],
    reading: Reading,
    kept: ExitStack,
) -> None:
    """Makes the views of ``step`` in ``session``.

    Args:
        session: the step's own.
        step: the step.
        context: of the run.
        outputs: of the upstream steps that it may read, by step id.
        reading: how what it watches is read.
        kept: lets go of what is computed here and kept, where only a part is read.

    Raises:
        DatasourceError: a database or file cannot be reached; names datasource and host.
        SqlError: a pre_view's statement cannot be resolved.
    """
    for step_id, names in outputs_read(step, context.compiled.plan.graph).items():
        if step_id in outputs and names:
            frame = in_session(read_output(outputs[step_id], context), session)
            for name in names:
                frame.createOrReplaceTempView(name)
    parts = reading.parts
    for name, frame in parts.items():
        frame.createOrReplaceTempView(name)
    for view in step.settings.pre_views:
        if view.name not in parts:
            rows = _pre_view(session, step, view, context)
            if view.keep and not reading.is_whole and not reading.is_idle:
                rows, _ = kept_rows(rows)
                kept.callback(rows.unpersist)
            rows.createOrReplaceTempView(view.name)
    source = step.settings.source
    if source is not None and source.has_raw_input and step.settings.name not in parts:
        read_raw(session, source, context).createOrReplaceTempView(step.settings.name)


def read_raw(session: SparkSession, what: Source | PreView, context: RunContext) -> DataFrame:
    """The rows of a source, or of a pre_view that is no query; nothing is read yet.

    Raises:
        DatasourceError: a database or file cannot be reached; names datasource and host.
        SqlError: files cannot be read.
    """
    if what.datasource is None:
        kind = getattr(what, "type", None) or getattr(what, "format", None) or ""
        return _from_files(session, context, kind, what.path or "", what.options)
    partition = getattr(what, "partition", None)
    with _told_where(context, what.datasource) as datasource:
        return datasource.read(
            session,
            what.table,
            query_text=what.query_text,
            partition=partition,
            options=what.options,
        )


def read_highest(
    session: SparkSession, what: Source | PreView, column: str, context: RunContext
) -> DataFrame:
    """One row with the highest value of a column of what `read_raw` reads.

    Raises:
        DatasourceError: as there.
        SqlError: as there.
    """
    if what.datasource is None:
        return read_raw(session, what, context).selectExpr(f"max(`{column}`) as highest")
    with _told_where(context, what.datasource) as datasource:
        return datasource.highest(
            session, column, what.table, query_text=what.query_text, options=what.options
        )


def raw_sources(session: SparkSession, context: RunContext) -> Iterator[DataFrame]:
    """What all steps read from outside, in the flow's order, but for what scripts do by themselves.

    Each is connected to when it is asked for.
    """
    steps = context.compiled.steps.values()
    written = [step.settings.destination.path for step in steps if step.settings.destination.path]

    def is_outside(path: str | None) -> bool:
        return path is None or not any(is_below(path, one) for one in written)

    for step in steps:
        source = step.settings.source
        if source is not None and source.has_raw_input and is_outside(source.path):
            yield read_raw(session, source, context)
        for view in step.settings.pre_views:
            if view.name not in step.pre_view_sql and is_outside(view.path):
                yield _pre_view(session, step, view, context)


def current_output(session: SparkSession, step: CompiledStep, context: RunContext) -> Output | None:
    """What a step that this run does not run gave last; None where it never wrote."""
    destination = step.settings.destination
    if destination.path is None:
        return None
    path = destination.path
    if destination.format == "delta":
        log = DeltaLog(session, path)
        version = context.pinned_version(path, log.version)
        if version is None:
            return None
        return Output("delta", path, version, identity=log.identity(version))
    files = StagedFiles(session, path, destination.format)
    if not files.exists():
        return None
    return Output(
        destination.format, path, None, identity=files.identity(), options=destination.options
    )


def read_output(output: Output, context: RunContext) -> DataFrame:
    """The rows of ``output``, in the run's session; looked up once for all that read it."""
    if not output.format:
        return context.spark.table(f"global_temp.{output.path}")
    if not output.identity:
        return _load(context.spark, output)
    return context.at_hand((output.path, output.identity), partial(_load, output=output))


def _load(session: SparkSession, output: Output) -> DataFrame:
    reader = session.read.format(output.format)
    if output.version is not None:
        reader = reader.option("versionAsOf", output.version)
    else:
        reader = reader.options(**{key: str(value) for key, value in output.options.items()})
    return reader.load(output.path)


def _refuse_if_read(step: CompiledStep, upstream: str) -> None:
    if words_of(step) is not None:
        raise StepError(
            f"{step.id} reads {upstream}, which has never been written",
            hint=f"run it too: --select +{step.settings.name}",
        )


def _pre_view(
    session: SparkSession, step: CompiledStep, view: PreView, context: RunContext
) -> DataFrame:
    if view.name in step.pre_view_sql:
        statement = step.pre_view_sql[view.name]
        return run_query(session, statement.text, file=statement.file or f"pre_view {view.name}")
    return read_raw(session, view, context)


@contextmanager
def _told_where(context: RunContext, name: str) -> Iterator[DataSource]:
    """The datasource called ``name``; what breaks meanwhile is told with it and its host."""
    datasource = context.datasource(name)
    try:
        yield datasource
    except Exception as error:
        raise unreadable(datasource, error) from error


def _from_files(
    session: SparkSession, context: RunContext, file_format: str, path: str, options: object
) -> DataFrame:
    given = {key: str(value) for key, value in dict(options).items()}  # type: ignore[call-overload]
    if file_format == "delta" and not any(key in given for key in _TRAVELS):
        version = context.pinned_version(path, DeltaLog(session, path).version)
        if version is not None:
            given["versionAsOf"] = str(version)
    try:
        return context.take(session.read.format(file_format).options(**given).load(path))
    except Exception as error:
        raise as_sql_error(error, where=path) from error
