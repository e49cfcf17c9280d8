"""Takes secrets out of text, in every form that they commonly take there."""

from __future__ import annotations

import base64
import json
import re
import threading
from urllib.parse import quote, quote_plus

HIDDEN = "***"
MIN_LENGTH = 4
_PATTERNS = (
    re.compile(r"(?i)\b(password|passwd|pwd|token|sig|secret|api_?key)(\s*[=:]\s*)[^\s;&,'\"}]+"),
    re.compile(r"(?<=://)([^/@\s:]+):([^/@\s]+)(?=@)"),
)


class Redactor:
    """Knows the secrets that were looked up so far; safe for threads.

    A secret shorter than four characters is not searched for, since it would blot out half of
    any text; it is still hidden where it stands after `password=` and the like.
    """

    def __init__(self) -> None:
        self._forms: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, value: str) -> None:
        """From now on hides ``value``, also url-encoded, JSON-escaped and in base64."""
        if len(value) < MIN_LENGTH:
            return
        raw = value.encode(errors="surrogateescape")  # a byte of a file that is not UTF-8
        forms = {
            value,
            quote(raw, safe=""),
            quote(raw),
            quote_plus(raw),
            json.dumps(value)[1:-1],
            json.dumps(value, ensure_ascii=False)[1:-1],
            base64.b64encode(raw).decode(),
        }
        with self._lock:
            self._forms = tuple(sorted({*self._forms, *forms}, key=len, reverse=True))

    def redact(self, text: str) -> str:
        """``text`` without any secret known so far, nor what looks like a password."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        text = _PATTERNS[0].sub(rf"\1\2{HIDDEN}", text)
        return _PATTERNS[1].sub(HIDDEN, text)
