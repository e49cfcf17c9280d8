"""Derby through its command line tool ij: statements in, errors noticed, query results out.

Derby lies in PySpark's own folder of jars, which is found without importing PySpark. ij goes on
after an error and ends well all the same; here the first error of a batch is raised.
"""

from __future__ import annotations

import csv
import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import IO, Final

from pipelines.errors import SampleOdsError

TIMEOUT_SECONDS: Final = 600.0

_JARS = ("derby-*.jar", "derbyshared-*.jar", "derbytools-*.jar")
_JAVA_OPTIONS = (
    *("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Duser.timezone=UTC"),
    *("-Djava.awt.headless=true", "-Dderby.ui.codeset=UTF-8"),
    f"-Dderby.stream.error.file={os.devnull}",
)
_ENDING_SECONDS = 30
_BATCH_SIZE = 100
"""So few statements that their answers fit into the pipe, or ij and its reader wait for ever."""
_MARK = "@@ end of batch @@"
_ERROR = re.compile(r"^(?:ij> |> )*((?:IJ |JAVA )?ERROR\b.*)")
_IN_USE = "XSDB6"


class Ij:
    """A running ij with one connection, in one transaction until `commit`.

    Attributes:
        timeout_seconds: how long a batch of statements may take.
    """

    def __init__(self, process: subprocess.Popen[str], timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._process = process

    def execute(self, purpose: str, statements: Sequence[str]) -> None:
        """Runs statements, at the latest until a hundred after the first error.

        Args:
            purpose: what they are for, as part of an error message: ``loading edfi.Student``.
            statements: without semicolons.

        Raises:
            SampleOdsError: one of them failed, or the time was up.
        """
        rest = iter(statements)
        while batch := list(islice(rest, _BATCH_SIZE)):
            if errors := self._run(purpose, batch):
                hint = "Another process has this ODS open, perhaps a pipeline run: let it end."
                raise SampleOdsError(
                    f"{purpose}: {errors[0]}",
                    hint=hint if any(_IN_USE in error for error in errors) else "",
                )

    def query(self, purpose: str, sql: str) -> list[list[str]]:
        """The rows of a query as text; nulls are empty."""
        with tempfile.TemporaryDirectory(prefix="sample-ods-") as folder:
            file = Path(folder) / "rows.csv"
            export = f"CALL SYSCS_UTIL.SYSCS_EXPORT_QUERY({literal(sql)}, {literal(str(file))}"
            self.execute(purpose, [f"{export}, NULL, NULL, 'UTF-8')"])
            with file.open(encoding="utf-8", newline="") as lines:
                return list(csv.reader(lines))

    def commit(self) -> None:
        """Makes durable what was executed since the last commit."""
        self.execute("committing", ["COMMIT"])

    def _run(self, purpose: str, batch: Sequence[str]) -> list[str]:
        """The errors of a batch."""
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._process.kill()

        timer = threading.Timer(self.timeout_seconds, expire)
        timer.start()
        try:
            errors, ended = self._talk(batch)
        finally:
            timer.cancel()
        if expired.is_set():
            raise SampleOdsError(f"{purpose}: not done after {self.timeout_seconds:g} seconds")
        if not ended:
            with suppress(subprocess.TimeoutExpired):  # its pipes close before it has said why
                self._process.wait(_ENDING_SECONDS)
            raise SampleOdsError(f"{purpose}: Derby ended unexpectedly", hint=" ".join(errors))
        return errors

    def _talk(self, batch: Sequence[str]) -> tuple[list[str], bool]:
        """The errors of a batch, and whether ij came to its end."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        errors: list[str] = []
        try:
            stdin.write("".join(f"{statement};\n" for statement in (*batch, f"VALUES '{_MARK}'")))
            stdin.flush()
        except BrokenPipeError:
            return errors, False
        for line in stdout:
            if match := _ERROR.match(line):
                errors.append(match[1].strip())
                if match[1].startswith("IJ ERROR"):
                    return errors, True  # no connection: the mark will not come
            elif line.strip() == _MARK:
                return errors, True
        return errors, False


@contextmanager
def connect(
    url: str,
    *,
    java_options: Sequence[str] = (),
    timeout_seconds: float = TIMEOUT_SECONDS,
    environ: Mapping[str, str] = os.environ,
) -> Iterator[Ij]:
    """An ij that is connected; what was not committed by the end is rolled back.

    Args:
        url: JDBC address, such as ``jdbc:derby:/data/ods;create=true``.
        java_options: for the Java process, on top of the usual ones.
        timeout_seconds: how long a batch of statements may take.
        environ: where ``JAVA_HOME`` is looked for, and the environment of the process.

    Raises:
        SampleOdsError: no Java, no Derby, or no connection.
    """
    command = [_java(environ), *_JAVA_OPTIONS, *java_options, "-cp", _class_path()]
    with tempfile.TemporaryDirectory(prefix="sample-ods-") as folder, _log_file() as log:
        process = subprocess.Popen(
            [*command, f"-Dderby.system.home={folder}", "org.apache.derby.tools.ij"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            cwd=folder,
            env=dict(environ),
            encoding="utf-8",
        )
        ij = Ij(process, timeout_seconds)
        try:
            ij.execute("opening the sample ODS", [f"CONNECT {literal(url)}", "AUTOCOMMIT OFF"])
            yield ij
            ij.execute("ending", ["ROLLBACK"])
            process.communicate("EXIT;\n", timeout=timeout_seconds)
        except SampleOdsError as error:
            log.seek(0)
            if not error.hint and process.poll():
                error.hint = log.read().strip()[-500:]
            raise
        finally:
            process.kill()
            process.communicate()


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


def _log_file() -> IO[str]:
    return tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")


def _java(environ: Mapping[str, str]) -> str:
    home = environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    if java is None:
        raise SampleOdsError(
            f"Java was not found in JAVA_HOME={home}" if home else "Java was not found",
            hint="Install Java 17 or 21, or set JAVA_HOME to it.",
        )
    return java


def _class_path() -> str:
    """Derby's jars as a class path."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise SampleOdsError("pyspark is not installed", hint="Run ./run_pipeline.sh once.")
    folder = Path(spec.origin).parent / "jars"
    jars = [str(jar) for pattern in _JARS for jar in sorted(folder.glob(pattern))[-1:]]
    if len(jars) < len(_JARS):
        raise SampleOdsError(
            f"{folder} lacks Derby's jars ({', '.join(_JARS)})", hint="Install pyspark anew."
        )
    return os.pathsep.join(jars)
