"""Puts every table that a run wrote back to its state before it: all of them, or none."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import RollbackError
from pipelines.execution.audits.table_files import TableFiles
from pipelines.execution.session import clone_session
from pipelines.plan.rollback import Obstacle, plan_rollback
from pipelines.plan.table_commits import FORGET_ID, TableCommit, TableFacts
from pipelines.utils.sql_runner import DeltaLog, as_sql_error

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.execution.audits.journal import RollbackJournal, RollbackRecord
    from pipelines.execution.checkpoints import CheckpointStore
    from pipelines.execution.files import FileStore
    from pipelines.plan.rollback import RollbackPlan, TableUndo
    from pipelines.utils.sql_runner import Commit

_METADATA = "spark.databricks.delta.commitInfo.userMetadata"
_SLACK_MS = 60_000
"""Clocks of the run and of the storage need not agree."""
_MOST_COMMITS = 100_000
_MOST_NAMED = 3
_SIDE_BY_SIDE = 4


def look(
    session: SparkSession,
    log: Mapping[str, Any],
    paths: Mapping[str, str],
    later_logs: Iterable[Mapping[str, Any]],
    *,
    since_ms: int,
) -> RollbackPlan:
    """What rolling back takes and what stands in its way; nothing is touched.

    Args:
        session: to read with.
        log: the run's JSON log.
        paths: the Delta tables that the run may have written, by step id.
        later_logs: of the runs after it.
        since_ms: when the run began, milliseconds since 1970 UTC.
    """

    def facts_of(named: tuple[str, str]) -> TableFacts:
        step, path = named
        table = DeltaLog(session, path)
        if table.version() is None:
            return TableFacts(step, path, (), is_there=False)
        commits = table.commits_back(since_ms - _SLACK_MS, _MOST_COMMITS)
        return TableFacts(step, path, tuple(_fact(commit) for commit in commits))

    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="rollback") as pool:
        facts = list(pool.map(facts_of, paths.items()))
        plan = plan_rollback(log, facts, later_logs)
        gone = pool.map(lambda undo: tuple(_state_gone(session, undo)), plan.undos)
        return replace(plan, obstacles=(*plan.obstacles, *(one for some in gone for one in some)))


def carry_out(
    session: SparkSession,
    record: RollbackRecord,
    journal: RollbackJournal,
    files: FileStore,
    now: Callable[[], str],
) -> None:
    """Does what ``record`` says; what was done of it before, by a call that was killed, stays.

    The journal stays open when all is done, and is ended where all was undone.

    Raises:
        RollbackError: it could not be done, and the tables were put back; or not all of them,
            which the message says.
    """
    for path in record.markers:  # first: a batch must not think done what is about to go
        files.remove(path)
    with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="rollback") as pool:
        works = [
            (undo, pool.submit(_undo, clone_session(session, {}), record, undo))
            for undo in record.undos
        ]
    broken = [(undo, error) for undo, work in works if (error := work.exception()) is not None]
    for undo, error in broken:
        if not isinstance(error, Exception):
            raise error
        cause = as_sql_error(error, where=undo.path)
        done = [one for one, work in works if work.exception() is None]
        _take_back(session, record, done, files, cause)
        journal.end(record, finished_at=now(), is_done=False)
        raise RollbackError(
            f"run {record.run_id} was not rolled back, and all tables are as they were: {cause}"
        ) from error
    for undo in record.undos:
        if undo.to is None:
            files.remove(_aside(record, undo))


def markers_of(checkpoints: CheckpointStore, plan: RollbackPlan) -> dict[str, str]:
    """The checkpoint markers of all that goes: their texts, by path."""
    return checkpoints.marker_texts(mark for undo in plan.undos for mark in undo.batches)


def _fact(commit: Commit) -> TableCommit:
    said = commit.user_metadata
    to = commit.parameters.get("version") if commit.operation == "RESTORE" else None
    return TableCommit(
        commit.version,
        commit.operation,
        str(said.get("run_id") or ""),
        str(said.get("batch_id") or ""),
        str(said.get("step") or ""),
        restored_to=int(to) if to not in (None, "", "null") else None,
        forget_id=str(said.get(FORGET_ID) or ""),
    )


def _state_gone(session: SparkSession, undo: TableUndo) -> Iterator[Obstacle]:
    """What of the state before the run is lost."""
    if undo.to is None:
        return
    files = TableFiles(session, undo.path)
    try:
        before = files.keys(undo.to)
    except Exception as error:
        reason = as_sql_error(error, where=undo.path).message
        yield Obstacle(
            "state_gone",
            undo.step,
            f"its log does not reach back to version {undo.to}: {reason}",
            can_be_forced=False,
        )
        return
    missing = files.missing(before - files.keys(undo.now))
    if missing:
        shown = ", ".join(missing[:_MOST_NAMED])
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        yield Obstacle(
            "state_gone",
            undo.step,
            f"files of version {undo.to} are gone, perhaps by VACUUM: {shown}{more}",
            can_be_forced=False,
        )


def _undo(session: SparkSession, record: RollbackRecord, undo: TableUndo) -> None:
    log = DeltaLog(session, undo.path)
    newest = log.version()
    if newest is None and undo.to is None:
        return  # a call before this one has set it aside
    said = log.commit(newest).user_metadata if newest is not None else {}
    is_ours = said.get("run_id") == record.rollback_id
    if is_ours and "rolled_back" in said:
        return
    if newest != undo.now and not is_ours:
        raise RollbackError(
            f"version {undo.now} was its newest when this was planned, now it is {newest}",
            where=undo.path,
        )
    if undo.to is None:
        log.move_to(_aside(record, undo))
        return
    _restore(session, log, undo.to, _stamp(record, undo, "rolled_back"))


def _take_back(
    session: SparkSession,
    record: RollbackRecord,
    done: Iterable[TableUndo],
    files: FileStore,
    cause: Exception,
) -> None:
    """Puts the tables of ``done`` forward again, and the markers; all are tried.

    Raises:
        RollbackError: some could not be put forward; the journal stays.
    """
    failed = []
    for undo in done:
        log = DeltaLog(session, undo.path)
        try:
            if undo.to is None:
                DeltaLog(session, _aside(record, undo)).move_to(undo.path)
            else:
                _restore(session, log, undo.now, _stamp(record, undo, "put_forward"))
        except Exception as error:
            failed.append(f"{undo.step}: {as_sql_error(error, where=undo.path)}")
    for path, text in record.markers.items():
        files.write(path, text)
    if failed:
        raise RollbackError(
            f"run {record.run_id} was not rolled back ({cause}), and not every table could be "
            "put forward again:\n      " + "\n      ".join(failed),
            hint=f"when that is mended: pipeline rollback {record.run_id}",
        ) from cause


def _restore(session: SparkSession, log: DeltaLog, to: int, stamp: Mapping[str, str]) -> None:
    session.conf.set(_METADATA, json.dumps(dict(stamp)))
    log.restore(to)


def _stamp(record: RollbackRecord, undo: TableUndo, what: str) -> dict[str, str]:
    return {"run_id": record.rollback_id, "step": undo.step, what: record.run_id}


def _aside(record: RollbackRecord, undo: TableUndo) -> str:
    """Where a table that the run made stands until all is done."""
    return f"{undo.path}.__{record.rollback_id}"
