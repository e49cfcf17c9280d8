from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.sample_ods.csv_files import write_csv_files
from pipelines.sample_ods.descriptors import descriptor_id
from pipelines.sample_ods.generator import Ods, apply_changes, generate
from pipelines.sample_ods.rows import COLUMNS, SEOA
from pipelines.sample_ods.stamps import FIRST_DAY
from pipelines.sample_ods.tables import TABLES

if TYPE_CHECKING:
    from pipelines.sample_ods.changes import Change

Tables = dict[str, dict[tuple[Any, ...], dict[str, Any]]]
ENROLLMENT = "edfi.StudentSchoolAssociation"
CSV_OF_FIFTY_STUDENTS = "dd48605950bb6184011dbe51efd6512964a8c6b64b8ac51782c5b1810c56d679"


def load(rows: Iterable[tuple[str, tuple[Any, ...]]]) -> Tables:
    """The rows as a database would hold them: a key that comes twice is an error."""
    tables: Tables = {name: {} for name in TABLES}
    for name, row in rows:
        insert(tables, name, dict(zip(COLUMNS[name], row, strict=True)))
    return tables


def insert(tables: Tables, name: str, row: dict[str, Any]) -> None:
    key = tuple(row[column] for column in TABLES[name].key)
    assert key not in tables[name], f"{name} has {key} already"
    assert all(
        row.get(column.name) is not None for column in TABLES[name].columns if column.is_required
    )
    tables[name][key] = row


def execute(tables: Tables, changes: Iterable[Change]) -> None:
    """Applies changes one by one, as a database does."""
    for change in changes:
        if change.kind == "insert":
            insert(tables, change.table, dict(change.values))
            continue
        key = tuple(change.key[column] for column in TABLES[change.table].key)
        row = tables[change.table].pop(key)
        if change.kind == "update":
            insert(tables, change.table, row | change.values)


def days(ods: Ods, changes: int, count: int) -> Iterable[tuple[Ods, tuple[Change, ...], date]]:
    for number in range(1, count + 1):
        day = FIRST_DAY + timedelta(days=number)
        made = apply_changes(ods, changes, day)
        ods = made.ods
        yield ods, made.changes, day


def check_integrity(tables: Tables) -> None:
    students = {key[0] for key in tables["edfi.Student"]}
    schools = {key[0] for key in tables["edfi.School"]}
    organizations = {key[0] for key in tables["edfi.EducationOrganization"]}
    descriptors = {key[0] for key in tables["edfi.Descriptor"]}
    for name, rows in tables.items():
        if not name.startswith("edfi."):
            continue
        unique = Counter(tuple(row[c] for c in TABLES[name].unique) for row in rows.values())
        assert not TABLES[name].unique or set(unique.values()) <= {1}
        for row in rows.values():
            assert row.get("StudentUSI", next(iter(students))) in students
            assert row.get("SchoolId", next(iter(schools))) in schools
            assert row.get("EducationOrganizationId", 155901) in organizations
            assert {
                value
                for column, value in row.items()
                if column.endswith("DescriptorId") and value is not None
            } <= descriptors
    associations = set(tables[SEOA])
    for child in ("Race", "Language", "Address", "ElectronicMail"):
        for row in tables[f"{SEOA}{child}"].values():
            assert (row["EducationOrganizationId"], row["StudentUSI"]) in associations
    assert schools <= organizations


def versions(tables: Tables) -> list[int]:
    return [
        row["ChangeVersion"]
        for rows in tables.values()
        for row in rows.values()
        if "ChangeVersion" in row
    ]


def share(part: int, whole: int) -> float:
    return part / whole


@pytest.fixture(scope="module")
def twenty_thousand() -> Tables:
    return load(generate(20_000, 7).rows())


def test_rows_when_seed_is_the_same_then_so_are_the_bytes(tmp_path: Path) -> None:
    digest = hashlib.sha256()
    ods = generate(50, 42)
    for made, _, _ in days(ods, 20, 3):
        ods = made
    write_csv_files(ods.rows(), tmp_path)
    for file in sorted(tmp_path.iterdir()):
        digest.update(file.name.encode() + file.read_bytes())

    assert digest.hexdigest() == CSV_OF_FIFTY_STUDENTS


def test_rows_when_hashes_are_salted_anew_then_the_same() -> None:
    code = (
        "from pipelines.sample_ods.generator import generate; import zlib;"
        "print(zlib.crc32(repr(list(generate(200, 1).rows())).encode()))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": salt},
        ).stdout
        for salt in ("1", "2")
    }

    assert len(printed) == 1


def test_rows_when_seed_differs_then_students_differ() -> None:
    first, second = (load(generate(50, seed).rows())["edfi.Student"] for seed in (1, 2))

    assert all(first[key]["Id"] != second[key]["Id"] for key in first)


@pytest.mark.parametrize(("students", "schools"), [(1, 3), (1_500, 3), (2_000, 4), (10_000, 20)])
def test_generate_when_asked_for_students_then_has_them_and_a_school_per_500(
    students: int, schools: int
) -> None:
    tables = load(generate(students, 3).rows())

    assert len(tables["edfi.Student"]) == students
    assert len(tables["edfi.School"]) == schools
    assert len(tables["edfi.LocalEducationAgency"]) == 1
    grades = {row["GradeLevelDescriptorId"] for row in tables["edfi.SchoolGradeLevel"].values()}
    assert len(grades) == 13


def test_rows_when_many_then_are_whole(twenty_thousand: Tables) -> None:
    check_integrity(twenty_thousand)
    numbers = versions(twenty_thousand)
    assert len(numbers) == len(set(numbers))


def test_students_when_many_then_about_as_dirty_as_documented(twenty_thousand: Tables) -> None:
    students = list(twenty_thousand["edfi.Student"].values())
    noisy = [
        row
        for row in students
        if any(
            name != name.strip() or (name.isupper() and name.isascii() and len(name) > 1)
            for name in (row["FirstName"], row["LastSurname"])
        )
    ]
    ids = Counter(row["StudentUniqueId"].strip() for row in students)
    twice = [number for number, count in ids.items() if count == 2]

    assert 0.01 < share(len(noisy), len(students)) < 0.025
    assert set(ids.values()) == {1, 2}
    assert 0.003 < share(len(twice), len(students)) < 0.008
    assert (
        0.003
        < share(sum(row["StudentUniqueId"].startswith(" ") for row in students), len(students))
        < 0.015
    )
    assert any(not row["FirstName"].isascii() for row in students)
    assert any("'" in row["LastSurname"] for row in students)


def test_students_when_entered_twice_then_neighbors_with_one_birth_date(
    twenty_thousand: Tables,
) -> None:
    people = defaultdict(list)
    for row in twenty_thousand["edfi.Student"].values():
        people[row["StudentUniqueId"].strip()].append(row)

    for first, second in (rows for rows in people.values() if len(rows) == 2):
        assert second["StudentUSI"] == first["StudentUSI"] + 1
        assert first["BirthDate"] == second["BirthDate"]
        assert first["Id"] != second["Id"]


def test_enrollments_when_many_then_about_as_dirty_as_documented(twenty_thousand: Tables) -> None:
    rows = list(twenty_thousand[ENROLLMENT].values())
    ended = [row for row in rows if row["ExitWithdrawDate"]]
    wrong = [row for row in ended if row["ExitWithdrawDate"] < row["EntryDate"]]
    without_year = [row for row in rows if row["SchoolYear"] is None]
    years = {row["EntryDate"].year for row in rows}

    assert years == {2021, 2022, 2023, 2024, 2025, 2026}
    assert max(row["EntryDate"] for row in rows) <= FIRST_DAY
    assert 0.003 < share(len(wrong), len(ended)) < 0.008
    assert 0.015 < share(len(without_year), len(rows)) < 0.025
    again = descriptor_id("EntryType", "Re-entry")
    assert 0.005 < share(sum(r["EntryTypeDescriptorId"] == again for r in rows), len(rows)) < 0.03


def test_demographics_when_many_then_about_as_dirty_as_documented(twenty_thousand: Tables) -> None:
    rows = list(twenty_thousand[SEOA].values())
    of_student = Counter(row["StudentUSI"] for row in rows)
    races = Counter(key[:2] for key in twenty_thousand[f"{SEOA}Race"])

    for column in ("SexDescriptorId", "HispanicLatinoEthnicity"):
        assert 0.008 < share(sum(row[column] is None for row in rows), len(rows)) < 0.016
    assert set(of_student.values()) == {1, 2}
    assert 0.05 < share(sum(c == 2 for c in of_student.values()), len(of_student)) < 0.07
    assert 0.01 < share(len(rows) - len(races), len(rows)) < 0.03
    assert 0.03 < share(sum(c == 2 for c in races.values()), len(rows)) < 0.07
    assert all(
        row["ElectronicMailAddress"].endswith("@example.com")
        for row in twenty_thousand[f"{SEOA}ElectronicMail"].values()
    )


def test_birth_dates_when_enrolled_then_fit_the_grade(twenty_thousand: Tables) -> None:
    kindergarten = descriptor_id("GradeLevel", "Kindergarten")
    born = {row["StudentUSI"]: row["BirthDate"] for row in twenty_thousand["edfi.Student"].values()}

    for row in twenty_thousand[ENROLLMENT].values():
        grade = row["EntryGradeLevelDescriptorId"] - kindergarten
        september = date(row["EntryDate"].year - (row["EntryDate"].month < 7), 9, 1)
        age = (september - born[row["StudentUSI"]]).days / 365.25
        assert 5 + grade - 0.01 <= age <= 6 + grade + 0.01


@settings(max_examples=25, deadline=None)
@given(
    students=st.integers(1, 60),
    seed=st.integers(),
    changes=st.lists(st.integers(0, 80), min_size=1, max_size=6),
)
def test_apply_changes_when_any_days_then_changes_lead_to_the_state(
    students: int, seed: int, changes: list[int]
) -> None:
    ods = generate(students, seed)
    tables = load(ods.rows())
    for number, count in enumerate(changes, 1):
        made = apply_changes(ods, count, FIRST_DAY + timedelta(days=number))
        execute(tables, made.changes)
        ods = made.ods

    assert tables == load(ods.rows())
    check_integrity(tables)


def test_apply_changes_when_many_days_then_keys_and_references_hold() -> None:
    ods = generate(300, 5)
    tables = load(ods.rows())
    for made, changes, _ in days(ods, 40, 60):
        execute(tables, changes)
        ods = made
    check_integrity(tables)

    assert tables == load(ods.rows())
    numbers = versions(tables)
    assert len(numbers) == len(set(numbers))
    assert max(numbers) < ods.next_version


def test_apply_changes_when_a_day_then_stamps_derive_from_it_and_versions_rise() -> None:
    ods = generate(500, 9)
    highest = max(versions(load(ods.rows())))
    for _, changes, day in days(ods, 100, 5):
        stamped = [c for c in changes if "ChangeVersion" in c.values]
        numbers = [c.values["ChangeVersion"] for c in stamped]
        assert min(numbers) > highest
        highest = max(numbers)
        moments = {
            value for c in changes for value in c.values.values() if isinstance(value, datetime)
        }
        assert {moment.date() for moment in moments} == {day}


def test_apply_changes_when_a_root_changes_then_modified_and_version_do() -> None:
    for _, changes, _ in days(generate(500, 9), 100, 5):
        for change in changes:
            if change.kind == "update" and TABLES[change.table].is_root:
                assert {"LastModifiedDate", "ChangeVersion"} <= set(change.values)
                assert "Id" not in change.values


def tracked_of(changes: Iterable[Change]) -> dict[str, Mapping[str, Any]]:
    return {c.values["Id"]: c.values for c in changes if c.table.startswith("tracked_changes")}


def test_apply_changes_when_a_root_is_deleted_then_its_keys_are_tracked() -> None:
    ods = generate(500, 9)
    tables = load(ods.rows())
    deleted: Counter[str] = Counter()
    for _, changes, _ in days(ods, 100, 5):
        tracked = tracked_of(changes)
        for change in changes:
            if change.kind == "delete" and TABLES[change.table].is_root:
                row = tables[change.table][tuple(change.key.values())]
                left = tracked.pop(row["Id"])
                deleted[change.table] += 1
                assert {f"Old{name}": value for name, value in change.key.items()}.items() <= (
                    left.items()
                )
                assert all(value is None for name, value in left.items() if name[:3] == "New")
                if "StudentUSI" in change.key:
                    assert left["OldStudentUniqueId"].strip().isdigit()
        assert all(left["NewStudentUSI"] for left in tracked.values())
        execute(tables, changes)

    assert {"edfi.Student", SEOA, ENROLLMENT} == set(deleted)


def test_apply_changes_when_a_key_changes_then_id_stays_and_both_keys_are_tracked() -> None:
    moved = [
        (change, tracked_of(changes))
        for _, changes, _ in days(generate(500, 9), 100, 5)
        for change in changes
        if change.kind == "update" and "EntryDate" in change.values
    ]

    assert moved
    for change, tracked in moved:
        assert any(
            left.get("OldEntryDate") == change.key["EntryDate"]
            and left["NewEntryDate"] == change.values["EntryDate"]
            and left["NewStudentUSI"] == left["OldStudentUSI"] == change.key["StudentUSI"]
            for left in tracked.values()
            if "OldEntryDate" in left
        )


def test_apply_changes_when_many_then_every_kind_happens() -> None:
    seen: set[tuple[str, str, str]] = set()
    for _, changes, _ in days(generate(2_000, 4), 200, 5):
        for c in changes:
            columns = c.values if c.kind == "update" else ("",)
            seen |= {(c.kind, c.table.split(".")[1], column) for column in columns}

    assert seen >= {
        ("update", "Student", "LastSurname"),
        ("update", "StudentEducationOrganizationAssociation", "HispanicLatinoEthnicity"),
        ("update", ENROLLMENT.split(".")[1], "ExitWithdrawDate"),
        ("update", ENROLLMENT.split(".")[1], "EntryGradeLevelDescriptorId"),
        ("update", "EducationOrganization", "NameOfInstitution"),
        ("insert", "StudentEducationOrganizationAssociationRace", ""),
        ("delete", "StudentEducationOrganizationAssociationRace", ""),
        ("insert", "StudentEducationOrganizationAssociationLanguage", ""),
        ("insert", "Student", ""),
        ("insert", ENROLLMENT.split(".")[1], ""),
        ("delete", "Student", ""),
    }


def test_apply_changes_when_everyone_is_gone_then_someone_comes() -> None:
    ods = generate(1, 1)
    for made, _, _ in days(ods, 30, 40):
        ods = made

    assert ods.next_usi > 2


def test_apply_changes_when_ordered_then_parents_come_first_and_go_last() -> None:
    place = {name: number for number, name in enumerate(TABLES)}
    for _, changes, _ in days(generate(500, 9), 100, 3):
        kinds = [change.kind for change in changes]
        assert kinds == sorted(kinds, key=("delete", "update", "insert").index)
        deleted = [place[change.table] for change in changes if change.kind == "delete"]
        inserted = [place[change.table] for change in changes if change.kind == "insert"]
        assert deleted == sorted(deleted, reverse=True)
        assert inserted == sorted(inserted)
