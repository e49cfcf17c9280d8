"""A file of SQL tests: cases of steps, the rows they are given, and what they must make of them."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from pipelines.spec.templated import Spec

DEFAULT_RUN_DATE = date(2026, 1, 1)
"""The day of a case that names none: today would make tests that pass today only."""


class FixtureFile(Spec):
    """Rows in a file of their own."""

    file: str
    """A CSV file with a head line; relative to the file of the test."""


def _kind_of_rows(value: object) -> str | None:
    """Which of the forms of rows ``value`` is of, so that its faults are told as of that form."""
    if isinstance(value, FixtureFile | dict):
        return "file of rows"
    if isinstance(value, str):
        return "CSV text"
    return "list of rows" if isinstance(value, list | tuple) else None


Rows = Annotated[
    Annotated[tuple[dict[str, Any], ...], Tag("list of rows")]
    | Annotated[str, Tag("CSV text")]
    | Annotated[FixtureFile, Tag("file of rows")],
    Discriminator(
        _kind_of_rows,
        custom_error_type="rows",
        custom_error_message="expected a list of rows, CSV text, or a mapping with 'file'",
    ),
]


class ExpectedRows(Spec):
    """The rows that a step must give, no more and no fewer."""

    rows: Rows
    """A list of mappings, CSV text with a head line, or `{file: rows.csv}`."""
    columns: tuple[str, ...] = ()
    """The columns that are compared; without it those that any of the rows names."""
    ordered: bool = False
    """Whether the order of the rows counts; else each row counts as often as it stands there."""
    tolerance: Annotated[float, Field(ge=0)] = 1e-9
    """How far numbers with a fraction may lie apart, as a part of the larger one or as it is."""


class SqlTest(Spec):
    """One case: a step, what it reads, and what comes out."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    """What is tried, in words; one of its kind in the file."""
    description: str = ""
    """Why it matters, for people."""
    step: str
    """The step under test, `step` or `stage.group.step`."""
    run_date: date | None = None
    """The day of the run, as its SQL sees it; else the file's, else 2026-01-01."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """Template variables, over those of the file and of the flow."""
    given: dict[str, Rows] = Field(default_factory=dict)
    """Rows by the name of the view that the SQL reads; a view that is not named is empty."""
    expect: ExpectedRows | None = None
    """The rows that the step gives."""
    expect_error: Annotated[str, Field(min_length=1)] | None = None
    """The step breaks: a part of the message, or Spark's error condition."""
    checks: dict[str, Literal["passes", "fails"]] = Field(default_factory=dict)
    """What checks of the step say of these rows, by file or the file's name alone."""

    @model_validator(mode="after")
    def _expects_something(self) -> SqlTest:
        if self.expect_error is not None and (self.expect is not None or self.checks):
            raise _wrong("'expect_error' does not go with 'expect' or 'checks'")
        if self.expect_error is None and self.expect is None and not self.checks:
            raise _wrong("a test has 'expect', 'expect_error' or 'checks'")
        return self


class SqlTestFile(Spec):
    """SQL tests of one flow."""

    flow: str = "main_flow"
    """The flow: a name in `pipelines/flows`, or a path relative to the project."""
    run_date: date | None = None
    """The day of the run for tests that name none."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """Template variables for all tests of the file."""
    tests: Annotated[tuple[SqlTest, ...], Field(min_length=1)]
    """The tests, in the order in which they run."""


def _wrong(message: str) -> PydanticCustomError:
    # The message is a template of pydantic's: braces of ours must not be read as its fields.
    return PydanticCustomError("sql_test", "{text}", {"text": message})
