"""What the modes that keep history mean, in plain Python: the oracle of their property tests.

A history is a list of events of one key. Nothing here knows of SQL or tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

Payload = Mapping[str, object]


@dataclass(frozen=True)
class Told:
    """A source's word on one key: what it was from an instant on, or that it ended."""

    at: int
    payload: Payload
    ends: bool = False
    is_guess: bool = False
    """Whether all that is known of the columns that make no version is what they became later."""


@dataclass(frozen=True)
class Version:
    """A row of an SCD 2 table; it held in [begins, ends)."""

    begins: int
    ends: int | None
    payload: Payload
    last: int
    """Instant since which the payload was as it is."""


def replayed(
    told: Iterable[Told], tracked: Sequence[str], *, keeps_nulls: bool = True
) -> list[Version]:
    """The versions that a whole history of one key makes, its events in any order."""
    versions: list[Version] = []
    current: dict[str, object] | None = None
    is_guess = False
    for event in sorted(told, key=lambda one: one.at):
        was_guess, is_guess = is_guess, event.is_guess
        if event.ends:
            if current is not None:
                versions[-1] = replace(versions[-1], ends=event.at)
            current = None
            continue
        now = dict(event.payload)
        if not keeps_nulls and current is not None:
            now = {name: current[name] if now[name] is None else now[name] for name in now}
        if current is not None and all(now[name] == current[name] for name in tracked):
            if now != current or was_guess:
                versions[-1] = replace(versions[-1], payload=now, last=event.at)
        else:
            if current is not None:
                versions[-1] = replace(versions[-1], ends=event.at)
            versions.append(Version(event.at, None, now, event.at))
        current = now
    return versions


def spliced(
    versions: Sequence[Version],
    told: Iterable[Told],
    tracked: Sequence[str],
    *,
    keeps_nulls: bool = True,
) -> list[Version]:
    """The versions after a batch that may hold rows older than what is there.

    All that a table still knows of the past are its versions: where each began, was last told,
    and ended. At one instant the batch counts more than they do.
    """
    events: dict[int, Told] = {}
    for version in versions:
        if version.ends is not None:
            events[version.ends] = Told(version.ends, version.payload, ends=True)
    for version in versions:
        is_guess = version.last > version.begins
        events[version.begins] = Told(version.begins, version.payload, is_guess=is_guess)
        if is_guess:
            events[version.last] = Told(version.last, version.payload)
    events |= {event.at: event for event in told}
    made = replayed(events.values(), tracked, keeps_nulls=keeps_nulls)
    before = {version.begins: version for version in versions}
    return [_unless_same(before.get(version.begins), version) for version in made]


def _unless_same(before: Version | None, now: Version) -> Version:
    """What is written only where something but the instant of the last word differs."""
    if before and (before.ends, before.payload) == (now.ends, now.payload):
        return before
    return now


def satellite_after(
    rows: Mapping[int, Payload], told: Iterable[Told], tracked: Sequence[str]
) -> dict[int, Payload]:
    """The rows of a satellite after a batch, by instant."""
    new = {event.at: event.payload for event in told}

    def what(payload: Payload | None) -> list[object] | None:
        return [payload[name] for name in tracked] if payload is not None else None

    known = {**rows, **new}
    after = dict(rows)
    before: Payload | None = None
    for at in sorted(known):
        if at in new:
            same = rows.get(at, before)
            if what(new[at]) != what(same):
                after[at] = new[at]
        before = known[at]
    return after
