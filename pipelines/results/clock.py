"""Moments, always with their zone, and their text in the logs."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_now() -> datetime:
    """The time, with its zone."""
    return datetime.now(timezone.utc)


def utc_text(moment: datetime | None) -> str | None:
    """``moment`` in UTC as ISO 8601 with milliseconds and ``Z``; None stays None."""
    if moment is None:
        return None
    text = moment.astimezone(timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
