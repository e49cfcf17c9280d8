"""The archive of Spark's classes: which one fits, and what becomes of a failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.execution import class_archive as module
from pipelines.execution.class_archive import archive_options, class_archive, keep_classes

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def java_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Java that keeps no classes, and says why."""
    java = tmp_path / "java" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.write_text("#!/bin/sh\necho no room for classes\n")
    java.chmod(0o755)
    (tmp_path / "java" / "release").write_text("JAVA_VERSION=17.0.15")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "java"))
    return tmp_path / "java"


def test_archive_when_java_is_another_then_is_another(java_home: Path, tmp_path: Path) -> None:
    first = class_archive(tmp_path)
    (java_home / "release").write_text("JAVA_VERSION=21.0.7")
    second = class_archive(tmp_path)
    assert first is not None
    assert second is not None
    assert first.parent == second.parent == tmp_path / "classes"
    assert first != second


def test_archive_when_there_is_no_java_then_is_none(tmp_path: Path) -> None:
    assert class_archive(tmp_path, {"PATH": str(tmp_path)}) is None


@pytest.mark.usefixtures("java_home")
def test_options_when_the_archive_is_there_then_name_it(tmp_path: Path) -> None:
    assert archive_options(tmp_path / "a cache") == ""
    archive = class_archive(tmp_path / "a cache")
    assert archive is not None
    archive.parent.mkdir(parents=True)
    archive.touch()
    assert f'"-XX:SharedArchiveFile={archive}"' in archive_options(tmp_path / "a cache")
    assert keep_classes(tmp_path / "a cache", ()) == archive


@pytest.mark.usefixtures("java_home")
def test_making_when_java_keeps_nothing_then_is_told_and_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIPELINE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(module, "resolve_jars", lambda _: ())
    monkeypatch.setattr(module, "_note_classes", lambda *_: "a.jar")
    assert module.main() == 0
    assert "starts stay slower" in capsys.readouterr().err
    left = [file.name for file in (tmp_path / "cache" / "classes").iterdir()]
    assert left == ["failed"]
    assert "no room for classes" in (tmp_path / "cache" / "classes" / "failed").read_text()
