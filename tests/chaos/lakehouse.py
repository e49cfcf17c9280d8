"""A small project with every way of writing, and what its lakehouse holds, for comparing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deltalake import DeltaTable, QueryBuilder

from tests.chaos.dying import Death

ROOT = Path(__file__).resolve().parents[2]
CONFIG = """\
default_environment: chaos
environments:
  chaos:
    base_path: lake
    metadata: {enabled: true}
    spark:
      master: "local[2]"
      conf:
        spark.driver.extraJavaOptions: "-XX:TieredStopAtLevel=1"
        spark.sql.codegen.wholeStage: "false"
        spark.sql.codegen.factoryMode: NO_CODEGEN
        spark.sql.shuffle.partitions: "2"
"""
FLOW = """\
pipeline:
  name: chaos
  batch_id: "{{ run_date }}"
  default_retry: {attempts: 2, delay_seconds: 0}
  stages:
    - name: bronze
      groups:
        - name: raw
          steps:
            - name: events
              source: &arrived {type: json, path: "{{ project_dir }}/in/{{ run_date }}"}
              destination: {path: "{{ base_path }}/events", mode: append}
              dq_checks: [dq/there_are_rows.sql]
            - name: parted
              source: *arrived
              destination: {path: "{{ base_path }}/parted", format: json, mode: append}
    - name: silver
      groups:
        - name: history
          steps:
            - name: people
              depends_on: [bronze.raw.events]
              source: {type: delta, query: "select * from {{ changes('events') }}"}
              destination: &people
                path: "{{ base_path }}/people"
                mode: merge
                keys: [id]
                sequence_by: day
                except_columns: [_change_type, _commit_version, _commit_timestamp]
            - name: versions
              depends_on: [bronze.raw.events]
              source: {type: delta, query: "select * from {{ changes('events') }}"}
              destination: {<<: *people, path: "{{ base_path }}/versions", mode: scd2}
    - name: gold
      groups:
        - name: facts
          steps:
            - name: counted
              depends_on: [bronze.raw.events]
              source:
                type: delta
                query: "insert into counted select id, count(*) as n from events group by id"
              destination: {path: "{{ base_path }}/counted"}
            - name: by_status
              depends_on: [silver.history.people]
              source:
                type: delta
                query: "select status, count(*) as n from people group by status"
              destination:
                {path: "{{ base_path }}/by_status", format: csv, options: {header: "true"}}
            - name: refused
              depends_on: [silver.history.people]
              on_failure: continue
              source: {type: delta, query: "select id, 'wrong' as why from people"}
              destination: {path: "{{ base_path }}/refused"}
              dq_checks: [dq/is_wrong_on_the_second_day.sql]
"""
CHECKS = {
    "there_are_rows.sql": "-- expect: value >= 1\nselect count(*) as n from events\n",
    "is_wrong_on_the_second_day.sql": (
        "select * from refused where '{{ run_date }}' = '2026-03-02'\n"
    ),
}
DAYS = ("2026-03-01", "2026-03-02")


@dataclass(frozen=True)
class Lakehouse:
    """A project in a folder, and its lakehouse below."""

    folder: Path

    @classmethod
    def make(cls, folder: Path) -> Lakehouse:
        """The project, before its first day."""
        made = {"pipelines/pipelines_config.yaml": CONFIG, "pipelines/flows/main_flow.yaml": FLOW}
        made |= {f"dq/{name}": text for name, text in CHECKS.items()}
        for number, day in enumerate(DAYS):
            rows = [
                {"id": one, "status": f"s{one % 3 + number * (one % 2)}", "day": day}
                for one in range(number * 20, 60)
            ]
            made[f"in/{day}/rows.json"] = "\n".join(map(json.dumps, rows))
        for name, text in made.items():
            file = folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text, encoding="utf-8")
        return cls(folder)

    def copy(self, folder: Path) -> Lakehouse:
        """The same, elsewhere."""
        shutil.copytree(self.folder, folder)
        return Lakehouse(folder)

    def run(self, *words: str, dies: Death | None = None) -> subprocess.CompletedProcess[str]:
        """The command line on the project, in a process of its own that may be killed."""
        death = dies or Death("call", count=os.devnull)
        command = [sys.executable, "-m", "tests.chaos.dying", death.as_json(), "--", *words]
        return subprocess.run(
            [*command, "--project-dir", str(self.folder)],
            cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    def day(self, number: int, dies: Death | None = None) -> subprocess.CompletedProcess[str]:
        """The run of a day."""
        return self.run("run", "--run-date", DAYS[number], "--log-format", "text", dies=dies)

    def state(self) -> dict[str, Any]:
        """Rows of every table, what was done to it, and the names of all that stands beside."""
        lake = self.folder / "lake"
        tables: dict[str, Any] = {"": (sorted(one.name for one in lake.iterdir()), [])}
        for folder in sorted(lake.iterdir()):
            if folder.name.startswith("_"):
                continue
            if (folder / "_delta_log").is_dir():
                table = DeltaTable(str(folder))
                query = QueryBuilder().register("t", table).execute("select * from t").read_all()
                columns = [query.column(number).to_pylist() for number in range(query.num_columns)]
                rows = [str(row) for row in zip(*columns, strict=True)]
                done = _that_count(one["operation"] for one in reversed(table.history()))
            else:
                files = [file for file in folder.iterdir() if file.name.startswith("part-")]
                rows, done = [line for file in files for line in file.read_text().split()], []
            tables[folder.name] = (sorted(rows), done)
        return tables

    def logs(self) -> list[dict[str, Any]]:
        """The runs' logs, oldest first; none may be broken."""
        folder = self.folder / "pipelines/logs"
        return [json.loads(file.read_text()) for file in sorted(folder.glob("[0-9]*.json"))]

    def litter(self) -> list[str]:
        """Files and folders that a write left half done."""
        left = (*self.folder.rglob(".*.json.*"), *self.folder.rglob("*.__*"))
        return sorted(str(one.relative_to(self.folder)) for one in left if ".crc" not in one.name)


def _that_count(operations: Iterable[str]) -> list[str]:
    """Without writes that were undone: a failed check is tried again by every run of the batch."""
    left: list[str] = []
    for operation in operations:
        if operation == "RESTORE":
            left.pop()
        else:
            left.append(operation)
    return left
