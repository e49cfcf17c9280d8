"""Tells people how a run ended, through Apprise; a dead endpoint neither fails nor holds a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from pipelines.errors import PipelineError
from pipelines.results import CheckStatus, Event, RunFinished, RunResult, Status
from pipelines.results.release import FAILED, HELD_BACK

if TYPE_CHECKING:
    from pipelines.spec.policies import Notifications

MAX_STEPS = 10
MAX_MESSAGE = 300


def send_by_apprise(address: str, title: str, body: str) -> bool:
    """Sends one message; whether it was taken."""
    import apprise

    service = apprise.Apprise()
    if not service.add(address):
        return False
    return bool(service.notify(title=title, body=body))


class NotificationSink:
    """Sends once a run has ended, one message an address.

    Args:
        notifications: whom to tell of what, by name.
        address: the real address of a name; None where it means nobody.
        send: takes address, title and body; whether it was taken.
        timeout_seconds: no address is waited for longer.
    """

    def __init__(
        self,
        notifications: Notifications,
        address: Callable[[str], str | None],
        *,
        send: Callable[[str, str, str], bool] = send_by_apprise,
        timeout_seconds: float = 10,
    ) -> None:
        self._notifications, self._address = notifications, address
        self._send, self._timeout = send, timeout_seconds

    def handle(self, event: Event) -> None:
        """Sends at the end of the run.

        Raises:
            PipelineError: some message was not taken; names whom, never the address.
        """
        if not isinstance(event, RunFinished):
            return
        result = event.result
        title, body = message(result)
        problems: dict[str, str] = {}
        sent: dict[str, tuple[threading.Thread, list[str]]] = {}
        for name in dict.fromkeys(self._names(result)):
            try:
                address = self._address(name)
            except PipelineError as error:
                problems[name] = error.message
                continue
            if address:
                sent[name] = self._start(address, title, body)
        for name, (thread, said) in sent.items():
            thread.join(self._timeout)
            if thread.is_alive():
                problems[name] = f"no answer within {self._timeout:g} s"
            elif said != ["taken"]:
                problems[name] = said[0] if said else "refused"
        if problems:
            told = "; ".join(f"{name}: {why}" for name, why in problems.items())
            raise PipelineError(f"not all notifications were sent: {told}")

    def _names(self, result: RunResult) -> Iterator[str]:
        failed = result.status is not Status.SUCCESS
        yield from self._notifications.on_failure if failed else self._notifications.on_success
        if result.warnings:
            yield from self._notifications.on_dq_warning

    def _start(self, address: str, title: str, body: str) -> tuple[threading.Thread, list[str]]:
        said: list[str] = []

        def work() -> None:
            try:
                said.append("taken" if self._send(address, title, body) else "refused")
            except Exception as error:
                said.append(f"{type(error).__name__}")

        thread = threading.Thread(target=work, name="notify", daemon=True)
        thread.start()
        return thread, said


def message(result: RunResult) -> tuple[str, str]:
    """Title and body: what happened, to which steps, and what to do next; no row values."""
    run = result.run
    title = f"[{run.pipeline}] {result.status.value} in {run.environment}"
    lines = [f"run {run.run_id}, batch {run.batch_id}, {result.duration_seconds:.0f} s"]
    bad = [step for step in result.steps if not step.status.is_ok]
    for step in bad[:MAX_STEPS]:
        why = step.error.message if step.error else step.reason
        lines.append(f"{step.status.value}: {step.id}: {why}"[:MAX_MESSAGE])
    if len(bad) > MAX_STEPS:
        lines.append(f"… and {len(bad) - MAX_STEPS} more steps")
    checks = [
        f"{check.status.value}: {check.file}: {check.message}"[:MAX_MESSAGE]
        for step in result.steps
        for check in step.checks
        if check.status is not CheckStatus.PASSED
    ]
    lines += checks[:MAX_STEPS]
    lines += [
        f"{one.stage} not released: {one.reason}"[:MAX_MESSAGE]
        for one in result.releases
        if one.status in (HELD_BACK, FAILED)
    ]
    if result.error is not None:
        lines.append(result.error.message[:MAX_MESSAGE])
    lines.append(f"pipeline show {run.run_id}")
    return title, "\n".join(lines)
