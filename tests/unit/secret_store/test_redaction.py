from __future__ import annotations

import base64
import sys
import threading
from collections.abc import Iterator

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipelines.secret_store.redaction import HIDDEN, Redactor
from tests.unit.secret_store.secret_forms import forms

# What stands in for a secret is made of stars; text of stars may come out of a secret's place.
SECRETS = st.text(
    st.characters(blacklist_categories=("Cs",), blacklist_characters="*"), min_size=4, max_size=30
)
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="*"))


@given(SECRETS, TEXTS, TEXTS)
def test_no_form_of_a_secret_survives(secret: str, before: str, after: str) -> None:
    redactor = Redactor()
    redactor.add(secret)
    for form in forms(secret):
        told = redactor.redact(before + form + after)
        assert HIDDEN in told
        for other in forms(secret):
            assert other not in told


@given(st.binary(max_size=9), SECRETS, st.binary(max_size=9), st.booleans())
def test_no_secret_survives_in_base64_among_others(
    before: bytes, secret: str, after: bytes, url_safe: bool
) -> None:
    raw, redactor = secret.encode(), Redactor()
    assume(len(raw) >= 8)
    redactor.add(secret)
    encode = base64.urlsafe_b64encode if url_safe else base64.b64encode
    told = redactor.redact(f"Basic {encode(before + raw + after).decode()}")
    head, _, tail = told.removeprefix("Basic ").partition(HIDDEN)
    assert HIDDEN in told
    assert len(head) <= len(before) * 4 / 3 + 2
    assert len(tail) <= len(after) * 4 / 3 + 4


@given(st.lists(SECRETS, min_size=2, max_size=4), TEXTS)
def test_no_secret_survives_among_others(secrets: list[str], between: str) -> None:
    redactor = Redactor()
    for secret in secrets:
        redactor.add(secret)
    told = redactor.redact(between.join(secrets))
    for secret in secrets:
        assert secret not in told


@pytest.mark.parametrize("long_first", [True, False])
def test_secret_inside_of_another(long_first: bool) -> None:
    redactor = Redactor()
    for secret in sorted(("hunter2", "hunter2-and-more"), key=len, reverse=long_first):
        redactor.add(secret)
    assert redactor.redact("hunter2-and-more, hunter2") == "***, ***"


def test_text_without_secrets_stays() -> None:
    redactor = Redactor()
    redactor.add("hunter2")
    text = "table silver.hub_student has 3 rows; see https://example.org/a?b=c#d"
    assert redactor.redact(text) == text
    assert redactor.redact("") == ""


def test_short_secrets_are_not_searched_for() -> None:
    redactor = Redactor()
    for secret in ("", "a", "abc"):
        redactor.add(secret)
    assert redactor.redact("abc a") == "abc a"
    assert redactor.redact("password=abc") == "password=***"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("user=ada;password=x1;ssl=true", "user=ada;password=***;ssl=true"),
        ("jdbc:x://h/d?user=a&password=x1&b=c", "jdbc:x://h/d?user=a&password=***&b=c"),
        ("PWD = x1", "PWD = ***"),
        ("token: x1, more", "token: ***, more"),
        ("api_key=x1 apikey=x2", "api_key=*** apikey=***"),
        ("?sig=x1'", "?sig=***'"),
        ("https://ada:x1@host/path", "https://***@host/path"),
        ("postgresql://ada:x1@host:5432/db", "postgresql://***@host:5432/db"),
    ],
)
def test_what_looks_like_a_password_is_hidden(text: str, told: str) -> None:
    assert Redactor().redact(text) == told


@pytest.mark.parametrize(
    "text",
    ["http://host:8080/path", "2026-11-23T10:58:24Z", "design = x", "the password was refused"],
)
def test_what_does_not_look_like_a_password_stays(text: str) -> None:
    assert Redactor().redact(text) == text


@pytest.fixture
def eager_threads() -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("eager_threads")
def test_threads_lose_no_secret() -> None:
    redactor, gate = Redactor(), threading.Barrier(8)

    def work(number: int) -> None:
        gate.wait(30)
        for one in range(50):
            redactor.add(f"secret-{number}-{one}!")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    text = " ".join(f"secret-{number}-{one}!" for number in range(8) for one in range(50))
    assert set(redactor.redact(text).split()) == {HIDDEN}
