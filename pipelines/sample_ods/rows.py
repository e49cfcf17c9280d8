"""Students and schools as rows of the ODS: which tables and columns are filled, and with what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from pipelines.sample_ods.descriptors import descriptor_id
from pipelines.sample_ods.organizations import Row, root
from pipelines.sample_ods.student import GRADE_IDS, Association, Enrollment, Student
from pipelines.sample_ods.tables import TABLES

SEOA: Final = "edfi.StudentEducationOrganizationAssociation"

_TX = descriptor_id("StateAbbreviation", "TX")
_STAMP = "CreateDate LastModifiedDate Id ChangeVersion"
_ADDRESS = "AddressTypeDescriptorId City PostalCode StateAbbreviationDescriptorId StreetNumberName"
_FILLED = {
    "edfi.Descriptor": "DescriptorId Namespace CodeValue ShortDescription Description "
    f"Discriminator Uri {_STAMP}",
    "edfi.EducationOrganization": "EducationOrganizationId NameOfInstitution "
    f"OperationalStatusDescriptorId ShortNameOfInstitution WebSite Discriminator {_STAMP}",
    "edfi.EducationOrganizationAddress": "EducationOrganizationId "
    f"{_ADDRESS} NameOfCounty CreateDate",
    "edfi.LocalEducationAgency": "LocalEducationAgencyId EducationServiceCenterId "
    "LocalEducationAgencyCategoryDescriptorId",
    "edfi.School": "SchoolId AdministrativeFundingControlDescriptorId CharterStatusDescriptorId "
    "LocalEducationAgencyId SchoolTypeDescriptorId TitleIPartASchoolDesignationDescriptorId",
    "edfi.Student": "StudentUSI BirthCity BirthDate BirthSexDescriptorId FirstName "
    "GenerationCodeSuffix LastSurname MiddleName PreferredFirstName PreferredLastSurname "
    f"StudentUniqueId {_STAMP}",
    SEOA: "EducationOrganizationId StudentUSI HispanicLatinoEthnicity "
    f"LimitedEnglishProficiencyDescriptorId SexDescriptorId {_STAMP}",
    f"{SEOA}Address": f"EducationOrganizationId StudentUSI {_ADDRESS} CreateDate",
    f"{SEOA}ElectronicMail": "EducationOrganizationId StudentUSI ElectronicMailAddress "
    "ElectronicMailTypeDescriptorId CreateDate",
    "edfi.StudentSchoolAssociation": "EntryDate SchoolId StudentUSI EntryGradeLevelDescriptorId "
    f"EntryTypeDescriptorId ExitWithdrawDate ExitWithdrawTypeDescriptorId PrimarySchool SchoolYear "
    f"{_STAMP}",
}

COLUMNS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(_FILLED[name].split()) if name in _FILLED else table.column_names
    for name, table in TABLES.items()
}
"""The columns that rows of the sample ODS have, by table; the others are null."""


def student_rows(student: Student) -> Iterator[tuple[str, Row]]:
    """The rows of a student in all tables, each with the table's name, parents first."""
    yield (
        "edfi.Student",
        (
            *(student.usi, student.birth_city, student.birth_date, student.birth_sex_id),
            *(student.first_name, student.suffix, student.last_name, student.middle_name),
            *(student.preferred_first_name, student.preferred_last_name, student.unique_id),
            *root(student.stamp),
        ),
    )
    for association in student.associations:
        yield from _association_rows(student.usi, association)
    for enrollment in student.enrollments:
        yield "edfi.StudentSchoolAssociation", _enrollment_row(student.usi, enrollment)


def _association_rows(usi: int, association: Association) -> Iterator[tuple[str, Row]]:
    key = association.organization_id, usi
    yield (
        SEOA,
        (
            *(*key, association.is_hispanic, association.proficiency_id, association.sex_id),
            *root(association.stamp),
        ),
    )
    for race in association.races:
        yield f"{SEOA}Race", (*key, *race.values, race.created)
    for language in association.languages:
        yield f"{SEOA}Language", (*key, *language.values, language.created)
    for address in association.addresses:
        kind, city, postal_code, street = address.values
        yield f"{SEOA}Address", (*key, kind, city, postal_code, _TX, street, address.created)
    for mail in association.mails:
        yield f"{SEOA}ElectronicMail", (*key, *mail.values, mail.created)


def _enrollment_row(usi: int, enrollment: Enrollment) -> Row:
    return (
        *(enrollment.entry_date, enrollment.school_id, usi, GRADE_IDS[enrollment.grade]),
        *(enrollment.entry_type_id, enrollment.exit_date, enrollment.exit_type_id),
        *(enrollment.is_primary, enrollment.school_year),
        *root(enrollment.stamp),
    )
