"""A synthetic student's demographics: sex, ethnicity, races, languages, address, e-mail.

1.2 % each of sex and ethnicity are null; 2 % have no race, 6 % more than one; 20 % have a language
row, a few of them two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pipelines.sample_ods import names
from pipelines.sample_ods.descriptors import descriptor_id, descriptor_ids
from pipelines.sample_ods.stamps import Stamper, between, pick
from pipelines.sample_ods.student import Association, Child

if TYPE_CHECKING:
    from random import Random

RACE_IDS: Final = descriptor_ids("Race")
LANGUAGE_IDS: Final = descriptor_ids("Language")
PROFICIENCY_IDS: Final = descriptor_ids("LimitedEnglishProficiency")

_NULL_SHARE = 0.012
_HISPANIC_SHARE = 0.28
_NO_RACE_SHARE = 0.02
_SEVERAL_RACES_SHARE = 0.06
_LANGUAGE_SHARE = 0.2
_SECOND_LANGUAGE_SHARE = 0.1
_PROFICIENCY_SHARE = 0.85
_SECOND_MAIL_SHARE = 0.2
_RACE_BAG = tuple(RACE_IDS[place] for place in (0, 1, 1, 2, 2, 2, 3, 4, 5, *[6] * 8))
_LANGUAGE_BAG = (*LANGUAGE_IDS, *[descriptor_id("Language", "spa")] * 20)
_NOT_LIMITED = descriptor_id("LimitedEnglishProficiency", "NotLimited")
_HOME = descriptor_id("AddressType", "Home")
_MAIL_KINDS = descriptor_ids("ElectronicMailType")
_MAIL_LETTERS = "abcdefghijkmnpqrstuvwxyz23456789"


def make_demographics(
    rng: Random, organization_id: int, sex_id: int, stamper: Stamper
) -> Association:
    """The demographics of a student as an organization has them, some of them missing."""
    created = stamper.moment
    races: dict[int, None] = {}
    draw = rng.random()
    if draw >= _NO_RACE_SHARE:
        races[pick(rng, _RACE_BAG)] = None
    if draw >= 1 - _SEVERAL_RACES_SHARE:
        races[pick(rng, RACE_IDS)] = None
    languages: dict[int, None] = {}
    draw = rng.random()
    if draw < _LANGUAGE_SHARE:
        languages[pick(rng, _LANGUAGE_BAG)] = None
    if draw < _LANGUAGE_SHARE * _SECOND_LANGUAGE_SHARE:
        languages[pick(rng, LANGUAGE_IDS)] = None
    proficiency_id = None
    if languages and rng.random() < _PROFICIENCY_SHARE:
        proficiency_id = pick(rng, PROFICIENCY_IDS)
    elif rng.random() < _PROFICIENCY_SHARE:
        proficiency_id = _NOT_LIMITED
    mail_count = 2 if rng.random() < _SECOND_MAIL_SHARE else 1
    return Association(
        organization_id=organization_id,
        is_hispanic=None if rng.random() < _NULL_SHARE else rng.random() < _HISPANIC_SHARE,
        proficiency_id=proficiency_id,
        sex_id=None if rng.random() < _NULL_SHARE else sex_id,
        stamp=stamper.new(rng),
        races=tuple(Child((number,), created) for number in races),
        languages=tuple(Child((number,), created) for number in languages),
        addresses=(Child(home_address(rng), created),),
        mails=tuple(Child(mail_address(rng), created) for _ in range(mail_count)),
    )


def mail_address(rng: Random) -> tuple[str, int]:
    """An address in the domain that stands for nobody, and its type."""
    number = rng.getrandbits(45)
    letters = (_MAIL_LETTERS[number >> shift & 31] for shift in range(0, 45, 5))
    return "".join(letters) + "@example.com", pick(rng, _MAIL_KINDS)


def home_address(rng: Random) -> tuple[int | str, ...]:
    """Type, city, postal code and street of a home."""
    city, postal_code = pick(rng, names.CITIES)
    street = f"{between(rng, 1, 999)} {pick(rng, names.PLACES)} {pick(rng, names.STREET_KINDS)}"
    return _HOME, city, postal_code, street
