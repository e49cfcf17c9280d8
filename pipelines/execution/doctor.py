"""Looks at what a run needs: Python, Java, Spark, jars, Graphviz, datasources and secrets."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from pipelines.errors import PipelineError
from pipelines.execution.jars import cached_jars

if TYPE_CHECKING:
    from pipelines.secret_store.providers import SecretService
    from pipelines.utils.datasource import DataSource

_PORTS = {"postgresql": 5432, "sqlserver": 1433, "mysql": 3306}
_JAVA = (17, 21)
_TLS = {
    "": ("", ""),
    "checked": ("; TLS, its certificate is checked", ""),
    "unchecked": ("; TLS, but its certificate is not checked", "who is in between can read along"),
    "off": ("; without TLS", "rows and password go over the network for all to read"),
}
_CHECKED_BY = {
    "postgresql": "put sslmode=verify-full into the address",
    "sqlserver": "put encrypt=true;trustServerCertificate=false into the address",
}
_CONNECT_SECONDS = 3.0


class Diagnosis(NamedTuple):
    """One thing looked at."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    hint: str = ""

    def redacted(self, redact: Callable[[str], str]) -> Diagnosis:
        """The same, without the secrets that ``redact`` takes out."""
        return self._replace(detail=redact(self.detail), hint=redact(self.hint))


def examine(
    cache: Path,
    packages: Iterable[str],
    datasources: Iterable[str],
    datasource: Callable[[str], DataSource],
    secrets: Iterable[str],
    has_secret: Callable[[str], bool],
    services: Iterable[SecretService] = (),
) -> Iterator[Diagnosis]:
    """Everything that a run needs, looked at one by one; no JVM but for `java -version`.

    Args:
        cache: the project's cache folder.
        packages: Maven coordinates of the jars.
        datasources: their names.
        datasource: gives one with its secrets looked up.
        secrets: names of the secrets that are asked for; their values are never shown.
        has_secret: whether some provider has it.
        services: providers of secrets that can be out of reach.
    """
    version = ".".join(map(str, sys.version_info[:3]))
    yield Diagnosis("Python", "ok", version)
    yield _java()
    for package in ("pyspark", "delta-spark"):
        yield _package(package)
    jars = cached_jars(cache / "jars", tuple(packages))
    if jars is None:
        yield Diagnosis("jars", "warn", "not in the cache", "the first run fetches them")
    else:
        yield Diagnosis("jars", "ok", f"{len(jars)} in {cache / 'jars'}")
    if shutil.which("dot"):
        yield Diagnosis("Graphviz", "ok", shutil.which("dot") or "")
    else:
        hint = "apt-get install graphviz; only PNG, PDF and SVG need it"
        yield Diagnosis("Graphviz", "warn", "no 'dot' on the PATH", hint)
    for name in datasources:
        yield _datasource(name, datasource)
    for service in services:
        yield _service(service)
    for name in secrets:
        yield _secret(name, has_secret)


def _service(service: SecretService) -> Diagnosis:
    try:
        told = service.state()
    except PipelineError as error:
        return Diagnosis(service.service, "fail", error.message, error.hint)
    return Diagnosis(service.service, "warn" if service.advice else "ok", told, service.advice)


def _secret(name: str, has_secret: Callable[[str], bool]) -> Diagnosis:
    label = f"secret {name}"
    try:
        if has_secret(name):
            return Diagnosis(label, "ok", "found")
    except PipelineError as error:
        return Diagnosis(label, "fail", error.message, error.hint)
    hint = "set it in the environment, .env, the secrets folder, or where secrets.providers says"
    return Diagnosis(label, "fail", "not found", hint)


def _java() -> Diagnosis:
    home = os.environ.get("JAVA_HOME")
    program = str(Path(home, "bin", "java")) if home else "java"
    hint = "install Java 17 or 21: apt-get install openjdk-17-jre-headless"
    try:
        done = subprocess.run(
            [program, "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Diagnosis("Java", "fail", f"{program} does not start: {error}", hint)
    match = re.search(r'version "(\d+)[^"]*"', done.stderr)
    major = int(match[1]) if match else 0
    told = done.stderr.splitlines()[0] if done.stderr else "says nothing"
    return (
        Diagnosis("Java", "ok", told) if major in _JAVA else Diagnosis("Java", "fail", told, hint)
    )


def _package(name: str) -> Diagnosis:
    try:
        return Diagnosis(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Diagnosis(name, "fail", "not installed", "run ./run_pipeline.sh, which installs it")


def _datasource(name: str, make: Callable[[str], DataSource]) -> Diagnosis:
    label = f"datasource {name}"
    try:
        source = make(name)
    except PipelineError as error:
        return Diagnosis(label, "fail", error.message, error.hint)
    if source.type != "jdbc" or source.engine == "derby":
        path = (source.url or "").removeprefix("jdbc:derby:").split(";")[0]
        place = source.path if source.type != "jdbc" else path
        if place and (":" in place or Path(place).exists()):
            return Diagnosis(label, "ok", place)
        hint = "make the embedded one: pipeline ods create" if source.engine == "derby" else ""
        return Diagnosis(label, "fail", f"{place} does not exist", hint)
    host, _, port = source.place.partition(":")
    host, _, instance = host.partition("\\")  # an instance of SQL Server has its own port
    number = int(port) if port.isdigit() else 0 if instance else _PORTS.get(source.engine, 0)
    if not number:
        return Diagnosis(label, "warn", f"{source.place}: cannot tell its port")
    try:
        socket.create_connection((host, number), timeout=_CONNECT_SECONDS).close()
    except (OSError, UnicodeError) as error:  # the latter: it is no name
        hint = "is the database up, and does the network let you through?"
        return Diagnosis(label, "fail", f"{host}:{number} does not answer: {error}", hint)
    found, hint = _TLS[source.tls]
    hint = f"{hint}: {_CHECKED_BY[source.engine]}" if hint else ""
    return Diagnosis(label, "warn" if hint else "ok", f"{host}:{number} answers{found}", hint)
