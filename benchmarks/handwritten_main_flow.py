"""The main flow as one would write it by hand: the peer that the engine is measured against.

The same JDBC reads, SQL files, Delta writes and data quality checks as
``pipelines/flows/main_flow.yaml``, in one tuned Spark session, each step as soon as what it reads
is there. It has no retries, checkpoints, pinned versions, run log or lineage.

    python benchmarks/handwritten_main_flow.py --ods-url jdbc:derby:data/ods \
        --lakehouse /tmp/lakehouse --jars /tmp/jars
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jinja2
from delta.tables import DeltaTable
from pyspark.sql import SparkSession, Window
from pyspark.sql import functions as F

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROOT = Path(__file__).resolve().parent.parent
THREADS = 4
SAMPLE_ROWS = 20
CONF = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": "8",
    "spark.sql.session.timeZone": "UTC",
    "spark.buffer.pageSize": "1m",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.scheduler.mode": "FAIR",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=256m "
    "-XX:MetaspaceSize=256m -XX:+UseParallelGC -Duser.timezone=UTC "
    f"-Dderby.stream.error.file={os.devnull}",
}


@dataclass(frozen=True)
class Step:
    """One table.

    Attributes:
        layer: folder of its SQL and of its table.
        name: of the SQL file, the table and the view.
        after: steps that it reads.
        reads: view -> table of the ODS.
        keys: for tables that only gain rows: what tells rows apart; else it is overwritten.
        without: rows of the result that are not written; a column alone is not written either.
        versions_of: for dimensions with history: what they are of.
        views: view -> SQL file of the layer's folder `touched` that it is made by first.
    """

    layer: str
    name: str
    after: tuple[str, ...] = ()
    reads: tuple[tuple[str, str], ...] = ()
    keys: tuple[str, ...] = ()
    without: str = ""
    versions_of: str = ""
    views: tuple[tuple[str, str], ...] = ()


_SEOA = "edfi.StudentEducationOrganizationAssociation"
_TRACKED = "tracked_changes_edfi"
_DEMOGRAPHICS = f"""(select root.*, race.RaceDescriptorId, spoken.LanguageDescriptorId,
    case when race.CreateDate > spoken.CreateDate or spoken.CreateDate is null
    then race.CreateDate else spoken.CreateDate end as ChildCreateDate
    from {_SEOA} root
    left join {_SEOA}Race race on race.EducationOrganizationId = root.EducationOrganizationId
    and race.StudentUSI = root.StudentUSI
    left join {_SEOA}Language spoken
    on spoken.EducationOrganizationId = root.EducationOrganizationId
    and spoken.StudentUSI = root.StudentUSI) demographics"""
STEPS = (
    Step("bronze", "descriptors", reads=(("descriptors", "edfi.Descriptor"),)),
    Step(
        "bronze",
        "students",
        reads=(("students", "edfi.Student"), ("deleted_students", f"{_TRACKED}.Student")),
        without="is_deleted",
    ),
    Step(
        "bronze",
        "schools",
        reads=(
            ("schools", "edfi.School"),
            ("education_organizations", "edfi.EducationOrganization"),
            ("education_organization_addresses", "edfi.EducationOrganizationAddress"),
        ),
    ),
    Step(
        "bronze",
        "enrollments",
        reads=(
            ("enrollments", "edfi.StudentSchoolAssociation"),
            ("deleted_enrollments", f"{_TRACKED}.StudentSchoolAssociation"),
        ),
        without="is_deleted",
    ),
    Step(
        "bronze",
        "demographics",
        reads=(
            ("demographics", _DEMOGRAPHICS),
            (
                "deleted_demographics",
                f"{_TRACKED}.StudentEducationOrganizationAssociation",
            ),
        ),
        without="is_deleted",
    ),
    Step("silver", "hub_student", ("students",), keys=("student_hk",)),
    Step("silver", "hub_school", ("schools",), keys=("school_hk",)),
    Step("silver", "sal_student", ("students",), keys=("student_hk", "student_usi")),
    Step(
        "silver",
        "link_enrollment",
        ("enrollments", "hub_student", "hub_school"),
        keys=("enrollment_hk",),
        views=(("touched", "link_enrollment"),),
    ),
    Step(
        "silver",
        "sat_student_demographics",
        ("demographics", "descriptors", "hub_student", "sal_student", "schools"),
        keys=("student_hk", "load_date"),
        views=(("touched", "sat_student_demographics"), ("touched_entry", "entries")),
    ),
    Step(
        "silver",
        "sat_school",
        ("descriptors", "hub_school"),
        keys=("school_hk", "load_date"),
    ),
    Step(
        "silver",
        "sat_enrollment",
        ("descriptors", "link_enrollment", "sal_student"),
        keys=("enrollment_hk", "load_date"),
        views=(("touched", "sat_enrollment"), ("touched_entry", "entries")),
    ),
    Step("silver", "quarantine_student", ("students",), without="reason = ''"),
    Step(
        "silver",
        "quarantine_enrollment",
        ("enrollments", "schools", "students"),
        without="reason = ''",
        views=(("touched", "quarantine_enrollment"),),
    ),
    Step("gold", "dim_date", ("link_enrollment", "sat_enrollment")),
    Step(
        "gold",
        "dim_student",
        ("dim_date", "hub_student", "sat_enrollment", "sat_student_demographics"),
        versions_of="student",
        views=(("touched", "dim_student"), ("touched_enrollment", "enrollments_of_students")),
    ),
    Step("gold", "dim_school", ("hub_school", "sat_school"), versions_of="school"),
    Step(
        "gold",
        "fact_enrollment",
        ("dim_date", "dim_school", "dim_student", "link_enrollment", "sat_enrollment"),
        without="is_out",
        views=(("touched", "fact_enrollment"), ("touched_enrollment", "enrollments")),
    ),
)


class Run:
    """One run of all steps in one session."""

    def __init__(
        self, spark: SparkSession, jdbc: dict[str, str], lakehouse: str, run_date: str
    ) -> None:
        self.spark = spark
        self.jdbc = jdbc
        self.lakehouse = lakehouse
        self.run_date = run_date
        self.warnings: list[str] = []
        self.seconds: dict[str, float] = {}
        self._templates = jinja2.Environment(
            undefined=jinja2.StrictUndefined,
            loader=jinja2.FileSystemLoader([ROOT, ROOT / "pipelines" / "sql_templates"]),
            autoescape=False,
        )

    def all_steps(self) -> None:
        """Runs every step as soon as the steps that it reads are done; raises the first error."""
        done: dict[str, Future[None]] = {}
        with ThreadPoolExecutor(THREADS) as pool, ThreadPoolExecutor(len(STEPS)) as waiting:

            def run(step: Step) -> None:
                for name in step.after:
                    done[name].result()
                pool.submit(self.one_step, step).result()

            for step in STEPS:
                done[step.name] = waiting.submit(run, step)
            for future in done.values():
                future.result()

    def one_step(self, step: Step) -> None:
        """Reads, transforms, writes and checks one table."""
        start = time.perf_counter()
        for view, table in step.reads:
            reader = self.spark.read.format("jdbc").options(dbtable=table, **self.jdbc)
            reader.load().createOrReplaceTempView(view)
        for view, file in step.views:
            sql = _with_own_views(self._render(f"sql/{step.layer}/touched/{file}.sql"), step)
            self.spark.sql(sql).createOrReplaceTempView(f"{step.name}__{view}")
        sql = self._render(f"sql/{step.layer}/{step.name}.sql")
        frame = self.spark.sql(_with_own_views(sql, step))
        if step.without:
            frame = frame.where(f"not ({step.without})").drop(step.without)
        if step.versions_of:
            frame = _versions(frame, step.versions_of)
        path = f"{self.lakehouse}/{step.layer}/{step.name}"
        self._write(frame, path, step.keys)
        table = self.spark.read.format("delta").load(path)
        table.createOrReplaceTempView(step.name)
        every = table.withColumn("_change_type", F.lit("insert"))
        every.createOrReplaceTempView(f"{step.name}__changes")
        for file in sorted((ROOT / "dq" / step.layer / step.name).glob("*.sql")):
            self._check(file, step)
        self.seconds[step.name] = round(time.perf_counter() - start, 2)

    def _write(self, frame: DataFrame, path: str, keys: tuple[str, ...]) -> None:
        if not keys:
            frame.write.format("delta").mode("overwrite").save(path)
            return
        if DeltaTable.isDeltaTable(self.spark, path):
            there = self.spark.read.format("delta").load(path).select(*keys)
            frame = frame.join(there, list(keys), "left_anti")
        frame.write.format("delta").mode("append").save(path)

    def _check(self, file: Path, step: Step) -> None:
        name = file.relative_to(ROOT).as_posix()
        sql = _with_own_views(self._render(name), step)
        headers = dict(re.findall(r"^-- (\w+): (.*)$", sql, re.MULTILINE))
        if headers.get("returns", "value") == "value":
            value = self.spark.sql(sql).collect()[0][0]
            bound = float(headers["expect"].split()[-1])
            good = value >= bound if ">=" in headers["expect"] else value == bound
        else:
            value = len(self.spark.sql(sql).limit(SAMPLE_ROWS).collect())
            good = value == 0
        if good:
            return
        message = f"{name}: {value}"
        if headers["severity"] == "error":
            raise RuntimeError(message)
        self.warnings.append(message)

    def _render(self, path: str) -> str:
        return self._templates.get_template(path).render(run_date=self.run_date)


def _with_own_views(sql: str, step: Step) -> str:
    """``sql`` with names for the step's views that no other step has: they share a session."""
    for view, _ in step.views:
        sql = re.sub(rf"\b{view}\b", f"{step.name}__{view}", sql)
    return sql


def _versions(states: DataFrame, of: str) -> DataFrame:
    """The states of a dimension with the time in which each held; deletes are none."""
    forth = Window.partitionBy(f"{of}_hk").orderBy("changed_on")
    return (
        states.withColumn("valid_to", F.lead("changed_on").over(forth))
        .where("not is_deleted")
        .withColumn(f"dim_{of}_id", F.sha2(F.concat_ws("||", f"{of}_hk", "changed_on"), 256))
        .withColumn("is_current", F.col("valid_to").isNull())
        .withColumnRenamed("changed_on", "valid_from")
        .drop("is_deleted")
    )


def start_session(jars: str, java_options: str = "") -> SparkSession:
    """A session tuned for small data on one machine, with the jars of a folder or a list."""
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    files = sorted(map(str, Path(jars).glob("*.jar"))) if Path(jars).is_dir() else jars.split(",")
    builder: Any = SparkSession.builder.appName("handwritten_main_flow").master("local[*]")
    java = "spark.driver.extraJavaOptions"
    for key, value in {**CONF, java: f"{java_options} {CONF[java]}"}.items():
        builder = builder.config(key, value)
    spark: SparkSession = builder.config("spark.jars", ",".join(files)).getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    return spark


def main() -> None:
    """Runs the flow once, and writes its timings and warnings as JSON."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--ods-url", required=True, help="JDBC address of the ODS")
    parser.add_argument("--driver", default="org.apache.derby.iapi.jdbc.AutoloadedDriver")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--lakehouse", required=True, help="folder of the tables")
    parser.add_argument("--jars", required=True, help="folder of jars, or a list with commas")
    parser.add_argument("--java-options", default="", help="more options of the JVM")
    parser.add_argument("--run-date", default=date.today().isoformat())
    words = parser.parse_args()
    jdbc = {"url": words.ods_url, "driver": words.driver, "fetchsize": "10000"}
    jdbc |= {key: getattr(words, key) for key in ("user", "password") if getattr(words, key)}

    start = time.perf_counter()
    spark = start_session(words.jars, words.java_options)
    session_seconds = time.perf_counter() - start
    run = Run(spark, jdbc, str(Path(words.lakehouse).resolve()), words.run_date)
    try:
        run.all_steps()
    finally:
        total_seconds = time.perf_counter() - start
        spark.stop()
    result = {
        "session_seconds": round(session_seconds, 2),
        "total_seconds": round(total_seconds, 2),
        "steps": run.seconds,
        "warnings": run.warnings,
    }
    sys.stdout.write(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
