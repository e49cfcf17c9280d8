"""The Spark session of a run, and the session of its own that each step gets."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import JavaEndedError, PipelineError
from pipelines.secret_store.redaction import hidden
from pipelines.spec.config import is_local_master
from pipelines.utils.sql_runner import causes

if TYPE_CHECKING:
    from pyspark.sql import SparkSession as SparkSession  # noqa: PLC0414 - for rooms that must not import Spark

_OUT_OF_MEMORY = 52
"""Spark's exit code."""
_ENDING_SECONDS = 5.0
_ENDS = "Cannot call methods on a stopped SparkContext"
"""Spark's answer while its process is about to end, as a rule since its memory is full."""
_PASSING_ON = "java-output"
"""The thread that passes on what Java says."""
_LOGGING = Path(__file__).with_name("log4j2.properties")

# What docs/performance.md measured best for one machine; an environment's conf wins over it.
ENGINE_CONF: Mapping[str, str] = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.scheduler.mode": "FAIR",
    "spark.sql.session.timeZone": "UTC",
    # The default, INT96, is what other readers of Delta take far dates wrong from.
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    # Else `${env:NAME}` in a statement becomes the variable's value, secrets among them.
    "spark.sql.variable.substitute": "false",
}
LOCAL_CONF: Mapping[str, str] = {
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.shuffle.partitions": "8",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "2g",
    # There is no other process to lose. Else a machine that sleeps for two minutes makes Spark
    # forget its only executor, and ten minutes later Spark ends, as that has no answer meanwhile.
    "spark.storage.blockManagerHeartbeatTimeoutMs": "30d",
}


def start_session(
    app_name: str,
    master: str | None,
    conf: Mapping[str, Any],
    jars: Sequence[Path],
    *,
    folder: Path,
    java_options: str = "",
    debug: bool = False,
) -> SparkSession:
    """A Spark session with Delta.

    Args:
        app_name: shown by Spark.
        master: Spark's master; None leaves it to spark-submit or the platform.
        conf: settings that win over the engine's own.
        jars: jar files of Delta and of the JDBC drivers.
        folder: where Spark may leave files of its own, such as a warehouse.
        java_options: options of the JVM; those in ``conf`` win over them.
        debug: show Spark's own warnings on stderr.

    Raises:
        PipelineError: Spark did not start; the message says why and what to do.
    """
    from pyspark.sql import SparkSession

    is_local = is_local_master(master)
    if is_local:
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    folder.mkdir(parents=True, exist_ok=True)
    given = {key: _text(value) for key, value in conf.items()}
    settings = {**ENGINE_CONF, **(LOCAL_CONF if is_local else {}), **given}
    settings.setdefault("spark.sql.warehouse.dir", str(folder / "warehouse"))
    settings["spark.driver.extraJavaOptions"] = " ".join(
        [
            java_options,
            settings.get("spark.driver.extraJavaOptions", ""),
            f"-Dderby.stream.error.file={os.devnull}",
            "-Duser.timezone=UTC",
            *([] if debug else [f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}"]),
        ]
    ).strip()
    if jars:
        settings["spark.jars"] = ",".join(jar.as_uri() for jar in jars)
    builder: Any = SparkSession.builder.appName(app_name)
    if master:
        builder = builder.master(master)
    for key, value in settings.items():
        builder = builder.config(key, value)
    try:
        with _java_output_to(None if debug else folder / "spark-output.log") as kept:
            spark: SparkSession = builder.getOrCreate()
    except PipelineError:
        raise  # a signal's
    except Exception as error:
        tail = kept.read_text(errors="replace").strip()[-1_500:] if kept and kept.exists() else ""
        raise PipelineError(
            f"Spark did not start: {str(error).splitlines()[0]}" + (f"\n{tail}" if tail else ""),
            hint="'pipeline doctor' looks at Java, Spark and the jars",
        ) from error
    if not debug:
        spark.sparkContext.setLogLevel("OFF")
        # PySpark logs every failed statement with its plan, row values among it.
        logging.getLogger("SQLQueryContextLogger").disabled = True
    return spark


def end_of_java(spark: SparkSession, error: Exception | None = None) -> JavaEndedError | None:
    """What became of the Java process that this one has started; None while it lives.

    Args:
        spark: the session.
        error: what may come of its end; a process that hangs up is about to end.
    """
    process = getattr(spark.sparkContext._gateway, "proc", None)
    if process is None:
        return None
    if error is not None and _has_hung_up(error):
        with suppress(subprocess.TimeoutExpired):
            process.wait(_ENDING_SECONDS)
    if process.poll() is None:
        return None
    code = process.returncode
    why, hint = f"with exit code {code}", "'--debug' shows what it said last"
    if code == _OUT_OF_MEMORY:
        why = "since its memory was full"
        hint = "raise spark.driver.memory in the config, or read in smaller parts"
    elif code in (-signal.SIGKILL, 128 + signal.SIGKILL):
        why = "since it was killed"
        hint = "the system's log says whether the machine's memory was full"
    return JavaEndedError(
        f"Spark's Java process has ended, {why}",
        hint=f"{hint}; then run the same batch again",
    )


def _has_hung_up(error: Exception) -> bool:
    chain = causes(error)
    if any(cause.message.startswith(_ENDS) for cause in chain):
        return True
    names = {name for cause in chain for name in (cause.class_name, *cause.bases)}
    return not names.isdisjoint(("JvmEnded", "Py4JNetworkError", "ConnectionError"))


def clone_session(spark: SparkSession, conf: Mapping[str, str]) -> SparkSession:
    """A session with the settings and temp views of ``spark``, whose own leak nothing out."""
    from pyspark.sql import SparkSession

    java: Any = spark._jsparkSession.cloneSession()
    session = SparkSession(spark.sparkContext, java)
    for key, value in conf.items():
        session.conf.set(key, value)
    return session


def stop_session(spark: SparkSession) -> None:
    """Ends Spark, unless its Java process has come to its end before."""
    if end_of_java(spark) is None:
        spark.stop()


@contextmanager
def _java_output_to(file: Path | None) -> Iterator[Path | None]:
    """Lets processes that start meanwhile write to ``file``; to stderr where it is None.

    Java prints warnings of its own before any logging is set up, on stdout too, which is for
    results. Drivers log addresses with all that is in them, so what goes to stderr goes there
    without secrets.
    """
    if file is None:
        target = _without_secrets(os.dup(2))
    else:
        target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    kept = {}
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        stream.flush()
        kept[number] = os.dup(number)
        os.dup2(target, number)
    try:
        yield file
    finally:
        for number, stream in ((1, sys.stdout), (2, sys.stderr)):
            stream.flush()
            os.dup2(kept[number], number)
            os.close(kept[number])
        os.close(target)


def _without_secrets(out: int) -> int:
    """A descriptor whose lines go on to the descriptor ``out``, secrets taken out."""
    reader, writer = os.pipe()

    def pass_on() -> None:
        with (
            os.fdopen(reader, encoding="utf-8", errors="replace") as lines,
            os.fdopen(out, "wb", 0) as stderr,
        ):
            for line in lines:
                with suppress(OSError):  # whoever read along has gone; Java must not wait for that
                    stderr.write(hidden(line).encode())

    threading.Thread(target=pass_on, name=_PASSING_ON, daemon=True).start()
    return writer


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
