"""The columns of what steps read from outside: as recorded in a file, or from where it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import DatasourceError, PipelineError, UsageError
from pipelines.execution.datasource_errors import NOT_ANSWERING, unreadable
from pipelines.lineage.columns import Column
from pipelines.spec.steps import label_of
from pipelines.utils.sql_loader import quoted_name
from pipelines.utils.sql_runner import as_sql_error, columns_of

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import DataFrame, SparkSession

    from pipelines.plan.compile import CompiledStep
    from pipelines.spec.steps import PreView, Source
    from pipelines.utils.datasource import DataSource

CHOICES = ("auto", "recorded", "database")
_VERSION = 1
_COLUMN = re.compile(r"(`(?:[^`]|``)+`|[^\s`]+) (.+?)( not null)?\Z")
Columns = tuple[Column, ...]
Key = tuple[str, str]


@dataclass(frozen=True)
class RawInput:
    """Something that a step reads from outside of the flow.

    Attributes:
        step_id: the step.
        view: the name that its SQL sees.
        what: the part of the flow that describes it.
        place: where that stands in the YAML.
    """

    step_id: str
    view: str
    what: Source | PreView
    place: tuple[str | int, ...]

    @property
    def key(self) -> Key:
        """What tells it from the flow's others."""
        return self.step_id, self.view

    @property
    def label(self) -> str:
        """What it is, for people: ``edfi_ods: edfi.Student``."""
        return label_of(self.what)


def raw_inputs(step: CompiledStep) -> Iterator[RawInput]:
    """What ``step`` reads from outside, in the order in which its views are made."""
    place = step.node.place
    for number, view in enumerate(step.settings.pre_views):
        if view.query is None:
            yield RawInput(step.id, view.name, view, (*place, "pre_views", number))
    source = step.settings.source
    if source is not None and source.has_raw_input:
        yield RawInput(step.id, step.settings.name, source, (*place, "source"))


class SourceColumns:
    """Gives the columns of raw inputs.

    A database that lets nobody in is asked once.

    Args:
        session: reads what is not recorded.
        datasource: gives a datasource by name, its secrets looked up.
        recorded: from the flow's file; empty where there is none.
        prefer: ``recorded`` never asks a database, ``database`` always does, ``auto`` where
            nothing is recorded.
    """

    def __init__(
        self,
        session: SparkSession,
        datasource: Callable[[str], DataSource],
        recorded: Mapping[Key, Columns],
        prefer: str = "auto",
    ) -> None:
        self._session, self._datasource = session, datasource
        self._recorded, self._prefer = recorded, prefer
        self._silent: dict[str, DatasourceError] = {}

    @property
    def must_answer(self) -> bool:
        """Whether nothing but the databases' own word will do."""
        return self._prefer == "database"

    def of(self, raw: RawInput) -> Columns:
        """The columns of ``raw``; no row is read, but of CSV and JSON files without a schema.

        Raises:
            PipelineError: they are not to be had; says why. Where a database lets nobody in, it is
                the same error for all that would be read from there.
        """
        if self._prefer != "database" and raw.key in self._recorded:
            return self._recorded[raw.key]
        if self._prefer == "recorded":
            raise PipelineError(
                f"the columns of {raw.label} are not recorded",
                hint="record them: pipeline schema record",
            )
        return columns_of(self._frame(raw.what).schema)

    def _frame(self, what: Source | PreView) -> DataFrame:
        if what.datasource is not None:
            return self._from_datasource(what, what.datasource)
        kind = getattr(what, "format", None) or getattr(what, "type", None) or ""
        options = {key: str(value) for key, value in what.options.items()}
        try:
            return self._session.read.format(kind).options(**options).load(what.path)
        except Exception as error:
            raise as_sql_error(error, what.path or "") from error

    def _from_datasource(self, what: Source | PreView, name: str) -> DataFrame:
        if name in self._silent:
            raise self._silent[name]
        source = self._datasource(name)
        try:
            return source.read(
                self._session, what.table, query_text=what.query_text, options=what.options
            )
        except Exception as error:
            told = unreadable(source, error)
            if told.sql_state.startswith(NOT_ANSWERING):
                self._silent[name] = told
            raise told from error


def read_recorded(file: Path) -> dict[Key, Columns]:
    """What `pipeline schema record` has written to ``file``; empty where there is no such file.

    Raises:
        UsageError: the file is broken, or of a later version.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    try:
        said = json.loads(text)
        if said["version"] != _VERSION:
            raise ValueError(f"version {said['version']} is not known")
        return {
            (step_id, view): tuple(_column(line) for line in lines)
            for step_id, views in said["inputs"].items()
            for view, lines in views.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"the recorded columns cannot be read: {error}",
            where=str(file),
            hint="write them anew: pipeline schema record",
        ) from None


def recorded_text(columns: Mapping[Key, Columns]) -> str:
    """``columns`` as the file holds them: a line each, so that a change shows well."""
    inputs: dict[str, dict[str, list[str]]] = {}
    for (step_id, view), found in columns.items():
        inputs.setdefault(step_id, {})[view] = [_line(column) for column in found]
    said: dict[str, Any] = {"version": _VERSION, "inputs": inputs}
    return json.dumps(said, indent=2, ensure_ascii=False) + "\n"


def _line(column: Column) -> str:
    name = column.name if column.name.isidentifier() else quoted_name(column.name)
    return f"{name} {column.type}" + ("" if column.nullable else " not null")


def _column(line: str) -> Column:
    match = _COLUMN.match(line)
    if match is None:
        raise ValueError(f"{line!r} is no column")
    name = match[1]
    if name.startswith("`"):
        name = name[1:-1].replace("``", "`")
    return Column(name, match[2], match[3] is None)
