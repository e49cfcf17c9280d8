"""What checks with a scope look at: after a run that read a part, only what it touched.

A check with a scope says of itself that rows are right or wrong by the values of some keys,
whatever other rows there are. So rows of values that a run did not touch are as right as they were,
if they were found right before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.execution.reads import digest, outputs_read, words_in
from pipelines.execution.session import clone_session
from pipelines.plan.changes import changes_read, changes_seen
from pipelines.plan.table_commits import HARMLESS
from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import DeltaLog, computed, in_session, kept_rows, run_query

if TYPE_CHECKING:
    from contextlib import ExitStack

    from pyspark.sql import DataFrame, SparkSession

    from pipelines.execution.context import Output, RunContext
    from pipelines.execution.destinations import Target
    from pipelines.execution.part_reads import Reading
    from pipelines.plan.compile import CompiledStep
    from pipelines.plan.graph import Graph

Scope = tuple[str, ...]
_MOST_VALUES = 250_000
"""So many are some tens of megabytes, sent to all who read a large table."""


@dataclass(frozen=True)
class Look:
    """How checks of one scope look at the tables.

    Attributes:
        session: in which they run.
        touched: how many values of the scope they look at.
    """

    session: SparkSession
    touched: int


def scoped_checks(step: CompiledStep) -> str:
    """What tells the checks of ``step`` that have a scope from what they were before an edit."""
    return digest({one.sql.file: one.sql.text for one in step.checks if one.header.scope})


@dataclass(frozen=True)
class Narrowing:
    """What tells how the checks of a step are to look.

    Attributes:
        session: the step's, in which what it wrote is a view.
        step: the step.
        context: of the run.
        read: the outputs upstream whose views it has, by step id.
        reading: how it read what it watches.
        target: what it wrote.
        kept: lets go of what is kept for the checks.
    """

    session: SparkSession
    step: CompiledStep
    context: RunContext
    read: Mapping[str, Output]
    reading: Reading
    target: Target
    kept: ExitStack

    def looks(self) -> dict[Scope, Look]:
        """How the checks are to look, by scope; those that are missing look at all rows.

        Touched are the values in rows that the step changed in its table, in the changes upstream
        that it read, and in pre_views that it kept, which tell what these touch. A narrowed session
        has the views of the step's; those that have all columns of the scope show the rows of
        touched values.
        """
        scopes = dict.fromkeys(one.header.scope for one in self.step.checks if one.header.scope)
        written = self.target.touched
        if not scopes or written is None or not self._is_rest_right():
            return {}
        touched = self._touched(written)
        looks = {scope: self._look(scope, touched) for scope in scopes}
        return {scope: look for scope, look in looks.items() if look is not None}

    def _is_rest_right(self) -> bool:
        """Whether the table as it stood had passed these checks, and only we have changed it since.

        A step is marked as done once its checks have passed; its last commit may be of a run that
        did not live to see that.
        """
        step, context, last = self.step, self.context, self.reading.last
        before = self.target.state().version_before
        if last is None or self.reading.is_whole or before is None:
            return False
        if context.checkpoints is None or context.has_neighbours:
            return False
        if last.user_metadata.get("scopes") != scoped_checks(step):
            return False
        batch = str(last.user_metadata["batch_id"])
        marker = context.checkpoints.markers(batch, [step.id]).get(step.id)
        if marker is None or (marker.version_after or 0) < last.version:
            return False
        since = DeltaLog(self.session, step.table).standing(after=last.version)
        return all(one.operation in HARMLESS for one in since if one.version <= before)

    def _touched(self, written: Sequence[DataFrame]) -> list[DataFrame]:
        """Frames with what the run touched, each with some columns of its own."""
        parts, views = self.reading.parts, changes_read(self.step, self._graph).values()
        read = [parts[view] for view in views if view in parts]
        kept = [] if self.reading.is_idle else self.step.settings.pre_views
        told = [self.session.table(view.name) for view in kept if view.keep]
        # Where nothing was written, the table itself still has the columns of a scope.
        own = written or [self.session.table(self.step.settings.name).limit(0)]
        return [*own, *read, *told]

    def _look(self, scope: Scope, touched: Sequence[DataFrame]) -> Look | None:
        """How checks of ``scope`` look; None where more is touched than a plan should hold."""
        found, count = kept_rows(self._values(scope, touched))
        if count > _MOST_VALUES:
            found.unpersist()
            return None
        values = found
        if found.is_cached:
            values, _ = computed(found)
            found.unpersist()
        inner = clone_session(self.session, {})
        for name, shared in self._views(scope).items():
            rows = self.session.table(name)
            if not _has(rows, scope):
                continue
            same = [rows[quoted_name(one)].eqNullSafe(values[quoted_name(one)]) for one in scope]
            rows = rows.join(values, same, "left_semi") if count else rows.limit(0)
            if shared and count:
                rows, _ = kept_rows(rows)
                self.kept.callback(rows.unpersist)
            in_session(rows, inner).createOrReplaceTempView(name)
        return Look(inner, count)

    def _values(self, scope: Scope, touched: Sequence[DataFrame]) -> DataFrame:
        """The values of ``scope`` in ``touched``, each once.

        By a statement: `DataFrame.union` merges unions below it into its own, so that Spark does
        not know a kept one again, and computes it anew.
        """
        columns, selected = ", ".join(map(quoted_name, scope)), []
        for number, frame in enumerate(touched):
            if _has(frame, scope):
                view = f"__touched_{number}"
                in_session(frame, self.session).createOrReplaceTempView(view)
                selected.append(f"select {columns} from {view}")
        sql = f"select distinct * from ({' union all '.join(selected)})"
        return run_query(self.session, sql, file="values of a scope")

    def _views(self, scope: Scope) -> dict[str, bool]:
        """The views that checks of ``scope`` may read, and whether several read the same."""
        step, graph = self.step, self._graph
        names = {step.settings.name, *(view.name for view in step.settings.pre_views)}
        names.update(
            *(names for one, names in outputs_read(step, graph).items() if one in self.read)
        )
        names |= {view for one, view in changes_seen(step, graph).items() if one in self.read}
        checks = [words_in([one.sql]) for one in step.checks if one.header.scope == scope]
        readers = {
            name: sum(words is None or name.lower() in words for words in checks) for name in names
        }
        return {name: count > 1 for name, count in readers.items() if count}

    @property
    def _graph(self) -> Graph:
        return self.context.compiled.plan.graph


def _has(frame: DataFrame, columns: Sequence[str]) -> bool:
    return {name.lower() for name in frame.columns}.issuperset(columns)
