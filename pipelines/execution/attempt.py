"""One attempt of a step: the commit protocol, from its own session to checked rows.

1. A session of its own, for its declared inputs, each pinned to a version.
2. Has this batch's step committed already, in an earlier run or attempt? Then no second write.
   Only now is it known which commit was its last, and so what of its inputs is new.
3. Write: one commit, stamped with who wrote it.
4. Checks on that version. A failed one undoes the write.

The marker comes after, from the runner. A crash between any two lines is repaired by doing the
step again from 1.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipelines.errors import DataQualityError
from pipelines.execution.changes import whole_as_changes
from pipelines.execution.checking import run_checks
from pipelines.execution.contracts import (
    broken_promise_told,
    check_written,
    with_promises_kept,
)
from pipelines.execution.destinations import Target, open_target
from pipelines.execution.handlers import produce
from pipelines.execution.inputs import register_inputs, upstream_outputs
from pipelines.execution.masks import with_masks
from pipelines.execution.part_reads import reading_of
from pipelines.execution.scopes import Narrowing
from pipelines.execution.session import clone_session
from pipelines.plan.changes import changes_seen
from pipelines.results import CheckResult, DestinationState, WriteCounts
from pipelines.utils.dq_checks import enforce
from pipelines.utils.sql_runner import explain, in_session

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyspark.sql import SparkSession

    from pipelines.execution.context import Output, RunContext
    from pipelines.execution.part_reads import Reading
    from pipelines.plan.compile import CompiledStep


@dataclass(frozen=True)
class Outcome:
    """What an attempt that reached its end did.

    Attributes:
        output: what readers downstream get; None where checks failed.
        read: the outputs of other steps that it read, by step id.
        changed: whether anything was written.
        failed: the failed checks' error; the write was undone then.
        notes: what a user should know of how its inputs were read.
    """

    output: Output | None
    counts: WriteCounts
    destination: DestinationState
    read: dict[str, Output]
    checks: tuple[CheckResult, ...]
    changed: bool
    explain: str = ""
    failed: DataQualityError | None = None
    notes: tuple[str, ...] = ()


def run_attempt(step: CompiledStep, context: RunContext, number: int) -> Outcome:
    """One attempt of ``step``.

    Args:
        step: the step.
        context: of the run.
        number: 1 for the first attempt in this run.

    Raises:
        Exception: whatever broke; the destination is as it was, or holds our one commit, which
            the next attempt finds.
    """
    context.refuse_if_lost()
    session = clone_session(context.spark, {})
    read = upstream_outputs(session, step, context)
    identities = {step_id: output.identity for step_id, output in read.items()}
    target = open_target(session, step, context, identities)
    looks_back = context.is_resumed or number > 1
    is_done = looks_back and target.find_own_write()
    with reading_of(session, step, context, read, is_done=is_done) as reading, ExitStack() as kept:
        register_inputs(session, step, context, read, reading, kept)
        told = "" if is_done else _write(session, step, context, target, reading)
        checks, failed = _check(session, step, context, target, read, reading, kept)
    output = target.keep() if failed is None else None
    return Outcome(
        output=output,
        counts=target.counts if failed is None else WriteCounts(),
        destination=target.state(),
        read=read,
        checks=checks,
        changed=target.changed,
        explain=told,
        failed=failed,
        notes=reading.notes,
    )


def abandon(step: CompiledStep, context: RunContext) -> None:
    """Undoes what attempts of ``step`` have committed, since none of them was checked to the end.

    Raises:
        Exception: it could not be undone; the message says what stands where.
    """
    context.refuse_if_lost()  # what stands there may be another run's by now
    open_target(clone_session(context.spark, {}), step, context).undo_own_write()


def _write(
    session: SparkSession,
    step: CompiledStep,
    context: RunContext,
    target: Target,
    reading: Reading,
) -> str:
    """Makes the step's rows and writes them; returns their plan where it was asked for."""
    made = with_masks(session, step, produce(session, step, context), context.hmac_key)
    product = with_promises_kept(session, step, made)
    product = replace(product, reading=reading)
    told = ""
    if product.frame is not None and (step.settings.debug or context.compiled.plan.request.debug):
        told = explain(product.frame)
    with broken_promise_told(step):
        target.write(product)
        if product.frame is None:
            check_written(session, step, target.rows)
    return told


def _check(
    session: SparkSession,
    step: CompiledStep,
    context: RunContext,
    target: Target,
    read: Mapping[str, Output],
    reading: Reading,
    kept: ExitStack,
) -> tuple[tuple[CheckResult, ...], DataQualityError | None]:
    """Every check's result; where one failed, or cannot run, the write is undone."""
    if not step.checks:
        return (), None
    target.rows().createOrReplaceTempView(step.settings.name)
    for step_id, view in changes_seen(step, context.compiled.plan.graph).items():
        if view not in reading.parts and step_id in read:
            rows = whole_as_changes(read[step_id], context)
            in_session(rows, session).createOrReplaceTempView(view)
    looks = Narrowing(session, step, context, read, reading, target, kept).looks()
    results, broken = run_checks(session, step, context, looks)
    try:
        if broken is not None:
            raise broken
        enforce(results)
    except DataQualityError as error:
        target.undo()
        return results, error
    return results, None
