"""Runs the command line as a user does: another process, another folder, this project's flows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Workplace:
    """A lakehouse and logs of their own, and the ODS to read."""

    folder: Path
    url: str
    user: str = ""
    driver: str = ""

    @property
    def lake(self) -> Path:
        return self.folder / "lake"

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        """The command line, in a process of its own, from a folder that is not the project's."""
        environment = {
            "PATH": os.environ["PATH"],
            **{k: v for k, v in os.environ.items() if k in ("JAVA_HOME", "HOME", "TMPDIR")},
            "PIPELINE__BASE_PATH": str(self.lake),
            "PIPELINE__LOGS__PATH": str(self.folder / "logs"),
            "PIPELINE__DATASOURCES__EDFI_ODS__URL": self.url,
            **({"PIPELINE__DATASOURCES__EDFI_ODS__USER": self.user} if self.user else {}),
            **({"PIPELINE__DATASOURCES__EDFI_ODS__DRIVER": self.driver} if self.driver else {}),
            **variables,
        }
        code = "import sys; from pipelines.run_pipeline import main; main(sys.argv[1:])"
        return subprocess.Popen(
            [sys.executable, "-c", code, *words, "--project-dir", str(ROOT)],
            cwd=self.folder,
            env={**environment, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """The command line, run to its end."""
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=400)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def log(self, run: str = "pipeline_log") -> dict[str, Any]:
        """A run's JSON log; the last one's by default."""
        log: dict[str, Any] = json.loads((self.folder / "logs" / f"{run}.json").read_text())
        return log

    def query(self, sql: str, **tables: str) -> list[tuple[Any, ...]]:
        """Rows of a query over Delta tables, read by a library that is not Spark."""
        from deltalake import DeltaTable, QueryBuilder

        builder = QueryBuilder()
        for name, path in tables.items():
            builder = builder.register(name, DeltaTable(str(self.lake / path)))
        result = builder.execute(sql).read_all()
        columns = [result.column(number).to_pylist() for number in range(result.num_columns)]
        return list(zip(*columns, strict=True))

    def versions(self) -> dict[str, int]:
        """The newest version of each table of the three layers."""
        from deltalake import DeltaTable

        logs = sorted(self.lake.glob("[bsg]*/*/_delta_log"))
        return {
            str(log.parent.relative_to(self.lake)): DeltaTable(str(log.parent)).version()
            for log in logs
        }


def statuses(log: dict[str, Any]) -> set[str]:
    """The different statuses of a run's steps."""
    return {step["status"] for step in log["steps"]}
