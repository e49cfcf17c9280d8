"""The district, its service center and its schools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, time
from random import Random
from typing import Any, Final, NamedTuple

from pipelines.sample_ods import names
from pipelines.sample_ods.descriptors import GRADES, descriptor_id, descriptor_rows
from pipelines.sample_ods.stamps import FIRST_DAY, Stamp, Stamper, between, pick

DISTRICT_ID: Final = 155901
SERVICE_CENTER_ID: Final = 155950
STUDENTS_PER_SCHOOL: Final = 500
CREATED: Final = datetime.combine(FIRST_DAY, time(6, 0, 0, 123457))

_FEWEST_SCHOOLS = 3
_FIRST_SCHOOL_ID = 155901001
_FIRST_VERSION = 1001
_LEVELS = ("Elementary", "Middle", "High", "Elementary", "High", "Elementary")
_GRADES_OF_LEVEL: Mapping[str, range] = {
    "Elementary": range(0, 6),
    "Middle": range(6, 9),
    "High": range(9, 13),
}
_NOISE_SHARE = 0.02
_CHARTER_SHARE = 0.1
_WEB_SITE_SHARE = 0.9
_WEB_SITE = "http://www.pvisd.example.com/"
_TX = descriptor_id("StateAbbreviation", "TX")

Row = tuple[Any, ...]


class School(NamedTuple):
    """A school with what stands on its education organization."""

    school_id: int
    level: str
    name: str
    short_name: str
    web_site: str | None
    status_id: int
    type_id: int
    charter_id: int
    street: str
    city: str
    postal_code: str
    address_created: datetime
    stamp: Stamp


def make_schools(students: int, seed: int) -> tuple[School, ...]:
    """The schools of a district: one per 500 students, but one of each level at least."""
    count = max(_FEWEST_SCHOOLS, round(students / STUDENTS_PER_SCHOOL))
    rng = Random(f"{seed}:schools")
    stamper = Stamper(CREATED, _first_free_version())
    return tuple(_make_school(rng, number, stamper) for number in range(count))


def next_version_after_schools(schools: tuple[School, ...]) -> int:
    """The first ChangeVersion that no code list and no organization has."""
    return schools[-1].stamp.version + 1


def schools_by_grade(schools: tuple[School, ...]) -> tuple[tuple[int, ...], ...]:
    """For each grade from kindergarten on the ids of the schools that have it."""
    return tuple(
        tuple(s.school_id for s in schools if grade in _GRADES_OF_LEVEL[s.level])
        for grade in range(len(GRADES))
    )


def school_rows(school: School) -> Iterator[tuple[str, Row]]:
    """The rows of a school in all its tables, each with the table's name."""
    created = school.stamp.created
    yield (
        "edfi.EducationOrganization",
        (
            *(school.school_id, school.name, school.status_id, school.short_name),
            *(school.web_site, "edfi.School"),
            *root(school.stamp),
        ),
    )
    for kind, street in (("Physical", school.street), ("Mailing", f"P.O. Box {school.school_id}")):
        yield (
            "edfi.EducationOrganizationAddress",
            (
                *(school.school_id, descriptor_id("AddressType", kind), school.city),
                *(school.postal_code, _TX, street, "Williston", school.address_created),
            ),
        )
    yield (
        "edfi.School",
        (
            *(school.school_id, descriptor_id("AdministrativeFundingControl", "Public School")),
            *(school.charter_id, DISTRICT_ID, school.type_id),
            descriptor_id("TitleIPartASchoolDesignation", "Not A Title I School"),
        ),
    )
    category = descriptor_id("SchoolCategory", f"{school.level} School")
    yield "edfi.SchoolCategory", (school.school_id, category, created)
    for grade in _GRADES_OF_LEVEL[school.level]:
        grade_id = descriptor_id("GradeLevel", GRADES[grade])
        yield "edfi.SchoolGradeLevel", (school.school_id, grade_id, created)


def fixed_rows(seed: int) -> Iterator[tuple[str, Row]]:
    """The rows that no change touches: code lists, district, service center."""
    rng = Random(f"{seed}:fixed")
    stamper = Stamper(CREATED, _FIRST_VERSION)
    for words in descriptor_rows():
        yield "edfi.Descriptor", (*words, *root(stamper.new(rng)))
    active = descriptor_id("OperationalStatus", "Active")
    for number, name, short_name, web_site, kind in (
        (SERVICE_CENTER_ID, "Region 98 Service Center", None, None, "EducationServiceCenter"),
        (DISTRICT_ID, "Pecan Valley ISD", "PVISD", _WEB_SITE, "LocalEducationAgency"),
    ):
        words_of_one = (number, name, active, short_name, web_site, f"edfi.{kind}")
        yield "edfi.EducationOrganization", (*words_of_one, *root(stamper.new(rng)))
    independent = descriptor_id("LocalEducationAgencyCategory", "Independent")
    yield "edfi.LocalEducationAgency", (DISTRICT_ID, SERVICE_CENTER_ID, independent)


def root(stamp: Stamp) -> tuple[datetime, datetime, str, int]:
    """CreateDate, LastModifiedDate, Id and ChangeVersion, in the order of the tables."""
    return stamp.created, stamp.modified, stamp.id, stamp.version


def _first_free_version() -> int:
    return _FIRST_VERSION + sum(1 for _ in descriptor_rows()) + 2


def _make_school(rng: Random, number: int, stamper: Stamper) -> School:
    level = _LEVELS[number % len(_LEVELS)]
    place = names.PLACES[number % len(names.PLACES)]
    feature = names.FEATURES[(number * 7 + number // 1000) % len(names.FEATURES)]
    name = f"{place} {feature} {level} School"
    short_name = f"{place[0]}{feature[0]}{level[0]}S"
    city, postal_code = pick(rng, names.CITIES)
    is_charter = rng.random() < _CHARTER_SHARE
    has_web_site = rng.random() < _WEB_SITE_SHARE
    is_noisy = rng.random() < _NOISE_SHARE
    return School(
        school_id=_FIRST_SCHOOL_ID + number,
        level=level,
        name=f"{name.upper()} " if is_noisy else name,
        short_name=short_name,
        web_site=f"{_WEB_SITE}{number + 1}/" if has_web_site else None,
        status_id=descriptor_id("OperationalStatus", "Active"),
        type_id=descriptor_id("SchoolType", "Regular"),
        charter_id=descriptor_id(
            "CharterStatus", "Open Enrollment" if is_charter else "Not a Charter School"
        ),
        street=f"{between(rng, 1, 9999)} {pick(rng, names.PLACES)} {pick(rng, names.STREET_KINDS)}",
        city=city,
        postal_code=postal_code,
        address_created=stamper.moment,
        stamp=stamper.new(rng),
    )
