"""One synthetic student, made from the seed and the StudentUSI alone.

Dirty on purpose: 1.5 % of the names (blanks around, ALL CAPS), 0.5 % of the unique
ids (a blank in front), and 0.5 % of the persons are entered twice, under two StudentUSI that follow
each other and with unique ids that differ by a blank in front. Besides, 6 % have demographics of
their school next to those of the district, and 0.5 % have no enrollment.
"""

from __future__ import annotations

from datetime import date, timedelta
from random import Random
from typing import Final

from pipelines.sample_ods import names
from pipelines.sample_ods.demographics import make_demographics
from pipelines.sample_ods.enrollments import (
    NEW,
    THIS_YEAR,
    SchoolsByGrade,
    enroll,
    make_enrollments,
)
from pipelines.sample_ods.organizations import CREATED, DISTRICT_ID
from pipelines.sample_ods.stamps import Stamper, between, pick
from pipelines.sample_ods.student import FEMALE, GRADE_IDS, MALE, NON_BINARY, Student

VERSIONS_PER_STUDENT: Final = 16
"""Student, two demographics and twelve enrollments, and one to spare."""

_NAME_NOISE_SHARE = 0.015
_ID_NOISE_SHARE = 0.005
_TWICE_SHARE = 0.005
_OWN_SCHOOL_SHARE = 0.06
_NOT_ENROLLED_SHARE = 0.005
_FEMALE_SHARE = 0.49
_BINARY_SHARE = 0.99
_MIDDLE_NAME_SHARE = 0.5
_NICKNAME_SHARE = 0.02
_SUFFIX_SHARE = 0.03
_BIRTH_CITY_SHARE = 0.6
_BIRTH_SEX_SHARE = 0.8
_LOUD_SHARE = 0.5
_AGE_IN_KINDERGARTEN = 5
_FIRST_UNIQUE_ID = 604_821
_FIRST_YEARS = (2021, 2022, 2022, 2023, 2023, 2024, 2024, 2024, 2025, 2025, 2025, *[2026] * 6)


def make_student(usi: int, seed: int, schools: SchoolsByGrade, first_version: int) -> Student:
    """The student as the sample ODS has them at first.

    Args:
        usi: StudentUSI, from 1.
        seed: seed of the ODS.
        schools: for each grade from kindergarten on the ids of its schools.
        first_version: ChangeVersion that the first row of the first student may have.
    """
    rng = Random(f"{seed}:{usi}")
    is_twice = _is_entered_twice(rng.random(), usi, seed)
    stamper = Stamper(CREATED, first_version + (usi - 1) * VERSIONS_PER_STUDENT)
    if is_twice:
        return _enter_again(rng, make_student(usi - 1, seed, schools, first_version), usi, stamper)
    first_year = pick(rng, _FIRST_YEARS)
    grade = between(rng, 0, len(GRADE_IDS) - 1)
    student, sex_id = _make_person(rng, usi, first_year - grade, stamper)
    associations = [make_demographics(rng, DISTRICT_ID, sex_id, stamper)]
    enrollments = make_enrollments(rng, first_year, grade, schools, stamper)
    if rng.random() < _OWN_SCHOOL_SHARE:
        own = make_demographics(rng, enrollments[-1].school_id, sex_id, stamper)
        associations.append(own._replace(addresses=(), mails=()))
    if rng.random() < _NOT_ENROLLED_SHARE:
        enrollments = ()
    return student._replace(associations=tuple(associations), enrollments=enrollments)


def make_newcomer(
    rng: Random, usi: int, day: date, schools: SchoolsByGrade, stamper: Stamper
) -> Student:
    """A student who enters the district on a day."""
    grade = between(rng, 0, len(GRADE_IDS) - 1)
    student, sex_id = _make_person(rng, usi, THIS_YEAR - grade, stamper)
    association = make_demographics(rng, DISTRICT_ID, sex_id, stamper)
    enrollment = enroll(rng, day, pick(rng, schools[grade]), grade, NEW, stamper)
    return student._replace(associations=(association,), enrollments=(enrollment,))


def _is_entered_twice(draw: float, usi: int, seed: int) -> bool:
    """Whether this is the person before once more, who then is nobody's copy themselves."""
    if draw >= _TWICE_SHARE or usi == 1:
        return False
    return not _is_entered_twice(Random(f"{seed}:{usi - 1}").random(), usi - 1, seed)


def _enter_again(rng: Random, other: Student, usi: int, stamper: Stamper) -> Student:
    """The same person in other spelling, with the last enrollment again, or a week earlier."""
    plain_id = other.unique_id.strip()
    student = other._replace(
        usi=usi,
        unique_id=f" {plain_id}" if other.unique_id == plain_id else plain_id,
        first_name=other.first_name.upper() if rng.random() < _LOUD_SHARE else other.first_name,
        stamp=stamper.new(rng),
    )
    sex_id = other.associations[0].sex_id or NON_BINARY
    enrollments = [
        last._replace(
            entry_date=last.entry_date - timedelta(days=7 * between(rng, 0, 1)),
            stamp=stamper.new(rng),
        )
        for last in other.enrollments[-1:]
    ]
    return student._replace(
        associations=(make_demographics(rng, DISTRICT_ID, sex_id, stamper),),
        enrollments=tuple(enrollments),
    )


def _make_person(
    rng: Random, usi: int, kindergarten_year: int, stamper: Stamper
) -> tuple[Student, int]:
    """Names and birth, and the id of the sex: five years old as kindergarten begins."""
    draw = rng.random()
    sex_id = FEMALE if draw < _FEMALE_SHARE else MALE if draw < _BINARY_SHARE else NON_BINARY
    first_names = names.FEMALE_NAMES if sex_id == FEMALE else names.MALE_NAMES
    first_name, last_name = pick(rng, first_names), pick(rng, names.LAST_NAMES)
    if rng.random() < _NAME_NOISE_SHARE:
        first_name, last_name = _spoiled(rng, first_name), _spoiled(rng, last_name)
    unique_id = str(_FIRST_UNIQUE_ID - 1 + usi)
    has_suffix = rng.random() < _SUFFIX_SHARE and sex_id == MALE
    has_nickname = rng.random() < _NICKNAME_SHARE
    first_birth_date = date(kindergarten_year - _AGE_IN_KINDERGARTEN - 1, 9, 1)
    student = Student(
        usi=usi,
        unique_id=f" {unique_id}" if rng.random() < _ID_NOISE_SHARE else unique_id,
        first_name=first_name,
        middle_name=pick(rng, first_names) if rng.random() < _MIDDLE_NAME_SHARE else None,
        last_name=last_name,
        suffix=pick(rng, names.SUFFIXES) if has_suffix else None,
        preferred_first_name=pick(rng, names.NICKNAMES) if has_nickname else None,
        preferred_last_name=None,
        birth_city=pick(rng, names.CITIES)[0] if rng.random() < _BIRTH_CITY_SHARE else None,
        birth_date=first_birth_date + timedelta(days=between(rng, 0, 364)),
        birth_sex_id=sex_id if rng.random() < _BIRTH_SEX_SHARE else None,
        stamp=stamper.new(rng),
    )
    return student, sex_id


def _spoiled(rng: Random, name: str) -> str:
    """The name as someone in a hurry types it."""
    return pick(rng, (f" {name}", f"{name} ", name.upper(), f" {name.upper()}  "))
