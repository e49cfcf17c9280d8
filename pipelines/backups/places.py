"""The folders that a flow writes: its tables, those that record runs, checkpoints, releases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from pipelines.errors import UsageError
from pipelines.execution.files import is_local, local_path
from pipelines.execution.releases.store import releases_folder
from pipelines.plan.compile import absolute_path
from pipelines.plan.outside import is_below
from pipelines.results.backups import Kind, Part
from pipelines.utils.metadata_logger import TABLES
from pipelines.utils.sql_runner.staged_files import previous_of, staged_of

if TYPE_CHECKING:
    from pipelines.prepared import PreparedFlow

_UNSAFE = re.compile(r"[^A-Za-z0-9._=-]+")
CHECKPOINTS = "checkpoints"


def parts_of(prepared: PreparedFlow) -> tuple[Part, ...]:
    """The parts that a backup of the flow has, with nothing in them yet.

    Raises:
        UsageError: some are not on this machine's file system.
    """
    compiled = prepared.checked()
    found: dict[str, Part] = {}
    root = _plain(compiled.base_path)
    for name, kind, path in _folders(prepared):
        if not is_local(path):
            raise UsageError(
                f"{name} is not on this machine's file system: {path}",
                where=f"environment {compiled.environment_name}",
                hint="take snapshots or copies of it by what its storage offers",
            )
        place = _plain(path)
        is_inside = is_below(place, root) and place != root
        relative = place[len(root) + 1 :] if is_inside else None
        found.setdefault(
            place,
            Part(
                name,
                kind,
                place,
                relative,
                f"lakehouse/{relative}" if relative else f"outside/{_UNSAFE.sub('-', place)}",
                is_shared=name.startswith("metadata."),
            ),
        )
    return tuple(found.values())


def moved(parts: tuple[Part, ...], old_root: str, new_root: str) -> Mapping[str, str]:
    """Where each part is to be, by where it was, with the lakehouse at another root.

    Raises:
        UsageError: some were not in the lakehouse.
    """
    places, root = {}, _plain(new_root)
    for part in parts:
        if part.relative is not None:
            places[part.path] = f"{root}/{part.relative}"
        elif root == _plain(old_root):
            places[part.path] = part.path
        else:
            raise no_place(part)
    return places


def no_place(part: Part) -> UsageError:
    """That a part was outside of the lakehouse, and so has no place in another one."""
    return UsageError(
        f"{part.name} was outside of the lakehouse, at {part.path}: it has no place in another one",
        hint="leave --to and --env out to restore all of it where it was",
    )


def _folders(prepared: PreparedFlow) -> Iterator[tuple[str, Kind, str]]:
    compiled = prepared.compiled
    for step in compiled.steps.values():
        destination = step.settings.destination
        if destination.path is None:
            continue
        if destination.format == "delta":
            yield step.id, "delta", destination.path
        else:
            yield step.id, "files", destination.path
            yield f"{step.id} (previous)", "files", previous_of(destination.path)
            yield f"{step.id} (staged)", "files", staged_of(destination.path)
    metadata = prepared.environment.metadata
    if metadata.enabled:
        path = prepared.loader.render_text(metadata.path, compiled.names)
        folder = absolute_path(path, prepared.flow.project_dir)
        for table in TABLES:
            yield f"metadata.{table}", "delta", f"{folder}/{table}"
    yield CHECKPOINTS, "state", compiled.checkpoint.path
    if compiled.publishes:
        pipeline = prepared.flow.pipeline.name
        yield "releases", "state", releases_folder(compiled.base_path, pipeline)


def _plain(path: str) -> str:
    return str(local_path(path)) if is_local(path) else path
