"""Code lists of the sample ODS: official namespaces and code values, ids of its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

_FIRST_ID: Final = 301

_CODE_VALUES: Mapping[str, str] = {
    "AddressType": "Billing|Home|Mailing|Other|Physical|Temporary|Work",
    "AdministrativeFundingControl": "Other|Private School|Public School",
    "CharterStatus": "College/University Charter|Not a Charter School|Open Enrollment"
    "|School Charter",
    "ElectronicMailType": "Home/Personal|Organization|Other|Work",
    "EntryType": "Transfer|New to education system|Next year school|Other|Re-entry",
    "ExitWithdrawType": "Completed|Dropout|End of school year|Expelled|Graduated"
    "|Invalid enrollment|No show|Other|Transferred|Withdrawn",
    "GradeLevel": "Kindergarten|First grade|Second grade|Third grade|Fourth grade|Fifth grade"
    "|Sixth grade|Seventh grade|Eighth grade|Ninth grade|Tenth grade|Eleventh grade"
    "|Twelfth grade|Prekindergarten|Ungraded",
    "Language": "ara|chi|eng|fre|ger|hin|hmn|jpn|kor|pol|por|rus|som|spa|tgl|ukr|urd|vie",
    "LimitedEnglishProficiency": "Limited|Limited Monitored 1|Limited Monitored 2|NotLimited",
    "LocalEducationAgencyCategory": "Charter|Independent",
    "OperationalStatus": "Active|Closed|Inactive|New|Reopened",
    "Race": "American Indian or Alaska Native|Asian|Black or African American"
    "|Choose Not to Respond|Native Hawaiian or Pacific Islander|Other|White",
    "SchoolCategory": "Elementary School|Middle School|High School",
    "SchoolType": "Alternative|Career and Technical Education|Regular|Special Education",
    "Sex": "Female|Male|Non-binary|Not Selected",
    "StateAbbreviation": "LA|NM|OK|TX",
    "TitleIPartASchoolDesignation": "Not A Title I School|Title I Schoolwide School",
}
_LANGUAGES = dict(
    pair.split(":")
    for pair in str.split(
        "ara:Arabic chi:Chinese eng:English fre:French ger:German hin:Hindi hmn:Hmong "
        "jpn:Japanese kor:Korean pol:Polish por:Portuguese rus:Russian som:Somali spa:Spanish "
        "tgl:Tagalog ukr:Ukrainian urd:Urdu vie:Vietnamese"
    )
)

GRADES: Final = tuple(_CODE_VALUES["GradeLevel"].split("|")[:13])
"""Code values of the grades from kindergarten on, in their order."""


def _pairs() -> Iterator[tuple[str, str]]:
    for kind, values in _CODE_VALUES.items():
        for value in values.split("|"):
            yield kind, value


_IDS: Mapping[tuple[str, str], int] = {
    pair: number for number, pair in enumerate(_pairs(), _FIRST_ID)
}


def descriptor_id(kind: str, code_value: str) -> int:
    """The id, in this ODS only, of a code value.

    Args:
        kind: name of the code list without ``Descriptor``, such as ``GradeLevel``.
        code_value: official code value.
    """
    return _IDS[kind, code_value]


def descriptor_ids(kind: str) -> tuple[int, ...]:
    """The ids of a whole code list, in its order."""
    return tuple(number for (listed, _), number in _IDS.items() if listed == kind)


def descriptor_rows() -> Iterator[tuple[int, str, str, str, str, str, str]]:
    """Id, namespace, code value, short description, description, discriminator and URI of each."""
    for (kind, value), number in _IDS.items():
        namespace = f"uri://ed-fi.org/{kind}Descriptor"
        words = _LANGUAGES[value] if kind == "Language" else value
        yield (
            number,
            namespace,
            value,
            words,
            words,
            f"edfi.{kind}Descriptor",
            (f"{namespace}#{value}"),
        )
