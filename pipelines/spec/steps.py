"""A step: what it reads, what it runs, where it writes, how it is checked."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from pipelines.spec.expectations import parse_expectation
from pipelines.spec.incremental import Incremental
from pipelines.spec.policies import RetryPolicy, TableMaintenance
from pipelines.spec.privacy import Classification, Mask, as_mask
from pipelines.spec.templated import NAME_PATTERN, Spec, Templated, TemplatedBool, is_template

FILE_FORMATS = ("delta", "parquet", "csv", "json", "orc", "avro", "text")
FileFormat = Literal["delta", "parquet", "csv", "json", "orc", "avro", "text"]
WriteFormat = Literal["delta", "parquet", "csv", "json", "orc"]
WriteMode = Literal[
    "overwrite", "append", "ignore", "error", "replace_partitions", "replace_window",
    "merge", "scd1", "scd2", "insert_new", "satellite",
]  # fmt: skip
KEYED_MODES = frozenset({"merge", "scd1", "scd2", "insert_new", "satellite"})
DELTA_MODES = KEYED_MODES | {"replace_partitions", "replace_window"}
HISTORY_COLUMNS = ("valid_from", "valid_to", "is_current")
"""What mode `scd2` adds to a result."""
AUDIT_COLUMNS = ("_run_id", "_batch_id", "_source")
"""Who made a row as it is, and out of what."""
CLOSING_COLUMNS = ("_closed_run_id", "_closed_batch_id")
"""Who ended a version."""
NOT_COMPARED = frozenset((*AUDIT_COLUMNS, *CLOSING_COLUMNS))
"""Columns that tell of a row, and whose change is none of it."""
_MERGES = ("merge", "scd1")
# Modes that each of these means something to.
_MEANING = {
    "keys": KEYED_MODES,
    "sequence_by": frozenset({*_MERGES, "scd2", "satellite"}),
    "track_history_on": frozenset({"scd2", "satellite"}),
    "surrogate_key": frozenset({"scd2"}),
    "ignore_null_updates": frozenset({*_MERGES, "scd2"}),
    "apply_as_delete_when": frozenset({*_MERGES, "scd2"}),
    "except_columns": frozenset({*_MERGES, "scd2", "satellite"}),
    "deletes": frozenset({*_MERGES, "scd2"}),
    "window_column": frozenset({"replace_window"}),
}

Name = Annotated[
    str,
    Field(
        pattern=NAME_PATTERN,
        max_length=128,
        description="Letters, digits and underscores; it is also the name of a view in SQL.",
    ),
]
Options = dict[str, str | int | float | bool]


def is_sql_file(query: str) -> bool:
    """Whether ``query`` names a file of the project rather than being SQL text itself."""
    return query.strip().lower().endswith(".sql") and "\n" not in query.strip()


def _wrong(code: str, message: str) -> PydanticCustomError:
    # The message is a template of pydantic's: braces of ours must not be read as its fields.
    return PydanticCustomError(code, "{text}", {"text": message})


class Partition(Spec):
    """How a table is read side by side: ranges of a number or date column."""

    column: str
    """Number, date or timestamp column of the source table."""
    lower: str | int | float
    """Lower end of the ranges; rows below it are read too."""
    upper: str | int | float
    """Upper end of the ranges; rows above it are read too."""
    count: Annotated[int, Field(ge=1, le=1024), Templated]
    """Number of ranges, each read over a connection of its own."""


class Source(Spec):
    """Where a step's rows come from."""

    datasource: str | None = None
    """Name of a datasource of the flow."""
    table: str | None = None
    """Table of the datasource, such as `edfi.Student`; for file types a path below its own."""
    query_text: str | None = None
    """SQL in the database's own dialect, run there."""
    type: FileFormat | None = None
    """Format of files at `path`; `delta` without a path reads upstream views only."""
    path: str | None = None
    """File or folder."""
    query: str | None = None
    """A `.sql` file of the project, or SQL text, over the raw source and all upstream views."""
    partition: Partition | None = None
    """Read the table in ranges, side by side."""
    incremental: Incremental | None = None
    """Read only what came or changed since the step last succeeded."""
    options: Options = Field(default_factory=dict)
    """Spark reader options, passed on as they are."""

    @model_validator(mode="after")
    def _is_whole(self) -> Source:
        if self.datasource is not None:
            if self.path is not None or self.type is not None:
                raise _wrong("source", "'datasource' does not go with 'type' or 'path'")
            if self.table is not None and self.query_text is not None:
                raise _wrong("source", "give 'table' or 'query_text', not both")
            if self.table is None and self.query_text is None:
                raise _wrong("source", "'datasource' needs 'table' or 'query_text'")
        else:
            for key in ("table", "query_text", "partition"):
                if getattr(self, key) is not None:
                    raise _wrong("source", f"'{key}' needs 'datasource'")
            if self.type is None:
                raise _wrong("source", "a source needs 'datasource' or 'type'")
            if self.path is None and self.query is None:
                raise _wrong("source", "a source of a type needs 'path', 'query' or both")
            if self.path is None and self.type != "delta":
                raise _wrong("source", f"type '{self.type}' needs 'path'")
        if self.partition is not None and self.table is None:
            raise _wrong("source", "'partition' needs 'table'")
        if self.incremental is not None and not self.has_raw_input:
            raise _wrong("source", "'incremental' needs 'datasource' or 'path'")
        return self

    @property
    def has_raw_input(self) -> bool:
        """Whether the step reads something of its own, seen in SQL under the step's name."""
        return self.datasource is not None or self.path is not None


class PreView(Spec):
    """A temp view that is there before the step's SQL runs."""

    name: Name
    format: FileFormat | None = None
    """Format of the files at `path`."""
    path: str | None = None
    """File or folder."""
    datasource: str | None = None
    """Name of a datasource of the flow."""
    table: str | None = None
    """Table of the datasource."""
    query_text: str | None = None
    """SQL in the database's own dialect, run there."""
    query: str | None = None
    """A `.sql` file of the project, or SQL text, over upstream views and earlier pre_views."""
    keep: TemplatedBool = False
    """Where the step reads what changed, compute it first and once: few rows that narrow tables."""
    incremental: Incremental | None = None
    """Read only what came or changed since the step last succeeded."""
    options: Options = Field(default_factory=dict)
    """Spark reader options, passed on as they are."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> PreView:
        kinds = [key for key in ("path", "datasource", "query") if getattr(self, key) is not None]
        if len(kinds) != 1:
            found = f"found {' and '.join(kinds)}" if kinds else "found none of them"
            raise _wrong("pre_view", f"a view is made of one of path, datasource, query; {found}")
        if self.path is not None and self.format is None:
            raise _wrong("pre_view", "'path' needs 'format'")
        if self.datasource is not None and (self.table is None) == (self.query_text is None):
            raise _wrong("pre_view", "'datasource' needs 'table' or 'query_text', one of them")
        if self.incremental is not None and self.query is not None:
            raise _wrong("pre_view", "'incremental' needs 'datasource' or 'path'")
        if self.keep and self.query is None:
            raise _wrong("pre_view", "'keep' needs 'query'")
        return self


def label_of(raw: Source | PreView) -> str:
    """What is read from outside, for people: ``edfi_ods: edfi.Student``, or a path."""
    if raw.datasource is None:
        return raw.path or ""
    return f"{raw.datasource}: {raw.table or 'a query'}"


class Destination(Spec):
    """Where a step's rows go."""

    format: WriteFormat = "delta"
    """Table or file format."""
    path: str | None = None
    """Folder of the table, local or on any storage that Spark reaches."""
    view: Name | None = None
    """Instead of a path: keep the result as a temp view for the steps downstream."""
    mode: WriteMode = "overwrite"
    """How the rows meet those that are there."""
    keys: tuple[str, ...] = ()
    """Columns that tell rows apart, for the modes that go by keys."""
    sequence_by: str | None = None
    """Column that says when a row came to be as it is: a date, a time or a number that grows."""
    track_history_on: tuple[str, ...] = ()
    """Columns whose change makes a version; without it all but `keys` and `sequence_by`."""
    surrogate_key: str | None = None
    """Column that scd2 adds: a hash of `keys` and `valid_from`, the same after every reload."""
    ignore_null_updates: TemplatedBool = False
    """A null keeps the value before it."""
    apply_as_delete_when: str | None = None
    """SQL condition on the result: rows that fit it are deletes."""
    except_columns: tuple[str, ...] = ()
    """Columns of the result that are not stored, such as the one that marks deletes."""
    deletes: Literal["ignore", "close", "delete"] = "ignore"
    """Keys that a whole snapshot lacks: left alone, ended (scd2), or removed."""
    window_column: str | None = None
    """Date or time by which replace_window knows the rows of the run's window."""
    partition_by: tuple[str, ...] = ()
    """Columns by which the files are laid in folders."""
    cluster_by: tuple[str, ...] = ()
    """Columns of Delta's liquid clustering."""
    options: Options = Field(default_factory=dict)
    """Spark writer options, passed on as they are."""
    max_classification: Classification | None = None
    """The highest class of a column that may stand in it; `validate --analyze` sees to it."""
    audit_columns: TemplatedBool | None = None
    """Adds columns that say which run, batch and source made a row; without it as the flow says."""
    maintenance: TableMaintenance | None = None
    """What `maintain` does to this table; without it as the flow says."""
    schema_policy: Literal["strict", "evolve", "overwrite"] = Field(
        default="strict",
        alias="schema",
        description="A changed schema is an error, adds columns, or replaces the old one.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> Destination:
        if (self.path is None) == (self.view is None):
            raise _wrong("destination", "give 'path' or 'view', one of them")
        if self.view is not None:
            extra = self.model_fields_set - {"view", "max_classification"}
            if extra:
                names = ", ".join("schema" if n == "schema_policy" else n for n in sorted(extra))
                raise _wrong("destination", f"a view takes no {names}")
        if self.mode in DELTA_MODES and self.format != "delta":
            raise _wrong("destination", f"mode '{self.mode}' needs format 'delta'")
        if self.mode == "replace_partitions" and not self.partition_by:
            raise _wrong("destination", "mode 'replace_partitions' needs 'partition_by'")
        if self.cluster_by and (self.format != "delta" or self.partition_by):
            raise _wrong("destination", "'cluster_by' needs format 'delta' and no 'partition_by'")
        if self.schema_policy == "overwrite" and self.mode != "overwrite":
            raise _wrong("destination", "schema 'overwrite' needs mode 'overwrite'")
        if self.audit_columns and self.format != "delta":
            raise _wrong("destination", "'audit_columns' needs format 'delta'")
        if self.maintenance is not None and self.format != "delta":
            raise _wrong("destination", "'maintenance' needs format 'delta'")
        if self.schema_policy != "strict" and self.format != "delta":
            raise _wrong("destination", f"schema '{self.schema_policy}' needs format 'delta'")
        return self

    @property
    def audit_names(self) -> tuple[str, ...]:
        """The audit columns that the table has besides those of the result."""
        if not self.audit_columns:
            return ()
        return (*AUDIT_COLUMNS, *(CLOSING_COLUMNS if self.mode == "scd2" else ()))

    def makes(self, column: str) -> bool:
        """Whether the mode adds a column of that name to the result."""
        made = {*HISTORY_COLUMNS, (self.surrogate_key or "").lower()}
        return self.mode == "scd2" and column.lower() in made

    @model_validator(mode="after")
    def _suits_its_mode(self) -> Destination:
        if self.mode in KEYED_MODES and not self.keys:
            raise _wrong("destination", f"mode '{self.mode}' needs 'keys'")
        for field, modes in _MEANING.items():
            said = getattr(self, field)
            if said and said != "ignore" and self.mode not in modes:
                raise _wrong("destination", f"'{field}' means nothing to mode '{self.mode}'")
        if self.mode == "replace_window" and not self.window_column:
            raise _wrong("destination", "mode 'replace_window' needs 'window_column'")
        if self.mode == "satellite" and not self.sequence_by:
            raise _wrong("destination", "mode 'satellite' needs 'sequence_by'")
        if self.deletes == "close" and self.mode in _MERGES:
            raise _wrong("destination", "'deletes: close' needs mode 'scd2'")
        if self.apply_as_delete_when and self.mode == "scd2" and not self.sequence_by:
            raise _wrong("destination", "'apply_as_delete_when' in mode 'scd2' needs 'sequence_by'")
        return self


class DqCheck(Spec):
    """A data quality check: one SQL file, and what is asked of what it gives."""

    file: str
    """SQL file: one number, or the offending rows."""
    expect: str | None = None
    """What the number must be, such as `value >= 1`."""
    severity: Literal["error", "warn"] | None = None
    """`error` undoes the step's write and blocks what depends on it; `warn` only tells."""
    warn_at: Annotated[float | None, Templated] = None
    """Warn from this number, or count of offending rows, on."""
    error_at: Annotated[float | None, Templated] = None
    """Fail from this number, or count of offending rows, on."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Values for the file's template, as `params.name`."""

    @model_validator(mode="after")
    def _is_whole(self) -> DqCheck:
        if self.expect is not None and not is_template(self.expect):
            try:
                parse_expectation(self.expect)
            except ValueError as error:
                raise _wrong("expectation", str(error)) from None
        limits = (self.warn_at, self.error_at)
        if self.expect is not None and limits != (None, None):
            raise _wrong("expectation", "'expect' does not go with 'warn_at' or 'error_at'")
        return self


def _as_check(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


Check = Annotated[DqCheck, BeforeValidator(_as_check, json_schema_input_type=str | DqCheck)]


class ColumnContract(Spec):
    """What a column of a step's result is promised to be."""

    name: str
    """Name of the column; upper and lower case are the same."""
    type: str | None = None
    """Its type as in SQL, such as `bigint` or `decimal(10,2)`; without it any will do."""
    nullable: bool = True
    """Whether nulls may stand in it; `false` keeps a row with a null out of the table."""
    unique: bool = False
    """Whether each value stands in it once; nulls are not compared."""
    description: str = ""
    """What it holds, for people."""
    classification: Classification | None = None
    """How far it may be shown, from `public` to `sensitive`; it is never less than that of what
    the column is made of. Values of `public` ones may stand in samples of failed checks."""
    declassify: Annotated[str, Field(min_length=1)] | None = None
    """Why `classification` is lower than that of what the column is made of."""
    mask: Annotated[Mask | None, BeforeValidator(as_mask, json_schema_input_type=Mask | None)] = (
        None
    )
    """What is written in place of the values: `hash`, `hmac`, `null`, `redact` or `year`."""

    @model_validator(mode="after")
    def _says_what_it_lowers_to(self) -> ColumnContract:
        if self.declassify is not None and self.classification is None:
            raise _wrong("declassify", "'declassify' says why, and needs 'classification'")
        return self


class Step(Spec):
    """One unit of work: it succeeds or fails as a whole."""

    name: Name
    description: str = ""
    """What the table holds, for people."""
    owner: str = ""
    """Whom to ask."""
    tags: tuple[str, ...] = ()
    """Words to select by, as in `--select tag:pii`."""
    depends_on: tuple[str, ...] = ()
    """Steps, groups or stages that must have succeeded before."""
    when: Annotated[bool, Templated] = True
    """A template that gives true or false; on false the step is skipped."""
    source: Source | None = None
    """Where its rows come from, and its SQL; or give `script`."""
    script: str | None = None
    """A Python file with `ingest(spark, context)` that returns a DataFrame."""
    params: dict[str, Any] = Field(default_factory=dict)
    """Values for the step's templates and script, as `params.name`."""
    pre_views: tuple[PreView, ...] = ()
    """Temp views that are there before its SQL runs."""
    destination: Destination
    """Where its rows go, and how."""
    columns: tuple[ColumnContract, ...] = ()
    """What its result must have; it may have more columns. Looked at before anything is written."""
    dq_checks: tuple[Check, ...] = ()
    """Checks on what was written; a path, or a mapping with `file`."""
    retry: RetryPolicy | None = None
    """Overrides `default_retry` key by key."""
    timeout_seconds: Annotated[float | None, Field(gt=0), Templated] = None
    """After this time an attempt is cancelled and counts as failed."""
    on_failure: Literal["fail", "continue"] = "fail"
    """`continue`: what depends on the step goes on with its last good version."""
    debug: TemplatedBool = False
    """Put the explained plans into the log."""

    @model_validator(mode="after")
    def _is_whole(self) -> Step:
        if (self.source is None) == (self.script is None):
            raise _wrong("step", "a step has 'source' or 'script', one of them")
        names = [view.name.lower() for view in self.pre_views]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise _wrong("duplicate-name", f"pre_views name {twice[0]!r} twice")
        promised = [column.name.lower() for column in self.columns]
        twice = sorted({name for name in promised if promised.count(name) > 1})
        if twice:
            raise _wrong("duplicate-name", f"columns name {twice[0]!r} twice")
        return self
