"""A synthetic Ed-Fi ODS: the same seed gives the same rows, and the same days of changes.

A student depends on the seed and the StudentUSI alone (see `students`, `demographics` and
`enrollments` for what is dirty, and how often), so that an ODS of any size is a handful of numbers
and the students that changes have touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import cached_property
from random import Random
from typing import TYPE_CHECKING, Final

from pipelines.sample_ods import events
from pipelines.sample_ods.changes import Change, difference, in_order
from pipelines.sample_ods.organizations import (
    Row,
    School,
    fixed_rows,
    make_schools,
    next_version_after_schools,
    school_rows,
    schools_by_grade,
)
from pipelines.sample_ods.rows import COLUMNS, student_rows
from pipelines.sample_ods.stamps import Stamper, pick
from pipelines.sample_ods.student import Student
from pipelines.sample_ods.students import VERSIONS_PER_STUDENT, make_newcomer, make_student

if TYPE_CHECKING:
    from pipelines.sample_ods.enrollments import SchoolsByGrade

GENERATOR_VERSION: Final = 1
"""Goes up with every change of what a seed gives: an older ODS then cannot be changed further."""

_MOST_TRIES = 20
_OPENS_AT = time(8, 0)
_NEW_STUDENT, _SCHOOL = "new student", "school"
_BAG: tuple[events.Event | str, ...] = (
    *(events.change_name,) * 9,
    *(events.change_demographics,) * 9,
    *(events.withdraw,) * 5,
    *(_NEW_STUDENT,) * 5,
    *(events.change_grade,) * 3,
    *(events.enroll_again,) * 3,
    *(events.transfer,) * 2,
    *(events.move_entry_date,) * 1,
    *(events.delete_enrollment,) * 2,
    *(events.delete_student,) * 2,
    *(_SCHOOL,) * 1,
)


@dataclass(frozen=True)
class Ods:
    """The state of a sample ODS.

    Attributes:
        students: how many it began with.
        seed: what they were made from.
        schools: its schools as they are.
        next_usi: StudentUSI of the next new student.
        first_student_version: ChangeVersion that the rows of the first student begin with.
        next_version: next ChangeVersion.
        touched: students that are not, or no longer, as they were made; None for deleted ones.
        tracked: rows of the tables in ``tracked_changes_edfi``.
    """

    students: int
    seed: int
    schools: tuple[School, ...]
    next_usi: int
    first_student_version: int
    next_version: int
    touched: Mapping[int, Student | None]
    tracked: tuple[tuple[str, Row], ...] = ()

    @cached_property
    def schools_by_grade(self) -> SchoolsByGrade:
        """For each grade from kindergarten on the ids of its schools."""
        return schools_by_grade(self.schools)

    def student(self, usi: int) -> Student | None:
        """A student as they are now; None if deleted."""
        if usi in self.touched:
            return self.touched[usi]
        return make_student(usi, self.seed, self.schools_by_grade, self.first_student_version)

    def rows(self) -> Iterator[tuple[str, Row]]:
        """All rows with their tables, one student after another; `rows.COLUMNS` names the values.

        Nothing is kept: a million students need no more memory than one.
        """
        yield from fixed_rows(self.seed)
        for school in self.schools:
            yield from school_rows(school)
        by_grade, first_version = self.schools_by_grade, self.first_student_version
        for usi in range(1, self.next_usi):
            if usi not in self.touched:
                yield from student_rows(make_student(usi, self.seed, by_grade, first_version))
            elif (student := self.touched[usi]) is not None:
                yield from student_rows(student)
        yield from self.tracked


@dataclass(frozen=True)
class Day:
    """What a day brought.

    Attributes:
        ods: the state at its end.
        changes: rows changed, in an order in which they can be applied.
    """

    ods: Ods
    changes: tuple[Change, ...]


def generate(students: int, seed: int) -> Ods:
    """The sample ODS before its first day of changes.

    Args:
        students: how many; persons who were entered twice count twice.
        seed: any whole number.
    """
    schools = make_schools(students, seed)
    first_version = next_version_after_schools(schools)
    return Ods(
        students=students,
        seed=seed,
        schools=schools,
        next_usi=students + 1,
        first_student_version=first_version,
        next_version=first_version + students * VERSIONS_PER_STUDENT,
        touched={},
    )


def apply_changes(ods: Ods, changes: int, day: date) -> Day:
    """The changes of a day: inserts, updates, deletes, withdrawals, re-enrollments.

    Nobody changes twice on one day; a school may, which then is one change of its rows.

    Args:
        ods: the state before.
        changes: how many things happen; most of them change several rows.
        day: the day on which they happen, later than all days before.
    """
    rng = Random(f"{ods.seed}:{day.isoformat()}")
    stamper = Stamper(datetime.combine(day, _OPENS_AT), ods.next_version)
    setting = events.Setting(rng, day, ods.schools_by_grade, stamper)
    today: dict[int, Student | None] = {}
    schools = list(ods.schools)
    next_usi = ods.next_usi
    for _ in range(changes):
        stamper.moment += timedelta(seconds=7, microseconds=123_457)
        what = pick(rng, _BAG)
        if what == _SCHOOL:
            place = int(rng.random() * len(schools))
            schools[place] = events.change_school(setting, schools[place])
        elif isinstance(what, str) or not _happens(what, setting, ods, today):
            today[next_usi] = make_newcomer(rng, next_usi, day, setting.schools, stamper)
            next_usi += 1
    found: list[Change] = []
    for usi, student in today.items():
        old = ods.student(usi) if usi < ods.next_usi else None
        found += difference(_rows_of(old), _rows_of(student), stamper)
    for school, changed in zip(ods.schools, schools, strict=True):
        found += difference(school_rows(school), school_rows(changed), stamper)
    ordered = in_order(found)
    after = replace(
        ods,
        schools=tuple(schools),
        next_usi=next_usi,
        next_version=stamper.next_version,
        touched={**ods.touched, **today},
        tracked=ods.tracked + tuple(_tracked_rows(ordered)),
    )
    return Day(after, ordered)


def _happens(
    event: events.Event, setting: events.Setting, ods: Ods, today: dict[int, Student | None]
) -> bool:
    """Whether someone was found to whom the event can happen; if so it has."""
    for _ in range(_MOST_TRIES):
        usi = 1 + int(setting.rng.random() * (ods.next_usi - 1))
        student = None if usi in today else ods.student(usi)
        outcome = event(setting, student) if student else None
        if outcome is not None:
            today[usi] = outcome if isinstance(outcome, Student) else None
            return True
    return False


def _rows_of(student: Student | None) -> Iterator[tuple[str, Row]]:
    return iter(()) if student is None else student_rows(student)


def _tracked_rows(changes: tuple[Change, ...]) -> Iterator[tuple[str, Row]]:
    for change in changes:
        if change.table.startswith("tracked_changes_edfi."):
            yield change.table, tuple(change.values[name] for name in COLUMNS[change.table])
