"""What the sample ODS knows of a student, as values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pipelines.sample_ods.descriptors import GRADES, descriptor_id

if TYPE_CHECKING:
    from datetime import date, datetime

    from pipelines.sample_ods.stamps import Stamp

GRADE_IDS: Final = tuple(descriptor_id("GradeLevel", grade) for grade in GRADES)
FEMALE: Final = descriptor_id("Sex", "Female")
MALE: Final = descriptor_id("Sex", "Male")
NON_BINARY: Final = descriptor_id("Sex", "Non-binary")


class Child(NamedTuple):
    """A row of a child table: its values without the parent's key, and its CreateDate."""

    values: tuple[int | str, ...]
    created: datetime


class Association(NamedTuple):
    """Demographics of a student as one education organization has them."""

    organization_id: int
    is_hispanic: bool | None
    proficiency_id: int | None
    sex_id: int | None
    stamp: Stamp
    races: tuple[Child, ...]
    languages: tuple[Child, ...]
    addresses: tuple[Child, ...]
    mails: tuple[Child, ...]


class Enrollment(NamedTuple):
    """A student's time in a school; ``grade`` is 0 for kindergarten."""

    entry_date: date
    school_id: int
    grade: int
    entry_type_id: int
    exit_date: date | None
    exit_type_id: int | None
    is_primary: bool | None
    school_year: int | None
    stamp: Stamp


class Student(NamedTuple):
    """A person with demographics and enrollments."""

    usi: int
    unique_id: str
    first_name: str
    middle_name: str | None
    last_name: str
    suffix: str | None
    preferred_first_name: str | None
    preferred_last_name: str | None
    birth_city: str | None
    birth_date: date
    birth_sex_id: int | None
    stamp: Stamp
    associations: tuple[Association, ...] = ()
    enrollments: tuple[Enrollment, ...] = ()
