"""Maintenance of a flow's lakehouse: tables, and what its runs have left."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pipelines.audited.opened import files_of, opened_session
from pipelines.execution.checkpoints import CheckpointStore
from pipelines.execution.files import HadoopFiles
from pipelines.execution.half_done import refuse_half_done
from pipelines.execution.releases.opened import open_releases
from pipelines.plan.maintenance import pins_of, releases_past, work_of
from pipelines.prepared import generate_run_id
from pipelines.results import utc_now
from pipelines.results.maintenance import Maintained, TableMaintained
from pipelines.sinks.run_log import logs_before
from pipelines.utils.metadata_logger import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pipelines.execution.maintenance.pins import Pinned
    from pipelines.execution.releases.switching import Releases
    from pipelines.execution.session import SparkSession
    from pipelines.plan.maintenance import TableWork
    from pipelines.prepared import PreparedFlow
    from pipelines.results import Release

_SIDE_BY_SIDE = 4


def maintain(
    prepared: PreparedFlow,
    *,
    is_dry: bool = False,
    spark: SparkSession | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Maintained:
    """Does what the flow's `maintenance` says; killed anywhere, the next call does the rest.

    Args:
        prepared: the flow.
        is_dry: only look.
        spark: a session to work in; without it one is started, and stopped.
        now: the clock.

    Raises:
        UsageError: something is wrong with the flow, or a rollback was begun and not ended.
        LockHeldError: a run of the pipeline is at work.
    """
    prepared.checked()
    moment = now()
    holder = {
        "maintain": prepared.flow.pipeline.name,
        "since": moment.isoformat(timespec="seconds"),
    }
    with (
        prepared.run_lock(holder) as hold,
        opened_session(prepared, spark) as session,
        ExitStack() as stack,
    ):
        hold.take(HadoopFiles(session), stack)
        files, path = files_of(prepared, session), prepared.compiled.checkpoint.path
        refuse_half_done(files, path)
        return _Maintenance(
            prepared, session, CheckpointStore(files, path), moment, is_dry=is_dry
        ).done()


class _Maintenance:
    def __init__(
        self,
        prepared: PreparedFlow,
        session: SparkSession,
        checkpoints: CheckpointStore,
        moment: datetime,
        *,
        is_dry: bool,
    ) -> None:
        self._prepared, self._session, self._checkpoints = prepared, session, checkpoints
        self._compiled, self._moment, self._is_dry = prepared.compiled, moment, is_dry
        self._policy = self._compiled.maintenance
        self._releases: Releases = open_releases(self._compiled, lambda: session)
        self._id = f"maintain-{generate_run_id(moment)}"

    def done(self) -> Maintained:
        """Releases first: what they pinned may go then."""
        gone, kept = self._sort_releases()
        if not self._is_dry:
            for release in gone:
                self._releases.store.remove(release)
        return Maintained(
            self._id,
            self._is_dry,
            self._tables(kept),
            tuple((one.stage, one.release_id) for one in gone),
            self._old_batches(),
            self._old_logs(),
        )

    def _sort_releases(self) -> tuple[list[Release], list[Release]]:
        """The releases that go, and those that stay."""
        gone: list[Release] = []
        kept: list[Release] = []
        for stage in self._releases.store.stages():
            if not self._is_dry:
                self._releases.settle(stage)
            store = self._releases.store
            standing, switch = store.current(stage).release, store.open_switch(stage)
            known = store.releases(stage)
            current = standing.release_id if standing is not None else ""
            past = releases_past(known, current, int(self._policy.keep.releases))
            gone += past
            kept += [one for one in known if one not in past]
            under_way = switch.release if switch is not None else None
            kept += [one for one in (standing, under_way) if one is not None]
        return gone, kept

    def _tables(self, kept: list[Release]) -> tuple[TableMaintained, ...]:
        from pipelines.execution.maintenance.tables import maintain_table
        from pipelines.execution.session import clone_session

        now_ms = int(self._moment.timestamp() * 1000)

        def maintained(work: TableWork) -> TableMaintained:
            session = clone_session(self._session, {})
            return maintain_table(session, work, self._id, now_ms, is_dry=self._is_dry)

        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="maintain") as pool:
            return tuple(pool.map(maintained, self._works(kept)))

    def _works(self, kept: list[Release]) -> Iterator[TableWork]:
        pins = pins_of(self._pinned(kept))
        for step in self._compiled.steps.values():
            if step.table:
                own = step.settings.destination.maintenance
                yield work_of(step.id, step.table, self._policy, own, pins)
        metadata = self._prepared.environment.metadata
        if metadata.enabled:
            path = self._prepared.loader.render_text(metadata.path, self._compiled.names)
            for name in TABLES:
                yield work_of(f"metadata {name}", f"{path}/{name}", self._policy, None, {})

    def _pinned(self, kept: list[Release]) -> Iterator[Pinned]:
        from pipelines.execution.maintenance.pins import (
            read_by_newest_batch,
            read_by_releases,
            read_for_changes,
        )

        yield from read_by_releases(kept, self._compiled.base_path)
        yield from read_by_newest_batch(self._compiled, self._checkpoints)
        since_ms = int(self._days_ago(self._policy.keep.batches_days).timestamp() * 1000)
        yield from read_for_changes(self._compiled, self._session, since_ms)

    def _old_batches(self) -> tuple[str, ...]:
        """The batches whose last step ended long ago, but for the newest; their checkpoints go."""
        limit = self._days_ago(self._policy.keep.batches_days)
        store, old = self._checkpoints, []
        for batch in store.batches()[1:]:
            if batch.started_at_ms >= limit.timestamp() * 1000:
                continue
            markers = store.markers(batch.batch_id, self._compiled.steps).values()
            if all(_moment(one.finished_at) < limit for one in markers):
                old.append(batch.batch_id)
                if not self._is_dry:
                    store.remove_batch(batch.batch_id)
        return tuple(old)

    def _old_logs(self) -> tuple[str, ...]:
        """The runs that began long ago, but for the newest; their logs go."""
        prepared, limit = self._prepared, self._days_ago(self._policy.keep.logs_days)
        name, environment = prepared.flow.pipeline.name, self._compiled.environment_name
        old = logs_before(prepared.log_folder, name, environment, limit)
        if not self._is_dry:
            for file in old:
                file.unlink(missing_ok=True)
        return tuple(file.stem for file in old)

    def _days_ago(self, days: float) -> datetime:
        return self._moment - timedelta(days=float(days))


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))
