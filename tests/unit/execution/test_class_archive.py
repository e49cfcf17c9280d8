"""Where Spark's classes are kept, and what Java is told of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.execution.class_archive import ClassArchive, class_archive


@pytest.fixture
def java(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine with a Java of its own."""
    home = tmp_path / "java"
    home.mkdir()
    (home / "release").write_text('JAVA_VERSION="17.0.9"')
    return {"JAVA_HOME": str(home)}


@pytest.fixture
def jars(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "jars"
    folder.mkdir()
    (folder / "a.jar").write_bytes(b"a")
    return [folder / "a.jar"]


def file_of(jars: list[Path], environ: dict[str, str]) -> Path:
    found = class_archive(jars, environ)
    assert found is not None
    return found.file


def test_archive_when_java_and_jars_are_the_same_then_the_same_file_beside_them(
    jars: list[Path], java: dict[str, str]
) -> None:
    assert file_of(jars, java) == file_of(jars, java)
    assert file_of(jars, java).parent == jars[0].parent


def test_archive_when_java_or_a_jar_changes_then_another_file(
    jars: list[Path], java: dict[str, str]
) -> None:
    before = file_of(jars, java)
    jars[0].write_bytes(b"another")
    with_other_jar = file_of(jars, java)
    Path(java["JAVA_HOME"], "release").write_text('JAVA_VERSION="21.0.1"')
    assert len({before, with_other_jar, file_of(jars, java)}) == 3


def test_archive_when_there_is_no_java_or_no_jar_then_none(
    jars: list[Path], java: dict[str, str]
) -> None:
    assert class_archive(jars, {"PATH": "/nowhere"}) is None
    assert class_archive([], java) is None


def test_java_options_when_the_archive_is_there_then_use_it_else_record_if_asked(
    tmp_path: Path,
) -> None:
    archive = ClassArchive(tmp_path / "with blank" / "classes-1.jsa")
    assert archive.java_options(record=False) == ""
    assert "RecordDynamicDumpInfo" in archive.java_options(record=True)
    archive.file.parent.mkdir()
    archive.file.touch()
    for record in (True, False):
        told = archive.java_options(record=record)
        assert f'"-XX:SharedArchiveFile={archive.file}"' in told
        assert "Record" not in told
