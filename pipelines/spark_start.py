"""The Spark session that a prepared flow works in, as its environment asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.execution.class_archive import archive_options
from pipelines.execution.jars import DEFAULT_PACKAGES, jar_cache, resolve_jars
from pipelines.execution.session import start_session
from pipelines.spec.config import is_local_master

if TYPE_CHECKING:
    from pathlib import Path

    from pipelines.execution.session import SparkSession
    from pipelines.prepared import PreparedFlow


def start_spark(prepared: PreparedFlow) -> SparkSession:
    """A session of its own, with Delta and the JDBC drivers; whoever asks for it stops it.

    Raises:
        PipelineError: Spark did not start.
        JarResolutionError: its jars could not be had.
    """
    settings = prepared.environment.spark
    jars: Sequence[Path] = ()
    shares_classes = settings.share_classes and is_local_master(settings.master)
    if settings.master is not None:
        cache = jar_cache(prepared.flow.project_dir)
        jars = resolve_jars(cache, (*DEFAULT_PACKAGES, *settings.packages))
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
        java_options=archive_options(prepared.cache_folder) if shares_classes else "",
        debug=prepared.options.debug,
    )
