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
    assert len(log["steps"]) == 16
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
        " where d.dim_student_id <> '-1'"
        " and not (d.valid_from <= f.entry_date and f.entry_date < d.valid_to)",
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
        " where dim_student_id <> '-1' group by student_unique_id having count(*) > 1)",
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


def test_metadata_tables_hold_each_run_once(place: Workplace) -> None:
    runs = place.query("select run_id, status from r", r="_metadata/pipeline_runs")
    assert len(runs) == len({run for run, _ in runs}) == 3
    steps = place.query("select count(*) from s", s="_metadata/step_runs")
    assert steps == [(48,)]


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


def test_killed_run_goes_on_and_a_second_one_is_refused(tmp_path: Path) -> None:
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
    process.send_signal(signal.SIGKILL)
    process.communicate()
    done = place.run(*words)
    assert done.returncode == 0, done.stderr
    log = place.log()
    by_name = {step["name"]: step["status"] for step in log["steps"]}
    assert by_name["students"] == "checkpointed"
    assert by_name["fact_enrollment"] == "success"
    assert set(place.versions().values()) == {0}, "no table was written twice"
    states = {run["status"] for run in map(place.log, _runs(place))}
    assert states == {"interrupted", "success"}


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


def _runs(place: Workplace) -> list[str]:
    return [file.stem for file in (place.folder / "logs").glob("2*.json")]
