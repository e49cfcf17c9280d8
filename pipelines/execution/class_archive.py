"""Spark's classes in a file that starts of Java map, instead of loading and checking each again.

Most of a small run is Java loading classes. Java can keep them in an archive (class data sharing,
JEP 310). It is made once, by processes that do nothing else: one uses Spark as a run does and
notes which classes that takes, another writes them. An archive fits one Java and one class path;
Java itself looks whether it does, and loads as always where it does not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import PipelineError
from pipelines.execution.files import cache_folder
from pipelines.execution.jars import find_java, jar_cache, pyspark_jars, resolve_jars
from pipelines.execution.session import start_session

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_TIMEOUT_SECONDS = 900
_USE = """
create table delta.`{table}` using delta as
select id, cast(id as string) as name, date '2026-01-01' + cast(id as int) as day from range(9)
;
merge into delta.`{table}` as target
using (
    with numbered as (
        select *, row_number() over (partition by id % 3 order by day desc) as position
        from delta.`{table}`
    )
    select id + 5 as id, upper(trim(name)) as name, max(day) as day
    from numbered
    left join (select explode(sequence(1, 9)) as id) using (id)
    where position < 3
    group by all
) as source
on target.id = source.id
when matched and target.name <> source.name then update set *
when not matched then insert *
;
restore table delta.`{table}` to version as of 0
;
select sha2(to_json(struct(id, name)), 256), sum(id), count(*) from delta.`{table}` group by 1
"""


def class_archive(cache: Path, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Where the archive for this Java and this Spark is kept; None where no Java is found.

    Args:
        cache: the project's cache folder.
        environ: tells which Java Spark takes.
    """
    found = find_java(environ)
    if found is None:
        return None
    java, spark = Path(found).resolve(), pyspark_jars()
    release = java.parents[1] / "release"
    told = release.read_text(errors="replace") if release.is_file() else ""
    key = "\n".join([str(java), told, str(spark), str(spark.stat().st_mtime_ns)])
    return cache / "classes" / f"{sha256(key.encode()).hexdigest()[:16]}.jsa"


def archive_options(cache: Path) -> str:
    """Options that let a JVM use the archive; none where there is none."""
    archive = class_archive(cache)
    if archive is None or not archive.exists():
        return ""
    return f'"-XX:SharedArchiveFile={archive}" -Xshare:auto -Xlog:cds=off -Xlog:class+path=off'


def keep_classes(cache: Path, jars: Sequence[Path]) -> Path:
    """The archive, made unless it is there; that takes a minute or two.

    Args:
        cache: the project's cache folder.
        jars: of Delta; their own classes cannot be kept, but use others that can.

    Raises:
        PipelineError: there is no Java, or it kept nothing.
    """
    archive = class_archive(cache)
    if archive is None:
        raise PipelineError("no Java was found", hint="'pipeline doctor' says what it looked for")
    if archive.exists():
        return archive
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=archive.parent) as name:
        classes, unfinished = Path(name, "classes.lst"), Path(name, "classes.jsa")
        class_path = _note_classes(Path(name), jars, classes)
        said = _java_says(
            "-Xshare:dump", f"-XX:SharedClassListFile={classes}",
            f"-XX:SharedArchiveFile={unfinished}", "-cp", class_path,
        )  # fmt: skip
        if not unfinished.exists():
            raise PipelineError(f"Java kept no classes: {said.strip()[-500:]}", where=str(archive))
        for old in archive.parent.glob("*.jsa"):  # of another Java or Spark
            old.unlink(missing_ok=True)
        unfinished.replace(archive)
    return archive


def _note_classes(folder: Path, jars: Sequence[Path], classes: Path) -> str:
    """Writes the names of the classes that using Spark takes; returns the JVM's class path."""
    conf = {
        "spark.driver.extraJavaOptions": f'"-XX:DumpLoadedClassList={classes}"',
        "spark.sql.codegen.wholeStage": "false",
    }
    spark = start_session("classes", "local[2]", conf, jars, folder=folder / "spark")
    try:
        _use(spark, folder)
        jvm: Any = spark._jvm
        return str(getattr(jvm, "java.lang.System").getProperty("java.class.path"))
    finally:
        gateway: Any = spark.sparkContext._gateway
        spark.stop()
        gateway.shutdown()
        gateway.proc.stdin.close()  # the JVM ends with it, and the list is whole
        gateway.proc.wait(_TIMEOUT_SECONDS)


def _use(spark: SparkSession, folder: Path) -> None:
    """What runs do: statements, tables, a database."""
    for statement in _USE.format(table=folder / "table").split(";"):
        spark.sql(statement).collect()
    rows = spark.range(3).selectExpr("id", "current_timestamp() as at")
    database = {
        "url": "jdbc:derby:memory:classes;create=true",
        "driver": "org.apache.derby.iapi.jdbc.AutoloadedDriver",
    }
    rows.write.format("jdbc").options(**database, dbtable="kept").save()
    read = spark.read.format("jdbc").options(**database, dbtable="kept").load()
    read.where("ID > 1").write.format("delta").mode("overwrite").save(str(folder / "other"))


def _java_says(*words: str) -> str:
    done = subprocess.run(
        [str(find_java()), *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace", timeout=_TIMEOUT_SECONDS,
        check=False,
    )  # fmt: skip
    return done.stdout


def main() -> int:
    """Fills this project's cache; returns the exit code. Without an archive all works, slower."""
    project = Path(__file__).resolve().parents[2]
    cache = cache_folder(project)
    sys.stderr.write("Keeping Spark's classes, once, for faster starts (a minute or two)\n")
    try:
        archive = keep_classes(cache, resolve_jars(jar_cache(project)))
    except Exception as error:  # whatever it is, it keeps nobody from running
        sys.stderr.write(f"warning: starts stay slower: {str(error)[:500]}\n")
        failed = cache / "classes" / "failed"
        failed.parent.mkdir(parents=True, exist_ok=True)
        failed.write_text(f"{error}\n", encoding="utf-8")
        return 0
    sys.stdout.write(f"{archive.stat().st_size / 1e6:.0f} MB in {archive}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
