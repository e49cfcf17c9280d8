"""Time limits and cancelling: an attempt whose time is up has its Spark jobs cancelled."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import DatasourceError, StepCancelledError, StepTimeoutError

if TYPE_CHECKING:
    from pyspark import SparkContext

_LOOK_SECONDS = 0.2
_PATIENCE_SECONDS = 7.0
"""For an attempt of a stopped run whose jobs were cancelled: a run ends within ten."""


@dataclass
class _Watched:
    """An attempt at work."""

    group: str
    deadline: float | None
    limit_seconds: float | None
    step_id: str = ""
    why: str = ""


class Watch:
    """Cancels the jobs of attempts, when their time is up or when the run is stopped.

    One cancelling may not end a MERGE, which starts job after job: it is repeated until the
    attempt's thread has come back.

    Args:
        spark_context: whose jobs it cancels.
        clock: seconds that only grow.
        seconds_left: until the run as a whole is stopped; None: it has no limit.
        why_lost: why another run may be at work, which stops this one; empty while none can.

    Attributes:
        stopped: whether the run is being stopped.
        has_run_out: whether that is because the run's time was up.
    """

    def __init__(
        self,
        spark_context: SparkContext,
        clock: Callable[[], float] = time.monotonic,
        seconds_left: float | None = None,
        why_lost: Callable[[], str] = str,
    ) -> None:
        self._spark_context, self._clock = spark_context, clock
        self._deadline = None if seconds_left is None else clock() + seconds_left
        self.has_run_out = False
        self._why_lost, self._is_lost = why_lost, ""
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()
        self.stopped = threading.Event()
        self._stopped_at = clock()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)
        self._thread.start()

    @property
    def why_stopped(self) -> str:
        """The reason, for people; it holds before there is one."""
        if self._is_lost:
            return f"the run lock was lost: {self._is_lost}"
        return "the run's time was up" if self.has_run_out else "the run was stopped"

    @contextmanager
    def attempt(self, step_id: str, limit_seconds: float | None) -> Iterator[None]:
        """Watches what runs in it, on this thread.

        Raises:
            StepTimeoutError: the time was up and the work was cancelled.
            StepCancelledError: the run was stopped and the work was cancelled.
        """
        group = f"{step_id}/{uuid.uuid4().hex[:8]}"
        deadline = None if limit_seconds is None else self._clock() + limit_seconds
        watched = _Watched(group, deadline, limit_seconds, step_id)
        with self._lock:
            self._watched[group] = watched
        try:
            if self.stopped.is_set():
                raise StepCancelledError(f"{self.why_stopped} before the attempt began")
            with self._jobs_of(group, step_id):
                yield
        except Exception as error:
            if watched.why == "timeout":
                told = f"not done after {limit_seconds:g} s; its Spark jobs were cancelled"
                if isinstance(error, DatasourceError):
                    told += f", and it waited for {error.where}"
                raise StepTimeoutError(
                    told,
                    where=step_id,
                    hint="raise timeout_seconds, or look at the plan with debug: true",
                ) from error
            if watched.why == "stop":
                raise StepCancelledError(self.why_stopped, where=step_id) from error
            raise
        finally:
            with self._lock:
                del self._watched[group]

    @contextmanager
    def cleaning_up(self, step_id: str) -> Iterator[None]:
        """Lets what runs in it be neither timed nor cancelled."""
        with self._jobs_of(f"{step_id}/undo-{uuid.uuid4().hex[:8]}", step_id):
            yield

    def sleep(self, seconds: float) -> None:
        """Waits so long, or until the run is stopped."""
        self.stopped.wait(seconds)

    def stop(self) -> None:
        """Cancels all attempts, and those to come."""
        if not self.stopped.is_set():
            self._stopped_at = self._clock()
        self.stopped.set()
        with self._lock:
            for watched in self._watched.values():
                watched.why = watched.why or "stop"

    def given_up(self) -> set[str]:
        """Steps of a stopped run whose attempt has not come back for so long that it hangs."""
        if not self.stopped.is_set() or self._clock() - self._stopped_at < _PATIENCE_SECONDS:
            return set()
        with self._lock:
            return {watched.step_id for watched in self._watched.values()}

    def close(self) -> None:
        """Ends the watching."""
        self._over.set()
        self._thread.join()

    @contextmanager
    def _jobs_of(self, group: str, step_id: str) -> Iterator[None]:
        """Spark jobs started in it, on this thread, belong to ``group`` and a pool of its own."""
        context = self._spark_context
        context.setJobGroup(group, step_id, interruptOnCancel=True)
        context.setLocalProperty("spark.scheduler.pool", step_id)
        try:
            yield
        finally:
            for name in ("spark.jobGroup.id", "spark.scheduler.pool"):
                context._jsc.setLocalProperty(name, None)

    def _look(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            now = self._clock()
            if self._deadline is not None and now >= self._deadline and not self.stopped.is_set():
                self.has_run_out = True
                self.stop()
            if not self.stopped.is_set() and (why := self._why_lost()):
                self._is_lost = why
                self.stop()
            with self._lock:
                for watched in self._watched.values():
                    if watched.deadline is not None and now >= watched.deadline:
                        watched.why = watched.why or "timeout"
                due = [watched.group for watched in self._watched.values() if watched.why]
            for group in due:
                with suppress(Exception):  # the next look tries again; no JVM, nothing to cancel
                    self._cancel(group)

    def _cancel(self, group: str) -> None:
        java: Any = self._spark_context._jsc.sc()
        java.cancelJobGroupAndFutureJobs(group)
