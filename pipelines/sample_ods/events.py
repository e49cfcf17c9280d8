"""What may happen to a student or a school on a day.

An event takes a student and gives back the student afterwards, ``GONE`` for a deleted one, or
``None`` where it cannot happen to this one.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pipelines.sample_ods import names
from pipelines.sample_ods.demographics import (
    LANGUAGE_IDS,
    PROFICIENCY_IDS,
    RACE_IDS,
    home_address,
    mail_address,
)
from pipelines.sample_ods.descriptors import descriptor_ids
from pipelines.sample_ods.enrollments import (
    RE_ENTRY,
    TRANSFER,
    SchoolsByGrade,
    enroll,
    reason_to_leave,
    school_year_of,
)
from pipelines.sample_ods.stamps import Stamper, between, pick
from pipelines.sample_ods.student import GRADE_IDS, Association, Child, Enrollment, Student

if TYPE_CHECKING:
    from random import Random

    from pipelines.sample_ods.organizations import School

GONE: Final = "gone"
_LONGEST_NAME = 75
_CHARTER_IDS = descriptor_ids("CharterStatus")
_WEB_SITE = "http://www.pvisd.example.com/schools/"


class Setting(NamedTuple):
    """Where and when an event happens."""

    rng: Random
    day: date
    schools: SchoolsByGrade
    stamper: Stamper


Outcome = Student | Literal["gone"] | None
Event = Callable[[Setting, Student], Outcome]


def change_name(setting: Setting, student: Student) -> Outcome:
    """A new last name, a nickname, a middle name, or a name freed of blanks and capitals."""
    rng = setting.rng
    tidy = " ".join(student.last_name.split())
    first_name = student.first_name.strip()
    changed = pick(
        rng,
        (
            student._replace(last_name=pick(rng, names.LAST_NAMES)),
            student._replace(last_name=f"{tidy}-{pick(rng, names.LAST_NAMES)}"),
            student._replace(preferred_first_name=pick(rng, names.NICKNAMES)),
            student._replace(preferred_last_name=pick(rng, names.LAST_NAMES)),
            student._replace(middle_name=pick(rng, names.FEMALE_NAMES + names.MALE_NAMES)),
            student._replace(
                first_name=first_name.title() if first_name.isupper() else first_name,
                last_name=tidy,
            ),
        ),
    )
    if changed == student or len(changed.last_name) > _LONGEST_NAME:
        return None
    return changed._replace(stamp=setting.stamper.touch(student.stamp))


def change_demographics(setting: Setting, student: Student) -> Outcome:
    """Another race, language, proficiency, ethnicity, home or e-mail."""
    rng, created = setting.rng, setting.stamper.moment
    if not student.associations:
        return None
    old = pick(rng, student.associations)
    new = pick(
        rng,
        (
            old._replace(races=_toggled(old.races, pick(rng, RACE_IDS), created)),
            old._replace(languages=_toggled(old.languages, pick(rng, LANGUAGE_IDS), created)),
            old._replace(proficiency_id=pick(rng, PROFICIENCY_IDS)),
            old._replace(is_hispanic=not old.is_hispanic),
            old._replace(addresses=(Child(home_address(rng), created),)),
            old._replace(mails=(Child(mail_address(rng), created),)),
        ),
    )
    if new == old:
        return None
    new = new._replace(stamp=setting.stamper.touch(old.stamp))
    return student._replace(associations=_with(student.associations, old, new))


def change_grade(setting: Setting, student: Student) -> Outcome:
    """The grade of the last enrollment set right, one up or down."""
    if not student.enrollments:
        return None
    old = student.enrollments[-1]
    grade = old.grade + pick(setting.rng, (-1, 1))
    if not 0 <= grade < len(GRADE_IDS):
        return None
    return _with_enrollment(setting, student, old, old._replace(grade=grade))


def move_entry_date(setting: Setting, student: Student) -> Outcome:
    """The entry date of the last enrollment set right, which changes its key."""
    if not student.enrollments:
        return None
    old = student.enrollments[-1]
    new = old._replace(entry_date=old.entry_date - timedelta(days=between(setting.rng, 1, 5)))
    if _has_key(student, new.entry_date, new.school_id):
        return None
    return _with_enrollment(setting, student, old, new)


def withdraw(setting: Setting, student: Student) -> Outcome:
    """The last enrollment ends on this day."""
    if not student.enrollments or student.enrollments[-1].exit_date:
        return None
    old = student.enrollments[-1]
    new = old._replace(exit_date=setting.day, exit_type_id=reason_to_leave(setting.rng))
    return _with_enrollment(setting, student, old, new)


def enroll_again(setting: Setting, student: Student) -> Outcome:
    """A student who left comes back, perhaps to another school."""
    if not student.enrollments or student.enrollments[-1].exit_date is None:
        return None
    last = student.enrollments[-1]
    grade = last.grade + school_year_of(setting.day) - school_year_of(last.entry_date)
    if grade >= len(GRADE_IDS):
        return None
    return _with_new_enrollment(setting, student, grade, RE_ENTRY)


def transfer(setting: Setting, student: Student) -> Outcome:
    """A student changes schools: one enrollment ends, another begins."""
    left = withdraw(setting, student)
    if not isinstance(left, Student):
        return None
    return _with_new_enrollment(setting, left, left.enrollments[-1].grade, TRANSFER)


def delete_enrollment(setting: Setting, student: Student) -> Outcome:
    """An enrollment that never was."""
    if not student.enrollments:
        return None
    return student._replace(enrollments=student.enrollments[:-1])


def delete_student(_setting: Setting, _student: Student) -> Outcome:
    """A student with all that belongs to them."""
    return GONE


def change_school(setting: Setting, school: School) -> School:
    """A school's new name, address, web site, or kind."""
    rng = setting.rng
    name = f"{pick(rng, names.PLACES)} {pick(rng, names.FEATURES)} {school.level} School"
    street = f"{between(rng, 1, 9999)} {pick(rng, names.PLACES)} {pick(rng, names.STREET_KINDS)}"
    moment = setting.stamper.moment
    changed = pick(
        rng,
        (
            school._replace(name=name),
            school._replace(web_site=f"{_WEB_SITE}{between(rng, 1, 9999)}/"),
            school._replace(charter_id=pick(rng, _CHARTER_IDS)),
            school._replace(street=street, address_created=moment),
        ),
    )
    return changed._replace(stamp=setting.stamper.touch(school.stamp))


def _toggled(children: tuple[Child, ...], number: int, created: datetime) -> tuple[Child, ...]:
    """The children without the one of this id, or with it if it was not there."""
    others = tuple(child for child in children if child.values != (number,))
    return others if len(others) < len(children) else (*children, Child((number,), created))


def _with(
    associations: tuple[Association, ...], old: Association, new: Association
) -> tuple[Association, ...]:
    return tuple(new if each is old else each for each in associations)


def _with_enrollment(
    setting: Setting, student: Student, old: Enrollment, new: Enrollment
) -> Student:
    new = new._replace(stamp=setting.stamper.touch(old.stamp))
    return student._replace(
        enrollments=tuple(new if each is old else each for each in student.enrollments)
    )


def _with_new_enrollment(
    setting: Setting, student: Student, grade: int, entry_type_id: int
) -> Student | None:
    school_id = pick(setting.rng, setting.schools[grade])
    if _has_key(student, setting.day, school_id):
        return None
    new = enroll(setting.rng, setting.day, school_id, grade, entry_type_id, setting.stamper)
    return student._replace(enrollments=(*student.enrollments, new))


def _has_key(student: Student, entry_date: date, school_id: int) -> bool:
    return any((e.entry_date, e.school_id) == (entry_date, school_id) for e in student.enrollments)
