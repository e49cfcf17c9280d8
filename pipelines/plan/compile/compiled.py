"""A plan with nothing left to fill in but secrets: the frozen result of compiling."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.plan.graph import StepNode
    from pipelines.plan.plan import Plan, PlannedStep
    from pipelines.spec.check_file import CheckHeader
    from pipelines.spec.config import Environment
    from pipelines.spec.expectations import Expectation
    from pipelines.spec.policies import CheckpointPolicy, Notifications, RetryPolicy
    from pipelines.spec.steps import Step

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")


@dataclass(frozen=True)
class Sql:
    """A statement as it runs; ``file`` is empty for SQL that stands in the YAML."""

    text: str
    file: str = ""

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


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
    """

    planned: PlannedStep
    settings: Step
    sql: Sql | None
    pre_view_sql: Mapping[str, Sql]
    checks: tuple[CompiledCheck, ...]
    retry: RetryPolicy
    timeout_seconds: float | None
    fingerprint: str

    @property
    def id(self) -> str:
        """``stage.group.step``."""
        return self.planned.id

    @property
    def node(self) -> StepNode:
        """Where it stands in the flow."""
        return self.planned.node


@dataclass(frozen=True)
class CompiledPlan:
    """A plan with nothing left to fill in but secrets.

    Attributes:
        names: what the flow's templates see, apart from a step's own names.
        steps: by id, in the flow's order; a step whose templates failed is missing.
        datasources: raw settings by name; templates only where `secret()` is used.
        secrets: names of the secrets that the flow asks for.
        checkpoint: policy, path absolute.
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
    findings: tuple[Finding, ...] = field(default=())


def absolute_path(path: str, project_dir: Path) -> str:
    """``path`` as Spark takes it from any working directory; schemes are left alone."""
    if _SCHEME.match(path):
        return path.rstrip("/")
    return str(Path(project_dir, Path(path).expanduser()))
