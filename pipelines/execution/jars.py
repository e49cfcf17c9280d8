"""Spark's extra jars: fetched once from a Maven repository, then listed without JVM or network.

Spark could fetch them itself (``spark.jars.packages``), but asks the network at every start, and
trusts ``~/.m2``, where a POM without its jar breaks it. Here the Ivy that PySpark ships does it,
with settings and a cache of its own. What PySpark ships anyway is left out: its class loader would
take its own copy first in any case.

The cache has one folder for each set of packages; ``manifest.json`` in it names the jars with their
sizes. The folder gets its name only once it is complete.
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit
from xml.sax.saxutils import quoteattr

from pipelines.errors import JarResolutionError
from pipelines.execution.files import cache_folder

_SPARK_VERSION = version("pyspark")
_SCALA_VERSION = "2.13"

DEFAULT_PACKAGES: tuple[str, ...] = (
    "io.delta:delta-spark_{}_{}:{}".format(
        ".".join(_SPARK_VERSION.split(".")[:2]), _SCALA_VERSION, version("delta-spark")
    ),
    "org.postgresql:postgresql:42.7.14",
    "com.microsoft.sqlserver:mssql-jdbc:13.2.1.jre11",
)
"""Delta Lake as delta-spark's ``configure_spark_with_delta_pip`` names it, and the JDBC drivers."""

_MANIFEST = "manifest.json"
_REPOSITORY_VARIABLE = "PIPELINE_MAVEN_REPOSITORY"
_TIMEOUT_SECONDS = 900
_COORDINATE_PARTS = 3
_MOST_NAMED = 3
_NETWORK_HINT = f"Check the network and https_proxy, or set {_REPOSITORY_VARIABLE} to a mirror."
_NAME_HINT = f"Check the coordinates, or set {_REPOSITORY_VARIABLE} to a repository that has it."
# Lines of Ivy's closing report, such as ":: io.delta#delta-storage;4.4.0!delta-storage.jar".
_IVY_MISSING = re.compile(r"^\s*:: ([^\s#:]+)#([^\s;]+);([^\s:!]+)(?::|!|\s*$)", re.MULTILINE)
_IVY_UNREACHABLE = re.compile(
    r"(?:Host \S+ not found|Connection \w+|[^\s:]*timed out|Network is unreachable"
    r"|PKIX path building failed|Server access error at url \w+://[^\s/]+)",
    re.IGNORECASE,
)


def jar_cache(project: Path, environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the jars, `jars` in the project's cache folder."""
    return cache_folder(project, environ) / "jars"


def cached_jars(cache: Path, packages: Sequence[str] = DEFAULT_PACKAGES) -> tuple[Path, ...] | None:
    """The jars of ``packages`` and what they need, by name; None if any is missing or damaged."""
    folder = cache / _folder_name(packages)
    try:
        sizes: dict[str, int] = json.loads((folder / _MANIFEST).read_text("utf-8"))["jars"]
        if all((folder / name).stat().st_size == size for name, size in sizes.items()):
            return tuple(folder / name for name in sorted(sizes))
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        pass  # absent or damaged: both mean that the jars are to be fetched
    return None


def resolve_jars(cache: Path, packages: Sequence[str] = DEFAULT_PACKAGES) -> tuple[Path, ...]:
    """The jars of ``packages`` with all that they need, fetched if they are not in ``cache``.

    Args:
        cache: folder that keeps them, made if need be. Several processes may use it at once.
        packages: Maven coordinates, each ``group:artifact:version``.

    Raises:
        JarResolutionError: a malformed coordinate, an artifact not to be had, or no Java.
    """
    if jars := cached_jars(cache, packages):
        return jars
    with _only_one_process(cache):
        if jars := cached_jars(cache, packages):
            return jars
        for abandoned in cache.glob(".part-*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=".part-") as work:
            complete = _fetch(Path(work), packages)
            target = cache / _folder_name(packages)
            shutil.rmtree(target, ignore_errors=True)
            complete.rename(target)
    jars = cached_jars(cache, packages)
    if jars is None:
        raise JarResolutionError(
            f"the jars just written to {cache} are gone or have changed",
            hint="Set PIPELINE_CACHE_DIR to a folder that no other program cleans.",
        )
    return jars


def find_java(environ: Mapping[str, str] = os.environ) -> str | None:
    """The program that Spark takes for Java; None where there is none."""
    home = environ.get("JAVA_HOME")
    return shutil.which("java", path=str(Path(home) / "bin") if home else environ.get("PATH"))


def pyspark_jars() -> Path:
    """The folder of PySpark's own jars, found without importing it."""
    spec = importlib.util.find_spec("pyspark")
    if spec is None or spec.origin is None:
        raise JarResolutionError("pyspark is not installed", hint="Run ./run_pipeline.sh once.")
    return Path(spec.origin).parent / "jars"


def _folder_name(packages: Sequence[str]) -> str:
    key = "\n".join([_SPARK_VERSION, *sorted(set(packages))])
    return hashlib.sha256(key.encode()).hexdigest()[:16]


@contextmanager
def _only_one_process(cache: Path) -> Iterator[None]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        lock = (cache / ".lock").open("w")
    except OSError as error:
        raise JarResolutionError(
            f"the jar cache {cache} cannot be written: {error.strerror}",
            hint="Set PIPELINE_CACHE_DIR to a folder that can.",
        ) from error
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # falls with the file, also when the process is killed
        yield


def _fetch(work: Path, packages: Sequence[str]) -> Path:
    """A complete folder within ``work``: the jars and their manifest."""
    shipped = sorted(pyspark_jars().glob("*.jar"))
    settings, module, folder = work / "ivysettings.xml", work / "ivy.xml", work / "jars"
    settings.write_text(_ivy_settings(work / "ivy", os.environ), "utf-8")
    module.write_text(_ivy_module(packages, {_artifact(jar) for jar in shipped}), "utf-8")
    ivy = [str(jar) for jar in shipped if _artifact(jar) in {"ivy", "commons-cli"}]
    _run_ivy(
        [
            *(_java(os.environ), "-XX:TieredStopAtLevel=1", *_proxy_options(os.environ)),
            *("-cp", os.pathsep.join(ivy), "org.apache.ivy.Main"),
            *("-settings", str(settings), "-ivy", str(module), "-confs", "default"),
            *("-retrieve", f"{folder}/[organisation]_[artifact]-[revision](-[classifier]).[ext]"),
        ]
    )
    sizes = {jar.name: jar.stat().st_size for jar in folder.glob("*.jar")}
    manifest = {"spark": _SPARK_VERSION, "packages": sorted(set(packages)), "jars": sizes}
    (folder / _MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return folder


def _artifact(jar: Path) -> str:
    """Maven's artifact name of a jar file: ``jackson-core`` of ``jackson-core-2.21.2.jar``."""
    return re.sub(r"-\d[^/]*$", "", jar.name.removesuffix(".jar"))


def _ivy_settings(ivy_cache: Path, environ: Mapping[str, str]) -> str:
    """Ivy settings with one repository: Maven Central, or the private mirror that is named."""
    # Without a root, Ivy's own default holds: Maven Central.
    mirror = environ.get(_REPOSITORY_VARIABLE, "")
    root = f" root={quoteattr(mirror.rstrip('/') + '/')}" if mirror else ""
    return f"""<ivysettings>
  <property name="ivy.maven.lookup.sources" value="false"/>
  <property name="ivy.maven.lookup.javadoc" value="false"/>
  <settings defaultResolver="central"/>
  <caches defaultCacheDir={quoteattr(str(ivy_cache))}/>
  <timeout-constraints>
    <timeout-constraint name="patient" connectionTimeout="20000" readTimeout="60000"/>
  </timeout-constraints>
  <resolvers>
    <ibiblio name="central" m2compatible="true" timeoutConstraint="patient"{root}/>
  </resolvers>
</ivysettings>
"""


def _ivy_module(packages: Sequence[str], shipped: Set[str]) -> str:
    """An Ivy module that depends on ``packages``, and else on nothing named in ``shipped``."""
    wanted: list[tuple[str, ...]] = []
    for package in dict.fromkeys(packages):
        parts = tuple(part.strip() for part in package.split(":"))
        if len(parts) != _COORDINATE_PARTS or not all(parts):
            raise JarResolutionError(
                f"{package!r} is no Maven coordinate", hint="Write it as group:artifact:version."
            )
        wanted.append(parts)
    dependencies = [
        f"<dependency org={quoteattr(group)} name={quoteattr(artifact)} rev={quoteattr(revision)}"
        ' conf="default-&gt;default"/>'
        for group, artifact, revision in wanted
    ]
    asked_for = {artifact for _, artifact, _ in wanted}
    exclusions = [f"<exclude module={quoteattr(name)}/>" for name in sorted(shipped - asked_for)]
    return "\n".join(
        [
            '<ivy-module version="2.0">',
            '<info organisation="pipelines" module="jars"/>',
            '<configurations><conf name="default"/></configurations>',
            "<dependencies>",
            *dependencies,
            *exclusions,
            "</dependencies>",
            "</ivy-module>",
        ]
    )


def _java(environ: Mapping[str, str]) -> str:
    home, java = environ.get("JAVA_HOME"), find_java(environ)
    if java is None:
        raise JarResolutionError(
            f"Java was not found in JAVA_HOME={home}" if home else "Java was not found",
            hint="Install Java 17 or 21, or set JAVA_HOME to it.",
        )
    return java


def _proxy_options(environ: Mapping[str, str]) -> Iterator[str]:
    """Java's words for the proxy that ``https_proxy``, ``http_proxy`` and ``no_proxy`` name."""
    for scheme in ("https", "http"):
        address = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY") or ""
        proxy = urlsplit(address if "//" in address else f"//{address}")
        if proxy.hostname:
            yield f"-D{scheme}.proxyHost={proxy.hostname}"
            yield f"-D{scheme}.proxyPort={proxy.port or 80}"
    direct = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if hosts := [host.strip() for host in direct.split(",") if host.strip()]:
        patterns = (f"*{host}" if host.startswith(".") else host for host in hosts)
        yield f"-Dhttp.nonProxyHosts={'|'.join(patterns)}"


def _run_ivy(command: Sequence[str]) -> None:
    try:
        ivy = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise JarResolutionError(
            f"the jars did not arrive within {_TIMEOUT_SECONDS} seconds", hint=_NETWORK_HINT
        ) from error
    if ivy.returncode != 0:
        raise _ivy_error(ivy.stdout)


def _ivy_error(output: str) -> JarResolutionError:
    """What Ivy's report says, in one sentence: which artifacts are missing, and what to do."""
    missing = [
        f"{group}:{artifact}:{revision}"
        for group, artifact, revision in dict.fromkeys(_IVY_MISSING.findall(output))
    ]
    if missing:
        more = f" and {len(missing) - _MOST_NAMED} more" if len(missing) > _MOST_NAMED else ""
        message = f"cannot get {', '.join(missing[:_MOST_NAMED])}{more}"
    else:
        last = next((line.strip() for line in reversed(output.splitlines()) if line.strip()), "")
        message = f"Ivy failed: {last or 'it said nothing'}"
    unreachable = _IVY_UNREACHABLE.search(output)
    if unreachable:
        message += f" ({unreachable.group().strip()})"
    return JarResolutionError(message, hint=_NETWORK_HINT if unreachable else _NAME_HINT)


def main() -> int:
    """Fills this project's cache and says how many jars it holds; returns the exit code."""
    cache = jar_cache(Path(__file__).resolve().parents[2])
    try:
        if cached_jars(cache) is None:
            sys.stderr.write("Fetching the jars of Delta Lake and the JDBC drivers, once\n")
        jars = resolve_jars(cache)
    except JarResolutionError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    size_mb = sum(jar.stat().st_size for jar in jars) / 1e6
    sys.stdout.write(f"{len(jars)} jars, {size_mb:.1f} MB, in {jars[0].parent}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
