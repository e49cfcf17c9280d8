"""The one Spark session of the suite, and projects in folders of their own to run flows in."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from datetime import datetime

    from pyspark.sql import SparkSession

    from pipelines.pipeline import Pipeline
    from pipelines.results import Event, RunResult, StepResult
    from pipelines.utils.sql_runner import DeltaLog

ROOT = Path(__file__).resolve().parents[1]

CONFIG = """
default_environment: test
environments:
  test:
    base_path: lake
    metadata: {enabled: false}
"""

FLOW = """\
pipeline:
  name: toy
  default_retry: {attempts: 1, delay_seconds: 0}
%(head)s
  stages:
    - name: stage
      groups:
        - name: group
          steps:
%(steps)s
"""

# Generating code, planning anew and dividing cost more than they save where a table has ten rows.
# Java itself compiles fully, as the session lives for the whole suite.
TINY_DATA_CONF = {
    "spark.driver.extraJavaOptions": "-XX:+UseSerialGC -XX:ReservedCodeCacheSize=256m",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.shuffle.partitions": "1",
    "spark.sql.adaptive.enabled": "false",
    "spark.databricks.delta.snapshotPartitions": "1",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what needs the session: by the fixture, or by running a project's flow."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        is_unit = (ROOT / "tests/unit") in item.path.parents
        if "spark" in names or ("project" in names and not is_unit):
            item.add_marker(pytest.mark.spark)


@pytest.fixture(autouse=True)
def no_secrets_of_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test has looked up is no secret of the next."""
    from pipelines.secret_store import redaction

    monkeypatch.setattr(redaction, "_LOOKED_UP", redaction._Forms())


@pytest.fixture(scope="session")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SparkSession]:
    from pipelines.execution.jars import jar_cache, resolve_jars
    from pipelines.execution.session import start_session

    folder = tmp_path_factory.mktemp("spark")
    jars = resolve_jars(jar_cache(ROOT))
    session = start_session("tests", "local[2]", TINY_DATA_CONF, jars, folder=folder)
    yield session
    session.stop()


@dataclass(frozen=True)
class Ran:
    """What a run came to, and what was told meanwhile."""

    result: RunResult
    events: tuple[Event, ...]

    def __iter__(self) -> Iterator[Any]:
        return iter((self.result, self.events))

    def __getitem__(self, name: str) -> StepResult:
        return next(step for step in self.result.steps if step.name == name)

    @property
    def statuses(self) -> dict[str, str]:
        return {step.name: step.status.value for step in self.result.steps}


@dataclass
class Told:
    """A sink that keeps the events, and lets a test act on each."""

    act: Callable[[Event], object] | None = None
    events: list[Event] = field(default_factory=list)

    def handle(self, event: Event) -> None:
        self.events.append(event)
        if self.act is not None:
            self.act(event)


@dataclass
class Project:
    """A project folder, its flows, and the lakehouse that they write."""

    root: Path
    get_spark: Callable[[], SparkSession]

    @property
    def spark(self) -> SparkSession:
        return self.get_spark()

    def write(self, path: str, text: str) -> Path:
        """Writes a file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    def flow(self, steps: str, head: str = "", name: str = "main_flow") -> Path:
        """Writes a flow of one stage and group with these steps, a YAML list."""
        text = FLOW % {
            "head": textwrap.indent(textwrap.dedent(head).strip(), "  "),
            "steps": textwrap.indent(textwrap.dedent(steps).strip(), " " * 12),
        }
        return self.write(f"pipelines/flows/{name}.yaml", text)

    def pipeline(self, flow: str = "main_flow", **options: Any) -> Pipeline:
        """The engine on one of the project's flows; no JVM is started."""
        from pipelines.pipeline import Options, Pipeline

        options.setdefault("batch_id", "b1")
        return Pipeline(flow, Options(project_dir=self.root, **options))

    def run(
        self,
        flow: str = "main_flow",
        *,
        on_event: Callable[[Event], object] | None = None,
        clock: Callable[[], datetime] | None = None,
        **options: Any,
    ) -> Ran:
        """Runs a flow in the suite's session; options as the CLI's, the batch is `b1`."""
        from pipelines.pipeline import Options, Pipeline
        from pipelines.results import utc_now

        options.setdefault("batch_id", "b1")
        told = Told(on_event)
        engine = Pipeline(
            flow,
            Options(project_dir=self.root, **options),
            sinks=[told],
            spark=self.spark,
            now=clock or utc_now,
        )
        result = engine.run()
        assert result.error is None, result.error
        return Ran(result, tuple(told.events))

    def day(self, number: int, **options: Any) -> Ran:
        """Runs `main_flow` as on a day of January 2026, which is a batch of its own."""
        batch = f"day number {number}"
        return self.run(run_date=date(2026, 1, number), batch_id=batch, **options)

    def path(self, table: str) -> str:
        """Where a table of the lakehouse is."""
        return str(self.root / "lake" / table)

    def rows(self, table: str, file_format: str = "delta", **options: str) -> list[tuple[Any, ...]]:
        """The rows of a table, in an order that only depends on their values."""
        frame = self.spark.read.format(file_format).options(**options).load(self.path(table))
        return sorted((tuple(row) for row in frame.collect()), key=repr)

    def log(self, table: str) -> DeltaLog:
        """The commits of a table."""
        from pipelines.utils.sql_runner import DeltaLog

        return DeltaLog(self.spark, self.path(table))

    def commits(self, table: str) -> list[str]:
        """What was done to a table, newest first, in Delta's words."""
        return [commit.operation for commit in self.log(table).commits_back(0)]

    def put(self, table: str, sql: str, mode: str = "overwrite") -> None:
        """Writes a Delta table from outside of any flow."""
        self.spark.sql(sql).write.format("delta").mode(mode).save(self.path(table))

    def marker(self, step: str, batch_id: str = "b1") -> Path:
        """The checkpoint of a step."""
        return self.root / f"lake/_checkpoints/toy/{batch_id}/stage.group.{step}.json"


@pytest.fixture(scope="session")
def project(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Callable[..., Project]:
    """A function that makes a project: `project(steps, head, files)`; Spark starts when needed."""

    def make(steps: str = "", head: str = "", files: Mapping[str, str] | None = None) -> Project:
        root = tmp_path_factory.mktemp("project")
        made = Project(root, lambda: request.getfixturevalue("spark"))
        made.write("pipelines/pipelines_config.yaml", CONFIG)
        if steps:
            made.flow(steps, head)
        for path, text in (files or {}).items():
            made.write(path, text)
        return made

    return make
