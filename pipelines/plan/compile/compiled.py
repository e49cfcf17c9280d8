"""A plan with nothing left to fill in but secrets: the frozen result of compiling."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.plan.graph import StepNode
    from pipelines.plan.plan import Plan, PlannedStep
    from pipelines.spec.check_file import CheckHeader
    from pipelines.spec.config import Environment
    from pipelines.spec.expectations import Expectation
    from pipelines.spec.policies import (
        CheckpointPolicy,
        MaintenancePolicy,
        Notifications,
        PublishPolicy,
        RetryPolicy,
    )
    from pipelines.spec.steps import Step
    from pipelines.spec.yaml_document import Document

Place = tuple["str | int", ...]
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Sql:
    """A statement as it runs.

    Attributes:
        text: the statement, rendered.
        file: the file that it came from; empty for SQL that stands in the YAML.
        template: the file's text before it was rendered.
    """

    text: str
    file: str = ""
    template: str = field(default="", repr=False, compare=False)

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def in_template(self, line: int, column: int) -> tuple[int, int]:
        """Where a place of the statement stands in its file; column 0 where only the line is sure.

        Rendering takes lines out and puts lines in, so the lines of both are laid side by side.
        """
        if self.text == self.template:
            return line, column
        rendered, written = self.text.splitlines(), self.template.splitlines()
        pairs = SequenceMatcher(None, rendered, written, autojunk=False).get_opcodes()
        for kind, start, end, at, until in pairs:
            if start <= line - 1 < end:
                there = min(at + (line - 1 - start), max(until - 1, at))
                return min(there, len(written) - 1) + 1, column if kind == "equal" else 0
        return line, column

    def finding(
        self, document: Document, place: Place, code: str, message: str, line: int = 0,
        column: int = 0, **more: Any,
    ) -> Finding:  # fmt: skip
        """A finding in the statement.

        Args:
            document: the flow's YAML.
            place: where it names the statement's file, or holds the statement.
            code: stable word for machines.
            message: what is wrong.
            line: in the rendered statement, from 1; 0 if unknown.
            column: in the rendered statement, from 1; 0 if unknown.
            more: what else a finding has.
        """
        found = document.finding(code, message, place, **more)
        if not self.file:
            return found
        line, column = self.in_template(line, column) if line else (1, 0)
        return in_named_file(replace(found, file=self.file, line=line, column=column),
                             document, place)  # fmt: skip


@dataclass(frozen=True)
class CompiledCheck:
    """A check as it runs.

    Attributes:
        sql: the statement.
        expectation: what its number must be; None where limits or the default judge.
        severity: ``error`` or ``warn``.
        warn_at: warn from this number on.
        error_at: fail from this number on.
        returns: ``value`` or ``rows`` where the file says so; empty lets the statement tell.
        header: what the file says of itself.
    """

    sql: Sql
    expectation: Expectation | None
    severity: str
    warn_at: float | None
    error_at: float | None
    returns: str
    header: CheckHeader


@dataclass(frozen=True)
class CompiledStep:
    """A step with nothing left to fill in but secrets.

    Attributes:
        planned: its place in the plan.
        settings: its settings, rendered; paths are absolute.
        sql: its statement; None where it reads its source as it is, or is a script.
        pre_view_sql: the statements of its pre_views, by name.
        checks: its checks.
        retry: its policy, the flow's defaults filled in.
        timeout_seconds: time limit of an attempt; None is no limit.
        fingerprint: changes with the SQL, the settings, the checks and the script.
        edition: changes with what makes the rows, but not from one day or run to the next.
    """

    planned: PlannedStep
    settings: Step
    sql: Sql | None
    pre_view_sql: Mapping[str, Sql]
    checks: tuple[CompiledCheck, ...]
    retry: RetryPolicy
    timeout_seconds: float | None
    fingerprint: str
    edition: str = ""

    @property
    def id(self) -> str:
        """``stage.group.step``."""
        return self.planned.id

    @property
    def node(self) -> StepNode:
        """Where it stands in the flow."""
        return self.planned.node

    @property
    def table(self) -> str:
        """Where its Delta table is; empty where it writes none."""
        destination = self.settings.destination
        return (destination.path or "") if destination.format == "delta" else ""

    @property
    def queries(self) -> tuple[Sql, ...]:
        """The SQL that makes its rows: that of its pre_views, then its own."""
        return (*self.pre_view_sql.values(), *([self.sql] if self.sql else []))

    @property
    def statements(self) -> tuple[Sql, ...]:
        """All its SQL: `queries`, then its checks."""
        return (*self.queries, *(check.sql for check in self.checks))


@dataclass(frozen=True)
class CompiledPlan:
    """A plan with nothing left to fill in but secrets.

    Attributes:
        names: what the flow's templates see, apart from a step's own names.
        steps: by id, in the flow's order; a step whose templates failed is missing.
        datasources: raw settings by name; templates only where `secret()` is used.
        secrets: names of the secrets that the flow asks for.
        checkpoint: policy, path absolute.
        publishes: how each published stage is, by its name.
        maintenance: what `maintain` does.
        timeout_seconds: time limit of the run; None is no limit.
        hmac_key: template of the key of mask `hmac`; empty where no column needs one.
        base_path: root of the lakehouse, absolute.
        findings: what is wrong with templates and files.
    """

    plan: Plan
    environment_name: str
    environment: Environment
    batch_id: str
    base_path: str
    names: Mapping[str, Any]
    steps: Mapping[str, CompiledStep]
    datasources: Mapping[str, Mapping[str, Any]]
    notifications: Notifications
    secrets: frozenset[str]
    checkpoint: CheckpointPolicy
    publishes: Mapping[str, PublishPolicy]
    maintenance: MaintenancePolicy
    timeout_seconds: float | None = None
    hmac_key: str = ""
    findings: tuple[Finding, ...] = field(default=())

    @property
    def longest_step_seconds(self) -> float | None:
        """The longest time limit of an attempt of its steps; None where one has none."""
        limits = [step.timeout_seconds for step in self.steps.values()]
        return None if None in limits else max(filter(None, limits), default=None)


def in_named_file(finding: Finding, document: Document, place: Place) -> Finding:
    """A finding in a file that the flow names at ``place``, which it then tells too."""
    at = document.finding("", "", place)
    hint = f"named in {at.file}:{at.line}"
    return replace(finding, path=at.path, hint=f"{finding.hint}; {hint}" if finding.hint else hint)


def absolute_path(path: str, project_dir: Path) -> str:
    """``path`` as Spark takes it from any working directory; schemes are left alone."""
    if _SCHEME.match(path):
        return path.rstrip("/")
    return str(Path(project_dir, Path(path).expanduser() if path.startswith("~") else path))
