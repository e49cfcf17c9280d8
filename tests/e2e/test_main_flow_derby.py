"""The main flow on the embedded ODS, as a user runs it."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from pipelines.sample_ods import derby
from tests.e2e.project import Workplace, statuses

pytestmark = pytest.mark.e2e

STUDENTS = 200
FACT = {"fact": "gold/fact_enrollment"}
STAR = {
    **FACT,
    "student": "gold/dim_student",
    "school": "gold/dim_school",
    "link": "silver/link_enrollment",
}

ALL = "* except (_run_id, _batch_id)"
AS_OF_TODAY = {
    "bronze/enrollments": (f"select {ALL} from t", {"t": "bronze/enrollments"}),
    "bronze/demographics": (f"select {ALL} from t", {"t": "bronze/demographics"}),
    "quarantine": (
        "select student_usi, school_id, entry_date, reason from t",
        {"t": "silver/quarantine_enrollment"},
    ),
    "current students": (
        "select student_hk, student_unique_id, first_name, middle_name, last_name, display_name,"
        " birth_date, sex, race_ethnicity, limited_english_proficiency, current_grade_level"
        " from student where is_current",
        STAR,
    ),
    "current schools": (
        "select school_hk, school_id, school_name, school_type, street, city, district_name"
        " from school where is_current",
        STAR,
    ),
    "facts": (
        "select s.student_unique_id, c.school_id, f.entry_date, f.exit_date, f.exit_type,"
        " f.grade_level, f.school_year, f.days_enrolled, f.is_active, f.entry_date_id,"
        " f.exit_date_id from fact f join student s on f.dim_student_id = s.dim_student_id"
        " join school c on c.dim_school_id = f.dim_school_id",
        STAR,
    ),
}
"""What does not depend on how often one looked at the ODS, told by business keys."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """Two days' runs have gone by: day 1, day 1 again, day 2 after changes in the ODS."""
    folder = tmp_path_factory.mktemp("derby")
    derby.create(folder / "ods", STUDENTS, 7)
    place = Workplace(folder, derby.jdbc_url(folder / "ods"))
    first = place.run("run", "--run-date", "2026-09-01", "--log-format", "text")
    assert first.returncode == 0, first.stdout + first.stderr
    (folder / "logs" / "pipeline_log.json").rename(folder / "logs" / "day1.json")
    (folder / "versions").write_text(str(place.versions()))
    again = place.run("run", "--run-date", "2026-09-01", "--log-format", "text")
    assert again.returncode == 0, again.stdout + again.stderr
    (folder / "logs" / "pipeline_log.json").rename(folder / "logs" / "again.json")
    assert str(place.versions()) == (folder / "versions").read_text()
    derby.apply_changes(folder / "ods", 60)
    second = place.run("run", "--run-date", "2026-09-02", "--log-format", "json")
    assert second.returncode == 0, second.stdout + second.stderr
    return place


def test_first_day_runs_every_step_and_logs_it(place: Workplace) -> None:
    log = place.log("day1")
    assert statuses(log) == {"success"}
    assert len(log["steps"]) == 18
    students = next(step for step in log["steps"] if step["name"] == "students")
    assert students["rows_written"] == STUDENTS
    assert students["destination"]["version_after"] == 0
    assert all(check["status"] in ("passed", "warned") for check in students["dq"])
    assert log["exit_code"] == 0


def test_same_day_again_does_nothing(place: Workplace) -> None:
    assert statuses(place.log("again")) == {"checkpointed"}


def test_every_enrollment_is_in_the_fact_or_in_quarantine(place: Workplace) -> None:
    (facts, quarantined, links), *_ = place.query(
        "select (select count(*) from fact) as f, (select count(*) from q) as q,"
        " (select count(*) from link) as l",
        q="silver/quarantine_enrollment",
        **STAR,
    )
    assert quarantined > 0, "the sample has dirty rows"
    assert facts > STUDENTS * 0.9
    assert facts <= links


def test_fact_refers_to_the_version_valid_on_the_entry_date(place: Workplace) -> None:
    rows = place.query(
        "select count(*) from fact f join student d on d.dim_student_id = f.dim_student_id"
        " where d.student_hk <> '-1' and not (d.valid_from <= f.entry_date"
        " and (d.valid_to is null or f.entry_date < d.valid_to))",
        **STAR,
    )
    assert rows == [(0,)]
    lost = place.query(
        "select count(*) from fact f left join student d on d.dim_student_id = f.dim_student_id"
        " left join school s on s.dim_school_id = f.dim_school_id"
        " where d.dim_student_id is null or s.dim_school_id is null",
        **STAR,
    )
    assert lost == [(0,)]


def test_changes_of_day_two_make_new_versions_and_one_is_current(place: Workplace) -> None:
    several = place.query(
        "select count(*) from (select student_unique_id from student"
        " where student_hk <> '-1' group by student_unique_id having count(*) > 1)",
        **STAR,
    )
    assert several[0][0] > 0
    currents = place.query(
        "select count(*) from (select student_unique_id from student where is_current"
        " group by student_unique_id having count(*) > 1)",
        **STAR,
    )
    assert currents == [(0,)]


def test_fact_holds_no_direct_identifier(place: Workplace) -> None:
    from deltalake import DeltaTable

    table = DeltaTable(str(place.lake / "gold" / "fact_enrollment"))
    names = {field.name for field in table.schema().fields}
    assert not names & {"student_unique_id", "student_usi", "first_name", "last_surname", "id"}


@pytest.mark.long
def test_daily_runs_give_what_a_first_run_of_that_day_gives(place: Workplace) -> None:
    fresh = Workplace(place.folder / "fresh", place.url)
    fresh.folder.mkdir()
    done = fresh.run("run", "--run-date", "2026-09-02", "--log-format", "text")
    assert done.returncode == 0, done.stdout + done.stderr
    for name, (sql, tables) in AS_OF_TODAY.items():
        found = [sorted(map(str, one.query(sql, **tables))) for one in (place, fresh)]
        assert found[0] == found[1], name
        assert found[0], name


def test_rows_that_left_the_ods_end_and_change_versions_are_few(place: Workplace) -> None:
    """The second day writes what changed, not the tables anew."""
    second = {step["name"]: step for step in place.log()["steps"]}
    assert second["students"]["rows_deleted"] > 0
    assert second["descriptors"]["status"] == "unchanged"
    for name in ("students", "sat_student_demographics", "dim_student", "fact_enrollment"):
        assert 0 < second[name]["rows_written"] < STUDENTS / 2, name
    closed = place.query(
        "select count(*) from student s where not exists"
        " (select 1 from student c where c.student_hk = s.student_hk and c.is_current)",
        **STAR,
    )
    assert closed[0][0] > 0


def test_every_row_says_who_made_it_and_who_ended_it(place: Workplace) -> None:
    batches = place.query("select distinct _batch_id, _source from b", b="bronze/students")
    source = "edfi_ods: edfi.Student, edfi_ods: tracked_changes_edfi.Student"
    assert sorted(batches) == [("2026-09-01", source), ("2026-09-02", source)]
    ended = place.query(
        "select distinct _batch_id, _closed_batch_id, is_current from student", **STAR
    )
    assert ("2026-09-01", "2026-09-02", False) in ended
    assert {(row[1] is None) == row[2] for row in ended} == {True}


def test_metadata_tables_hold_each_run_once(place: Workplace) -> None:
    runs = place.query("select run_id, status from r", r="_metadata/pipeline_runs")
    assert len(runs) == len({run for run, _ in runs}) == 3
    steps = place.query("select count(*) from s", s="_metadata/step_runs")
    assert steps == [(54,)]


def test_commits_say_which_run_and_step_made_them(place: Workplace) -> None:
    import json

    log = place.lake / "silver" / "hub_student" / "_delta_log"
    said = [
        json.loads(action["commitInfo"]["userMetadata"])
        for file in sorted(log.glob("*.json"))
        for line in file.read_text().splitlines()
        if "commitInfo" in (action := json.loads(line))
    ]
    assert [one["batch_id"] for one in said] == ["2026-09-01", "2026-09-02"]
    assert {one["step"] for one in said} == {"silver.hubs.hub_student"}


def test_history_and_show_tell_of_the_runs(place: Workplace) -> None:
    told = place.run("history")
    assert told.stdout.count("success") >= 2
    shown = place.run("show", "last")
    assert "gold.facts.fact_enrollment" in shown.stdout


def test_second_run_is_refused_and_the_first_ends_when_it_is_told_to(tmp_path: Path) -> None:
    derby.create(tmp_path / "ods", 60, 3)
    place = Workplace(tmp_path, derby.jdbc_url(tmp_path / "ods"))
    words = ("run", "--run-date", "2026-09-01", "--log-format", "json", "--threads", "1")
    process = place.start(*words)
    assert process.stderr is not None
    assert process.stdout is not None
    for line in process.stdout:
        if "students" in line and "success" in line:
            break
    refused = place.run(*words)
    assert refused.returncode == 4
    assert str(process.pid) in refused.stderr
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)  # ten seconds are promised, on a machine of its own
    assert process.returncode == 143
    log = place.log()
    assert (log["status"], log["exit_code"]) == ("cancelled", 143)
    by_name = {step["name"]: step["status"] for step in log["steps"]}
    assert by_name["students"] == "success"
    assert statuses(log) <= {"success", "cancelled", "blocked"}
    assert (place.lake / "bronze/students/_delta_log/00000000000000000000.json").exists()


@pytest.mark.long
def test_dead_database_is_retried_and_named_without_its_password(tmp_path: Path) -> None:
    place = Workplace(
        tmp_path,
        "jdbc:postgresql://127.0.0.1:9/EdFi",
        user="reader",
        driver="org.postgresql.Driver",
    )
    done = place.run(
        "run", "--select", "students", "--log-format", "text",
        PIPELINE__DATASOURCES__EDFI_ODS__PASSWORD="{{ secret('CANARY') }}",
        CANARY="s3cr3t-canary/value",
    )  # fmt: skip
    assert done.returncode == 1
    step = next(step for step in place.log()["steps"] if step["name"] == "students")
    assert len(step["attempts"]) == 3
    assert step["error"]["transient"] is True
    assert "edfi_ods" in step["error"]["message"]
    assert "127.0.0.1:9" in step["error"]["message"]
    everything = done.stdout + done.stderr + (place.folder / "logs/pipeline_log.json").read_text()
    assert "s3cr3t-canary" not in everything
