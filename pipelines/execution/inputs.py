"""The temp views that a step's SQL sees: its declared inputs, each pinned, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipelines.errors import DatasourceError, SqlError, StepError
from pipelines.execution.context import Output, RunContext
from pipelines.execution.reads import outputs_read, words_of
from pipelines.plan.outside import is_below
from pipelines.utils.sql_runner import DeltaLog, StagedFiles, as_sql_error, run_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.plan.compile import CompiledStep
    from pipelines.spec.steps import PreView, Source
    from pipelines.utils.datasource import DataSource

_TRAVELS = ("versionAsOf", "timestampAsOf")


def register_inputs(
    session: SparkSession, step: CompiledStep, context: RunContext
) -> dict[str, Output]:
    """Makes the views of ``step`` in ``session``.

    Returns:
        The output of each upstream step that it may read, by step id.

    Raises:
        DatasourceError: a database or file cannot be reached; names datasource and host.
        SqlError: a pre_view's statement cannot be resolved.
    """
    outputs: dict[str, Output] = {}
    for step_id, names in outputs_read(step, context.compiled.plan.graph).items():
        output = context.outputs.get(step_id) or current_output(
            session, context.compiled.steps[step_id], context
        )
        if output is None:
            _refuse_if_read(step, step_id)
            continue
        frame = read_output(session, output)
        outputs[step_id] = output
        for name in names:
            frame.createOrReplaceTempView(name)
    for view in step.settings.pre_views:
        _pre_view(session, step, view, context).createOrReplaceTempView(view.name)
    raw = _raw_source(session, step, context)
    if raw is not None:
        raw.createOrReplaceTempView(step.settings.name)
    return outputs


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
            yield _from_source(session, source, context)
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


def read_output(session: SparkSession, output: Output) -> DataFrame:
    """The rows of ``output``, in ``session``."""
    if not output.format:
        return session.table(f"global_temp.{output.path}")
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


def _raw_source(session: SparkSession, step: CompiledStep, context: RunContext) -> DataFrame | None:
    source = step.settings.source
    if source is None or not source.has_raw_input:
        return None
    return _from_source(session, source, context)


def _from_source(session: SparkSession, source: Source, context: RunContext) -> DataFrame:
    if source.datasource is not None:
        return _from_datasource(
            session,
            context,
            source.datasource,
            table=source.table,
            query_text=source.query_text,
            partition=source.partition,
            options=source.options,
        )
    return _from_files(session, context, source.type or "", source.path or "", source.options)


def _pre_view(
    session: SparkSession, step: CompiledStep, view: PreView, context: RunContext
) -> DataFrame:
    if view.name in step.pre_view_sql:
        statement = step.pre_view_sql[view.name]
        return run_query(session, statement.text, file=statement.file or f"pre_view {view.name}")
    if view.datasource is not None:
        return _from_datasource(
            session,
            context,
            view.datasource,
            table=view.table,
            query_text=view.query_text,
            options=view.options,
        )
    return _from_files(session, context, view.format or "", view.path or "", view.options)


def _from_datasource(
    session: SparkSession, context: RunContext, name: str, **what: object
) -> DataFrame:
    datasource = context.datasource(name)
    try:
        return datasource.read(session, **what)  # type: ignore[arg-type]
    except Exception as error:
        raise _unreadable(datasource, as_sql_error(error)) from error


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


def _unreadable(datasource: DataSource, error: SqlError) -> DatasourceError:
    """``error`` with the datasource and host that it came from."""
    hint = "is the database up, and do user and password fit? 'pipeline doctor' tries it"
    if datasource.type != "jdbc":
        hint = "is the path right, and may this user read it?"
    return DatasourceError(
        error.message,
        condition=error.condition,
        sql_state=error.sql_state,
        java_class=error.java_class,
        where=f"datasource {datasource.name} at {datasource.place}",
        hint=hint,
    )
