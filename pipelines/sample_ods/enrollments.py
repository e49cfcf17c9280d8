"""A synthetic student's enrollments: one a school year, with early exits and re-entries.

0.5 % of the ended ones end before they begin; 2 % have no school year.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final

from pipelines.sample_ods.descriptors import descriptor_id
from pipelines.sample_ods.stamps import Stamper, between, pick
from pipelines.sample_ods.student import GRADE_IDS, Enrollment

if TYPE_CHECKING:
    from random import Random

FIRST_SCHOOL_DAYS: Final = {
    2021: date(2021, 8, 23),
    2022: date(2022, 8, 22),
    2023: date(2023, 8, 21),
    2024: date(2024, 8, 19),
    2025: date(2025, 8, 18),
    2026: date(2026, 8, 17),
}
THIS_YEAR: Final = max(FIRST_SCHOOL_DAYS)
NEW: Final = descriptor_id("EntryType", "New to education system")
TRANSFER: Final = descriptor_id("EntryType", "Transfer")
RE_ENTRY: Final = descriptor_id("EntryType", "Re-entry")

_END_BEFORE_BEGIN_SHARE = 0.005
_NO_SCHOOL_YEAR_SHARE = 0.02
_LATE_SHARE = 0.05
_LEAVES_EARLY_SHARE = 0.04
_COMES_BACK_SHARE = 0.55
_NOT_PRIMARY_SHARE = 0.03
_JULY = 7
_NEXT_YEAR = descriptor_id("EntryType", "Next year school")
_END_OF_YEAR = descriptor_id("ExitWithdrawType", "End of school year")
_GRADUATED = descriptor_id("ExitWithdrawType", "Graduated")
_LEFT = tuple(descriptor_id("ExitWithdrawType", word) for word in ("Transferred", "Withdrawn"))

SchoolsByGrade = Sequence[Sequence[int]]


def make_enrollments(
    rng: Random, first_year: int, first_grade: int, schools: SchoolsByGrade, stamper: Stamper
) -> tuple[Enrollment, ...]:
    """All enrollments from a school year and grade on, until graduation or until the student left.

    Two at most are made for a school year, hence twelve in all.
    """
    made: list[Enrollment] = []
    neighborhood = rng.getrandbits(20)
    last_grade = len(GRADE_IDS) - 1
    for year in range(first_year, THIS_YEAR + 1):
        grade = first_grade + year - first_year
        if grade > last_grade:
            break
        offered = schools[grade]
        school_id = offered[neighborhood % len(offered)]
        entry_date = FIRST_SCHOOL_DAYS[year]
        if rng.random() < _LATE_SHARE:
            entry_date += timedelta(days=between(rng, 1, 14))
        first = enroll(rng, entry_date, school_id, grade, NEW, stamper)
        if made:
            first = first._replace(entry_type_id=_NEXT_YEAR)
        if year == THIS_YEAR:
            made.append(first)
            break
        if rng.random() >= _LEAVES_EARLY_SHARE:
            reason = _GRADUATED if grade == last_grade else _END_OF_YEAR
            made.append(_ended(rng, first, date(year + 1, 5, 27), reason))
            continue
        left = entry_date + timedelta(days=between(rng, 20, 150))
        made.append(_ended(rng, first, left, pick(rng, _LEFT)))
        if rng.random() >= _COMES_BACK_SHARE:
            break
        back = left + timedelta(days=between(rng, 10, 40))
        second = enroll(rng, back, pick(rng, offered), grade, RE_ENTRY, stamper)
        made.append(_ended(rng, second, date(year + 1, 5, 27), _END_OF_YEAR))
    return tuple(made)


def enroll(
    rng: Random, day: date, school_id: int, grade: int, entry_type_id: int, stamper: Stamper
) -> Enrollment:
    """An enrollment that begins on a day and goes on."""
    has_year = rng.random() >= _NO_SCHOOL_YEAR_SHARE
    return Enrollment(
        entry_date=day,
        school_id=school_id,
        grade=grade,
        entry_type_id=entry_type_id,
        exit_date=None,
        exit_type_id=None,
        is_primary=rng.random() >= _NOT_PRIMARY_SHARE,
        school_year=school_year_of(day) if has_year else None,
        stamp=stamper.new(rng),
    )


def school_year_of(day: date) -> int:
    """The school year of a day by the year in which it ends; July belongs to the next one."""
    return day.year + (day.month >= _JULY)


def reason_to_leave(rng: Random) -> int:
    """The id of a reason for which students leave during the year."""
    return pick(rng, _LEFT)


def _ended(rng: Random, enrollment: Enrollment, day: date, reason: int) -> Enrollment:
    """The enrollment with its end, which a few times is wrong."""
    if rng.random() < _END_BEFORE_BEGIN_SHARE:
        day = enrollment.entry_date - timedelta(days=between(rng, 1, 60))
    return enrollment._replace(exit_date=day, exit_type_id=reason)
