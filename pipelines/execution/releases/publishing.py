"""Releases the published stages of a flow after a run, as far as the run allows it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.execution.releases.opened import keeps_views, open_releases
from pipelines.execution.releases.store import Standing
from pipelines.plan.releases import candidate_of
from pipelines.results.release import FAILED, HELD_BACK, RELEASED, STANDS, Release, StageRelease

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyspark.sql import SparkSession

    from pipelines.execution.releases.switching import Releases
    from pipelines.plan.compile import CompiledPlan
    from pipelines.results import StepResult

_BROKE = "releasing it broke"
_NO_CATALOG = "no views: the catalog of this environment does not outlive its session"


def release_after_run(
    compiled: CompiledPlan,
    results: Mapping[str, StepResult],
    session: Callable[[], SparkSession],
    *,
    at: str,
    is_stopped: bool,
) -> tuple[tuple[StageRelease, ...], Exception | None]:
    """What becomes of each published stage, and the first thing that broke one.

    Small runs release nothing; the windows of a history run do so together, at its end.

    Args:
        compiled: the flow as it ran.
        results: of all its steps, by id.
        session: gives a Spark session; asked only where one is needed.
        at: now, UTC, ISO 8601.
        is_stopped: whether a signal ended the run.
    """
    request = compiled.plan.request
    if request.small is not None:
        return (), None
    why = "the run was stopped" if is_stopped else ""
    if request.mode == "history":
        why = "windows are released together, when all of them have ended well"
    if why:
        return tuple(StageRelease(one, HELD_BACK, reason=why) for one in compiled.publishes), None
    return publish(compiled, results, session, request.run_id, at)


def publish(
    compiled: CompiledPlan,
    results: Mapping[str, StepResult],
    session: Callable[[], SparkSession],
    release_id: str,
    at: str,
) -> tuple[tuple[StageRelease, ...], Exception | None]:
    """As `release_after_run`, of steps that are known to stand; ``release_id`` names it."""
    try:
        publisher = _Publisher(compiled, open_releases(compiled, session), session)
    except Exception as error:  # the storage cannot be reached
        told = (StageRelease(one, FAILED, reason=_BROKE) for one in compiled.publishes)
        return tuple(told), error
    return publisher.publish(results, release_id, at), publisher.failure


class _Publisher:
    """Publishes stage by stage; one that breaks does not keep the others from it."""

    def __init__(
        self,
        compiled: CompiledPlan,
        releases: Releases,
        session: Callable[[], SparkSession],
    ) -> None:
        self._compiled, self._releases, self._session = compiled, releases, session
        self.failure: Exception | None = None

    def publish(
        self, results: Mapping[str, StepResult], release_id: str, at: str
    ) -> tuple[StageRelease, ...]:
        return tuple(
            self._publish(stage, results, release_id, at) for stage in self._compiled.publishes
        )

    def _publish(
        self, stage: str, results: Mapping[str, StepResult], release_id: str, at: str
    ) -> StageRelease:
        try:
            return self._released(stage, results, release_id, at)
        except Exception as error:
            self.failure = self.failure or error
            kind = type(error).__name__  # its words may hold what nobody should see
            return StageRelease(stage, FAILED, reason=f"{_BROKE}: {kind}")

    def _released(
        self, stage: str, results: Mapping[str, StepResult], release_id: str, at: str
    ) -> StageRelease:
        compiled, store = self._compiled, self._releases.store
        self._releases.settle(stage)
        standing = store.current(stage)
        steps = [one for one in compiled.steps.values() if one.node.stage.name == stage]
        found = candidate_of(steps, results, standing.release, compiled.base_path)
        if found.obstacle:
            return _told(stage, HELD_BACK, standing.release, found.obstacle)
        wanted = compiled.publishes[stage].schema_name or ""
        schema = wanted if wanted and keeps_views(compiled, self._session) else ""
        note = _NO_CATALOG if wanted and not schema else ""
        release = Release(
            release_id,
            compiled.plan.flow.pipeline.name,
            stage,
            compiled.environment_name,
            compiled.plan.request.run_id,
            compiled.batch_id,
            at,
            schema,
            found.tables,
        )
        if standing.release is not None and standing.release.shows_the_same(release):
            return _told(stage, STANDS, standing.release, note)
        back = [one for one in store.releases(stage) if one.release_id in standing.taken_back]
        same = next((one for one in back if one.pins == release.pins), None)
        if same is not None:
            why = f"these are the versions of release {same.release_id}, which was taken back"
            return _told(stage, HELD_BACK, standing.release, why)
        store.save(release)
        self._releases.switch(
            stage, Standing(release, at, f"run {release.run_id}", standing.taken_back)
        )
        return _told(stage, RELEASED, release, note)


def _told(stage: str, status: str, release: Release | None, reason: str) -> StageRelease:
    if release is None:
        return StageRelease(stage, status, reason=reason)
    tables = {table.step: table.version for table in release.tables}
    return StageRelease(stage, status, release.release_id, reason, tables, release.schema)
