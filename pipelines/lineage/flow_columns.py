"""What an analysis of a whole flow finds out: each step's columns, and where they come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.errors import Finding
    from pipelines.lineage.columns import Column, StatementColumns


@dataclass(frozen=True)
class AnalysedStep:
    """One step as Spark's analyzer sees it.

    Attributes:
        id: ``stage.group.step``.
        columns: of its table; None where nobody can tell.
        comes_from: where they come from; None where that is not known, as of a script.
        views: what each view that its statement reads is: a step's id, or a source such as
            ``edfi_ods: edfi.Student``.
        checks: where the columns of its checks come from, by number; of those that list rows.
        result: columns that its query gives, before its mode adds or leaves out some; None where
            nobody can tell, or where it has no query.
        is_blind: whether columns of a source are not known that it is made of, at however far.
    """

    id: str
    columns: tuple[Column, ...] | None
    comes_from: StatementColumns | None = None
    views: Mapping[str, str] = field(default_factory=dict)
    result: tuple[Column, ...] | None = None
    checks: Mapping[int, StatementColumns] = field(default_factory=dict)
    is_blind: bool = False


@dataclass(frozen=True)
class Analysis:
    """A flow as Spark's analyzer sees it.

    Attributes:
        steps: by id, in the order of the DAG.
        sources: the columns of what steps read from outside, by step and name of the view.
        findings: what is wrong.
    """

    steps: Mapping[str, AnalysedStep]
    sources: Mapping[tuple[str, str], tuple[Column, ...]]
    findings: tuple[Finding, ...]
