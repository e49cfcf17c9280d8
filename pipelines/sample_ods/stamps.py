"""When, and with which ChangeVersion, a row came or changed; and numbers drawn from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar
from uuid import UUID

if TYPE_CHECKING:
    from random import Random

FIRST_DAY: Final = date(2026, 8, 31)
"""The day on which the sample ODS is made; each day of changes is one day later."""

_Item = TypeVar("_Item")


class Stamp(NamedTuple):
    """What the ODS itself keeps on every aggregate root.

    Attributes:
        id: UUID of the resource.
        created: ``CreateDate``.
        modified: ``LastModifiedDate``.
        version: ``ChangeVersion``.
    """

    id: str
    created: datetime
    modified: datetime
    version: int


class Stamper:
    """Gives rows their stamps, with a rising version.

    Attributes:
        moment: time of the stamps to come.
        next_version: version of the next one.
    """

    def __init__(self, moment: datetime, next_version: int) -> None:
        self.moment = moment
        self.next_version = next_version

    def version(self) -> int:
        """The next version of the sequence."""
        self.next_version += 1
        return self.next_version - 1

    def new(self, rng: Random) -> Stamp:
        """The stamp of a new row."""
        return Stamp(random_uuid(rng), self.moment, self.moment, self.version())

    def touch(self, stamp: Stamp) -> Stamp:
        """The stamp of the same row after a change."""
        return stamp._replace(modified=self.moment, version=self.version())


def random_uuid(rng: Random) -> str:
    """A version 4 UUID in lower case."""
    return str(UUID(int=rng.getrandbits(128), version=4))


def pick(rng: Random, items: Sequence[_Item]) -> _Item:
    """One of the items.

    Only ``Random.random`` and ``getrandbits`` are used in this package: of the generator's methods
    these are the ones that give the same numbers on every Python version.
    """
    return items[int(rng.random() * len(items))]


def between(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))
