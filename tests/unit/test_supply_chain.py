"""What is told of known vulnerabilities, and which jars a bill of materials names."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def script() -> Any:
    spec = importlib.util.spec_from_file_location("supply_chain", ROOT / "scripts/supply_chain.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CLEAN = {"name": "rich", "version": "15.0.0", "vulns": []}
UNKNOWN = {"name": "wrapt", "skip_reason": "Dependency not found"}
BAD = {
    "name": "urllib3",
    "version": "2.0.0",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.1.0"]}],
}


@pytest.mark.parametrize(
    ("packages", "is_well", "told"),
    [
        ([UNKNOWN], True, "skipped: the database that is reached from here knows none"),
        ([CLEAN, UNKNOWN], True, "not known to the database: wrapt\n1 packages looked up, 0 with"),
        ([CLEAN, BAD], False, "urllib3 2.0.0: PYSEC-1, fixed in 2.1.0"),
    ],
    ids=["out of reach", "clean", "vulnerable"],
)
def test_a_report_fails_for_a_known_vulnerability_and_for_nothing_else(
    script: Any, tmp_path: Path, packages: list[dict[str, Any]], is_well: bool, told: str
) -> None:
    report = tmp_path / "report.json"
    report.write_text(json.dumps({"dependencies": packages}))
    text, found = script.judge(report, tmp_path / "log")
    assert found is is_well
    assert told in text


@pytest.mark.parametrize(
    ("log", "is_well"),
    [
        ("Traceback\nrequests.exceptions.ProxyError: HTTPSConnectionPool", True),
        ("ERROR:pip_audit._cli:requirement file contains invalid specifier", False),
        ("", False),
    ],
    ids=["offline", "a wrong lock", "nothing"],
)
def test_no_report_is_well_only_where_the_database_cannot_be_reached(
    script: Any, tmp_path: Path, log: str, is_well: bool
) -> None:
    (tmp_path / "report.json").write_text("")
    (tmp_path / "log").write_text(log)
    text, found = script.judge(tmp_path / "report.json", tmp_path / "log")
    assert (found, "skipped" in text) == (is_well, is_well)


@pytest.mark.parametrize(
    ("jar", "parts"),
    [
        ("io.delta_delta-spark_4.2_2.13-4.4.0.jar", ("io.delta", "delta-spark_4.2_2.13", "4.4.0")),
        (
            "com.microsoft.sqlserver_mssql-jdbc-13.2.1.jre11.jar",
            ("com.microsoft.sqlserver", "mssql-jdbc", "13.2.1.jre11"),
        ),
    ],
)
def test_the_name_of_a_jar_tells_its_coordinates(
    script: Any, jar: str, parts: tuple[str, ...]
) -> None:
    assert script._JAR.fullmatch(jar).groups() == parts
