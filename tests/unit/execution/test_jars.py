from __future__ import annotations

import json
import multiprocessing
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pipelines.errors import JarResolutionError
from pipelines.execution import jars

PACKAGES = ("org.example:driver:1.0",)


@pytest.fixture
def fetches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stands in for Ivy: two small jars a time, and a line in the returned file for each fetch."""
    record = tmp_path / "fetches"
    record.touch()

    def fetch(command: list[str]) -> None:
        folder = Path(command[command.index("-retrieve") + 1]).parent
        folder.mkdir()
        (folder / "org.example_driver-1.0.jar").write_bytes(b"driver")
        (folder / "org.example_needed-2.0.jar").write_bytes(b"needed by it")
        with record.open("a") as lines:
            lines.write("fetched\n")

    monkeypatch.setattr(jars, "_run_ivy", fetch)
    monkeypatch.setattr(jars, "_java", lambda _environ: "java")
    return record


def fetch_count(record: Path) -> int:
    return len(record.read_text().splitlines())


def test_resolve_jars_when_cache_is_empty_then_fetches_once(tmp_path: Path, fetches: Path) -> None:
    first = jars.resolve_jars(tmp_path / "cache", PACKAGES)
    second = jars.resolve_jars(tmp_path / "cache", PACKAGES)

    assert [jar.read_bytes() for jar in first] == [b"driver", b"needed by it"]
    assert first == second == jars.cached_jars(tmp_path / "cache", PACKAGES)
    assert fetch_count(fetches) == 1


def test_cached_jars_when_nothing_is_there_then_none(tmp_path: Path) -> None:
    assert jars.cached_jars(tmp_path, PACKAGES) is None


@pytest.mark.parametrize("damage", ["truncate", "delete", "no manifest", "half a manifest"])
def test_resolve_jars_when_cache_is_damaged_then_fetches_again(
    tmp_path: Path, fetches: Path, damage: str
) -> None:
    jar, *_ = whole = jars.resolve_jars(tmp_path, PACKAGES)
    manifest = jar.parent / "manifest.json"
    match damage:
        case "truncate":
            jar.write_bytes(b"dri")
        case "delete":
            jar.unlink()
        case "no manifest":
            manifest.unlink()
        case "half a manifest":
            manifest.write_text(manifest.read_text()[:-20])

    assert jars.cached_jars(tmp_path, PACKAGES) is None
    assert jars.resolve_jars(tmp_path, PACKAGES) == whole
    assert jar.read_bytes() == b"driver"
    assert fetch_count(fetches) == 2


@pytest.mark.parametrize("text", ["[]", "{}", '{"jars": []}', '{"jars": 1}', "null"])
def test_cached_jars_when_manifest_is_something_else_then_none(
    tmp_path: Path, fetches: Path, text: str
) -> None:
    jar, *_ = jars.resolve_jars(tmp_path, PACKAGES)
    (jar.parent / "manifest.json").write_text(text)

    assert jars.cached_jars(tmp_path, PACKAGES) is None


def test_resolve_jars_when_a_fetch_was_killed_then_its_leftovers_go(
    tmp_path: Path, fetches: Path
) -> None:
    (tmp_path / ".part-killed" / "jars").mkdir(parents=True)

    jars.resolve_jars(tmp_path, PACKAGES)

    assert not list(tmp_path.glob(".part-*"))


def test_resolve_jars_when_processes_come_at_once_then_one_fetches(
    tmp_path: Path, fetches: Path
) -> None:
    processes = [
        multiprocessing.get_context("fork").Process(
            target=jars.resolve_jars, args=(tmp_path / "cache", PACKAGES)
        )
        for _ in range(4)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(30)

    assert [process.exitcode for process in processes] == [0, 0, 0, 0]
    assert fetch_count(fetches) == 1


def test_cached_jars_when_packages_differ_then_they_are_kept_apart(
    tmp_path: Path, fetches: Path
) -> None:
    jars.resolve_jars(tmp_path, PACKAGES)

    assert jars.cached_jars(tmp_path, (*PACKAGES, "org.example:other:1.0")) is None
    assert jars.cached_jars(tmp_path, PACKAGES * 2) is not None


def test_resolve_jars_when_manifest_is_written_then_it_names_what_was_asked(
    tmp_path: Path, fetches: Path
) -> None:
    jar, *_ = jars.resolve_jars(tmp_path, PACKAGES)

    manifest = json.loads((jar.parent / "manifest.json").read_text())
    assert manifest["packages"] == list(PACKAGES)
    assert manifest["jars"] == {"org.example_driver-1.0.jar": 6, "org.example_needed-2.0.jar": 12}


@pytest.mark.parametrize("package", ["driver", "org.example:driver", "a:b:c:d", "a::1", ""])
def test_resolve_jars_when_coordinate_is_malformed_then_says_how_to_write_it(
    tmp_path: Path, fetches: Path, package: str
) -> None:
    with pytest.raises(JarResolutionError) as caught:
        jars.resolve_jars(tmp_path, [package])

    assert repr(package) in caught.value.message
    assert "group:artifact:version" in caught.value.hint
    assert not list(tmp_path.glob(".part-*"))


def test_resolve_jars_when_cache_is_a_file_then_names_the_variable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(JarResolutionError) as caught:
        jars.resolve_jars(tmp_path / "file", PACKAGES)

    assert "PIPELINE_CACHE_DIR" in caught.value.hint


def test_ivy_module_when_pyspark_ships_a_jar_then_excludes_it_unless_asked_for() -> None:
    module = ET.fromstring(jars._ivy_module(PACKAGES, {"driver", "jackson-core"}))

    assert [node.attrib["module"] for node in module.iter("exclude")] == ["jackson-core"]
    assert [node.attrib["name"] for node in module.iter("dependency")] == ["driver"]


def test_ivy_settings_when_no_mirror_is_named_then_hold_no_address() -> None:
    assert "://" not in jars._ivy_settings(Path("/cache"), {})


def test_ivy_settings_when_a_mirror_is_named_then_use_it_alone() -> None:
    settings = ET.fromstring(
        jars._ivy_settings(
            Path("/cache"), {"PIPELINE_MAVEN_REPOSITORY": "https://mirror.example/m2?a&b"}
        )
    )

    roots = [node.get("root") for node in settings.iter("ibiblio")]
    assert roots == ["https://mirror.example/m2?a&b/"]


@pytest.mark.parametrize(
    ("name", "artifact"),
    [
        ("jackson-core-2.21.2.jar", "jackson-core"),
        ("delta-spark_4.2_2.13-4.4.0.jar", "delta-spark_4.2_2.13"),
        ("JTransforms-3.1.jar", "JTransforms"),
        (
            "netty-transport-native-epoll-4.2.7.Final-linux-x86_64.jar",
            "netty-transport-native-epoll",
        ),
        ("noversion.jar", "noversion"),
    ],
)
def test_artifact_when_file_name_has_a_version_then_drops_it(name: str, artifact: str) -> None:
    assert jars._artifact(Path(name)) == artifact


def test_ivy_error_when_artifacts_are_missing_then_names_them() -> None:
    error = jars._ivy_error(
        """
:::: WARNINGS
\t\t::          UNRESOLVED DEPENDENCIES         ::
\t\t:: io.delta#delta-spark_4.2_2.13;9.9.9: not found
\t\t::              FAILED DOWNLOADS            ::
\t\t:: org.example#driver;1.0!driver.jar
:: USE VERBOSE OR DEBUG MESSAGE LEVEL FOR MORE DETAILS
"""
    )

    assert error.message == "cannot get io.delta:delta-spark_4.2_2.13:9.9.9, org.example:driver:1.0"
    assert "coordinates" in error.hint


def test_ivy_error_when_the_network_is_away_then_says_so() -> None:
    error = jars._ivy_error(
        "You probably access the destination server …\nHost m.example not found."
    )

    assert "Host m.example not found" in error.message
    assert "network" in error.hint


def test_java_when_java_home_has_none_then_says_where_it_looked() -> None:
    with pytest.raises(JarResolutionError, match="JAVA_HOME=/nowhere"):
        jars._java({"JAVA_HOME": "/nowhere"})


def test_proxy_options_when_environment_names_a_proxy_then_java_gets_it() -> None:
    options = jars._proxy_options(
        {"https_proxy": "http://proxy.example:3128", "no_proxy": "localhost, .example"}
    )

    assert list(options) == [
        "-Dhttps.proxyHost=proxy.example",
        "-Dhttps.proxyPort=3128",
        "-Dhttp.nonProxyHosts=localhost|*.example",
    ]


def test_jar_cache_when_variable_is_set_then_it_wins(tmp_path: Path) -> None:
    assert jars.jar_cache(tmp_path, {}) == tmp_path / ".cache" / "jars"
    assert jars.jar_cache(tmp_path, {"PIPELINE_CACHE_DIR": "/elsewhere"}) == Path("/elsewhere/jars")
