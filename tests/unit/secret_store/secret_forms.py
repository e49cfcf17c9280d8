"""The forms that a secret takes in texts, for tests that look for it."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote, quote_plus

CANARY = "C4n@ry \\ \"é&<x>'+/=%;#~tail-of-it"


def forms(secret: str) -> set[str]:
    """The secret as texts, URLs, JSON, XML, Python and base64 write it, whole."""
    raw = secret.encode()
    return {
        secret,
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        html.escape(secret, quote=False),
        repr(secret)[1:-1],
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode(),
    }


def traces(secret: str) -> set[str]:
    """What no output may have: any form, and what a cut or an encoding with others leaves."""
    inside = {base64.b64encode(bytes(n) + secret.encode()).decode()[4:-4] for n in range(3)}
    return {
        *forms(secret),
        secret[:6],
        secret[-10:],
        *inside,
        *(one.replace("+", "-").replace("/", "_") for one in inside),
    }


def found_in(text: str, secrets: set[str]) -> list[str]:
    return [trace for secret in secrets for trace in traces(secret) if trace in text]
