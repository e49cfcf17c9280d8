from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from pipelines.errors import PipelineError, SecretNotFoundError
from pipelines.results import (
    CheckResult,
    CheckStatus,
    ErrorInfo,
    RunFinished,
    RunInfo,
    RunResult,
    RunStarted,
    StageRelease,
    Status,
    StepFinished,
    StepResult,
    StepStarted,
)
from pipelines.sinks.notifications import NotificationSink, message, send_by_apprise
from pipelines.spec.policies import Notifications

# Apprise imports a module that Python 3.13 drops.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

NOON = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
RUN = RunInfo(
    run_id="run-1",
    batch_id="b1",
    pipeline="toy",
    flow="flow.yaml",
    flow_sha256="",
    environment="prod",
    mode="batch",
    window=("2026-11-22", "2026-11-23"),
    started_at=NOON,
    user="ada",
    host="box",
    git_commit="",
    versions={},
    pid=1,
)
WARNED = CheckResult(
    "a.sql", CheckStatus.WARNED, 3, "= 0", "warn", 0.1, ({"name": "Ada"},), "3, wanted 0"
)
EVERYBODY = Notifications(
    on_failure=("alerts", "duty"), on_success=("good",), on_dq_warning=("quality",)
)
ADDRESSES = {name: f"json://{name}" for name in ("alerts", "duty", "good", "quality")}


def step(status: Status = Status.SUCCESS, *checks: CheckResult, **more: Any) -> StepResult:
    return StepResult("a.b.c", "a", "b", "c", status, checks=checks, **more)


def ended(*steps: StepResult, **more: Any) -> RunFinished:
    return RunFinished(RunResult.collect(RUN, steps, finished_at=NOON, **more), NOON)


class Post:
    """Takes messages down instead of sending them."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str]] = []

    def __call__(self, address: str, title: str, body: str) -> bool:
        self.sent.append((address, title, body))
        return True

    @property
    def addresses(self) -> list[str]:
        return sorted(address.removeprefix("json://") for address, _, _ in self.sent)


def told(
    event: RunFinished,
    notifications: Notifications = EVERYBODY,
    addresses: Mapping[str, str] = ADDRESSES,
) -> list[str]:
    post = Post()
    NotificationSink(notifications, addresses.get, send=post).handle(event)
    return post.addresses


@pytest.mark.parametrize(
    ("event", "whom"),
    [
        (ended(step()), ["good"]),
        (ended(), ["good"]),
        (ended(step(Status.SKIPPED)), ["good"]),
        (ended(step(Status.SUCCESS, WARNED)), ["good", "quality"]),
        (ended(step(Status.FAILED)), ["alerts", "duty"]),
        (ended(step(Status.DQ_FAILED)), ["alerts", "duty"]),
        (ended(step(Status.DQ_FAILED, WARNED)), ["alerts", "duty", "quality"]),
        (ended(step(), signal_number=15), ["alerts", "duty"]),
        (ended(step(), error=ErrorInfo("OSError", "disk")), ["alerts", "duty"]),
    ],
)
def test_who_is_told(event: RunFinished, whom: list[str]) -> None:
    assert told(event) == whom


def test_nobody_is_told_before_the_end() -> None:
    post = Post()
    sink = NotificationSink(EVERYBODY, ADDRESSES.get, send=post)
    sink.handle(RunStarted(RUN, NOON))
    sink.handle(StepStarted("a.b.c", NOON))
    sink.handle(StepFinished(step(Status.FAILED, WARNED), NOON))
    assert post.sent == []


def test_one_message_a_name_though_it_is_named_twice() -> None:
    twice = Notifications(on_success=("good", "good"), on_dq_warning=("good",))
    assert told(ended(step(Status.SUCCESS, WARNED)), twice) == ["good"]


def test_names_that_mean_nobody_are_skipped() -> None:
    some = {"alerts": "", "duty": "json://duty"}
    assert told(ended(step(Status.FAILED, WARNED)), addresses=some) == ["duty"]
    assert told(ended(step(Status.FAILED, WARNED)), addresses={}) == []


def test_message_says_what_happened_and_what_to_do() -> None:
    error = ErrorInfo("SqlError", "no such table")
    event = ended(step(Status.FAILED, WARNED, error=error))
    title, body = message(event.result)
    assert title == "[toy] failed in prod"
    assert "failed: a.b.c: no such table" in body
    assert "warned: a.sql: 3, wanted 0" in body
    assert body.splitlines()[-1] == "pipeline show run-1"
    assert "Ada" not in body


def test_message_says_which_stages_are_not_released_and_why() -> None:
    releases = (
        StageRelease("gold", "held_back", "R1", "a.b.c ended as failed"),
        StageRelease("mart", "released", "R2"),
    )
    _, body = message(ended(step(Status.FAILED), releases=releases).result)
    assert "gold not released: a.b.c ended as failed" in body.splitlines()
    assert "mart" not in body


def test_long_messages_are_cut() -> None:
    error = ErrorInfo("SqlError", "x" * 5000)
    steps = [step(Status.FAILED, error=error) for _ in range(40)]
    _, body = message(ended(*steps).result)
    assert len(body.splitlines()) == 13
    assert "… and 30 more steps" in body
    assert max(map(len, body.splitlines())) == 300


def test_hanging_sender_holds_nobody_up() -> None:
    """Would the sink wait for the sender, the test would: the sender's event comes after."""
    let_go, gave_up, post = threading.Event(), threading.Event(), Post()

    def send(address: str, title: str, body: str) -> bool:
        if address == "json://alerts":
            if not let_go.wait(30):
                gave_up.set()
            return True
        return post(address, title, body)

    sink = NotificationSink(EVERYBODY, ADDRESSES.get, send=send, timeout_seconds=0.05)
    try:
        with pytest.raises(PipelineError) as caught:
            sink.handle(ended(step(Status.FAILED)))
        assert not gave_up.is_set()
    finally:
        let_go.set()
    assert "alerts: no answer within 0.05 s" in str(caught.value)
    assert "duty" not in str(caught.value)
    assert post.addresses == ["duty"]


def test_failing_sender_names_the_name_never_the_address() -> None:
    def send(address: str, title: str, body: str) -> bool:
        if "alerts" in address:
            raise ConnectionError(f"cannot reach {address} with token hunter2")
        return False

    secret = {name: f"json://{name}.example/hunter2" for name in ADDRESSES}
    with pytest.raises(PipelineError) as caught:
        NotificationSink(EVERYBODY, secret.get, send=send).handle(ended(step(Status.FAILED)))
    text = str(caught.value)
    assert "alerts: ConnectionError" in text
    assert "duty: refused" in text
    assert "hunter2" not in text
    assert "json://" not in text
    assert caught.value.__cause__ is None


def test_one_failure_does_not_stop_the_others() -> None:
    post = Post()

    def send(address: str, title: str, body: str) -> bool:
        return post(address, title, body) and "alerts" not in address

    with pytest.raises(PipelineError):
        NotificationSink(EVERYBODY, ADDRESSES.get, send=send).handle(ended(step(Status.FAILED)))
    assert post.addresses == ["alerts", "duty"]


def test_address_whose_secret_is_missing_does_not_stop_the_others() -> None:
    post = Post()

    def address(name: str) -> str:
        if name == "alerts":
            raise SecretNotFoundError("secret 'HOOK' was not found in .env")
        return f"json://{name}"

    with pytest.raises(PipelineError, match="alerts: secret 'HOOK' was not found"):
        NotificationSink(EVERYBODY, address, send=post).handle(ended(step(Status.FAILED)))
    assert post.addresses == ["duty"]


# --- real Apprise ------------------------------------------------------------------------------


class Listener:
    """An HTTP server on this machine that keeps what it is sent."""

    def __init__(self) -> None:
        self.status, self.bodies = 200, list[Any]()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers["Content-Length"])
                outer.bodies.append(json.loads(self.rfile.read(length)))
                self.send_response(outer.status)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)

    @property
    def address(self) -> str:
        return f"json://127.0.0.1:{self.server.server_port}/"


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    made = Listener()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def test_apprise_sends(listener: Listener) -> None:
    only = Notifications(on_failure=("alerts",))
    sink = NotificationSink(only, {"alerts": listener.address}.get, timeout_seconds=30)
    sink.handle(ended(step(Status.FAILED, error=ErrorInfo("SqlError", "no such table"))))
    (body,) = listener.bodies
    assert body["title"] == "[toy] failed in prod"
    assert "no such table" in body["message"]


def test_apprise_tells_of_refusal(listener: Listener) -> None:
    listener.status = 500
    assert send_by_apprise(listener.address, "title", "body") is False
    assert len(listener.bodies) == 1


def test_apprise_knows_no_such_address() -> None:
    assert send_by_apprise("nonsense", "title", "body") is False
