"""Spark's classes kept in one file after a run, so that later starts map them instead of loading.

Most of a small run is class loading. Java can keep what it has loaded and linked (class data
sharing, JEP 350) and map it at the next start. An archive fits one Java, one class path; Java
itself looks whether it does, and goes on without it where it does not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import PipelineError

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_QUIET = "-Xlog:disable"  # Java would tell on stdout that an archive does not fit
_RECORD = "-XX:+RecordDynamicDumpInfo"


@dataclass(frozen=True)
class ClassArchive:
    """The archive of one Java and one set of jars; ``file`` may not be there yet."""

    file: Path

    def java_options(self, *, record: bool) -> str:
        """Options of the JVM: use the archive, or note what one is made of if ``record``."""
        if self.file.exists():
            return f'{_QUIET} "-XX:SharedArchiveFile={self.file}"'
        return f"{_QUIET} {_RECORD}" if record else ""

    def keep(self, spark: SparkSession) -> bool:
        """Keeps the classes that the JVM of ``spark`` has loaded; takes some seconds.

        Returns:
            Whether it did: not where there is an archive, or the JVM was not told to record.

        Raises:
            PipelineError: Java could not write it.
        """
        options = spark.sparkContext.getConf().get("spark.driver.extraJavaOptions") or ""
        if self.file.exists() or _RECORD not in options:
            return False
        unfinished = self.file.with_suffix(f".{os.getpid()}")
        said = _dump(spark, unfinished)
        if not unfinished.exists():
            raise PipelineError(f"Java kept no classes: {said}", where=str(self.file))
        for old in self.file.parent.glob("classes-*.jsa"):
            old.unlink(missing_ok=True)
        unfinished.replace(self.file)
        return True


def class_archive(
    jars: Sequence[Path], environ: Mapping[str, str] = os.environ
) -> ClassArchive | None:
    """The archive beside ``jars``; None where there are none, or no Java is found."""
    java = _java_home(environ)
    if not jars or java is None:
        return None
    release = java / "release"
    parts = [
        str(java),
        release.read_text("utf-8", errors="replace") if release.is_file() else "",
        version("pyspark"),
        environ.get("SPARK_HOME", ""),
        *(f"{jar.name} {jar.stat().st_size} {jar.stat().st_mtime_ns}" for jar in jars),
    ]
    key = sha256("\n".join(parts).encode()).hexdigest()[:16]
    return ClassArchive(jars[0].parent / f"classes-{key}.jsa")


def _java_home(environ: Mapping[str, str]) -> Path | None:
    if environ.get("JAVA_HOME"):
        return Path(environ["JAVA_HOME"]).resolve()
    java = shutil.which("java", path=environ.get("PATH"))
    return Path(java).resolve().parent.parent if java else None


def _dump(spark: SparkSession, file: Path) -> str:
    """What Java says to `VM.cds dynamic_dump`, asked by the platform's own management bean.

    By reflection, as Py4J does not see the methods of a class in a module that exports nothing.
    """
    jvm: Any = spark._jvm
    gateway: Any = spark.sparkContext._gateway
    lang = jvm.java.lang

    def array(kind: Any, *items: Any) -> Any:
        made = gateway.new_array(kind, len(items))
        for number, item in enumerate(items):
            made[number] = item
        return made

    words = array(lang.String, "dynamic_dump", f'"{file}"')
    bean = jvm.javax.management.ObjectName("com.sun.management:type=DiagnosticCommand")
    methods = lang.Class.forName("javax.management.MBeanServer").getMethods()
    invoke = next(one for one in methods if one.getName() == "invoke")
    server = lang.management.ManagementFactory.getPlatformMBeanServer()
    arguments = array(
        lang.Object, bean, "vmCds", array(lang.Object, words),
        array(lang.String, "[Ljava.lang.String;"),
    )  # fmt: skip
    return str(invoke.invoke(server, arguments)).strip()
