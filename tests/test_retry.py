"""Steps that fail: which are tried again, how often, how long apart, and what the log tells."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import (
    DataQualityError,
    DestinationError,
    SchemaMismatchError,
    ScriptError,
    SecretNotFoundError,
    SecretStoreDownError,
    SecretStoreError,
    SqlError,
    StepCancelledError,
    StepTimeoutError,
)
from pipelines.execution.retry import (
    call_with_retry,
    describe_failure,
    judge_failure,
    wait_seconds,
)
from pipelines.execution.watch import Watch
from pipelines.results import AttemptFailed
from pipelines.spec.policies import RetryPolicy
from tests.fakes import JavaError, JavaException, jdbc_error, spark_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.conftest import Project


class Step:
    """A step that ends as told, attempt by attempt; what was waited and told is kept."""

    def __init__(self, *ends: BaseException | str, policy: RetryPolicy | None = None) -> None:
        self.ends = ends
        self.policy = policy or RetryPolicy(attempts=len(ends), delay_seconds=1, jitter=False)
        self.numbers: list[int] = []
        self.waits: list[float] = []
        self.told: list[tuple[int, BaseException, float]] = []

    def attempt(self, number: int) -> str:
        self.numbers.append(number)
        end = self.ends[len(self.numbers) - 1]
        if isinstance(end, BaseException):
            raise end
        return end

    def run(self, **more: Any) -> str:
        return call_with_retry(
            self.attempt,
            self.policy,
            sleep=self.waits.append,
            on_failure=lambda *told: self.told.append(told),
            **more,
        )


def _passing() -> BaseException:
    return ConnectionResetError("the database hung up")


def _lasting() -> BaseException:
    return spark_error("TABLE_OR_VIEW_NOT_FOUND", "42P01")


# --- how often ---------------------------------------------------------------------------------


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["passing", "lasting", "done"]), min_size=12, max_size=12),
    st.integers(1, 12),
)
def test_step_when_it_fails_at_random_then_only_passing_failures_are_tried_again(
    fate: Sequence[str], attempts: int
) -> None:
    errors = {"passing": _passing, "lasting": _lasting}
    ends = [errors[word]() if word in errors else "rows" for word in fate]
    step = Step(*ends, policy=RetryPolicy(attempts=attempts, delay_seconds=1))
    decided = next((n for n, word in enumerate(fate) if word != "passing"), len(fate))
    calls = min(decided + 1, attempts)
    last = ends[calls - 1]
    if isinstance(last, BaseException):
        with pytest.raises(type(last)) as raised:
            step.run()
        assert raised.value is last
    else:
        assert step.run() == last
    assert step.numbers == list(range(1, calls + 1))
    assert [(number, error) for number, error, _ in step.told] == [
        (number, ends[number - 1]) for number in range(1, calls)
    ]
    assert [wait for _, _, wait in step.told] == step.waits


def test_step_when_its_last_attempt_fails_then_nobody_waits_and_the_error_is_the_last_one() -> None:
    first, second, third = _passing(), _passing(), _passing()
    step = Step(first, second, third)
    with pytest.raises(ConnectionResetError) as raised:
        step.run()
    assert raised.value is third
    assert [error for _, error, _ in step.told] == [first, second]
    assert len(step.waits) == 2


def test_policy_when_a_step_overrides_some_keys_then_the_others_stay() -> None:
    default = RetryPolicy(attempts=7, delay_seconds=4, backoff="linear", jitter=False)
    policy = default.overridden_by(RetryPolicy(attempts=2))
    assert policy == RetryPolicy(attempts=2, delay_seconds=4, backoff="linear", jitter=False)
    assert default.overridden_by(None) == default


# --- how long apart ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("backoff", "waits"),
    [
        ("fixed", [10, 10, 10, 10, 10, 10]),
        ("linear", [10, 20, 30, 40, 45, 45]),
        ("exponential", [10, 20, 40, 45, 45, 45]),
    ],
)
def test_waits_when_a_step_fails_on_then_grow_by_the_policy_up_to_its_limit(
    backoff: Any, waits: list[float]
) -> None:
    policy = RetryPolicy(
        attempts=7, delay_seconds=10, backoff=backoff, max_delay_seconds=45, jitter=False
    )
    step = Step(*(_passing() for _ in range(7)), policy=policy)
    with pytest.raises(ConnectionResetError):
        step.run()
    assert step.waits == waits


POLICIES = st.builds(
    RetryPolicy,
    attempts=st.just(100),
    delay_seconds=st.floats(0, 10_000),
    backoff=st.sampled_from(["fixed", "linear", "exponential"]),
    max_delay_seconds=st.floats(0, 10_000),
    jitter=st.just(True),
)


@settings(deadline=None)
@given(POLICIES, st.integers(1, 99), st.floats(0, 1, exclude_max=True))
def test_wait_when_it_varies_then_is_at_most_a_fifth_shorter(
    policy: RetryPolicy, failed: int, chance: float
) -> None:
    steady = wait_seconds(policy.model_copy(update={"jitter": False}), failed, 0.5)
    wait = wait_seconds(policy, failed, chance)
    assert 0 <= steady * 0.8 * (1 - 1e-9) <= wait <= steady <= policy.max_delay_seconds


@settings(deadline=None)
@given(POLICIES, st.integers(1, 98))
def test_wait_when_a_step_fails_once_more_then_is_never_shorter(
    policy: RetryPolicy, failed: int
) -> None:
    steady = policy.model_copy(update={"jitter": False})
    assert wait_seconds(steady, failed, 0) <= wait_seconds(steady, failed + 1, 0)


def test_waits_when_several_steps_fail_at_once_then_differ() -> None:
    policy = RetryPolicy(attempts=2, delay_seconds=100)
    steps = [Step(_passing(), "rows", policy=policy) for _ in range(20)]
    for step in steps:
        step.run()
    waits = {step.waits[0] for step in steps}
    assert len(waits) > 1
    assert all(80 <= wait <= 100 for wait in waits)


# --- what passes by itself ---------------------------------------------------------------------


def _raised_from(error: Exception, cause: BaseException) -> Exception:
    error.__cause__ = cause
    return error


PASSING = {
    "connection refused, by state": (jdbc_error("08001"), "SQLSTATE 08001: connection"),
    "deadlock, by state": (jdbc_error("40001"), "SQLSTATE 40001: transaction rolled back"),
    "server goes down, by state": (jdbc_error("57P01"), "SQLSTATE 57P01: database shutting down"),
    "lock not available, by state": (jdbc_error("55P03"), "SQLSTATE 55P03: lock not available"),
    "too many connections, by state": (jdbc_error("53300"), "SQLSTATE 53300: resources"),
    "ODBC time-out, by state": (jdbc_error("HYT00"), "SQLSTATE HYT00: time-out"),
    "by JDBC's class": (
        jdbc_error(None, "java.sql.SQLTransientConnectionException"),
        "SQLTransientConnectionException: transient by its class",
    ),
    "by the class of a socket": (
        jdbc_error(None, "java.net.SocketTimeoutException"),
        "SocketTimeoutException: time-out",
    ),
    "by Delta's condition": (
        spark_error("DELTA_CONCURRENT_APPEND.WITHOUT_HINT", "2D521"),
        "error condition DELTA_CONCURRENT_APPEND",
    ),
    "by Delta's class": (
        JavaError(JavaException("io.delta.exceptions.ConcurrentDeleteReadException", "too late")),
        "ConcurrentDeleteReadException: another writer's commit",
    ),
    "Delta's metadata changed": (
        JavaError(
            JavaException(
                "io.delta.exceptions.MetadataChangedException",
                condition="DELTA_METADATA_CHANGED",
                sql_state="2D521",
            )
        ),
        "MetadataChangedException: another writer's commit",
    ),
    "in Python": (ConnectionRefusedError("no"), "ConnectionRefusedError: connection"),
    "in a script": (
        _raised_from(ScriptError("TimeoutError: slow"), TimeoutError("slow")),
        "TimeoutError: time-out",
    ),
    "behind a failed task that writes": (
        JavaError(
            JavaException(
                "org.apache.spark.SparkException",
                condition="TASK_WRITE_FAILED",
                sql_state="58030",
                cause=JavaException("java.net.ConnectException", "refused"),
            )
        ),
        "ConnectException: connection",
    ),
    "behind our own error": (
        _raised_from(SqlError("the database said no"), jdbc_error("08006")),
        "SQLSTATE 08006: connection",
    ),
    "secrets out of reach": (SecretStoreDownError("Vault is sealed"), "secrets out of reach"),
    "a step's own time-out": (StepTimeoutError("not done after 5 s"), "time-out of the step"),
}

LASTING = {
    "parse error": (spark_error("PARSE_SYNTAX_ERROR", "42601"), "SQLSTATE 42601: syntax"),
    "missing table": (spark_error("TABLE_OR_VIEW_NOT_FOUND", "42P01"), "SQLSTATE 42P01: syntax"),
    "missing column": (spark_error("UNRESOLVED_COLUMN", "42703"), "SQLSTATE 42703: syntax"),
    "division by zero": (spark_error("DIVIDE_BY_ZERO", "22012"), "SQLSTATE 22012: data"),
    "bad cast": (spark_error("CAST_INVALID_INPUT", "22018"), "SQLSTATE 22018: data"),
    "constraint": (jdbc_error("23505"), "SQLSTATE 23505: constraint"),
    "several rows match": (
        spark_error("DELTA_MULTIPLE_SOURCE_ROW_MATCHING_TARGET_ROW_IN_MERGE", "21506"),
        "SQLSTATE 21506: cardinality",
    ),
    "wrong password": (jdbc_error("28P01"), "SQLSTATE 28P01: login refused"),
    "certificate that nobody trusts": (
        JavaError(
            JavaException(
                "java.sql.SQLNonTransientConnectionException",
                sql_state="08S01",
                cause=JavaException(
                    "javax.net.ssl.SSLHandshakeException",
                    cause=JavaException("sun.security.validator.ValidatorException"),
                ),
            )
        ),
        "ValidatorException: the server's certificate",
    ),
    "no such database": (jdbc_error("3D000"), "SQLSTATE 3D000: no such database"),
    "state above class": (
        jdbc_error("28000", "java.sql.SQLNonTransientConnectionException"),
        "SQLSTATE 28000: login refused",
    ),
    "login refused behind a broken connection": (
        JavaError(
            JavaException(
                "java.sql.SQLNonTransientConnectionException",
                sql_state="08001",
                cause=JavaException("java.sql.SQLException", sql_state="28000"),
            )
        ),
        "SQLSTATE 28000: login refused",
    ),
    "bad data in a task that writes": (
        JavaError(
            JavaException(
                "org.apache.spark.SparkException",
                condition="TASK_WRITE_FAILED",
                sql_state="58030",
                cause=JavaException(
                    "org.apache.spark.SparkArithmeticException",
                    condition="DIVIDE_BY_ZERO",
                    sql_state="22012",
                ),
            )
        ),
        "SQLSTATE 22012: data",
    ),
    "failed check": (DataQualityError("3 rows offend"), "a failed check stays failed"),
    "stopped run": (StepCancelledError("the run was stopped"), "the run was stopped"),
    "unknown condition": (spark_error("SOMETHING_NEW"), "SOMETHING_NEW is not known to pass"),
    "unknown state": (jdbc_error("XX000"), "XX000 is not known to pass by itself"),
    "unknown Java class": (
        JavaError(JavaException("java.lang.OutOfMemoryError", "heap")),
        "OutOfMemoryError is not known to pass by itself",
    ),
    "bug in a script": (
        _raised_from(ScriptError("KeyError: 'id'"), KeyError("id")),
        "KeyError is not known to pass by itself",
    ),
    "secrets refused": (SecretStoreError("Vault refuses"), "SecretStoreError is not known"),
    "missing secret": (SecretNotFoundError("no PW"), "SecretNotFoundError is not known"),
    "changed schema": (SchemaMismatchError("columns differ"), "SchemaMismatchError is not known"),
    "destination": (DestinationError("is no Delta table"), "DestinationError is not known"),
}


@pytest.mark.parametrize(("error", "reason"), PASSING.values(), ids=PASSING)
def test_failure_when_it_passes_by_itself_then_is_tried_again_and_says_why(
    error: BaseException, reason: str
) -> None:
    verdict = judge_failure(error)
    assert verdict.transient
    assert verdict.reason.startswith(reason)
    assert Step(error, "rows").run() == "rows"


@pytest.mark.parametrize(("error", "reason"), LASTING.values(), ids=LASTING)
def test_failure_when_it_lasts_then_is_never_tried_again_and_says_why(
    error: BaseException, reason: str
) -> None:
    verdict = judge_failure(error)
    assert not verdict.transient
    assert verdict.reason.startswith(reason)
    step = Step(error, "rows", policy=RetryPolicy(attempts=100, delay_seconds=60))
    with pytest.raises(type(error)) as raised:
        step.run()
    assert raised.value is error
    assert (step.numbers, step.waits, step.told) == ([1], [], [])


@pytest.mark.parametrize(
    "error",
    [
        ConnectionResetError("reset"),
        ConnectionRefusedError("refused"),
        BrokenPipeError("broken"),
        pytest.param(
            ConnectionAbortedError("aborted"),
        ),
    ],
    ids=lambda error: type(error).__name__,
)
def test_connection_when_it_breaks_in_a_script_then_the_step_is_tried_again(
    error: ConnectionError,
) -> None:
    assert judge_failure(_raised_from(ScriptError("it broke"), error)).transient


# --- what the log tells ------------------------------------------------------------------------


def test_failure_when_it_is_logged_then_type_verdict_and_message_are_told_without_secrets() -> None:
    error = spark_error("FAILED_JDBC.CONNECTION", "08001", "cannot log in as sa with hunter2")
    info = describe_failure(error, lambda text: text.replace("hunter2", "***"))
    assert info.as_dict() == {
        "type": "FAILED_JDBC.CONNECTION",
        "message": "cannot log in as sa with ***",
        "transient": True,
        "verdict": "SQLSTATE 08001: connection",
        "hint": "",
    }


def test_failure_when_it_quotes_a_row_then_the_log_does_not() -> None:
    error = spark_error("CAST_INVALID_INPUT", "22018", "The value 'Tyrone Dyer' cannot be cast")
    info = describe_failure(error, str)
    assert "Tyrone" not in info.message
    assert "cannot be cast" in info.message


def test_failure_when_its_place_is_known_then_the_message_begins_with_it() -> None:
    error = SqlError("no such table", where="sql/a.sql:3:9", hint="declare it")
    info = describe_failure(error, str)
    assert (info.message, info.hint) == ("sql/a.sql:3:9: no such table", "declare it")


# --- a run that is stopped ---------------------------------------------------------------------


@pytest.fixture
def watch() -> Iterator[Watch]:
    """A run's watch without Spark."""
    java = SimpleNamespace(setLocalProperty=lambda *_: None)
    context: Any = SimpleNamespace(
        setJobGroup=lambda *_, **__: None, setLocalProperty=lambda *_: None, _jsc=java
    )
    made = Watch(context)
    yield made
    made.close()


def test_step_when_the_run_is_stopped_during_an_attempt_then_is_not_tried_again() -> None:
    step = Step(_passing(), "rows")
    with pytest.raises(ConnectionResetError):
        step.run(is_stopped=lambda: True)
    assert (step.numbers, step.waits) == ([1], [])


def test_step_when_the_run_is_stopped_while_it_waits_then_its_work_does_not_begin_again(
    watch: Watch,
) -> None:
    work: list[int] = []
    waits: list[float] = []

    def attempt(number: int) -> None:
        with watch.attempt("stage.group.step", None):
            work.append(number)
            raise _passing()

    def stop(_number: int, _error: BaseException, wait: float) -> None:
        waits.append(wait)
        watch.stop()

    with pytest.raises(StepCancelledError):
        call_with_retry(
            attempt,
            RetryPolicy(attempts=5, delay_seconds=3600, max_delay_seconds=3600, jitter=False),
            sleep=watch.sleep,
            on_failure=stop,
            is_stopped=watch.stopped.is_set,
        )
    assert (work, waits) == ([1], [3600])


def test_wait_when_the_run_is_stopped_then_ends_at_once(watch: Watch) -> None:
    waiting = threading.Thread(target=watch.sleep, args=(3600,), daemon=True)
    waiting.start()
    watch.stop()
    waiting.join(timeout=10)
    assert not waiting.is_alive()


# --- through a whole run -----------------------------------------------------------------------

FLAKY = """\
from pathlib import Path

def ingest(spark, context):
    tries = Path(context.params["tries"])
    number = len(tries.read_text()) + 1 if tries.exists() else 1
    tries.write_text("x" * number)
    if number <= context.params["failures"]:
        raise {error}
    return spark.sql(f"select {{number}} as attempt")
"""
STEPS = """
- name: flaky
  script: scripts/flaky.py
  params: {{tries: "{tries}", failures: 2}}
  destination: {{path: "{{{{ base_path }}}}/flaky"}}
  retry: {{attempts: 4, delay_seconds: 0.001}}
- name: below
  depends_on: [flaky]
  source: {{type: delta, query: select * from flaky}}
  destination: {{path: "{{{{ base_path }}}}/below"}}
- name: buggy
  script: scripts/buggy.py
  params: {{tries: "{tries}.buggy", failures: 1}}
  destination: {{path: "{{{{ base_path }}}}/buggy"}}
  retry: {{attempts: 4, delay_seconds: 600}}
- name: misspelt
  source: {{type: delta, query: selekt 1}}
  destination: {{path: "{{{{ base_path }}}}/misspelt"}}
  retry: {{attempts: 4, delay_seconds: 600}}
- name: missing
  source: {{type: delta, query: select * from nowhere}}
  destination: {{path: "{{{{ base_path }}}}/missing"}}
  retry: {{attempts: 4, delay_seconds: 600}}
- name: doubtful
  source: {{type: delta, query: select 1 as id}}
  destination: {{path: "{{{{ base_path }}}}/doubtful"}}
  dq_checks: [dq/none.sql]
  retry: {{attempts: 4, delay_seconds: 600}}
"""


def test_run_when_steps_fail_then_the_log_tells_of_every_attempt_and_its_verdict(
    project: Callable[..., Project], tmp_path: Any
) -> None:
    made = project(
        STEPS.format(tries=tmp_path / "tries"),
        files={
            "scripts/flaky.py": FLAKY.format(error="ConnectionResetError('hung up')"),
            "scripts/buggy.py": FLAKY.format(error="ValueError('a bug')"),
            "dq/none.sql": "select id from doubtful",
        },
    )
    ran = made.run()
    assert ran.statuses == {
        "flaky": "success",
        "below": "success",
        "buggy": "failed",
        "misspelt": "failed",
        "missing": "failed",
        "doubtful": "dq_failed",
    }
    assert made.rows("below") == [(3,)]
    log = json.loads((made.root / "pipelines/logs/pipeline_log.json").read_text(encoding="utf-8"))
    steps = {step["name"]: step for step in log["steps"]}
    flaky = steps["flaky"]["attempts"]
    assert [attempt["number"] for attempt in flaky] == [1, 2, 3]
    assert flaky[2]["error"] is None
    for attempt in flaky[:2]:
        assert attempt["error"]["transient"] is True
        assert attempt["error"]["verdict"] == "ConnectionResetError: connection"
        assert attempt["error"]["message"] == ("scripts/flaky.py:8: ConnectionResetError: hung up")
    for name in ("buggy", "misspelt", "missing", "doubtful"):
        (attempt,) = steps[name]["attempts"]
        assert attempt["error"]["transient"] is False
        assert attempt["error"]["verdict"]
        assert steps[name]["error"]["type"] == attempt["error"]["type"]
    again = [event for event in ran.events if isinstance(event, AttemptFailed)]
    assert [(event.step_id, event.attempt.number) for event in again] == [
        ("stage.group.flaky", 1),
        ("stage.group.flaky", 2),
    ]
    assert all(0 < event.wait_seconds <= 0.002 for event in again)
