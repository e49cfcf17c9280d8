"""The checks of a step on what it wrote: side by side, as far as the run has slots to spare."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from pyspark import InheritableThread

from pipelines.utils import dq_checks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from pipelines.execution.context import RunContext
    from pipelines.execution.scopes import Look, Scope
    from pipelines.plan.compile import CompiledCheck, CompiledStep
    from pipelines.results import CheckResult


def run_checks(
    session: SparkSession,
    step: CompiledStep,
    context: RunContext,
    looks: Mapping[Scope, Look],
) -> tuple[tuple[CheckResult, ...], Exception | None]:
    """The results of ``step``'s checks, in its order, and what kept the first from being run.

    After one that cannot be run no other begins.

    Args:
        session: the step's, in which what it wrote is a view.
        step: the step.
        context: of the run, whose slots it may use.
        looks: how checks look that look at a part, by their scope.
    """
    return _Checking(session, step, context, looks).done()


def runnable_check(step: CompiledStep, check: CompiledCheck, judged: bool) -> dq_checks.Check:
    """``check`` of ``step`` as it is run; whether what it gives counts is ``judged``."""
    public = (one.name for one in step.settings.columns if one.classification == "public")
    return dq_checks.Check(
        file=check.sql.file,
        sql=check.sql.text,
        expectation=check.expectation,
        severity=check.severity,
        warn_at=check.warn_at,
        error_at=check.error_at,
        returns=check.returns,
        show=(*check.header.show, *public),
        description=check.header.values.get("description", ""),
        owner=check.header.values.get("owner", ""),
        judged=judged,
    )


class _Checking:
    def __init__(
        self,
        session: SparkSession,
        step: CompiledStep,
        context: RunContext,
        looks: Mapping[Scope, Look],
    ) -> None:
        self._session, self._step, self._context = session, step, context
        self._looks = looks
        self._left = deque(enumerate(step.checks))
        self._results: dict[int, CheckResult] = {}
        self._errors: dict[int, Exception] = {}

    def done(self) -> tuple[tuple[CheckResult, ...], Exception | None]:
        helpers = []
        while self._left:
            for _ in range(len(self._left) - 1):
                if not self._context.slots.take_spare():
                    break
                # Its jobs are the step's: cancelled with it, and in its pool.
                helper = InheritableThread(self._help, name=self._step.id, daemon=True)
                helpers.append(helper)
                helper.start()
            self._run_next()
        for helper in helpers:
            helper.join()
        error = self._errors[min(self._errors)] if self._errors else None
        return tuple(self._results[number] for number in sorted(self._results)), error

    def _help(self) -> None:
        slots = self._context.slots
        try:
            while self._left and not slots.are_short:
                self._run_next()
        finally:
            slots.give_back()

    def _run_next(self) -> None:
        try:
            number, check = self._left.popleft()
        except IndexError:
            return  # another thread took the last one
        asked = runnable_check(self._step, check, self._context.judges_checks)
        try:
            look = self._looks.get(check.header.scope)
            if look is None:
                self._results[number] = dq_checks.run_check(self._session, asked)
            else:
                result = dq_checks.run_check(look.session, asked)
                self._results[number] = replace(result, touched=look.touched)
        except Exception as error:
            self._errors[number] = error
            self._left.clear()
