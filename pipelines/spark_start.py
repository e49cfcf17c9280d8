"""The Spark session that a prepared flow works in, as its environment asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.execution.class_archive import ClassArchive, class_archive
from pipelines.execution.jars import DEFAULT_PACKAGES, jar_cache, resolve_jars
from pipelines.execution.session import start_session

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.execution.session import SparkSession
    from pipelines.prepared import PreparedFlow


def start_spark(prepared: PreparedFlow, *, is_run: bool = False) -> SparkSession:
    """A session of its own, with Delta and the JDBC drivers; whoever asks for it stops it.

    Args:
        prepared: the flow.
        is_run: whether data will be moved; else the JVM is set up for a short life.

    Raises:
        PipelineError: Spark did not start.
        JarResolutionError: its jars could not be had.
    """
    settings = prepared.environment.spark
    jars: Sequence[Path] = _jars(prepared) if settings.master is not None else ()
    archive = _archive(prepared, jars)
    java_options = [] if is_run else ["-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m"]
    if archive is not None:
        java_options.append(archive.java_options(record=is_run))
    names = prepared.compiled.names
    conf = {
        key: prepared.loader.render_text(value, names) if isinstance(value, str) else value
        for key, value in settings.conf.items()
    }
    return start_session(
        prepared.flow.pipeline.name,
        settings.master,
        conf,
        jars,
        folder=prepared.cache_folder / "spark",
        java_options=" ".join(java_options),
        debug=prepared.options.debug,
    )


def keep_classes(prepared: PreparedFlow, spark: SparkSession) -> bool:
    """Keeps what the JVM has loaded for later starts; whether there was anything to do.

    Raises:
        PipelineError: Java could not.
    """
    archive = _archive(prepared, _jars(prepared))
    return archive is not None and archive.keep(spark)


def _jars(prepared: PreparedFlow) -> Sequence[Path]:
    cache = jar_cache(prepared.flow.project_dir)
    return resolve_jars(cache, (*DEFAULT_PACKAGES, *prepared.environment.spark.packages))


def _archive(prepared: PreparedFlow, jars: Sequence[Path]) -> ClassArchive | None:
    settings = prepared.environment.spark
    is_local = settings.master is not None and settings.master.startswith("local")
    return class_archive(jars) if is_local and settings.share_classes else None
