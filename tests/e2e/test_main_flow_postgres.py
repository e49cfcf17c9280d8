"""The same flow on a real PostgreSQL server; Ed-Fi's own sample data where they are at hand."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from pipelines.sample_ods.csv_files import write_csv_files
from pipelines.sample_ods.generator import generate
from tests.e2e.project import ROOT, Workplace, statuses
from tests.postgres_server import postgres

pytestmark = [pytest.mark.e2e, pytest.mark.postgres]

GRANTS = ROOT / "docs/examples/grants-postgresql.sql"
REAL = ROOT.parent / "shared" / "edfi" / "csv"


@pytest.mark.long
def test_main_flow_runs_on_postgresql_with_the_rights_of_the_example(tmp_path: Path) -> None:
    folder = REAL
    if not REAL.is_dir():
        folder = tmp_path / "csv"
        folder.mkdir()
        write_csv_files(generate(300, 11).rows(), folder)
    with postgres() as server:
        server.load_csv(folder)
        server.execute(GRANTS.read_text(encoding="utf-8"))
        with (
            server.connect("edfi_reader") as reader,
            pytest.raises(psycopg.errors.ReadOnlySqlTransaction),
        ):
            reader.execute("delete from edfi.Student")
        place = Workplace(
            tmp_path,
            server.url,
            user="edfi_reader",
            driver="org.postgresql.Driver",
        )
        done = place.run("run", "--run-date", "2026-11-01", "--log-format", "text")
        assert done.returncode == 0, done.stdout + done.stderr
        log = place.log()
        assert statuses(log) == {"success"}
        (students, dims), *_ = place.query(
            "select (select count(*) from b) as b, (select count(distinct student_unique_id) from d"
            " where student_hk <> '-1') as d",
            b="bronze/students",
            d="gold/dim_student",
        )
        assert students == next(
            step["rows_written"] for step in log["steps"] if step["name"] == "students"
        )
        if folder == REAL:
            assert (students, dims) == (960, 960)
            facts = place.query("select count(*) from f", f="gold/fact_enrollment")
            assert facts == [(960,)]
