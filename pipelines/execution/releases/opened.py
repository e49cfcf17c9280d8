"""The releases of a flow, on the storage and in the catalog of its environment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.execution.files import HadoopFiles, LocalFiles, is_local
from pipelines.execution.releases.store import ReleaseStore
from pipelines.execution.releases.switching import Releases

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from pipelines.plan.compile import CompiledPlan

_CATALOG = "spark.sql.catalogImplementation"


def open_releases(compiled: CompiledPlan, session: Callable[[], SparkSession]) -> Releases:
    """The releases of a flow.

    Args:
        compiled: the flow.
        session: gives a Spark session; asked only for remote storage, and to change views.
    """
    base_path = compiled.base_path
    files = LocalFiles(is_shared=True) if is_local(base_path) else HadoopFiles(session())
    return Releases(ReleaseStore(files, base_path, compiled.plan.flow.pipeline.name), session)


def keeps_views(compiled: CompiledPlan, session: Callable[[], SparkSession]) -> bool:
    """Whether the catalog of the environment outlives a session; Spark is asked if need be."""
    spark = compiled.environment.spark
    told = spark.conf.get(_CATALOG)
    if told is None and spark.master is not None:
        return False
    if told is not None and "{" not in str(told):
        return told == "hive"
    from pipelines.execution.releases import views

    return views.keeps_views(session())
