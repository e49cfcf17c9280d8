"""The sample ODS as an embedded Derby database in a folder: make, change, describe."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from pipelines.errors import SampleOdsError
from pipelines.sample_ods import ij
from pipelines.sample_ods.csv_files import csv_path, write_csv_files
from pipelines.sample_ods.derby_sql import change_statements, import_statement, literal
from pipelines.sample_ods.generator import GENERATOR_VERSION, Ods, generate
from pipelines.sample_ods.generator import apply_changes as next_day
from pipelines.sample_ods.stamps import FIRST_DAY
from pipelines.sample_ods.tables import TABLES, ddl, index_ddl

# One row for the making of the ODS and one for each day of changes: enough to make them again.
_STATE_DDL: Final = (
    "CREATE SCHEMA sample",
    "CREATE TABLE sample.OdsState (DayNumber INT NOT NULL PRIMARY KEY, GeneratorVersion INT NOT "
    "NULL, Seed BIGINT NOT NULL, Students INT NOT NULL, Changes INT NOT NULL)",
)
_STATE_QUERY: Final = (
    "SELECT GeneratorVersion, Seed, Students, Changes FROM sample.OdsState ORDER BY DayNumber"
)
_MOST_STUDENTS: Final = 10_000_000
_SEEDS: Final = range(-(2**63), 2**63)
# A folder that a crash leaves half made is never renamed, so it needs no flush to disk.
_NO_FLUSH: Final = ("-Dderby.system.durability=test", "-Dderby.storage.pageCacheSize=4000")


@dataclass(frozen=True)
class DayReport:
    """What a day of changes did.

    Attributes:
        day: the day, as the changed rows' dates have it.
        number: how many days of changes there were, with this one.
        rows: number of rows by kind: ``insert``, ``update``, ``delete``.
    """

    day: date
    number: int
    rows: Mapping[str, int]

    def __str__(self) -> str:
        """One line."""
        words = (("inserted", "insert"), ("updated", "update"), ("deleted", "delete"))
        counts = ", ".join(f"{self.rows.get(kind, 0):,} {word}" for word, kind in words)
        return f"day {self.number}, {self.day.isoformat()}: {counts} (rows)"


@dataclass(frozen=True)
class Description:
    """What is in a sample ODS.

    Attributes:
        students: how many it began with.
        seed: what they were made from.
        days: how many days of changes there were.
        day: the last of them, or the day on which it was made.
        rows: number of rows by table, as they are now.
    """

    students: int
    seed: int
    days: int
    day: date
    rows: Mapping[str, int]

    def __str__(self) -> str:
        """A head line and one line a table."""
        head = f"began with {self.students:,} students from seed {self.seed}; "
        head += f"{self.days} day(s) of changes, up to {self.day.isoformat()}"
        return "\n".join([head, *(f"{count:>12,}  {table}" for table, count in self.rows.items())])


def exists(folder: Path) -> bool:
    """Whether the folder holds a Derby database."""
    return (folder / "service.properties").is_file()


def jdbc_url(folder: Path) -> str:
    """The JDBC address of the ODS in a folder; it does not make one."""
    path = folder.resolve().as_posix()
    if re.search(r"[;\n]", path):
        raise SampleOdsError(
            f"Derby cannot open {path!r}", hint="Choose a folder without semicolon or line break."
        )
    return f"jdbc:derby:{path}"


def create(folder: Path, students: int, seed: int, *, force: bool = False) -> None:
    """Makes a sample ODS; the folder appears when it is whole, or not at all.

    Args:
        folder: where; it may be missing or empty.
        students: how many students.
        seed: the same one gives the same data.
        force: whether to replace an ODS that is there.

    Raises:
        SampleOdsError: something else is in the folder, or Derby refused.
    """
    if students not in range(1, _MOST_STUDENTS + 1) or seed not in _SEEDS:
        raise SampleOdsError(
            f"cannot make {students:,} students from seed {seed}",
            hint=f"Give 1 to {_MOST_STUDENTS:,} students and a seed of 64 bits.",
        )
    target = Path(jdbc_url(folder).removeprefix("jdbc:derby:"))
    _refuse_to_overwrite(target, force=force)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        _fill(partial / "ods", partial / "csv", generate(students, seed))
        _refuse_to_overwrite(target, force=force)
        _put_in_place(partial / "ods", target, aside=partial / "old")
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def apply_changes(folder: Path, changes: int) -> DayReport:
    """Lets the next day pass, with so many changes, in one transaction.

    Args:
        folder: an ODS that `create` made.
        changes: how many things happen.

    Raises:
        SampleOdsError: there is no ODS, it is open elsewhere, or Derby refused; nothing is changed.
    """
    with ij.connect(_existing_url(folder)) as session:
        ods, days = _replay(_state(session))
        number, day = days + 1, FIRST_DAY + timedelta(days=days + 1)
        made = next_day(ods, changes, day)
        session.execute(f"applying the changes of {day}", list(change_statements(made.changes)))
        values = (number, GENERATOR_VERSION, ods.seed, ods.students, changes)
        state = f"INSERT INTO sample.OdsState VALUES ({', '.join(map(literal, values))})"
        session.execute("noting the day", [state])
        session.commit()
    return DayReport(day, number, Counter(change.kind for change in made.changes))


def describe(folder: Path) -> Description:
    """What is in the ODS of a folder.

    Raises:
        SampleOdsError: there is none, or it is open elsewhere.
    """
    counts = " UNION ALL ".join(f"SELECT '{name}', COUNT(*) FROM {name}" for name in TABLES)
    with ij.connect(_existing_url(folder)) as session:
        state = _state(session)
        rows = {name.strip(): int(count) for name, count in session.query("counting rows", counts)}
    return Description(
        students=state[0][2],
        seed=state[0][1],
        days=len(state) - 1,
        day=FIRST_DAY + timedelta(days=len(state) - 1),
        rows={name: rows[name] for name in TABLES},
    )


def _refuse_to_overwrite(folder: Path, *, force: bool) -> None:
    if exists(folder):
        if not force:
            raise SampleOdsError(
                f"{folder} holds an ODS already", hint="Use --force to replace it."
            )
    elif folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise SampleOdsError(f"{folder} is there, but no ODS", hint="Choose another folder.")


def _put_in_place(made: Path, target: Path, *, aside: Path) -> None:
    """Renames the new ODS to its place, from which an old one first goes aside."""
    if not exists(target):
        made.rename(target)
        return
    target.rename(aside)
    try:
        made.rename(target)
    except BaseException:
        aside.rename(target)
        raise


def _existing_url(folder: Path) -> str:
    if not exists(folder):
        raise SampleOdsError(f"{folder} holds no ODS", hint="Make one: pipeline ods create")
    return jdbc_url(folder)


def _fill(folder: Path, csv_folder: Path, ods: Ods) -> None:
    """Makes the database: tables, rows, state."""
    csv_folder.mkdir()
    counts = write_csv_files(ods.rows(), csv_folder)
    state = (0, GENERATOR_VERSION, ods.seed, ods.students, 0)
    with ij.connect(f"{jdbc_url(folder)};create=true", java_options=_NO_FLUSH) as session:
        session.execute("making the tables", [*ddl("derby"), *_STATE_DDL])
        for table in counts:
            load = import_statement(table, csv_path(csv_folder, table))
            session.execute(f"loading {table}", [load])
        session.execute("making the indexes", list(index_ddl("derby")))
        insert = f"INSERT INTO sample.OdsState VALUES ({', '.join(map(literal, state))})"
        session.execute("noting the state", [insert])
        session.commit()


def _state(session: ij.Ij) -> list[tuple[int, int, int, int]]:
    """Generator, seed, students and changes: of the making, then of each day."""
    rows = [tuple(map(int, row)) for row in session.query("reading the state", _STATE_QUERY)]
    if not rows or any(row[0] != GENERATOR_VERSION for row in rows):
        raise SampleOdsError(
            "this ODS was made by another version of the project",
            hint="Make it anew: pipeline ods create --force",
        )
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _replay(state: Sequence[tuple[int, int, int, int]]) -> tuple[Ods, int]:
    """The ODS after all days so far, and their number."""
    _, seed, students, _ = state[0]
    ods = generate(students, seed)
    for number, (_, _, _, changes) in enumerate(state[1:], 1):
        ods = next_day(ods, changes, FIRST_DAY + timedelta(days=number)).ods
    return ods, len(state) - 1
