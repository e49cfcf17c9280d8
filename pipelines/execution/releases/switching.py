"""Which release readers see, changed as one: views first, then the one file that says so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.execution.releases.store import Standing
from pipelines.plan.releases import releases_touched

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pyspark.sql import SparkSession

    from pipelines.execution.releases.store import ReleaseStore
    from pipelines.plan.erased_releases import ErasedRelease
    from pipelines.results.release import Release


class Releases:
    """The releases of a pipeline, for whoever holds its run lock.

    Args:
        store: their manifests.
        session: gives a Spark session; asked only where there are views to change.
    """

    def __init__(self, store: ReleaseStore, session: Callable[[], SparkSession]) -> None:
        self.store, self._session = store, session

    def standing(self, stage: str) -> Standing:
        """What readers see, or are about to where a change of views was broken off."""
        return self.store.open_switch(stage) or self.store.current(stage)

    def settle(self, stage: str) -> bool:
        """Ends a change of views that was broken off; whether there was one."""
        to = self.store.open_switch(stage)
        if to is not None:
            self.switch(stage, to)
        return to is not None

    def switch(self, stage: str, to: Standing) -> None:
        """Lets readers of a stage see ``to``; killed anywhere, `settle` does the rest."""
        seen = (self.store.current(stage).release, self.standing(stage).release)
        before = [one for one in seen if one is not None]
        has_views = any(one.schema for one in (*before, to.release) if one is not None)
        if has_views:
            from pipelines.execution.releases.views import show_views

            self.store.begin_switch(stage, to)
            show_views(self._session(), before, to.release, self.store.base_path)
        self.store.point(stage, to)
        if has_views:
            self.store.end_switch(stage)

    def go_back(self, stage: str, to: Release, at: str) -> None:
        """Lets readers see an earlier release; what they go back from is not released again."""
        standing, known = self.standing(stage), self.store.releases(stage)
        newer = sorted(one.release_id for one in known if one.release_id > to.release_id)
        since = standing.since if to.release_id == standing.release_id else at
        self.switch(stage, Standing(to, since, "release rollback", tuple(newer)))

    def touched_by(self, firsts: Mapping[str, int]) -> dict[str, list[Release]]:
        """The releases that hold what is about to go, by stage, newest first.

        Args:
            firsts: the first version of each table that goes, by its path.
        """
        base_path = self.store.base_path
        found = {
            stage: releases_touched(self.store.releases(stage), firsts, base_path)
            for stage in self.store.stages()
        }
        return {stage: touched for stage, touched in found.items() if touched}

    def withdraw(self, firsts: Mapping[str, int], by: str, at: str) -> None:
        """Takes the releases that hold what is gone from readers; they see the newest before them.

        Args:
            firsts: the first version of each table that went, by its path.
            by: the rollback.
            at: now, UTC, ISO 8601.
        """
        all_touched = self.touched_by(firsts)
        for stage in self.store.stages():
            touched = all_touched.get(stage, [])
            gone = {one.release_id for one in touched}
            standing = self.standing(stage)
            if standing.release_id in gone:
                self.switch(stage, self._before(stage, standing, gone, by, at))
            else:
                self.settle(stage)
            for release in touched:
                self.store.withdraw(release, by)

    def follow(self, erased: Iterable[ErasedRelease], by: str) -> None:
        """Takes rows of erased persons from readers; killed anywhere, the next call does the rest.

        Args:
            erased: the releases that pin such rows, and what becomes of each.
            by: the erasure.
        """
        for one in erased:
            stage = one.release.stage
            self.settle(stage)
            standing = self.standing(stage)
            if one.to is None:
                if one.release.release_id != standing.release_id:
                    self.store.withdraw(one.release, by)
                continue
            if one.to.release_id == standing.release_id and one.to != standing.release:
                self.switch(stage, replace(standing, release=one.to))
            self.store.save(one.to)

    def _before(self, stage: str, standing: Standing, gone: set[str], by: str, at: str) -> Standing:
        left = [
            one
            for one in self.store.releases(stage)
            if one.release_id not in gone | {*standing.taken_back}
            and one.release_id < standing.release_id
        ]
        back = tuple(one for one in standing.taken_back if one not in gone)
        return Standing(left[0] if left else None, at, by, back)
