from __future__ import annotations

import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import deltalake
import pytest
from deltalake import DeltaTable, QueryBuilder

from pipelines.results import (
    Attempt,
    CheckResult,
    CheckStatus,
    DestinationState,
    ErrorInfo,
    RunFinished,
    RunInfo,
    RunResult,
    RunStarted,
    Status,
    StepResult,
    StepStarted,
    WriteCounts,
)
from pipelines.sinks.metadata import MetadataSink
from pipelines.utils.metadata_logger import MetadataLogger

EAST = timezone(timedelta(hours=2))
NOON = datetime(2026, 11, 23, 14, tzinfo=EAST)
NOON_UTC = datetime(2026, 11, 23, 12, tzinfo=timezone.utc)
TABLES = ("pipeline_runs", "step_runs", "dq_results")
RUN = RunInfo(
    run_id="run-1",
    batch_id="b1",
    pipeline="toy",
    flow="flow.yaml",
    flow_sha256="f" * 64,
    environment="local",
    mode="batch",
    window=("2026-11-22", "2026-11-23"),
    started_at=NOON,
    user="ada",
    host="box",
    git_commit="c0ffee",
    versions={"python": "3.10"},
    pid=1,
    step_ids=("bronze.load.students", "bronze.load.schools"),
)
ERROR = ErrorInfo("SqlError", "login as ada with hunter2", transient=False)
GOOD = StepResult(
    "bronze.load.students",
    "bronze",
    "load",
    "students",
    Status.SUCCESS,
    started_at=NOON,
    finished_at=NOON + timedelta(seconds=1.5),
    attempts=(Attempt(1, NOON, 1, ERROR), Attempt(2, NOON, 0.5)),
    counts=WriteCounts(written=2**40, updated=0),
    destination=DestinationState("delta", "/lake/students", 3, 4),
    upstream_versions={"a.b.c": 7},
    checks=(
        CheckResult("a.sql", CheckStatus.PASSED, 3, ">= 1", "error", 0.25, owner="ada"),
        CheckResult("b.sql", CheckStatus.WARNED, 0.5, "= 0", "warn", 0.1, message="hunter2 rows"),
        CheckResult("c.sql", CheckStatus.ERROR, None, "= 0", "warn", 0.1),
    ),
)
BAD = StepResult(
    "bronze.load.schools", "bronze", "load", "schools", Status.FAILED, error=ERROR, reason="why"
)


def run_log(*steps: StepResult, run: RunInfo = RUN) -> Mapping[str, Any]:
    return RunResult.collect(
        run, steps, finished_at=run.started_at + timedelta(seconds=90)
    ).as_dict()


def rows(folder: Path, table: str) -> list[dict[str, Any]]:
    path = folder / table
    found = QueryBuilder().register("t", DeltaTable(str(path))).execute("SELECT * FROM t")
    names = [field.name for field in DeltaTable(str(path)).schema().fields]
    listed: list[dict[str, Any]] = []
    for batch in found.read_all().to_batches():
        columns = [[value.as_py() for value in batch.column(name)] for name in names]
        listed += [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]
    return listed


def types(folder: Path, table: str) -> dict[str, str]:
    fields = DeltaTable(str(folder / table)).schema().fields
    return {field.name: field.type.type for field in fields}


def test_three_tables_are_written(tmp_path: Path) -> None:
    MetadataLogger(f"{tmp_path}/meta/").write(run_log(GOOD, BAD))
    assert sorted(one.name for one in (tmp_path / "meta").iterdir()) == sorted(TABLES)
    (run,) = rows(tmp_path / "meta", "pipeline_runs")
    assert (run["run_id"], run["batch_id"], run["pipeline"]) == ("run-1", "b1", "toy")
    assert (run["status"], run["exit_code"], run["duration_seconds"]) == ("failed", 1, 90.0)
    assert json.loads(run["window"]) == ["2026-11-22", "2026-11-23"]
    assert json.loads(run["versions"]) == {"python": "3.10"}
    assert run["error"] is None

    good, bad = rows(tmp_path / "meta", "step_runs")
    assert (good["step_id"], good["stage"], good["group"], good["name"]) == (
        "bronze.load.students",
        "bronze",
        "load",
        "students",
    )
    assert (good["status"], good["attempts"], good["duration_seconds"]) == ("success", 2, 1.5)
    assert (good["rows_written"], good["rows_updated"], good["rows_deleted"]) == (2**40, 0, None)
    assert (good["path"], good["version_before"], good["version_after"]) == ("/lake/students", 3, 4)
    assert json.loads(good["upstream_versions"]) == {"a.b.c": 7}
    assert (bad["error_type"], bad["reason"], bad["path"]) == ("SqlError", "why", None)
    assert {good["run_id"], bad["run_id"]} == {"run-1"}

    checks = rows(tmp_path / "meta", "dq_results")
    assert [(one["file"], one["status"], one["value"]) for one in checks] == [
        ("a.sql", "passed", 3.0),
        ("b.sql", "warned", 0.5),
        ("c.sql", "error", None),
    ]
    assert {one["step_id"] for one in checks} == {"bronze.load.students"}
    assert checks[0]["owner"] == "ada"


def test_columns_are_typed(tmp_path: Path) -> None:
    MetadataLogger(str(tmp_path)).write(run_log(GOOD, BAD))
    run, step, check = (types(tmp_path, table) for table in TABLES)
    assert run["exit_code"] == step["attempts"] == "integer"
    assert step["rows_written"] == step["version_after"] == "long"
    assert run["duration_seconds"] == check["value"] == "double"
    for of in (run["started_at"], run["finished_at"], step["started_at"], check["run_started_at"]):
        assert of == "timestamp"
    assert run["status"] == step["path"] == check["message"] == "string"


def test_column_without_any_value_keeps_its_type(tmp_path: Path) -> None:
    MetadataLogger(str(tmp_path)).write(run_log(BAD))
    step = types(tmp_path, "step_runs")
    assert (step["rows_written"], step["started_at"], step["format"]) == (
        "long",
        "timestamp",
        "string",
    )
    MetadataLogger(str(tmp_path)).write(run_log(GOOD, run=replace(RUN, run_id="run-2")))
    assert [one["rows_written"] for one in by_run(rows(tmp_path, "step_runs"))] == [None, 2**40]


def by_run(found: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(found, key=lambda row: str(row["run_id"]))


def test_times_are_utc(tmp_path: Path) -> None:
    MetadataLogger(str(tmp_path)).write(run_log(GOOD, BAD))
    (run,) = rows(tmp_path, "pipeline_runs")
    assert run["started_at"] == NOON_UTC
    assert run["started_at"].utcoffset() == timedelta()
    assert run["started_at"].hour == 12
    assert run["finished_at"] == NOON_UTC + timedelta(seconds=90)
    good, bad = rows(tmp_path, "step_runs")
    assert good["finished_at"] == NOON_UTC + timedelta(seconds=1.5)
    assert bad["finished_at"] is None
    assert rows(tmp_path, "dq_results")[0]["run_started_at"] == NOON_UTC


def test_same_run_twice_adds_nothing(tmp_path: Path) -> None:
    logger = MetadataLogger(str(tmp_path))
    logger.write(run_log(GOOD, BAD))
    logger.write(run_log(GOOD))
    MetadataLogger(str(tmp_path)).write(run_log(GOOD, BAD))
    assert [len(rows(tmp_path, table)) for table in TABLES] == [1, 2, 3]
    assert [DeltaTable(str(tmp_path / table)).version() for table in TABLES] == [0, 0, 0]


def test_another_run_is_added_in_one_commit_a_table(tmp_path: Path) -> None:
    logger = MetadataLogger(str(tmp_path))
    logger.write(run_log(GOOD, BAD))
    logger.write(run_log(GOOD, BAD, run=replace(RUN, run_id="run-2")))
    assert [len(rows(tmp_path, table)) for table in TABLES] == [2, 4, 6]
    assert [DeltaTable(str(tmp_path / table)).version() for table in TABLES] == [1, 1, 1]


def test_run_that_broke_between_tables_is_completed(tmp_path: Path) -> None:
    """The first table had it when the process died; a second write adds the rest only."""
    import shutil

    logger = MetadataLogger(str(tmp_path))
    logger.write(run_log(GOOD, BAD))
    shutil.rmtree(tmp_path / "dq_results")
    logger.write(run_log(GOOD, BAD))
    assert [len(rows(tmp_path, table)) for table in TABLES] == [1, 2, 3]


def test_run_without_checks(tmp_path: Path) -> None:
    logger = MetadataLogger(str(tmp_path))
    logger.write(run_log(BAD))
    assert len(rows(tmp_path, "pipeline_runs")) == 1
    assert len(rows(tmp_path, "step_runs")) == 1
    assert not (tmp_path / "dq_results").exists()
    logger.write(run_log(GOOD, run=replace(RUN, run_id="run-2")))
    assert {one["run_id"] for one in rows(tmp_path, "dq_results")} == {"run-2"}


def test_run_without_steps(tmp_path: Path) -> None:
    broken = RunResult.collect(RUN, (), finished_at=NOON, error=ERROR).as_dict()
    MetadataLogger(str(tmp_path)).write(broken)
    (run,) = rows(tmp_path, "pipeline_runs")
    assert json.loads(run["error"])["type"] == "SqlError"
    assert not (tmp_path / "step_runs").exists()


@pytest.mark.parametrize("is_new", [True, False], ids=["new tables", "old tables"])
def test_writers_at_once_lose_nothing(tmp_path: Path, is_new: bool) -> None:
    names = [f"run-{number}" for number in range(4)]
    if not is_new:
        MetadataLogger(str(tmp_path)).write(run_log(GOOD, BAD))
    problems = at_once(tmp_path, [replace(RUN, run_id=f"new-{name}") for name in names])
    assert problems == []
    wanted = {f"new-{name}" for name in names} | (set() if is_new else {"run-1"})
    for table, each in zip(TABLES, (1, 2, 3), strict=True):
        found = [one["run_id"] for one in rows(tmp_path, table)]
        assert sorted(found) == sorted(name for name in wanted for _ in range(each))


def test_same_run_at_once_is_written_once(tmp_path: Path) -> None:
    MetadataLogger(str(tmp_path)).write(run_log(GOOD, BAD, run=replace(RUN, run_id="run-0")))
    assert at_once(tmp_path, [RUN, RUN, RUN]) == []
    assert [len(rows(tmp_path, table)) for table in TABLES] == [2, 4, 6]


def test_run_that_another_writer_adds_after_the_look_is_not_added_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    MetadataLogger(str(tmp_path)).write(run_log(GOOD, BAD, run=replace(RUN, run_id="run-0")))
    write, others = deltalake.write_deltalake, [MetadataLogger(str(tmp_path))]

    def write_as_second(*words: Any, **options: Any) -> None:
        if others:
            others.pop().write(run_log(GOOD, BAD))
        write(*words, **options)

    monkeypatch.setattr(deltalake, "write_deltalake", write_as_second)
    MetadataLogger(str(tmp_path)).write(run_log(GOOD, BAD))
    assert others == []
    assert [len(rows(tmp_path, table)) for table in TABLES] == [2, 4, 6]


def at_once(folder: Path, runs: Sequence[RunInfo]) -> list[BaseException]:
    """Writes each run in a thread of its own, all let go together; what was raised."""
    problems: list[BaseException] = []
    gate = threading.Barrier(len(runs))

    def work(run: RunInfo) -> None:
        log = run_log(GOOD, BAD, run=run)
        gate.wait(30)
        try:
            MetadataLogger(str(folder)).write(log)
        except BaseException as error:
            problems.append(error)

    threads = [threading.Thread(target=work, args=(run,)) for run in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return problems


def test_sink_writes_at_the_end_only_and_redacts(tmp_path: Path) -> None:
    sink = MetadataSink(MetadataLogger(str(tmp_path)), lambda text: text.replace("hunter2", "***"))
    sink.handle(RunStarted(RUN, NOON))
    sink.handle(StepStarted("bronze.load.students", NOON))
    assert list(tmp_path.iterdir()) == []
    result = RunResult.collect(RUN, (GOOD, BAD), finished_at=NOON, error=ERROR)
    sink.handle(RunFinished(result, NOON))
    assert rows(tmp_path, "step_runs")[1]["error_message"] == "login as ada with ***"
    assert rows(tmp_path, "dq_results")[1]["message"] == "*** rows"
    for table in TABLES:
        assert "hunter2" not in str(rows(tmp_path, table))
