"""The checks of steps before Spark's analyzer, in a session of their own beside the steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

from pipelines.execution.analysis.lakehouse import EmptyViews
from pipelines.execution.analysis.resolver import Resolver
from pipelines.utils.dq_checks import gives_a_value
from pipelines.utils.sql_runner import columns_of

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.errors import Finding
    from pipelines.execution.analysis.sources import Columns
    from pipelines.execution.analysis.statements import Resolved
    from pipelines.lineage.columns import StatementColumns
    from pipelines.plan.compile import CompiledCheck, CompiledStep
    from pipelines.plan.graph import Place
    from pipelines.spec.yaml_document import Document

_NUMBERS = ("tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "boolean")


class CheckAnalysis:
    """Looks at the checks of one step after another.

    Args:
        session: resolves them; its temp views come and go.
        document: the flow's YAML.
    """

    def __init__(self, session: SparkSession, document: Document) -> None:
        self._session, self._document = session, document
        self._views = EmptyViews(session)

    def findings(
        self,
        step: CompiledStep,
        seen: Mapping[str, Columns],
        unknown: frozenset[str],
        followed: dict[int, StatementColumns] | None,
    ) -> list[Finding]:
        """What is wrong with the checks of ``step``.

        Args:
            step: the step.
            seen: columns of the views that its checks see, what it writes among them.
            unknown: names that they see too, whose columns nobody knows.
            followed: is given where the columns of those that list rows come from, by number;
                None: nobody wants to know.
        """
        self._views.keep(seen)
        resolver = Resolver(self._session, self._document)
        for number, check in enumerate(step.checks):
            if any(name.lower() in check.sql.text.lower() for name in unknown):
                continue
            place: Place = (*step.node.place, "dq_checks", number)
            resolved = resolver.query(check.sql, place)
            if resolved is not None:
                resolver.findings += self._form(check, resolved, place)
                if followed is not None and not gives_a_value(resolved.frame, check.returns):
                    followed[number] = resolved.lineage()
        return resolver.findings

    def _form(self, check: CompiledCheck, resolved: Resolved, place: Place) -> Iterator[Finding]:
        """What keeps a check's answer from being judged."""
        if not gives_a_value(resolved.frame, check.returns):
            return
        at = partial(check.sql.finding, self._document, place, "check-form")
        found = columns_of(resolved.frame.schema)
        if len(found) != 1:
            yield at(f"the check gives {len(found)} columns where one number is expected",
                     hint="head it '-- returns: rows' if it lists offending rows")  # fmt: skip
        elif not found[0].type.startswith(_NUMBERS):
            yield at(f"the check gives a {found[0].type} where a number is expected",
                     hint="head it '-- returns: rows' if it lists offending rows")  # fmt: skip
