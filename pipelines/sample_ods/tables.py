"""The tables of the Ed-Fi ODS 5.2 as data, and their DDL for Derby and PostgreSQL.

A column is written ``Name:kind``; ``!`` stands for NOT NULL. Kinds are ``int``, ``bigint``,
``smallint``, ``bool``, ``date``, ``timestamp``, ``uuid``, ``text(n)`` and ``decimal(p,s)``.
Identifiers are never quoted: Derby stores them in upper case, PostgreSQL in lower case.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

Engine = Literal["derby", "postgresql"]

_CHILD = " CreateDate:timestamp!"
_ROOT = " CreateDate:timestamp! LastModifiedDate:timestamp! Id:uuid! ChangeVersion:bigint!"
_ADDRESS = """
    AddressTypeDescriptorId:int! City:text(30)! PostalCode:text(17)!
    StateAbbreviationDescriptorId:int! StreetNumberName:text(150)!
    ApartmentRoomSuiteNumber:text(50) BuildingSiteNumber:text(20) CongressionalDistrict:text(30)
    CountyFIPSCode:text(5) DoNotPublishIndicator:bool Latitude:text(20) LocaleDescriptorId:int
    Longitude:text(20) NameOfCounty:text(30)"""
_ADDRESS_KEY = "AddressTypeDescriptorId City PostalCode StateAbbreviationDescriptorId"

_KINDS: Mapping[Engine, Mapping[str, str]] = {
    "derby": {"bool": "BOOLEAN", "uuid": "CHAR(36)", "text": "VARCHAR"},
    "postgresql": {"bool": "BOOLEAN", "uuid": "UUID", "text": "VARCHAR"},
}


class Column(NamedTuple):
    """A column.

    Attributes:
        name: official name.
        kind: type without regard to an engine, such as ``text(75)``.
        is_required: whether it is NOT NULL.
    """

    name: str
    kind: str
    is_required: bool


class Table(NamedTuple):
    """A table.

    Attributes:
        name: schema and official name, such as ``edfi.Student``.
        columns: in their official order.
        key: columns of the primary key.
        unique: columns of another unique constraint; empty if there is none.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    unique: tuple[str, ...] = ()

    @property
    def column_names(self) -> tuple[str, ...]:
        """Official names in their order."""
        return tuple(column.name for column in self.columns)

    @property
    def is_root(self) -> bool:
        """Whether it is an aggregate root, with an ``Id`` and a ``ChangeVersion`` of its own."""
        return self.name.startswith("edfi.") and "ChangeVersion" in self.column_names

    def ddl(self, engine: Engine) -> str:
        """The CREATE TABLE statement, without a semicolon."""
        lines = [
            f"{column.name} {_sql_type(column.kind, engine)}"
            + (" NOT NULL" if column.is_required else "")
            for column in self.columns
        ]
        lines.append(f"PRIMARY KEY ({', '.join(self.key)})")
        if self.unique:
            lines.append(f"UNIQUE ({', '.join(self.unique)})")
        return f"CREATE TABLE {self.name} (\n    " + ",\n    ".join(lines) + "\n)"


def ddl(engine: Engine) -> tuple[str, ...]:
    """The statements that make all schemas and tables, without semicolons.

    Args:
        engine: ``derby`` or ``postgresql``.
    """
    schemas = dict.fromkeys(name.split(".")[0] for name in TABLES)
    return (
        *(f"CREATE SCHEMA {schema}" for schema in schemas),
        *(table.ddl(engine) for table in TABLES.values()),
    )


def index_ddl(engine: Engine) -> tuple[str, ...]:
    """The statements that index each root's ChangeVersion, as the real ODS does.

    Apart from ``ddl``, since many rows load faster into a table without an index.

    Args:
        engine: ``derby`` or ``postgresql``, which puts an index in its table's schema.
    """
    roots = (table.name.split(".") for table in TABLES.values() if table.is_root)
    return tuple(
        f"CREATE INDEX {f'{schema}.' if engine == 'derby' else ''}UX_{name}_ChangeVersion "
        f"ON {schema}.{name} (ChangeVersion)"
        for schema, name in roots
    )


def _sql_type(kind: str, engine: Engine) -> str:
    word, size = re.fullmatch(r"(\w+)(\(.+\))?", kind, re.ASCII).groups("")  # type: ignore[union-attr]
    return _KINDS[engine].get(word, word.upper()) + size


def _table(name: str, columns: str, key: str, unique: str = "") -> Table:
    parts = (column.partition(":") for column in columns.split())
    return Table(
        name=name,
        columns=tuple(
            Column(left, right.rstrip("!"), right[-1] == "!") for left, _, right in parts
        ),
        key=tuple(key.split()),
        unique=tuple(unique.split()),
    )


def _tracked(name: str, keys: str) -> Table:
    """The table of an aggregate root's deletes and key changes."""
    columns = [
        *(f"Old{key}!" for key in keys.split()),
        *(f"New{key}" for key in keys.split()),
        "Id:uuid! ChangeVersion:bigint! Discriminator:text(128) CreateDate:timestamp!",
    ]
    return _table(f"tracked_changes_edfi.{name}", " ".join(columns), "ChangeVersion")


_SEOA = "StudentEducationOrganizationAssociation"
_SEOA_KEY = "EducationOrganizationId StudentUSI"
_SEOA_KEY_COLUMNS = "EducationOrganizationId:bigint! StudentUSI:int! "
_STUDENT_KEY_COLUMNS = "StudentUSI:int StudentUniqueId:text(32)"

_ALL = (
    _table(
        "edfi.Descriptor",
        """DescriptorId:int! Namespace:text(255)! CodeValue:text(50)! ShortDescription:text(75)!
        Description:text(1024) PriorDescriptorId:int EffectiveBeginDate:date
        EffectiveEndDate:date Discriminator:text(128) Uri:text(306)"""
        + _ROOT,
        "DescriptorId",
        "Namespace CodeValue",
    ),
    _table(
        "edfi.EducationOrganization",
        """EducationOrganizationId:bigint! NameOfInstitution:text(75)!
        OperationalStatusDescriptorId:int ShortNameOfInstitution:text(75) WebSite:text(255)
        Discriminator:text(128)"""
        + _ROOT,
        "EducationOrganizationId",
    ),
    _table(
        "edfi.EducationOrganizationAddress",
        "EducationOrganizationId:bigint!" + _ADDRESS + _CHILD,
        f"{_ADDRESS_KEY} StreetNumberName EducationOrganizationId",
    ),
    _table(
        "edfi.LocalEducationAgency",
        """LocalEducationAgencyId:bigint! CharterStatusDescriptorId:int
        EducationServiceCenterId:bigint LocalEducationAgencyCategoryDescriptorId:int!
        ParentLocalEducationAgencyId:bigint StateEducationAgencyId:bigint""",
        "LocalEducationAgencyId",
    ),
    _table(
        "edfi.School",
        """SchoolId:bigint! AdministrativeFundingControlDescriptorId:int
        CharterApprovalAgencyTypeDescriptorId:int CharterApprovalSchoolYear:smallint
        CharterStatusDescriptorId:int InternetAccessDescriptorId:int LocalEducationAgencyId:bigint
        MagnetSpecialProgramEmphasisSchoolDescriptorId:int SchoolTypeDescriptorId:int
        TitleIPartASchoolDesignationDescriptorId:int""",
        "SchoolId",
    ),
    _table(
        "edfi.SchoolCategory",
        "SchoolId:bigint! SchoolCategoryDescriptorId:int!" + _CHILD,
        "SchoolId SchoolCategoryDescriptorId",
    ),
    _table(
        "edfi.SchoolGradeLevel",
        "SchoolId:bigint! GradeLevelDescriptorId:int!" + _CHILD,
        "SchoolId GradeLevelDescriptorId",
    ),
    _table(
        "edfi.Student",
        """StudentUSI:int! BirthCity:text(30) BirthCountryDescriptorId:int BirthDate:date!
        BirthInternationalProvince:text(150) BirthSexDescriptorId:int
        BirthStateAbbreviationDescriptorId:int CitizenshipStatusDescriptorId:int DateEnteredUS:date
        FirstName:text(75)! GenerationCodeSuffix:text(10) LastSurname:text(75)! MaidenName:text(75)
        MiddleName:text(75) MultipleBirthStatus:bool PersonalTitlePrefix:text(30)
        PersonId:text(32) PreferredFirstName:text(75) PreferredLastSurname:text(75)
        SourceSystemDescriptorId:int StudentUniqueId:text(32)! Discriminator:text(128)"""
        + _ROOT,
        "StudentUSI",
        "StudentUniqueId",
    ),
    _table(
        f"edfi.{_SEOA}",
        _SEOA_KEY_COLUMNS
        + """BarrierToInternetAccessInResidenceDescriptorId:int GenderIdentity:text(60)
        HispanicLatinoEthnicity:bool InternetAccessInResidence:bool
        InternetAccessTypeInResidenceDescriptorId:int InternetPerformanceInResidenceDescriptorId:int
        LimitedEnglishProficiencyDescriptorId:int LoginId:text(120)
        PrimaryLearningDeviceAccessDescriptorId:int
        PrimaryLearningDeviceAwayFromSchoolDescriptorId:int
        PrimaryLearningDeviceProviderDescriptorId:int ProfileThumbnail:text(255)
        SexDescriptorId:int SupporterMilitaryConnectionDescriptorId:int Discriminator:text(128)"""
        + _ROOT,
        _SEOA_KEY,
    ),
    _table(
        f"edfi.{_SEOA}Race",
        _SEOA_KEY_COLUMNS + "RaceDescriptorId:int!" + _CHILD,
        f"{_SEOA_KEY} RaceDescriptorId",
    ),
    _table(
        f"edfi.{_SEOA}Language",
        _SEOA_KEY_COLUMNS + "LanguageDescriptorId:int!" + _CHILD,
        f"{_SEOA_KEY} LanguageDescriptorId",
    ),
    _table(
        f"edfi.{_SEOA}Address",
        _SEOA_KEY_COLUMNS + _ADDRESS + _CHILD,
        f"{_SEOA_KEY} {_ADDRESS_KEY} StreetNumberName",
    ),
    _table(
        f"edfi.{_SEOA}ElectronicMail",
        _SEOA_KEY_COLUMNS
        + """ElectronicMailAddress:text(128)! ElectronicMailTypeDescriptorId:int!
        DoNotPublishIndicator:bool PrimaryEmailAddressIndicator:bool"""
        + _CHILD,
        f"{_SEOA_KEY} ElectronicMailAddress ElectronicMailTypeDescriptorId",
    ),
    _table(
        "edfi.StudentSchoolAssociation",
        """EntryDate:date! SchoolId:bigint! StudentUSI:int! CalendarCode:text(120)
        ClassOfSchoolYear:smallint EducationOrganizationId:bigint EmployedWhileEnrolled:bool
        EnrollmentTypeDescriptorId:int EntryGradeLevelDescriptorId:int!
        EntryGradeLevelReasonDescriptorId:int EntryTypeDescriptorId:int ExitWithdrawDate:date
        ExitWithdrawTypeDescriptorId:int FullTimeEquivalency:decimal(5,4)
        GraduationPlanTypeDescriptorId:int GraduationSchoolYear:smallint
        NextYearGradeLevelDescriptorId:int NextYearSchoolId:bigint PrimarySchool:bool
        RepeatGradeIndicator:bool ResidencyStatusDescriptorId:int SchoolChoice:bool
        SchoolChoiceBasisDescriptorId:int SchoolChoiceTransfer:bool SchoolYear:smallint
        TermCompletionIndicator:bool Discriminator:text(128)"""
        + _ROOT,
        "EntryDate SchoolId StudentUSI",
    ),
    _tracked("Descriptor", "DescriptorId:int Namespace:text(255) CodeValue:text(50)"),
    _tracked("EducationOrganization", "EducationOrganizationId:bigint"),
    _tracked("Student", _STUDENT_KEY_COLUMNS),
    _tracked(_SEOA, f"EducationOrganizationId:bigint {_STUDENT_KEY_COLUMNS}"),
    _tracked("StudentSchoolAssociation", f"EntryDate:date SchoolId:bigint {_STUDENT_KEY_COLUMNS}"),
)

TABLES: Mapping[str, Table] = {table.name: table for table in _ALL}
"""All tables by their names, parents before children."""
