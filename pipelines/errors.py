"""The exception tree of the project, and the finding that its messages are made of.

PipelineError                      anything that this project raises on purpose
├── UsageError                     exit 2: wrong words, flow or config; nothing was started
│   ├── FlowError                  findings in a flow, its SQL or its checks
│   ├── ConfigError                findings in the config
│   ├── SqlTestError               findings in files of SQL tests
│   ├── SelectionError             a selection expression that fits nothing or cannot be read
│   └── TemplateError              a Jinja template that cannot be rendered
├── StepError                      exit 1: a step did not reach its end
│   ├── SqlError                   a statement that Spark refused or that broke while running
│   ├── SchemaMismatchError        the result's columns are not the destination's
│   ├── DestinationError           a destination that cannot be written as asked
│   ├── DatasourceError            a database or file that could not be read
│   ├── ScriptError                a script that broke or returned no DataFrame
│   ├── StepTimeoutError           the step's time was up; its jobs were cancelled
│   ├── JavaEndedError             Spark's Java process has ended, and the run with it
│   └── StepCancelledError         the run was stopped; the step's jobs were cancelled
├── DataQualityError               exit 3: a check of severity error failed
├── RunTimeoutError                exit 1: the run's time was up; its steps were cancelled
├── RollbackError                  exit 1: a run that was not rolled back
├── BackupError                    exit 1: a backup that was not made, not restored, or is damaged
├── ReleaseError                   exit 1: a release that cannot be read or shown to readers
├── SecretNotFoundError            a secret that no provider has
├── SecretStoreError               a place of secrets that refuses, or is set up wrongly
│   └── SecretStoreDownError       one that does not answer, or not yet
├── StorageError                   a file of the run that cannot be written
├── LockHeldError                  exit 4: another run of this pipeline is at work
├── LockLostError                  exit 1: the run lock could not be kept; nothing more was written
├── SampleOdsError                 the sample ODS could not be made, changed or read
└── JarResolutionError             Spark's jars could not be had
"""

from __future__ import annotations

import difflib
import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

_LEAST_PREFIX = 3
Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One problem, told so that a person can mend it without opening the manual.

    Attributes:
        code: stable word for machines, such as ``unknown-key``.
        message: what is wrong, one sentence without a full stop.
        severity: ``error`` stops the run, ``warning`` does not.
        file: file that it is in, as the user named it; empty if none.
        line: line in that file, from 1; 0 if unknown.
        column: column in that line, from 1; 0 if unknown.
        path: place in the YAML document, such as ``pipeline.stages[0].groups[1].name``.
        found: what stood there, shortened.
        hint: the one thing to do about it.
        near: names that were perhaps meant, best first.
    """

    code: str
    message: str
    severity: Severity = "error"
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    found: str = ""
    hint: str = ""
    near: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """``file:line:column, path`` as far as it is known."""
        place = self.file
        if self.line:
            place = f"{place}:{self.line}" + (f":{self.column}" if self.column else "")
        return ", ".join(part for part in (place, self.path) if part)

    def text(self) -> str:
        """The finding as one or more lines for a terminal or a log."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        if self.found:
            head += f" (found {self.found})"
        tail = []
        if self.near:
            tail.append(f"did you mean {' or '.join(repr(name) for name in self.near)}?")
        if self.hint:
            tail.append(self.hint)
        return "\n    ".join([head, *tail])

    def as_dict(self) -> dict[str, Any]:
        """The finding with JSON types only."""
        return {**asdict(self), "near": list(self.near)}


class PipelineError(Exception):
    """Anything that this project raises on purpose.

    Attributes:
        message: what happened, in one sentence.
        hint: one thing to do; empty if there is none.
        where: file, line or object concerned; empty if there is none.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __str__(self) -> str:
        """Where, what, and what to do, on as few lines as it takes."""
        head = f"{self.where}: {self.message}" if self.where else self.message
        return f"{head}\n    {self.hint}" if self.hint else head


class UsageError(PipelineError):
    """Wrong words, flow or config; nothing was started."""

    exit_code = 2


class _FindingsError(UsageError):
    """A usage error that is a list of findings, all of them at once."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(findings)
        errors = sum(finding.severity == "error" for finding in self.findings)
        super().__init__(f"{errors} problem{'s' * (errors != 1)} found")

    def __str__(self) -> str:
        """Every finding, in the order of the file."""
        return "\n".join(finding.text() for finding in self.findings)


class FlowError(_FindingsError):
    """Findings in a flow, its SQL or its checks.

    Attributes:
        partial: what of the flow or its graph is whole, so that the rest can be judged as well.
    """

    def __init__(self, findings: Iterable[Finding], partial: object = None) -> None:
        super().__init__(findings)
        self.partial = partial


class ConfigError(_FindingsError):
    """Findings in the config."""


class SqlTestError(_FindingsError):
    """Findings in files of SQL tests."""


class SelectionError(UsageError):
    """A selection expression that fits nothing or cannot be read."""


class TemplateError(UsageError):
    """A Jinja template that cannot be rendered, or a file of the project that cannot be read.

    Attributes:
        code: ``template``, or what is wrong with the file: ``missing-file``, ``outside-file``,
            ``unreadable-file``.
        file: template's file or the document that it stands in.
        line: line within the file, 0 if unknown.
        near: names that exist and look alike.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str = "",
        line: int = 0,
        hint: str = "",
        near: Sequence[str] = (),
        code: str = "template",
    ) -> None:
        self.file, self.line, self.near, self.code = file, line, tuple(near), code
        super().__init__(message, hint=hint, where=f"{file}:{line}" if line else file)


class StepError(PipelineError):
    """A step did not reach its end."""


class SqlError(StepError):
    """A statement that Spark refused or that broke while running.

    Attributes:
        condition: Spark's error condition, such as ``TABLE_OR_VIEW_NOT_FOUND``.
        sql_state: SQLSTATE of the standard, five characters, or empty.
        java_class: class of the innermost Java exception that is known, or empty.
        position: line and column in the statement, from 1; zeros if unknown.
    """

    def __init__(
        self,
        message: str,
        *,
        condition: str = "",
        sql_state: str = "",
        java_class: str = "",
        position: tuple[int, int] = (0, 0),
        hint: str = "",
        where: str = "",
    ) -> None:
        self.condition, self.sql_state, self.java_class = condition, sql_state, java_class
        self.position = position
        super().__init__(message, hint=hint, where=where)


class SchemaMismatchError(StepError):
    """The result's columns are not the destination's."""


class DestinationError(StepError):
    """A destination that cannot be written as asked."""


class DatasourceError(SqlError):
    """A database or file that could not be read."""


class ScriptError(StepError):
    """A script that broke or returned no DataFrame."""


class StepTimeoutError(StepError):
    """The step's time was up; its jobs were cancelled."""


class JavaEndedError(StepError):
    """Spark's Java process has ended, and the run with it."""


class StepCancelledError(StepError):
    """The run was stopped; the step's jobs were cancelled."""


class RunTimeoutError(PipelineError):
    """The run's time was up; the steps that were not done were cancelled."""


class DataQualityError(PipelineError):
    """A check of severity error failed; the step's write was undone."""

    exit_code = 3


class RollbackError(PipelineError):
    """A run that was not rolled back; the message says how its tables are left."""


class BackupError(PipelineError):
    """A backup that was not made, not restored, or is damaged; what there was is as it was."""


class ReleaseError(PipelineError):
    """A release that cannot be read, or not be shown to readers."""


class SecretNotFoundError(PipelineError):
    """A secret that no provider has."""


class SecretStoreError(PipelineError):
    """A place of secrets that refuses, or is set up wrongly: what it has is not known."""


class SecretStoreDownError(SecretStoreError):
    """A place of secrets that does not answer, or not yet; it may once it is asked again."""


class StorageError(PipelineError):
    """A file of the run that cannot be written: no space, no right, no such place."""

    @classmethod
    def of(cls, error: OSError, path: object) -> StorageError:
        """``error``, met while writing ``path``."""
        hint = "may this user write there?"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "free some space, then run the same batch again: it goes on where it stopped"
        elif error.errno == errno.EROFS:
            hint = "it is mounted read-only: a disk may have failed"
        return cls(f"cannot write: {error.strerror or error}", where=str(path), hint=hint)


class LockHeldError(PipelineError):
    """Another run of this pipeline is at work."""

    exit_code = 4


class LockLostError(PipelineError):
    """The run lock could not be kept, so that another run may be at work; nothing is written."""


class SampleOdsError(PipelineError):
    """The sample ODS could not be made, changed or read."""


class JarResolutionError(PipelineError):
    """Spark's jars could not be had."""


def near_names(name: str, candidates: Iterable[str], most: int = 2) -> tuple[str, ...]:
    """The candidates that look like ``name`` or go on from it, best first, at most ``most``."""
    known = {candidate.lower(): candidate for candidate in candidates}
    close = difflib.get_close_matches(name.lower(), known, n=most, cutoff=0.6)
    if not close and len(name) >= _LEAST_PREFIX:
        close = [one for one in known if one.startswith(name.lower())][:most]
    return tuple(known[match] for match in close if known[match] != name)


def shorten(value: object, width: int = 60) -> str:
    """``value`` in quotes on one line, cut to ``width`` characters."""
    text = re.sub(r"\s+", " ", value if isinstance(value, str) else repr(value))
    text = text if len(text) <= width else text[: width - 1] + "…"
    return f"'{text}'" if isinstance(value, str) else text
