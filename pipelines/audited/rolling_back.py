"""Rolls a run back: looks at everything first, then puts all its tables back, or none."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.audited.opened import files_of, opened_session
from pipelines.errors import RollbackError, UsageError
from pipelines.execution.audits.journal import RollbackJournal, RollbackRecord
from pipelines.execution.checkpoints import CheckpointStore
from pipelines.execution.files import HadoopFiles
from pipelines.execution.half_done import refuse_half_done
from pipelines.execution.releases.opened import open_releases
from pipelines.plan.rollback import RollbackPlan
from pipelines.plan.small_run import REGULAR
from pipelines.prepared import Options, PreparedFlow, generate_run_id
from pipelines.results import utc_now, utc_text
from pipelines.sinks.run_log import note_rolled_back, read_run, runs_after
from pipelines.spec.loader import find_project_dir, log_folder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipelines.execution.releases.switching import Releases
    from pipelines.execution.session import SparkSession

_NOT_STARTED = ("pending", "skipped", "blocked", "checkpointed")


@dataclass(frozen=True)
class Rollback:
    """What became of a rollback.

    Attributes:
        plan: what it took.
        is_done: whether the tables were put back; else it was only looked.
        rollback_id: stamps its commits; empty where it was only looked.
        went_on: whether an earlier call had begun it.
        refused: whether it would be refused, where it was only looked.
        declined: whether the user did not agree.
    """

    plan: RollbackPlan
    is_done: bool
    rollback_id: str = ""
    went_on: bool = False
    refused: bool = False
    declined: bool = False

    @property
    def is_well(self) -> bool:
        """Whether the tables are, or could be, as they were before the run."""
        return self.is_done or not (self.refused or self.declined)

    @property
    def outcome(self) -> str:
        """What became of it, in one sentence."""
        if self.is_done:
            began = ", as an earlier call had begun" if self.went_on else ""
            return f"rolled back by {self.rollback_id}{began}"
        if self.refused:
            return "it would be refused"
        return "not rolled back, nothing was touched" if self.declined else ""

    def as_dict(self) -> dict[str, Any]:
        """The rollback with JSON types only."""
        return {
            **self.plan.as_dict(),
            "rollback_id": self.rollback_id or None,
            "is_done": self.is_done,
            "went_on": self.went_on,
            "refused": self.refused,
        }


def roll_back(
    run_id: str,
    options: Options | None = None,
    *,
    force: bool = False,
    dry_run: bool = False,
    agree: Callable[[RollbackPlan], bool] | None = None,
    spark: SparkSession | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Rollback:
    """Puts every table that a run wrote back to its state before it, all or nothing.

    Args:
        run_id: the run's id, the beginning of it, or ``last``.
        options: environment, config and project.
        force: undo also what was committed since, and leave files that cannot be put back.
        dry_run: only look.
        agree: asked before anything is touched; on false nothing is.
        spark: a session to work in; without it one is started, and stopped.
        now: the clock.

    Raises:
        UsageError: there is no such run, or it was a small one.
        RollbackError: something stands in the way, or it failed; nothing has changed.
        LockHeldError: a run of the pipeline is at work.
    """
    asked = options or Options()
    folder = log_folder(asked.project_dir, asked.config, asked.env)
    log = read_run(folder, run_id)
    prepared = _flow_of(log, asked)
    run_id, moment = str(log["run_id"]), now()
    holder = {"rollback_of": run_id, "since": moment.isoformat(timespec="seconds")}
    with (
        prepared.run_lock(holder) as hold,
        opened_session(prepared, spark) as session,
        ExitStack() as stack,
    ):
        from pipelines.execution.audits.rollback import carry_out, look, markers_of

        files = files_of(prepared, session)
        hold.take(HadoopFiles(session), stack)
        releases = open_releases(prepared.compiled, lambda: session)
        checkpoint = prepared.compiled.checkpoint.path
        refuse_half_done(files, checkpoint, but=RollbackJournal)
        journal = RollbackJournal(files, checkpoint)
        record = journal.open_record()
        if record is not None and record.run_id != run_id:
            journal.refuse_if_open()
        if record is None:
            plan = look(
                session,
                log,
                _tables(log, prepared),
                runs_after(folder, log),
                since_ms=_milliseconds(log["started_at"]),
            )
            plan = _with_releases(plan, releases)
            refusals = plan.refusals(force=force)
            if dry_run:
                return Rollback(plan, is_done=False, refused=bool(refusals))
            if refusals:
                raise _refusal(plan, force=force)
            if not plan.undos:
                return Rollback(plan, is_done=False)
            if agree is not None and not agree(plan):
                return Rollback(plan, is_done=False, declined=True)
            record = RollbackRecord(
                f"rollback-{generate_run_id(moment)}",
                run_id,
                utc_text(moment) or "",
                plan.undos,
                markers_of(CheckpointStore(files, checkpoint), plan),
            )
            journal.begin(record)
            went_on = False
        else:
            plan = _with_releases(RollbackPlan(run_id, record.undos), releases)
            went_on = True
            if dry_run or (agree is not None and not agree(plan)):
                return Rollback(plan, is_done=False, went_on=True, declined=not dry_run)
        hold.refuse_if_lost()
        carry_out(session, record, journal, files, lambda: utc_text(now()) or "")
        releases.withdraw(plan.firsts, record.rollback_id, utc_text(now()) or "")
        note_rolled_back(folder, run_id, record.rollback_id, now())
        journal.end(record, finished_at=utc_text(now()) or "", is_done=True)
    return Rollback(plan, is_done=True, rollback_id=record.rollback_id, went_on=went_on)


def _with_releases(plan: RollbackPlan, releases: Releases) -> RollbackPlan:
    """``plan`` with the releases that hold what goes."""
    touched = releases.touched_by(plan.firsts).items()
    named = tuple((stage, one.release_id) for stage, found in touched for one in found)
    return replace(plan, releases=named)


def _refusal(plan: RollbackPlan, *, force: bool) -> RollbackError:
    refusals = plan.refusals(force=force)
    lines = "\n      ".join(f"{one.step}: {one.message}" for one in refusals)
    can_all = all(one.can_be_forced for one in refusals)
    return RollbackError(
        f"run {plan.run_id} is not rolled back, nothing was touched:\n      {lines}",
        hint="--force goes on all the same" if can_all else "",
    )


def _flow_of(log: Mapping[str, Any], asked: Options) -> PreparedFlow:
    """The flow of a run, in its environment and batch."""
    if log.get("run_kind", REGULAR) != REGULAR:
        raise UsageError(
            f"run {log['run_id']} was a small one ({log['run_kind']}), in {log.get('scratch')}",
            hint="delete that folder, or run it again: it is made anew",
        )
    if asked.env not in (None, log["environment"]):
        raise UsageError(
            f"run {log['run_id']} was in environment {log['environment']!r}, not {asked.env!r}",
            hint=f"give --env {log['environment']}, or leave it out",
        )
    root = (asked.project_dir or find_project_dir(Path.cwd())).resolve()
    options = replace(asked, project_dir=root, env=log["environment"], batch_id=log["batch_id"])
    prepared = PreparedFlow(root / log["flow"], options)
    if prepared.flow.pipeline.name != log["pipeline"]:
        raise UsageError(
            f"run {log['run_id']} was of pipeline {log['pipeline']!r}, and {log['flow']} is now "
            f"{prepared.flow.pipeline.name!r}",
            hint="give --project-dir the project as it was",
        )
    return prepared


def _tables(log: Mapping[str, Any], prepared: PreparedFlow) -> dict[str, str]:
    """The Delta tables that a run may have written, by step id.

    Its log says where; of a step that was killed the flow does.

    Raises:
        RollbackError: some are not of this project, which is a copy of the one that wrote them.
    """
    found, elsewhere, lakehouse = {}, [], f"{prepared.compiled.base_path}/"
    for step in log["steps"]:
        said, step_id = step.get("destination"), step["id"]
        compiled = prepared.compiled.steps.get(step_id)
        now = compiled.settings.destination if compiled else None
        if said is not None and said["format"] == "delta":
            before, after = said["version_before"], said["version_after"]
            if after is None or before != after:
                found[step_id] = said["path"]
                is_there_now = now is not None and said["path"] == now.path
                if not is_there_now and not said["path"].startswith(lakehouse):
                    elsewhere.append(f"{step_id}: {said['path']}")
        elif (
            said is None
            and step["status"] not in _NOT_STARTED
            and now is not None
            and now.path
            and now.format == "delta"
        ):
            found[step_id] = now.path
    if elsewhere:
        raise RollbackError(
            f"run {log['run_id']} wrote to another place than this project does, nothing was "
            "touched:\n      " + "\n      ".join(elsewhere),
            hint="the project was copied or moved since, or base_path is another one; roll back "
            "where the run was",
        )
    return found


def _milliseconds(moment: str) -> int:
    return int(datetime.fromisoformat(moment.replace("Z", "+00:00")).timestamp() * 1000)
