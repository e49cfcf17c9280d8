"""Erases a person from the tables of a flow: looks first, then one commit a table, and a log."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipelines.audited.opened import files_of, opened_session
from pipelines.errors import UsageError, near_names
from pipelines.execution.audits.erased_releases import erased_releases
from pipelines.execution.audits.forget_journal import ForgetJournal, ForgetRecord, hash_of_value
from pipelines.execution.checkpoints import CheckpointStore
from pipelines.execution.files import HadoopFiles, LocalFiles
from pipelines.execution.half_done import refuse_half_done
from pipelines.execution.releases.opened import open_releases
from pipelines.execution.run_info import user_name
from pipelines.plan.forget import ErasurePlan, erase_order, flow_tables, warnings_of
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
        return not (self.declined or self.plan.left or self.plan.still_shown)

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
            "releases": [one.told for one in self.plan.releases],
            "without": list(self.plan.without),
            "warnings": list(self.plan.warnings),
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
    prepared.checked()
    subject = _subject(prepared, key)
    if not value.strip():
        raise UsageError(f"no value was given for {key}", hint=f"write --key {key}=VALUE")
    moment = now()
    holder = {"forget": key, "since": moment.isoformat(timespec="seconds")}
    with (
        prepared.run_lock(holder) as hold,
        opened_session(prepared, spark) as session,
        ExitStack() as stack,
    ):
        hold.take(HadoopFiles(session), stack)
        erasing = _Erasing(prepared, session, subject, key, value)
        plan, record = erasing.plan, erasing.record
        went_on = record is not None
        if dry_run or not (plan.is_due or went_on):
            return Erasure(plan, is_done=False)
        if agree is not None and not agree(plan):
            return Erasure(plan, is_done=False, went_on=went_on, declined=True)
        hold.refuse_if_lost()
        if record is None:
            record = erasing.begin(f"forget-{generate_run_id(moment)}", utc_text(moment) or "")
        done = erasing.carried_out(record)
        erasure = Erasure(done, is_done=True, forget_id=record.forget_id, went_on=went_on)
        erasure = replace(erasure, log=_logged(prepared, erasure, record, now()))
        erasing.end()
    return erasure


class _Erasing:
    """One erasure, with the lock held: what it takes, and taking it.

    Attributes:
        plan: what it takes.
        record: of the call that began it; None where none did.
    """

    def __init__(
        self,
        prepared: PreparedFlow,
        session: SparkSession,
        subject: Subject,
        key: str,
        value: str,
    ) -> None:
        from pipelines.execution.audits import forget

        self._prepared, self._session, self._rows = prepared, session, forget
        self._key, self._value = key, value
        compiled = prepared.compiled
        self._files, checkpoints = files_of(prepared, session), compiled.checkpoint.path
        refuse_half_done(self._files, checkpoints, but=ForgetJournal)
        self._journal = ForgetJournal(self._files, checkpoints)
        self.record = self._journal.open_record()
        if self.record is not None and not self.record.is_of(key, value):
            self._journal.refuse_if_open()
        self._releases = open_releases(compiled, lambda: session)
        self._tables = flow_tables(compiled)
        self._held = erase_order(forget.held_tables(session, self._tables, subject), subject)
        self._found = forget.find_person(session, self._held, subject, key, value)
        self._counts = forget.count_rows(session, self._held, self._found)
        self.plan = self._planned()

    def _planned(self) -> ErasurePlan:
        with_rows = self._counts
        if self.record is not None:
            forget_id = self.record.forget_id
            with_rows = self._rows.with_earlier(self._session, self._held, with_rows, forget_id)
        held = {one.table.step for one in self._held}
        return ErasurePlan(
            self._key,
            {name: len(values) for name, values in self._found.items()},
            tuple(with_rows),
            tuple(_left(self._tables)),
            tuple(one.step for one in self._tables if one.step not in held),
            tuple(erased_releases(self._session, self._releases)),
            warnings_of(self._prepared.compiled.maintenance.vacuum),
        )

    def begin(self, forget_id: str, at: str) -> ForgetRecord:
        """Notes what is about to be done."""
        hashed = hash_of_value(forget_id, self._value)
        record = ForgetRecord(forget_id, self._key, hashed, at)
        self._journal.begin(record)
        return record

    def carried_out(self, record: ForgetRecord) -> ErasurePlan:
        """Erases: tables first, then what checkpoints and releases say of them."""
        session, forget_id = self._session, record.forget_id
        done = self._rows.erase(session, self._held, self._counts, self._found, forget_id)
        checkpoint = self._prepared.compiled.checkpoint
        if checkpoint.enabled:
            store = CheckpointStore(self._files, checkpoint.path)
            erased = [one.step for one in done if one.version]
            self._rows.renew_marks(session, store, self._tables, erased)
        releases = tuple(erased_releases(session, self._releases))
        self._releases.follow(releases, forget_id)
        return replace(self.plan, tables=tuple(done), releases=releases)

    def end(self) -> None:
        """Notes that it is done."""
        self._journal.end()


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
