"""Modes that go by keys: what of a result would change the table, and how it is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

from pipelines.errors import DestinationError, near_names
from pipelines.spec.steps import HISTORY_COLUMNS
from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import columns_of, has_rows, kept_rows, run_query

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType, StructType

    from pipelines.execution.context import RunContext
    from pipelines.execution.destinations.audit_columns import Audit
    from pipelines.plan.compile import CompiledStep

_SOURCE_VIEW = "__step_result"
_CANDIDATES_VIEW = "__candidates"
_CHANGES_VIEW = "__changes"
_FEW_ROWS = 100_000
"""Up to so many rows are sent to all who read a large table: it need not be sorted to meet them."""
Touched: TypeAlias = "tuple[DataFrame, ...] | None"
_NOT_COMPARABLE = ("map", "variant", "geometry", "geography")
_DAY_TYPES = ("date", "timestamp", "timestamp_ntz")
# Modes whose comparison with the table goes in two steps.
_WITH_CANDIDATES = frozenset({"scd2", "satellite"})


@dataclass(frozen=True)
class Change:
    """What a result changes in its table.

    Attributes:
        added: the rows, where they are all new and have only to be appended.
        merge: the statement that writes them, where they are not.
        touched: frames that have the rows that come, go or change, and outlast this change; None
            where they are too many. Nothing changes where there are none.
    """

    added: DataFrame | None = None
    merge: str = ""
    touched: Touched = None

    @property
    def is_nothing(self) -> bool:
        """Whether no row of the table comes, goes or changes."""
        return self.touched == ()


_NOTHING = Change(touched=())


class KeyedWrite:
    """How the rows of one step meet those of its table, by keys.

    Templates do the work, the project's before the engine's. `MODE.sql.j2` gives the rows that
    change; where it takes more than one look at the table, `MODE_candidates.sql.j2` gives those of
    the result that may change something, and `MODE_not_plain.sql.j2` those of them for which the
    short way of `MODE.sql.j2` will not do. `merge.sql.j2` writes. What they give is kept for the
    next, so the step's own SQL runs once, and where nothing changes nothing is committed. A part is
    kept itself before all else: where it is of few rows, only the table's rows of their keys are
    looked at.

    Args:
        context: of the run.
        step: gives mode and keys.
        frame: the step's rows.
        audit: what the audit columns get.
        is_whole: whether they are all rows of the source, not a part.

    Raises:
        DestinationError: a column that the destination names is not in the result, or the result
            has one that the mode makes itself.
    """

    def __init__(
        self,
        context: RunContext,
        step: CompiledStep,
        frame: DataFrame,
        audit: Audit,
        *,
        is_whole: bool,
    ) -> None:
        self._context, self._step, self._frame, self._audit = context, step, frame, audit
        self._destination = step.settings.destination
        self._mode = "scd1" if self._destination.mode == "merge" else self._destination.mode
        self._is_whole = is_whole
        self._keys = [self._own(key, "keys") for key in self._destination.keys]
        self._sequence = self._own_or_none(self._destination.sequence_by, "sequence_by")
        if self._mode == "scd2":
            self._refuse_history_columns()

    @cached_property
    def schema(self) -> StructType:
        """The columns of the table, as this result makes them."""
        from pyspark.sql.types import BooleanType, StringType, StructField, StructType

        fields = [field for field in self._frame.schema if field.name in self._columns]
        if self._mode == "scd2":
            instant = self._instant_type
            surrogate = self._destination.surrogate_key
            fields += [StructField(surrogate, StringType())] if surrogate else []
            types: tuple[DataType, ...] = (instant, instant, BooleanType())
            fields += [
                StructField(name, kind) for name, kind in zip(HISTORY_COLUMNS, types, strict=True)
            ]
        return StructType([*fields, *self._audit.fields()])

    def first_rows(self) -> DataFrame:
        """The rows of the table's first commit."""
        self._frame.createOrReplaceTempView(_SOURCE_VIEW)
        return self._run(self._audit.around(self._rendered(self._mode)))

    @contextmanager
    def change(self, target: str, existing: StructType) -> Iterator[Change]:
        """What changes in ``target``, which has the columns ``existing``."""
        is_insert = self._mode == "insert_new"
        if not is_insert:
            self._audit.refuse_if_missing(existing, where=self._step.id)
        with ExitStack() as stack:
            is_empty, few = self._source(stack)
            if is_empty:
                yield _NOTHING
            elif is_insert:
                yield self._new_rows(stack, target, few)
            else:
                names = {"target": target, "stored": self._stored(target, existing), "few": few}
                yield self._changed_rows(stack, names)

    def _new_rows(self, stack: ExitStack, target: str, few: bool) -> Change:
        """For `insert_new`: the rows whose keys ``target`` has not."""
        names = {"target": target, "stored": target, "few": few}
        if not few:
            return Change(added=self._run(self._audit.around(self._rendered(self._mode, **names))))
        rows, touched = self._changes(stack, names)
        return Change(added=self._audit.onto(rows), touched=touched)

    def _changed_rows(self, stack: ExitStack, names: dict[str, Any]) -> Change:
        """For all other modes."""
        late = follows = False
        if self._mode in _WITH_CANDIDATES:
            found, count = self._kept(stack, f"{self._mode}_candidates", _CANDIDATES_VIEW, names)
            if not count:
                return _NOTHING
            names["candidates"] = _CANDIDATES_VIEW
            plain = not has_rows(self._run(self._rendered(f"{self._mode}_not_plain", **names)))
            late = not plain and has_rows(found.where("__late"))
            names |= {"plain": plain, "late": late}
            follows = self._mode == "scd2" and plain and found.is_cached
        changes, touched = self._changes(stack, names, follows=follows)
        if self._mode == "satellite" and not late:
            return Change(added=self._audit.onto(changes), touched=touched)
        match = [*self._keys, *self._instant]
        merge = self._rendered("merge", changes=_CHANGES_VIEW, match=match, **names)
        return Change(merge=merge, touched=touched)

    def _changes(
        self, stack: ExitStack, names: Mapping[str, Any], *, follows: bool = False
    ) -> tuple[DataFrame, Touched]:
        """The rows that the mode's own template gives, and those of them that stay at hand.

        They are computed here, but where they follow row by row from candidates that are kept.
        """
        if follows:
            rows = self._run(self._rendered(self._mode, **names))
            rows.createOrReplaceTempView(_CHANGES_VIEW)
            return rows, None if self._each_changes or has_rows(rows) else ()
        rows, count = self._kept(stack, self._mode, _CHANGES_VIEW, names)
        if rows.is_cached:
            return rows, None
        return rows, (rows,) if count else ()

    def _source(self, stack: ExitStack) -> tuple[bool, bool]:
        """Makes the view of the result; whether a part has no rows, and whether it has few.

        A part is computed here, and kept while ``stack`` is open.
        """
        if self._is_whole:
            self._frame.createOrReplaceTempView(_SOURCE_VIEW)
            return False, False
        rows, count = kept_rows(self._frame)
        stack.callback(rows.unpersist)
        rows.createOrReplaceTempView(_SOURCE_VIEW)
        return not count, count <= _FEW_ROWS

    def _kept(
        self, stack: ExitStack, template: str, view: str, names: Mapping[str, Any]
    ) -> tuple[DataFrame, int]:
        """The rows that ``template`` gives, computed once while ``stack`` is open, and how many."""
        rows, count = kept_rows(self._run(self._rendered(template, **names)))
        stack.callback(rows.unpersist)
        rows.createOrReplaceTempView(view)
        return rows, count

    def _stored(self, target: str, existing: StructType) -> str:
        """The table's rows to select from, with nulls for columns that it is about to get."""
        there = {name.lower() for name in existing.names}
        added = [one for one in columns_of(self.schema) if one.name.lower() not in there]
        nulls = "".join(f", cast(null as {one.type}) as {quoted_name(one.name)}" for one in added)
        return f"(select *{nulls} from {target})" if added else target

    @property
    def _instant(self) -> tuple[str, ...]:
        """The column that tells the rows of one key apart, in tables that keep history."""
        if self._mode == "scd2":
            return (HISTORY_COLUMNS[0],)
        return (self._sequence,) if self._mode == "satellite" and self._sequence else ()

    def _run(self, sql: str) -> DataFrame:
        return run_query(self._frame.sparkSession, sql, file=f"sql_templates/{self._mode}")

    def _rendered(self, template: str, **more: Any) -> str:
        destination = self._destination
        payload = [name for name in self._columns if name not in self._keys]
        compared = [name for name in payload if name != self._sequence]
        comparable = {one.name for one in self._frame.schema if _is_comparable(one.dataType)}
        names = {
            "source": _SOURCE_VIEW,
            "target": None,
            "stored": None,
            "few": False,
            "plain": False,
            "label": self._step.id,
            "columns": self._columns,
            "keys": self._keys,
            "keys_may_be_null": self._mode in ("scd1", "insert_new"),
            "payload": payload,
            "tracked": self._tracked(compared),
            "compared": compared,
            "opaque": [name for name in self._columns if name not in comparable],
            "order_by": [name for name in payload if name in comparable],
            "sequence_by": self._sequence,
            "as_of": self._as_of,
            "surrogate_key": destination.surrogate_key,
            "delete_when": destination.apply_as_delete_when,
            "ignore_null_updates": destination.ignore_null_updates,
            "absent": destination.deletes
            if self._is_whole and destination.deletes != "ignore"
            else None,
            "table_columns": [n for n in self.schema.names if n not in self._audit.names],
            "audit": self._audit,
            "removes": self._mode == "scd2"
            or destination.apply_as_delete_when
            or destination.deletes == "delete",
            **more,
        }
        file = f"{template}.sql.j2"
        return self._context.loader.render_text(f"{{% include '{file}' %}}", names, file=file)

    @property
    def _each_changes(self) -> bool:
        """Whether each plain candidate changes something; a delete may be of what is not there."""
        settings = self._destination
        return not (settings.apply_as_delete_when or settings.ignore_null_updates)

    @cached_property
    def _columns(self) -> list[str]:
        left_out = {self._own(name, "except_columns") for name in self._destination.except_columns}
        return [name for name in self._frame.columns if name not in left_out]

    def _tracked(self, compared: Sequence[str]) -> list[str]:
        """Columns whose change makes a version."""
        named = self._destination.track_history_on
        if named:
            return [self._own(name, "track_history_on") for name in named]
        hashes = [name for name in compared if name.lower() == "hashdiff"]
        return hashes if hashes and self._mode == "satellite" else list(compared)

    @property
    def _instant_type(self) -> DataType:
        from pyspark.sql.types import DateType

        return self._frame.schema[self._sequence].dataType if self._sequence else DateType()

    @property
    def _as_of(self) -> str:
        """The instant of a snapshot: its day; by a time stamp, the end of that day."""
        day = date.fromisoformat(str(self._context.compiled.names["run_date"]))
        kind = self._instant_type.typeName()
        if kind == "date":
            return f"date '{day}'"
        if kind in _DAY_TYPES:
            return f"{kind} '{day + timedelta(days=1)} 00:00:00'"
        if self._destination.deletes != "ignore" and self._mode == "scd2":
            raise DestinationError(
                f"deletes '{self._destination.deletes}' cannot tell when a row ended: "
                f"{self._sequence!r} is a {self._instant_type.simpleString()}",
                where=self._step.id,
                hint="give sequence_by a date or time, or take deletes from apply_as_delete_when",
            )
        return "null"

    def _own_or_none(self, name: str | None, field: str) -> str | None:
        return self._own(name, field) if name is not None else None

    def _own(self, name: str, field: str) -> str:
        """A column of the result, as it is written there."""
        columns = self._frame.columns
        for column in columns:
            if column.lower() == name.lower():
                return column
        near = near_names(name, columns)
        raise DestinationError(
            f"{field} names {name!r}, which is not a column of the result",
            where=self._step.id,
            hint=f"did you mean {near[0]!r}?" if near else f"columns: {', '.join(columns)}",
        )

    def _refuse_history_columns(self) -> None:
        taken = [name for name in self._frame.columns if self._destination.makes(name)]
        if taken:
            raise DestinationError(
                f"the result has {', '.join(taken)}, which mode 'scd2' makes itself",
                where=self._step.id,
                hint="leave it out, and name the column that says when a row changed: sequence_by",
            )


def _is_comparable(data_type: DataType) -> bool:
    """Whether Spark can compare and order values of ``data_type``."""
    from pyspark.sql.types import ArrayType, StructType

    if isinstance(data_type, ArrayType):
        return _is_comparable(data_type.elementType)
    if isinstance(data_type, StructType):
        return all(_is_comparable(column.dataType) for column in data_type)
    return data_type.typeName() not in _NOT_COMPARABLE
