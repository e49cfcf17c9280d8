"""How each kind of step makes its result: one row of `HANDLERS` a kind."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import PipelineError, ScriptError, SqlError
from pipelines.execution.context import RunContext
from pipelines.execution.part_reads import Reading
from pipelines.plan.compile import CompiledStep, Sql
from pipelines.utils.sql_runner import StatementKind, parse, run_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


@dataclass(frozen=True)
class Product:
    """What a step made: rows still to be written, or a statement that writes by itself.

    Attributes:
        frame: the rows.
        statement: the statement.
        kind: of the statement.
        reading: how what it is made of was read.
    """

    frame: DataFrame | None = None
    statement: Sql | None = None
    kind: StatementKind = StatementKind.QUERY
    reading: Reading = field(default_factory=Reading)


Handler = Callable[["SparkSession", CompiledStep, RunContext], Product]


def produce(session: SparkSession, step: CompiledStep, context: RunContext) -> Product:
    """The product of ``step``; its views are in ``session`` already."""
    for applies, handler in HANDLERS.items():
        if getattr(step.settings, applies) is not None:
            return handler(session, step, context)
    raise AssertionError(f"{step.id} is of no known kind")


def query_product(session: SparkSession, step: CompiledStep) -> Product:
    """What the SQL of ``step`` makes of its views, or its raw source as it is.

    Raises:
        SqlError: Spark cannot parse or resolve it, or it is no statement for a step.
    """
    if step.sql is None:
        return Product(session.table(step.settings.name))
    kind = parse(session, step.sql.text, file=step.sql.file)
    if kind is StatementKind.OTHER:
        raise SqlError(
            "a step's SQL is a query, or one MERGE, INSERT, UPDATE or DELETE",
            where=step.sql.file,
        )
    if kind.changes_a_table:
        return Product(statement=step.sql, kind=kind)
    return Product(run_query(session, step.sql.text, file=step.sql.file))


def _query(session: SparkSession, step: CompiledStep, context: RunContext) -> Product:
    """SQL over the step's views; it needs nothing else of the run."""
    return query_product(session, step)


def _script(session: SparkSession, step: CompiledStep, context: RunContext) -> Product:
    """A Python file's `ingest(spark, context)`."""
    from pyspark.sql import DataFrame

    path = step.settings.script or ""
    try:
        ingest = _load_ingest(context.compiled.plan.flow.project_dir, path, step.id)
        frame = ingest(session, context.script_context(step))
    except PipelineError:
        raise
    except Exception as error:
        raise ScriptError(f"{type(error).__name__}: {error}", where=_place(error, path)) from error
    if not isinstance(frame, DataFrame):
        raise ScriptError(
            f"ingest() returned {type(frame).__name__}, not a DataFrame",
            where=path,
            hint="return the rows; the engine writes them",
        )
    return Product(frame)


def _load_ingest(project_dir: Path, path: str, step_id: str) -> Callable[..., Any]:
    """The script's function, loaded by path under a name of its own."""
    name = f"_pipeline_script_{step_id.replace('.', '_')}"
    spec = importlib.util.spec_from_file_location(name, project_dir / path)
    if spec is None or spec.loader is None:
        raise ScriptError("not a Python file", where=path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    ingest = getattr(module, "ingest", None)
    if not callable(ingest):
        raise ScriptError(
            "the script has no function ingest(spark, context)",
            where=path,
            hint="define it at the top level; it returns a DataFrame",
        )
    return ingest  # type: ignore[no-any-return]


def _place(error: BaseException, path: str) -> str:
    """``path:line`` of the script's own innermost line that ``error`` came through."""
    line, trace = 0, error.__traceback__
    if isinstance(error, SyntaxError) and str(error.filename).endswith(path):
        line = error.lineno or 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename.endswith(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return f"{path}:{line}" if line else path


HANDLERS: Mapping[str, Handler] = {"source": _query, "script": _script}
