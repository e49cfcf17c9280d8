"""Releases as text: which there are, what readers see, what a run made of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.console.words import clean, counted, one_line

if TYPE_CHECKING:
    from pipelines.results import Release, StageRelease


def outcome_lines(releases: Iterable[Mapping[str, Any]]) -> list[tuple[str, bool]]:
    """What a run made of releasing, a line a stage, and whether it is as wanted; of its log."""
    return [(_outcome(one), one["status"] in ("released", "stands")) for one in releases]


def stage_releases_text(releases: Iterable[StageRelease]) -> str:
    """The same of outcomes."""
    return "\n".join(line for line, _ in outcome_lines(one.as_dict() for one in releases))


def _outcome(one: Mapping[str, Any]) -> str:
    stage, now = one["stage"], one["release_id"]
    why = one_line(one["reason"]) if one["reason"] else ""
    if one["status"] == "released":
        views = f", views in {one['schema']}" if one["schema"] else ""
        what = f"{now}, {counted(len(one['tables']), 'table')}{views}"
        return clean(f"{stage} released: {what}" + (f" ({why})" if why else ""))
    if one["status"] == "stands":
        return clean(f"{stage} stands as released: {now}" + (f" ({why})" if why else ""))
    stays = f"; readers go on with {now}" if now else ""
    return clean(f"{stage} not released: {why}{stays}")


def release_list_text(stages: Mapping[str, Sequence[Release]], current: Mapping[str, str]) -> str:
    """The releases of each stage, newest first, `*` before what readers see.

    Args:
        stages: its releases, by stage.
        current: id of the one that readers see, by stage; empty where there is none.
    """
    lines = []
    for stage, releases in stages.items():
        lines.append(stage if current.get(stage) else f"{stage}  (readers see nothing)")
        for release in releases:
            sign = "*" if release.release_id == current.get(stage) else " "
            versions = ", ".join(f"{one.name} {one.version}" for one in release.tables)
            run = "" if release.run_id == release.release_id else f"  run {release.run_id}"
            head = f"{release.release_id}  {release.created_at}{run}  batch {release.batch_id}"
            lines += [f"{sign} {head}", f"    {versions}"]
    return clean("\n".join(lines) or "nothing is released")


def release_text(shown: Sequence[Mapping[str, Any]]) -> str:
    """What readers of each stage see, with the SQL that reads it."""
    lines = []
    for release in shown:
        views = f"  views in {release['schema']}" if release["schema"] else ""
        lines.append(f"{release['stage']}  release {release['release_id']}{views}")
        lines.append(f"  of run {release['run_id']}, batch {release['batch_id']}")
        for table in release["tables"]:
            lines.append(f"  {table['name']}  version {table['version']}  {table['path']}")
            lines.append(f"    {table['sql']}")
    return clean("\n".join(lines))


def release_sql(shown: Sequence[Mapping[str, Any]]) -> str:
    """Statements that give a Spark session a view of each table."""
    return "\n".join(
        f"create or replace temporary view {table['name']} as {table['sql']};"
        for release in shown
        for table in release["tables"]
    )
