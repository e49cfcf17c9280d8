"""The sample ODS in a real Derby."""

from __future__ import annotations

import re
import subprocess
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pipelines.errors import SampleOdsError
from pipelines.sample_ods import derby, ij
from pipelines.sample_ods.generator import apply_changes, generate
from pipelines.sample_ods.rows import COLUMNS
from pipelines.sample_ods.stamps import FIRST_DAY
from pipelines.sample_ods.tables import TABLES

pytestmark = pytest.mark.e2e

STUDENTS, SEED = 150, 42


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ODS without changes, not to be changed."""
    folder = tmp_path_factory.mktemp("made") / "data" / "ods of O'Brien"
    derby.create(folder, STUDENTS, SEED)
    return folder


@pytest.fixture
def ods(tmp_path: Path) -> Path:
    folder = tmp_path / "ods"
    derby.create(folder, STUDENTS, SEED)
    return folder


def stored(folder: Path) -> dict[str, list[list[str]]]:
    """All rows as text, by table, sorted."""
    with ij.connect(derby.jdbc_url(folder)) as session:
        return {
            name: sorted(session.query(name, f"SELECT {', '.join(COLUMNS[name])} FROM {name}"))
            for name in TABLES
        }


def expected(days: tuple[int, ...]) -> dict[str, list[list[str]]]:
    state = generate(STUDENTS, SEED)
    for number, changes in enumerate(days, 1):
        state = apply_changes(state, changes, FIRST_DAY + timedelta(days=number)).ods
    rows: dict[str, list[list[str]]] = {name: [] for name in TABLES}
    for name, row in state.rows():
        rows[name].append([text(value) for value in row])
    return {name: sorted(found) for name, found in rows.items()}


def text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return ""
    if isinstance(value, datetime):  # Derby leaves out the zeros at the end, but for the first
        return re.sub(r"(\.\d+?)0*$", r"\1", value.isoformat(" ", "microseconds"))
    return str(value)


def test_create_when_done_then_every_value_is_stored_as_generated(made: Path) -> None:
    assert stored(made) == expected(())


def test_create_when_done_then_leaves_nothing_but_the_ods(made: Path) -> None:
    assert [path.name for path in made.parent.iterdir()] == [made.name]
    assert not Path("derby.log").exists()


def test_describe_when_made_then_tells_sizes(made: Path) -> None:
    description = derby.describe(made)

    assert (description.students, description.seed, description.days) == (STUDENTS, SEED, 0)
    assert description.day == FIRST_DAY
    assert description.rows["edfi.Student"] == STUDENTS
    assert "edfi.Student" in str(description)


def test_apply_changes_when_days_pass_then_the_rows_are_those_of_the_generator(ods: Path) -> None:
    reports = [derby.apply_changes(ods, changes) for changes in (30, 120, 0)]

    assert [report.number for report in reports] == [1, 2, 3]
    assert reports[0].day == date(2026, 9, 1)
    assert stored(ods) == expected((30, 120, 0))
    description = derby.describe(ods)
    assert (description.days, description.day) == (3, date(2026, 9, 3))
    assert description.rows["tracked_changes_edfi.StudentSchoolAssociation"] > 0


def test_apply_changes_when_a_statement_fails_then_the_day_is_absent(
    ods: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(ods)
    whole = derby.change_statements
    monkeypatch.setattr(
        derby, "change_statements", lambda made: [*whole(made), "DELETE FROM edfi.Nothing"]
    )

    with pytest.raises(SampleOdsError, match=r"changes of 2026-09-01: ERROR 42X05.*NOTHING"):
        derby.apply_changes(ods, 30)

    assert stored(ods) == before
    assert derby.describe(ods).days == 0


@pytest.mark.long
def test_apply_changes_when_killed_before_the_commit_then_the_day_is_absent(
    ods: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored(ods)

    def kill(session: ij.Ij) -> None:
        session._process.kill()
        raise KeyboardInterrupt

    monkeypatch.setattr(ij.Ij, "commit", kill)
    with pytest.raises(KeyboardInterrupt):
        derby.apply_changes(ods, 30)

    assert stored(ods) == before


def test_open_when_another_process_has_it_then_says_so(ods: Path) -> None:
    with (
        ij.connect(derby.jdbc_url(ods)),
        pytest.raises(SampleOdsError, match="opening the sample ODS") as caught,
    ):
        derby.describe(ods)

    assert "Another process" in caught.value.hint


def test_create_when_an_ods_is_there_then_needs_force(ods: Path) -> None:
    with pytest.raises(SampleOdsError, match="holds an ODS already"):
        derby.create(ods, 1, 1)

    derby.create(ods, 5, 1, force=True)

    assert derby.describe(ods).rows["edfi.Student"] == 5
    assert [path.name for path in ods.parent.iterdir()] == ["ods"]


def test_create_when_loading_fails_then_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derby, "ddl", lambda _engine: ("CREATE SCHEMA edfi",))

    with pytest.raises(SampleOdsError, match=r"loading edfi\.Descriptor: ERROR"):
        derby.create(tmp_path / "ods", 5, 1)

    assert not list(tmp_path.iterdir())


@pytest.mark.long
def test_create_when_force_and_loading_fails_then_the_old_ods_stays(
    ods: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(derby, "ddl", lambda _engine: ("CREATE SCHEMA edfi",))

    with pytest.raises(SampleOdsError):
        derby.create(ods, 5, 1, force=True)

    monkeypatch.undo()
    assert derby.describe(ods).rows["edfi.Student"] == STUDENTS


@pytest.mark.parametrize("force", [False, True])
def test_create_when_the_folder_is_something_else_then_refuses(tmp_path: Path, force: bool) -> None:
    (tmp_path / "letter.txt").write_text("keep me")

    with pytest.raises(SampleOdsError, match="no ODS"):
        derby.create(tmp_path, 5, 1, force=force)

    assert (tmp_path / "letter.txt").read_text() == "keep me"


@pytest.mark.parametrize("act", [derby.describe, lambda folder: derby.apply_changes(folder, 1)])
def test_ods_when_missing_then_names_the_command(tmp_path: Path, act: Any) -> None:
    with pytest.raises(SampleOdsError, match="holds no ODS") as caught:
        act(tmp_path / "ods")

    assert "ods create" in caught.value.hint


def test_execute_when_time_is_up_then_ends_the_process(made: Path) -> None:
    columns = "sys.syscolumns"
    slow = f"SELECT COUNT(*) FROM {', '.join(f'{columns} c{n}' for n in range(5))}"
    with (
        pytest.raises(SampleOdsError, match=r"counting: not done after 0\.5 seconds"),
        ij.connect(derby.jdbc_url(made)) as session,
    ):
        session.timeout_seconds = 0.5
        session.execute("counting", [slow])


def test_connect_when_java_is_missing_then_says_where_it_looked(made: Path) -> None:
    with (
        pytest.raises(SampleOdsError, match="JAVA_HOME=/nowhere") as caught,
        ij.connect(derby.jdbc_url(made), environ={"JAVA_HOME": "/nowhere"}),
    ):
        pass

    assert "JAVA_HOME" in str(caught.value)


def test_connect_when_java_cannot_start_then_shows_what_it_said(made: Path) -> None:
    with (
        pytest.raises(SampleOdsError) as caught,
        ij.connect(derby.jdbc_url(made), java_options=["-XX:NoSuchOption"]),
    ):
        pass

    assert "NoSuchOption" in caught.value.hint


def test_ods_when_days_pass_then_no_process_stays(ods: Path) -> None:
    derby.apply_changes(ods, 1)

    running = subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True)
    assert str(ods) not in running.stdout
