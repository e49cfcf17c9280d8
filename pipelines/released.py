"""The releases of a flow from the command line: listed, shown, gone back in."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError, near_names
from pipelines.execution.files import HadoopFiles
from pipelines.execution.releases.opened import open_releases
from pipelines.execution.releases.views import pinned_select
from pipelines.plan.releases import choose
from pipelines.results import utc_now, utc_text
from pipelines.spark_start import start_spark

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pipelines.execution.releases.switching import Releases
    from pipelines.execution.session import SparkSession
    from pipelines.prepared import PreparedFlow
    from pipelines.results import Release


class ReleasedFlow:
    """The releases of a prepared flow; Spark starts for remote storage, and to change views.

    Args:
        prepared: the flow.
        spark: a session to work in; without it one is started, and stopped.
        now: the clock.
    """

    def __init__(
        self,
        prepared: PreparedFlow,
        spark: SparkSession | None = None,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._prepared, self._spark, self._now = prepared, spark, now

    def known(self, stage: str | None = None) -> tuple[dict[str, list[Release]], dict[str, str]]:
        """The releases by stage, newest first, and the id of the one that readers see."""
        with ExitStack() as stack:
            store = self._opened(stack).store
            stages = self._stages(store.stages(), stage)
            current = {one: store.current(one).release_id for one in stages}
            return {one: store.releases(one) for one in stages}, current

    def shown(self, stage: str | None = None, release: str | None = None) -> list[dict[str, Any]]:
        """What a reader needs of the current releases, or of that which ``release`` begins.

        Raises:
            UsageError: nothing is released, or no release begins so.
        """
        with ExitStack() as stack:
            store = self._opened(stack).store
            found = []
            for one in self._stages(store.stages(), stage):
                standing = store.current(one)
                releases = store.releases(one)
                if release is None:
                    chosen = [standing.release] if standing.release is not None else []
                else:
                    chosen = [each for each in releases if each.release_id.startswith(release)]
                found += [
                    self._readable(each, standing.release_id, store.base_path) for each in chosen
                ]
        if not found:
            raise UsageError(
                f"there is no release {release!r}" if release else "nothing is released",
                hint="'pipeline release list' shows what there is",
            )
        return found

    def roll_back(self, stage: str | None = None, to: str | None = None) -> list[Release]:
        """Lets readers see an earlier release again; returns what they see now.

        Without a stage, each whose readers see something goes one back; ``to`` names a release of
        those stages that have it.

        Raises:
            UsageError: there is no such release, or a table of it is gone.
            LockHeldError: a run of the pipeline is at work.
        """
        at = self._now()
        holder = {"doing": "release rollback", "since": at.isoformat(timespec="seconds")}
        with self._prepared.run_lock(holder) as hold, ExitStack() as stack:
            if hold.is_open:
                hold.take(HadoopFiles(self._session(stack)), stack)
            releases = self._opened(stack)
            store = releases.store
            chosen: dict[str, Release] = {}
            stages = self._stages(store.stages(), stage)
            for one in stages:
                known, now = store.releases(one), releases.standing(one).release_id
                is_meant = stage is not None or len(stages) == 1
                if to is not None and not is_meant:
                    known = [each for each in known if each.release_id.startswith(to)]
                if known or is_meant:
                    chosen[one] = choose(known, now, to)
            if not chosen:
                raise UsageError(
                    f"there is no release {to!r}" if to else "nothing is released",
                    hint="'pipeline release list' shows what there is",
                )
            self._refuse_what_is_gone(chosen.values(), releases)
            for one, release in chosen.items():
                releases.go_back(one, release, utc_text(at) or "")
        return list(chosen.values())

    def _readable(self, release: Release, current: str, base_path: str) -> dict[str, Any]:
        said = release.as_dict()
        for table, one in zip(said["tables"], release.tables, strict=True):
            table["path"] = one.place(base_path)
            table["sql"] = pinned_select(table["path"], one.version)
        return {**said, "is_current": release.release_id == current}

    def _refuse_what_is_gone(self, chosen: Any, releases: Releases) -> None:
        store = releases.store
        for release in chosen:
            for table in release.tables:
                place = table.place(store.base_path)
                if not store.has_table(place):
                    raise UsageError(
                        f"release {release.release_id} holds {table.step}, whose table is gone",
                        where=place,
                        hint="give --to another release",
                    )

    def _stages(self, known: list[str], stage: str | None) -> list[str]:
        declared = list(self._prepared.compiled.publishes)
        stages = [*(one for one in declared if one in known), *sorted({*known} - {*declared})]
        if stage is None:
            return stages
        if stage in stages:
            return [stage]
        near = near_names(stage, [*stages, *declared])
        hint = f"did you mean {near[0]!r}?" if near else f"released: {', '.join(stages) or 'none'}"
        raise UsageError(f"nothing of a stage {stage!r} is released", hint=hint)

    def _opened(self, stack: ExitStack) -> Releases:
        return open_releases(self._prepared.compiled, partial(self._session, stack))

    def _session(self, stack: ExitStack) -> SparkSession:
        if self._spark is None:
            self._spark = start_spark(self._prepared)
            stack.callback(setattr, self, "_spark", None)
            stack.callback(self._spark.stop)
        return self._spark
