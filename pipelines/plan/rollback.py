"""What it takes to put the tables of a run back to before it, and what stands in the way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.plan.table_commits import HARMLESS, standing

if TYPE_CHECKING:
    from pipelines.plan.table_commits import TableCommit, TableFacts

_WROTE = "success"


@dataclass(frozen=True)
class TableUndo:
    """How one table is put back.

    Attributes:
        step: id of the step that writes it.
        path: where it is.
        now: its newest version.
        to: the version before the run; None where the run made the table, which is removed.
        undone: the commits that go, newest first.
    """

    step: str
    path: str
    now: int
    to: int | None
    undone: tuple[TableCommit, ...]

    @property
    def batches(self) -> tuple[tuple[str, str], ...]:
        """Batch and step of each mark that says they are done."""
        marks = {(one.batch_id, one.step): None for one in self.undone if one.batch_id and one.step}
        return tuple(marks)

    def as_dict(self) -> dict[str, Any]:
        """The undo with JSON types only."""
        return {
            "step": self.step,
            "path": self.path,
            "version_now": self.now,
            "version_before_run": self.to,
            "undone": [
                {"version": one.version, "operation": one.operation, "run_id": one.run_id or None}
                for one in self.undone
            ],
        }


@dataclass(frozen=True)
class Obstacle:
    """What speaks against rolling back.

    Attributes:
        kind: ``later_write``, ``built_on``, ``files``, ``state_gone`` or ``table_gone``.
        step: whose table it is about.
        message: one sentence without a full stop.
        can_be_forced: whether `--force` goes on all the same.
    """

    kind: str
    step: str
    message: str
    can_be_forced: bool = True

    def as_dict(self) -> dict[str, Any]:
        """The obstacle with JSON types only."""
        return {
            "kind": self.kind,
            "step": self.step,
            "message": self.message,
            "can_be_forced": self.can_be_forced,
        }


@dataclass(frozen=True)
class RollbackPlan:
    """How a run is rolled back.

    Attributes:
        run_id: the run.
        undos: one a table that has to change.
        obstacles: all that speaks against it.
        as_before: steps whose tables hold nothing of the run, any more.
        releases: what is withdrawn from readers, as it pins what goes: stage and release.
    """

    run_id: str
    undos: tuple[TableUndo, ...]
    obstacles: tuple[Obstacle, ...] = ()
    as_before: tuple[str, ...] = ()
    releases: tuple[tuple[str, str], ...] = ()

    @property
    def firsts(self) -> dict[str, int]:
        """The first version of each table that goes, by its path."""
        return {undo.path: undo.undone[-1].version for undo in self.undos}

    def refusals(self, *, force: bool) -> tuple[Obstacle, ...]:
        """The obstacles that stay."""
        return tuple(one for one in self.obstacles if not (force and one.can_be_forced))

    def as_dict(self) -> dict[str, Any]:
        """The plan with JSON types only."""
        return {
            "run_id": self.run_id,
            "tables": [undo.as_dict() for undo in self.undos],
            "obstacles": [obstacle.as_dict() for obstacle in self.obstacles],
            "as_before": list(self.as_before),
            "releases": [{"stage": one, "release_id": name} for one, name in self.releases],
        }


def plan_rollback(
    log: Mapping[str, Any], tables: Iterable[TableFacts], later_logs: Iterable[Mapping[str, Any]]
) -> RollbackPlan:
    """How the run of ``log`` is rolled back, as far as logs tell; files are not looked at.

    Args:
        log: the run's JSON log.
        tables: those that it may have written.
        later_logs: of the runs of the same pipeline and environment that began after it.
    """
    run_id = str(log["run_id"])
    facts = {table.step: table for table in tables}
    undos, as_before = [], []
    obstacles = [*_files_written(log)]
    had_before = {
        step["id"]
        for step in log["steps"]
        if (step.get("destination") or {}).get("version_before") is not None
    }
    for table in facts.values():
        if not table.is_there and table.step in had_before:
            gone = "the table is gone, and would not come back"
            obstacles.append(Obstacle("table_gone", table.step, gone))
            continue
        undo = _undo_of(table, run_id)
        if undo is None:
            as_before.append(table.step)
            continue
        undos.append(undo)
        obstacles += _later_writes(undo, run_id)
    firsts = {undo.step: undo.undone[-1].version for undo in undos}
    for later in later_logs:
        obstacles += _built_on(later, firsts, facts)
    return RollbackPlan(run_id, tuple(undos), tuple(obstacles), tuple(as_before))


def _undo_of(table: TableFacts, run_id: str) -> TableUndo | None:
    stands = list(standing(table.commits))
    own = [number for number, commit in enumerate(stands) if commit.run_id == run_id]
    if not own:
        return None
    undone = stands[: own[-1] + 1]
    first = undone[-1].version
    return TableUndo(
        table.step,
        table.path,
        table.commits[0].version,
        first - 1 if first else None,
        tuple(undone),
    )


def _later_writes(undo: TableUndo, run_id: str) -> Iterator[Obstacle]:
    for commit in reversed(undo.undone):
        if commit.run_id != run_id and commit.operation not in HARMLESS:
            yield Obstacle(
                "later_write",
                undo.step,
                f"{commit.writer} has committed version {commit.version} ({commit.operation}) "
                "since, which would be undone too",
                can_be_forced=not commit.forget_id,
            )


def _built_on(
    later: Mapping[str, Any], firsts: Mapping[str, int], facts: Mapping[str, TableFacts]
) -> Iterator[Obstacle]:
    """What another run has made of the rows that are to go."""
    if later.get("rolled_back_at"):
        return
    for step in later["steps"]:
        if step["status"] != _WROTE:
            continue
        read = {
            upstream: version
            for upstream, version in (step.get("upstream_versions") or {}).items()
            if upstream in firsts
            and version is not None
            and _holds(facts[upstream], firsts[upstream], version)
        }
        if read:
            what = ", ".join(
                f"{upstream} (version {version})" for upstream, version in read.items()
            )
            yield Obstacle(
                "built_on",
                step["id"],
                f"run {later['run_id']} has made it of {what}, and it would stay as it is",
            )


def _holds(table: TableFacts, first: int, version: int) -> bool:
    """Whether ``version`` of a table counts the commit ``first``."""
    return any(commit.version == first for commit in standing(table.commits, version))


def _files_written(log: Mapping[str, Any]) -> Iterator[Obstacle]:
    for step in log["steps"]:
        destination = step.get("destination") or {}
        kind = destination.get("format")
        if step["status"] == _WROTE and kind not in (None, "", "delta", "view"):
            yield Obstacle(
                "files",
                step["id"],
                f"files of format {kind} keep no state from before the run; with --force they "
                "stay as they are",
            )
