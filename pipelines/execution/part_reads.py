"""Whether a step reads all of its inputs or what is new, from what its last commit says.

A step reads all that it watches in part, or all of it whole: a part joined with a whole would be
neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pipelines.errors import StepError
from pipelines.execution.changes import changes_since, whole_as_changes
from pipelines.execution.reads import digest, outputs_read
from pipelines.execution.scopes import scoped_checks
from pipelines.execution.watermarks import Watermark, read_part, watched_sources
from pipelines.plan.changes import changes_read, has_watermarks, keeps_parts, reads_in_part
from pipelines.results import utc_now
from pipelines.utils.sql_runner import DeltaLog, in_session, parse

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.context import Output, RunContext
    from pipelines.plan.compile import CompiledStep
    from pipelines.utils.sql_runner import Commit


@dataclass(frozen=True)
class Reading:
    """How an attempt reads what its step watches.

    Attributes:
        parts: rows of the views that are not simply read whole, by name.
        is_whole: whether they are all rows.
        is_idle: whether nothing that the step reads has changed since its last commit.
        marks: what the commit says, so that the next run knows from where on to read.
        has_news: whether the marks say more than the last commit.
        last: the commit from which on it reads; None where it reads all.
        notes: what a user should know of it.
    """

    parts: Mapping[str, DataFrame] = field(default_factory=dict)
    is_whole: bool = True
    is_idle: bool = False
    marks: Mapping[str, Any] = field(default_factory=dict)
    has_news: bool = False
    last: Commit | None = None
    notes: tuple[str, ...] = ()


@contextmanager
def reading_of(
    session: SparkSession,
    step: CompiledStep,
    context: RunContext,
    outputs: Mapping[str, Output],
    *,
    is_done: bool,
) -> Iterator[Reading]:
    """How ``step`` is to be read; what it keeps at hand is let go at the end.

    Args:
        session: the step's.
        step: the step.
        context: of the run.
        outputs: of the upstream steps that it may read, by step id.
        is_done: whether the step has written already, so that nothing is read but by checks.

    Raises:
        StepError: rows would be read again and so be doubled, or a column does not fit.
        DatasourceError: a source cannot be reached.
    """
    if not reads_in_part(step, context.compiled.plan.graph):
        yield Reading()
        return
    reader = _Reader(session, step, context, outputs)
    try:
        is_small = context.compiled.plan.request.small is not None
        has_part = not (is_done or is_small or reader.is_made_anew)
        yield reader.reading() if has_part else reader.unmarked()
    finally:
        for frame in reader.kept:
            frame.unpersist()


class _Reader:
    def __init__(
        self,
        session: SparkSession,
        step: CompiledStep,
        context: RunContext,
        outputs: Mapping[str, Output],
    ) -> None:
        self._session, self._step, self._context, self._outputs = session, step, context, outputs
        self._destination = step.settings.destination
        self._log = DeltaLog(session, self._destination.path or "")
        self._sources = tuple(watched_sources(step))
        watched = changes_read(step, context.compiled.plan.graph)
        self._watched = {one: view for one, view in watched.items() if one in outputs}
        self.kept: list[DataFrame] = []

    @cached_property
    def _is_there(self) -> bool:
        """Whether the step's table was ever written."""
        return self._log.is_begun() and self._log.version() is not None

    @property
    def is_made_anew(self) -> bool:
        """Whether the step writes all of its table each time, and so needs all rows."""
        if has_watermarks(self._step) or keeps_parts(self._destination):
            return False
        sql = self._step.sql
        return sql is None or not parse(self._session, sql.text, file=sql.file).changes_a_table

    def unmarked(self) -> Reading:
        """Everything, with no word of up to where."""
        return Reading(self._all_as_changes())

    def reading(self) -> Reading:
        last, reason = self._last()
        changes: dict[str, DataFrame] = {}
        quiet = True
        if last is not None and not reason:
            changes, quiet, reason = self._changes(last)
        if reason:
            self._refuse_to_double(reason)
            last, changes, quiet = None, self._all_as_changes(), False
        said = last.user_metadata["watermarks"] if last is not None else {}
        now, appends = utc_now(), self._destination.mode == "append"
        parts = [
            read_part(
                self._session,
                source,
                self._context,
                Watermark.read(said[source.view]) if last is not None else None,
                appends=appends,
                at=now,
            )
            for source in self._sources
        ]
        notes = [f"everything is read: {reason}"] if reason and self._is_there else []
        if last is not None and last.user_metadata["edition"] != self._step.edition:
            notes.append("its SQL or settings were edited; rows appended before stay as they are")
        notes += [note for part in parts for note in part.notes]
        is_idle = last is not None and quiet and all(part.is_empty for part in parts)
        return Reading(
            parts={**changes, **{part.view: part.rows for part in parts}},
            is_whole=last is None and not any(part.is_window for part in parts),
            is_idle=is_idle and self._reads_nothing_else(last),
            last=last,
            has_news=last is None or not quiet or any(part.is_new for part in parts),
            marks={
                "edition": self._step.edition,
                "watermarks": {part.view: part.mark.said() for part in parts},
                "read_versions": {one: self._outputs[one].identity for one in self._watched},
                "read_whole": self._read_whole(),
                "scopes": scoped_checks(self._step),
            },
            notes=tuple(notes),
        )

    def _last(self) -> tuple[Commit | None, str]:
        """The last commit of the step that says up to where it read, and why it does not count."""
        if not self._is_there:
            return None, "its table is not there yet"
        if self._context.request_is_full_refresh:
            return None, "--full-refresh"
        own = (
            one for one in self._log.standing() if one.user_metadata.get("step") == self._step.id
        )
        last = next((one for one in own if "watermarks" in one.user_metadata), None)
        if last is None:
            return None, "no commit of its table says up to where it was read"
        return last, self._outdated(last.user_metadata)

    def _outdated(self, said: Mapping[str, Any]) -> str:
        """Why the inputs have to be read whole again; empty where they have not."""
        marks, versions = said["watermarks"], said["read_versions"]
        if said["edition"] != self._step.edition and self._destination.mode != "append":
            return "its SQL or settings were edited"
        for source in self._sources:
            if source.view not in marks or marks[source.view]["of"] != source.of:
                return f"{source.view} is of another table, query or column than before"
            days = source.incremental.full_every_days
            last = date.fromisoformat(marks[source.view]["full_at"])
            today = date.fromisoformat(str(self._context.compiled.names["run_date"]))
            if days is not None and (today - last).days >= days:
                return f"{source.view} was read whole {(today - last).days} days ago"
        missing = [one for one in self._watched if one not in versions]
        return f"the changes of {missing[0]} were not read before" if missing else ""

    def _changes(self, last: Commit) -> tuple[dict[str, DataFrame], bool, str]:
        """The views of changes, whether there are none, and why they cannot be told."""
        views, quiet = {}, True
        for step_id, view in self._watched.items():
            destination = self._context.compiled.steps[step_id].settings.destination
            was = last.user_metadata["read_versions"][step_id]
            which = self._outputs[step_id].identity, was
            few = self._context.few_changes.get(which)
            if few is not None:
                views[view] = in_session(few, self._session)
                quiet = False
                continue
            found = changes_since(
                self._session, self._outputs[step_id], was, destination, self._context
            )
            if found.rows is None:
                return {}, False, f"what changed in {step_id} is not known: {found.reason}"
            views[view] = found.rows
            quiet = quiet and not found.count
            if found.rows.is_cached:
                self.kept.append(found.rows)
            elif found.count:
                self._context.few_changes[which] = found.rows
        return views, quiet, ""

    def _all_as_changes(self) -> dict[str, DataFrame]:
        return {
            view: in_session(whole_as_changes(self._outputs[step_id], self._context), self._session)
            for step_id, view in self._watched.items()
        }

    def _refuse_to_double(self, reason: str) -> None:
        """Nothing, unless all rows would be appended to some that are there."""
        if self._destination.mode != "append" or self._context.request_is_full_refresh:
            return
        if not self._is_there:
            return
        if not self._session.read.format("delta").load(self._log.path).isEmpty():
            raise StepError(
                f"everything would be read again and so be doubled by mode 'append': {reason}",
                where=self._step.id,
                hint="--full-refresh builds the table anew",
            )

    def _reads_nothing_else(self, last: Commit | None) -> bool:
        """Whether all else that the step reads is known to be as it was."""
        settings, watched = self._step.settings, {source.view for source in self._sources}
        others = [view for view in settings.pre_views if view.query is None]
        has_raw = settings.source is not None and settings.source.has_raw_input
        if settings.script is not None or any(view.name not in watched for view in others):
            return False
        if has_raw and settings.name not in watched:
            return False
        return last is not None and last.user_metadata["read_whole"] == self._read_whole()

    def _read_whole(self) -> str:
        """What tells the upstream tables that are read as a whole, as they are, from others."""
        read = outputs_read(self._step, self._context.compiled.plan.graph)
        return digest({one: self._outputs[one].identity for one in self._outputs if read[one]})
