"""Moments, always with their zone, and durations: their texts in logs and for people."""

from __future__ import annotations

from datetime import datetime, timezone

_MINUTE = 60


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(timezone.utc)


def utc_text(moment: datetime | None) -> str | None:
    """``moment`` in UTC as ISO 8601 with milliseconds and ``Z``; None stays None."""
    if moment is None:
        return None
    text = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def duration_text(seconds: float | None) -> str:
    """``seconds`` as ``0.4 s``, ``4 min 05 s`` or ``1 h 02 min``; a dash for None."""
    if seconds is None:
        return "-"
    if round(seconds, 1) < _MINUTE:
        return f"{max(seconds, 0):.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    if minutes < _MINUTE:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / _MINUTE), _MINUTE)
    return f"{hours:,} h {minutes:02d} min"
