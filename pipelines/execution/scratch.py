"""The scratch place of a small run: where it is, what runs in it, and how it is made empty."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from pipelines.errors import UsageError
from pipelines.execution.files import is_local, local_path
from pipelines.plan.outside import is_below

if TYPE_CHECKING:
    from pipelines.execution.files import FileStore
    from pipelines.plan.small_run import SmallRun
    from pipelines.spec.config import Environment

_MARK = "_scratch.json"
_UNSAFE = re.compile(r"[^A-Za-z0-9.]+")


@dataclass(frozen=True)
class Scratch:
    """A scratch place.

    Attributes:
        root: the folder, on any storage; the tables are below it.
        folder: this machine's part, for logs and lock; the same where ``root`` is local.
        pipeline: what runs there.
        environment: where its sources are.
        kind: how it is small.
    """

    root: str
    folder: Path
    pipeline: str
    environment: str
    kind: str

    @property
    def base_path(self) -> str:
        """Where the tables are."""
        return f"{self.root}/lakehouse"

    @property
    def lock_file(self) -> Path:
        """One run at a time works here."""
        return self.folder / ".lock"

    def instead_of(self, own: Environment) -> Environment:
        """``own`` with all that a run writes or tells in the scratch place, or not at all."""
        metadata = {"path": "{{ base_path }}/_metadata"}
        logs = {"path": str(self.folder / "logs"), "upload_to": None}
        return own.model_copy(
            update={
                "base_path": self.base_path,
                "metadata": own.metadata.model_copy(update=metadata),
                "logs": own.logs.model_copy(update=logs),
                "notifications": dict.fromkeys(own.notifications, SecretStr("")),
            }
        )

    def check(self, files: FileStore, *, goes_on: bool) -> None:
        """Nothing, if a run may work here.

        Args:
            files: the storage of ``root``.
            goes_on: whether what stands here is gone on with.

        Raises:
            UsageError: something else stands here, or a run of another kind to go on with.
        """
        said = self._said(files)
        if said is None:
            if files.exists(self.base_path):
                raise UsageError(
                    "this is no scratch place: no small run has made what stands in it",
                    where=self.base_path,
                    hint="give --scratch another folder",
                )
        elif goes_on and said != self._says:
            was = ", ".join(str(value) for value in said.values())
            raise UsageError(
                f"--resume has nothing to go on with: {self.root} was made for {was}",
                hint="leave --resume out to begin anew",
            )

    def make(self, files: FileStore, *, goes_on: bool) -> None:
        """Empties the place, unless its run is gone on with, and marks whose it is."""
        self.check(files, goes_on=goes_on)
        if not goes_on:
            files.remove(self.base_path)
        files.write(f"{self.root}/{_MARK}", json.dumps(self._says, indent=1))

    @property
    def _says(self) -> dict[str, Any]:
        return {"pipeline": self.pipeline, "environment": self.environment, "kind": self.kind}

    def _said(self, files: FileStore) -> dict[str, Any] | None:
        text = files.read(f"{self.root}/{_MARK}")
        try:
            said = json.loads(text or "null")
        except ValueError:
            return None
        return said if isinstance(said, dict) else None


def choose_scratch(
    small: SmallRun,
    lakes: Sequence[tuple[str, str]],
    cache: Path,
    pipeline: str,
    *,
    is_one_machine: bool = True,
) -> Scratch:
    """The scratch place of a small run: the one asked for, else one of its kind's own.

    That is in the project's cache, or, where Spark's workers would not find it there, below the
    lakehouse.

    Args:
        small: the run.
        lakes: name and root of each lakehouse that must not be touched, the run's own first.
        cache: the project's cache.
        pipeline: name of the pipeline.
        is_one_machine: whether Spark works on this machine alone.

    Raises:
        UsageError: one of them is, or lies in, the place that was asked for.
    """
    environment, base_path = lakes[0]
    name = "-".join(_UNSAFE.sub("-", part) for part in (environment, small.kind))
    near = cache / "scratch" / pipeline / name
    if small.scratch is not None:
        root = small.scratch.rstrip("/") or "/"
        root = str(local_path(root).expanduser().absolute()) if is_local(root) else root
    elif is_one_machine and is_local(base_path):
        root = str(near)
    else:
        root = f"{base_path.rstrip('/')}/_scratch/{pipeline}/{name}"
    folder = Path(root) if is_local(root) else near
    scratch = Scratch(root, folder, pipeline, environment, small.kind)
    for owner, lake in lakes:
        if is_below(_resolved(lake), _resolved(scratch.base_path)):
            raise UsageError(
                f"the lakehouse of environment {owner!r} would be the scratch place",
                where=scratch.base_path,
                hint="give --scratch another folder",
            )
    return scratch


def _resolved(path: str) -> str:
    return str(local_path(path).resolve()) if is_local(path) else path
