"""Erases a person from the tables of a flow: looks first, then one commit a table, and a log."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.audited.opened import files_of, opened_session
from pipelines.errors import UsageError, near_names
from pipelines.execution.audits.forget_journal import ForgetJournal, ForgetRecord, hash_of_value
from pipelines.execution.audits.journal import RollbackJournal
from pipelines.execution.checkpoints import CheckpointStore
from pipelines.execution.files import LocalFiles
from pipelines.execution.lock import RunLock
from pipelines.execution.run_info import user_name
from pipelines.plan.forget import WARNINGS, ErasurePlan, erase_order, flow_tables
from pipelines.prepared import generate_run_id
from pipelines.results import utc_now, utc_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from pipelines.execution.session import SparkSession
    from pipelines.plan.forget import FlowTable
    from pipelines.prepared import PreparedFlow
    from pipelines.spec.privacy import Subject


@dataclass(frozen=True)
class Erasure:
    """What became of an erasure.

    Attributes:
        plan: what it takes, or took.
        is_done: whether the rows are gone; else it was only looked.
        forget_id: stamps its commits; empty where it was only looked.
        went_on: whether an earlier call had begun it.
        declined: whether the user did not agree.
        log: file that tells of it; empty where it was only looked.
    """

    plan: ErasurePlan
    is_done: bool
    forget_id: str = ""
    went_on: bool = False
    declined: bool = False
    log: str = ""

    @property
    def is_well(self) -> bool:
        """Whether nothing of the person is left that the engine could not erase."""
        return not (self.declined or self.plan.left)

    @property
    def outcome(self) -> str:
        """What became of it, in one sentence."""
        if self.is_done:
            began = ", as an earlier call had begun" if self.went_on else ""
            return f"erased by {self.forget_id}{began}: {self.log}"
        return "not erased, nothing was touched" if self.declined else ""

    def as_dict(self) -> dict[str, Any]:
        """The erasure with JSON types only; no value of a key."""
        return {
            "forget_id": self.forget_id or None,
            "is_done": self.is_done,
            "went_on": self.went_on,
            "key": self.plan.key,
            "found": dict(self.plan.found),
            "tables": [table.as_dict() for table in self.plan.tables],
            "left": list(self.plan.left),
            "without": list(self.plan.without),
            "warnings": list(WARNINGS),
        }


def forget(
    prepared: PreparedFlow,
    key: str,
    value: str,
    *,
    dry_run: bool = False,
    agree: Callable[[ErasurePlan], bool] | None = None,
    spark: SparkSession | None = None,
    now: Callable[[], datetime] = utc_now,
) -> Erasure:
    """Erases the person whose ``key`` is ``value`` from every Delta table of the flow.

    One that was killed is ended by the same words. Batches that are begun read the tables as
    they are then.

    Args:
        prepared: the flow.
        key: one of the columns of `privacy.subject.keys`.
        value: of that column, as text.
        dry_run: only look.
        agree: asked before anything is touched; on false nothing is.
        spark: a session to work in; without it one is started, and stopped.
        now: the clock.

    Raises:
        UsageError: the flow does not say how a person is found, or another erasure is half done.
        LockHeldError: a run of the pipeline is at work.
    """
    compiled = prepared.checked()
    subject = _subject(prepared, key)
    if not value.strip():
        raise UsageError(f"no value was given for {key}", hint=f"write --key {key}=VALUE")
    moment, tables = now(), flow_tables(compiled)
    holder = {"forget": key, "since": moment.isoformat(timespec="seconds")}
    with RunLock(prepared.lock_file, holder), opened_session(prepared, spark) as session:
        from pipelines.execution.audits import forget as rows

        files, checkpoints = files_of(prepared, session), compiled.checkpoint.path
        RollbackJournal(files, checkpoints).refuse_if_open()
        journal = ForgetJournal(files, checkpoints)
        record = journal.open_record()
        went_on = record is not None
        if record is not None and not record.is_of(key, value):
            journal.refuse_if_open()
        held = erase_order(rows.held_tables(session, tables, subject), subject)
        found = rows.find_person(session, held, subject, key, value)
        counts = rows.count_rows(session, held, found)
        if record is not None:
            before = [rows.erased_before(session, one, record.forget_id) for one in held]
            told = [replace(one, rows=one.rows + gone)
                    for one, gone in zip(counts, before, strict=True)]  # fmt: skip
        else:
            told = counts
        plan = ErasurePlan(
            key,
            {name: len(values) for name, values in found.items()},
            tuple(told),
            tuple(_left(tables)),
            tuple(one.step for one in tables if one.step not in {h.table.step for h in held}),
        )
        if dry_run or not (plan.rows or went_on):
            return Erasure(plan, is_done=False)
        if agree is not None and not agree(plan):
            return Erasure(plan, is_done=False, went_on=went_on, declined=True)
        if record is None:
            forget_id = f"forget-{generate_run_id(moment)}"
            hashed = hash_of_value(forget_id, value)
            record = ForgetRecord(forget_id, key, hashed, utc_text(moment) or "")
            journal.begin(record)
        done = tuple(rows.erase(session, held, counts, found, record.forget_id))
        if compiled.checkpoint.enabled:
            store = CheckpointStore(files, checkpoints)
            rows.renew_marks(session, store, tables, [one.step for one in done if one.version])
        plan = replace(plan, tables=done)
        erasure = Erasure(plan, True, record.forget_id, went_on)
        erasure = replace(erasure, log=_logged(prepared, erasure, record, now()))
        journal.end()
    return erasure


def _subject(prepared: PreparedFlow, key: str) -> Subject:
    subject = prepared.flow.pipeline.privacy.subject
    if subject is None:
        raise UsageError(
            f"{prepared.flow.pipeline.name} does not say how a person is found",
            hint="say it under pipeline: privacy: {subject: {keys: {student_id: [students]}}}",
        )
    if key not in subject.keys:
        near = near_names(key, subject.keys)
        raise UsageError(
            f"{key!r} is no key of a person",
            hint=f"did you mean {near[0]!r}?" if near else f"keys are {', '.join(subject.keys)}",
        )
    return subject


def _left(tables: list[FlowTable]) -> list[str]:
    """Files of which nobody can take single rows."""
    return [
        f"{one.step}: files of format {one.format} cannot be erased from; look at them by hand"
        for one in tables
        if one.format != "delta"
    ]


def _logged(prepared: PreparedFlow, erasure: Erasure, record: ForgetRecord, at: datetime) -> str:
    """Writes the log of an erasure beside those of runs, and to the metadata tables; its file."""
    said = {
        **erasure.as_dict(),
        "schema_version": 1,
        "pipeline": prepared.flow.pipeline.name,
        "environment": prepared.compiled.environment_name,
        "value_sha256": record.value_sha256,
        "began_at": record.began_at,
        "finished_at": utc_text(at),
        "user": user_name(),
    }
    file = prepared.log_folder / "forgets" / f"{record.forget_id}.json"
    LocalFiles().write(str(file), json.dumps(said, indent=1, ensure_ascii=False))
    metadata = prepared.environment.metadata
    if metadata.enabled:
        from pipelines.utils.metadata_logger import MetadataLogger

        path = prepared.loader.render_text(metadata.path, prepared.compiled.names)
        MetadataLogger(path, metadata.storage_options).write_forget(said)
    return str(file)
