"""Which failures pass by themselves, and trying again when one does."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import tenacity

from pipelines.errors import (
    DataQualityError,
    JavaEndedError,
    LockLostError,
    PipelineError,
    SecretStoreDownError,
    SqlError,
    StepCancelledError,
    StepTimeoutError,
)
from pipelines.results import ErrorInfo
from pipelines.utils.sql_runner import CERTIFICATE_FAULTS, Cause, as_sql_error, causes

if TYPE_CHECKING:
    from pipelines.spec.policies import RetryPolicy

Result = TypeVar("Result")

# SQLSTATE classes of ISO/IEC 9075 and the codes that PostgreSQL and SQL Server add to them.
_PASSING_STATES = {
    "08": "connection",
    "53": "resources of the database",
    "57P": "database shutting down or starting",
    "58": "system error of the database",
    "40": "transaction rolled back",
    "55P03": "lock not available",
    "HYT": "time-out",
}
_LASTING_STATES = {
    "21": "cardinality",
    "22": "data",
    "23": "constraint",
    "28": "login refused",
    "3D": "no such database",
    "42": "syntax or access rule",
    "P0001": "raised by the statement",
}
_PASSING_CONDITIONS = ("DELTA_CONCURRENT_", "CONCURRENT_", "DELTA_PROTOCOL_CHANGED")
_PASSING_CLASSES = {
    "ConcurrentAppendException": "another writer's commit",
    "ConcurrentDeleteReadException": "another writer's commit",
    "ConcurrentDeleteDeleteException": "another writer's commit",
    "ConcurrentTransactionException": "another writer's commit",
    "ConcurrentWriteException": "another writer's commit",
    "MetadataChangedException": "another writer's commit",
    "ProtocolChangedException": "another writer's commit",
    "SQLTransientException": "transient by its class",
    "SQLTransientConnectionException": "transient by its class",
    "SQLNonTransientConnectionException": "connection",
    "SQLRecoverableException": "transient by its class",
    "SQLTimeoutException": "time-out",
    "ConnectException": "connection",
    "NoRouteToHostException": "connection",
    "UnknownHostException": "connection",
    "SocketException": "connection",
    "SocketTimeoutException": "time-out",
    "TimeoutException": "time-out",
    "EOFException": "connection",
    "ConnectionError": "connection",
    "TimeoutError": "time-out",
}


@dataclass(frozen=True)
class Verdict:
    """Whether trying again could help, and what tells so."""

    transient: bool
    reason: str


_BY_KIND: Mapping[type[BaseException], Verdict] = {
    StepTimeoutError: Verdict(True, "time-out of the step"),
    DataQualityError: Verdict(False, "a failed check stays failed"),
    JavaEndedError: Verdict(False, "a new run starts a new one"),
    StepCancelledError: Verdict(False, "the run was stopped"),
    LockLostError: Verdict(False, "another run may be at work"),
    SecretStoreDownError: Verdict(True, "secrets out of reach"),
}


def judge_failure(error: BaseException) -> Verdict:
    """Whether ``error`` passes by itself.

    Told by the SQLSTATE, the error condition and the class of each exception in the chain,
    the innermost first; what nobody knows is taken to last, since trying again would only
    delay the message.
    """
    for kind, verdict in _BY_KIND.items():
        if isinstance(error, kind):
            return verdict
    chain = causes(_root(error))
    for cause in reversed(chain):
        known = _judge_cause(cause)
        if known is not None:
            return known
    innermost = chain[-1]
    told = innermost.condition or innermost.sql_state or innermost.short_name
    return Verdict(False, f"{told} is not known to pass by itself")


def _judge_cause(cause: Cause) -> Verdict | None:
    """What one exception of a chain tells; None where it tells nothing."""
    # Spark gives 58030 to every failure inside of a task that writes.
    state = "" if cause.condition == "TASK_WRITE_FAILED" else cause.sql_state
    for length in (5, 3, 2):
        if state[:length] in _PASSING_STATES:
            return Verdict(True, f"SQLSTATE {state}: {_PASSING_STATES[state[:length]]}")
        if state[:length] in _LASTING_STATES:
            return Verdict(False, f"SQLSTATE {state}: {_LASTING_STATES[state[:length]]}")
    if cause.condition.startswith(_PASSING_CONDITIONS):
        return Verdict(True, f"error condition {cause.condition}")
    if cause.short_name in CERTIFICATE_FAULTS:
        return Verdict(False, f"{cause.short_name}: the server's certificate")
    for name in (cause.short_name, *cause.bases):
        if name in _PASSING_CLASSES:
            return Verdict(True, f"{cause.short_name}: {_PASSING_CLASSES[name]}")
    return None


def describe_failure(error: BaseException, redact: Callable[[str], str]) -> ErrorInfo:
    """``error`` as the logs keep it."""
    verdict = judge_failure(error)
    known = error if isinstance(error, PipelineError) else as_sql_error(error)
    kind = type(known).__name__
    if isinstance(known, SqlError):
        kind = known.condition or known.java_class.rsplit(".", 1)[-1] or kind
    message = f"{known.where}: {known.message}" if known.where else known.message
    return ErrorInfo(
        type=kind,
        message=redact(message),
        transient=verdict.transient,
        verdict=verdict.reason,
        hint=redact(known.hint),
    )


def call_with_retry(
    call: Callable[[int], Result],
    policy: RetryPolicy,
    *,
    sleep: Callable[[float], None],
    on_failure: Callable[[int, BaseException, float], None],
    is_stopped: Callable[[], bool] = lambda: False,
    vary: Callable[[], float] = random.random,
) -> Result:
    """What ``call`` returns, tried again by ``policy`` while its failures are passing ones.

    Args:
        call: takes the attempt's number, from 1.
        policy: how often, how long apart.
        sleep: waits so many seconds.
        on_failure: told of each failed attempt that another one follows: number, error, wait.
        is_stopped: asked after each failure; a stop while waiting is for ``call`` to see.
        vary: a random number in [0, 1) for the jitter.

    Raises:
        Exception: the last attempt's, as it was.
    """

    def before_sleep(state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = state.next_action.sleep if state.next_action else 0.0
        if error is not None:
            on_failure(state.attempt_number, error, wait)

    retrying = tenacity.Retrying(
        stop=tenacity.stop_after_attempt(policy.attempts),
        wait=lambda state: wait_seconds(policy, state.attempt_number, vary()),
        retry=tenacity.retry_if_exception(
            lambda error: judge_failure(error).transient and not is_stopped()
        ),
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
    for attempt in retrying:
        with attempt:
            return call(attempt.retry_state.attempt_number)
    raise AssertionError("tenacity ends by returning or raising")


def wait_seconds(policy: RetryPolicy, failed_attempts: int, chance: float) -> float:
    """Seconds to wait after the so-manieth failed attempt.

    Doubled each time (``exponential``), ``delay_seconds`` more each time (``linear``), or
    always the same (``fixed``); at most ``max_delay_seconds``; with jitter, up to a fifth less.
    """
    grown = policy.delay_seconds
    if policy.backoff == "linear":
        grown *= failed_attempts
    elif policy.backoff == "exponential":
        grown *= 2.0 ** (failed_attempts - 1)
    limited = min(grown, policy.max_delay_seconds)
    return limited * (1 - 0.2 * chance) if policy.jitter else limited


def _root(error: BaseException) -> Any:
    """The exception that carries the Java one, where ours was raised from it."""
    if isinstance(error, PipelineError) and error.__cause__ is not None:
        return error.__cause__
    return error
