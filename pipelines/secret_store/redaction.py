"""Takes secrets out of text, in every form that they commonly take there."""

from __future__ import annotations

import base64
import json
import re
import threading
from urllib.parse import quote, quote_plus

HIDDEN = "***"
MIN_LENGTH = 4
MIN_LENGTH_INSIDE = 8
_URL_SAFE = str.maketrans("+/", "-_")
_PATTERNS = (
    re.compile(r"(?i)\b(password|passwd|pwd|token|sig|secret|api_?key)(\s*[=:]\s*)[^\s;&,'\"}]+"),
    re.compile(r"(?<=://)([^/@\s:]+):([^/@\s]+)(?=@)"),
)


class _Forms:
    """Texts to hide, the longest first; safe for threads."""

    def __init__(self) -> None:
        self._texts: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def add(self, texts: set[str]) -> None:
        with self._lock:
            self._texts = tuple(sorted({*self._texts, *texts}, key=len, reverse=True))

    def hide(self, text: str) -> str:
        for one in self._texts:
            text = text.replace(one, HIDDEN)
        return text


_LOOKED_UP = _Forms()


def hidden(text: str) -> str:
    """``text`` without any secret that this process has looked up so far, by whatever redactor.

    For what leaves the process: an error may come along ways where nobody knows the secrets.
    """
    return _LOOKED_UP.hide(text)


class Redactor:
    """Knows the secrets that were looked up so far; safe for threads.

    A secret shorter than four characters is not searched for, since it would blot out half of
    any text; it is still hidden where it stands after `password=` and the like.
    """

    def __init__(self) -> None:
        self._forms = _Forms()

    def add(self, value: str) -> None:
        """From now on hides ``value``, also as URLs, JSON, XML, Python and base64 write it."""
        import html  # takes its time, and what needs no secret needs none of it

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
            html.escape(value),
            html.escape(value, quote=False),
            repr(value)[1:-1],
            *_in_base64(raw),
        }
        self._forms.add(forms)
        _LOOKED_UP.add(forms)

    def redact(self, text: str) -> str:
        """``text`` without any secret known so far, nor what looks like a password."""
        text = _PATTERNS[0].sub(rf"\1\2{HIDDEN}", self._forms.hide(text))
        return _PATTERNS[1].sub(HIDDEN, text)


def _in_base64(raw: bytes) -> set[str]:
    """``raw`` as base64 writes it, with either alphabet, alone or after a user's name.

    Three bytes make four characters, so what stands before decides at which of three places in
    such a group ``raw`` begins. The characters that its neighbours have a part in are left out.
    """
    forms = {base64.b64encode(raw)}
    if len(raw) >= MIN_LENGTH_INSIDE:
        for before in range(3):
            whole = base64.b64encode(bytes(before) + raw)
            forms.add(whole[-(-before * 8 // 6) : (before + len(raw)) * 8 // 6])
    return {text for form in forms for text in (form.decode(), form.decode().translate(_URL_SAFE))}
