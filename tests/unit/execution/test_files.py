from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import StorageError
from pipelines.execution.files import LocalFiles, cache_folder, is_local, local_path


@pytest.mark.parametrize(
    ("path", "local"),
    [
        ("/data/lake", True),
        ("data/lake", True),
        ("", True),
        ("./a:b", True),
        ("/data/batch=2026-11-23T10:58", True),
        ("file:/data/lake", True),
        ("file:///data/lake", True),
        ("C:/lake", True),
        ("s3a://bucket/lake", False),
        ("abfss://c@account.dfs.core.windows.net/lake", False),
        ("hdfs://name/lake", False),
        ("dbfs:/lake", False),
    ],
)
def test_is_local(path: str, local: bool) -> None:
    assert is_local(path) is local


@pytest.mark.parametrize("path", ["/a/b", "file:/a/b", "file:///a/b"])
def test_local_path(path: str) -> None:
    assert local_path(path) == Path("/a/b")


def test_what_is_written_is_read(tmp_path: Path) -> None:
    files, path = LocalFiles(), str(tmp_path / "new" / "folder" / "a.json")
    assert not files.exists(path)
    files.write(path, "Zoë\n")
    assert files.exists(path)
    assert files.exists(str(tmp_path / "new"))
    assert files.read(path) == "Zoë\n"
    assert files.read(f"file://{path}") == "Zoë\n"
    files.write(path, "two")
    assert files.read(path) == "two"
    assert [file.name for file in (tmp_path / "new" / "folder").iterdir()] == ["a.json"]


def test_sweeping_when_a_write_was_killed_then_only_what_it_left_goes(tmp_path: Path) -> None:
    program = (
        "import os, sys\nfrom pipelines.execution.files import LocalFiles\n"
        "os.fsync = lambda handle: os._exit(9)\n"
        "LocalFiles().write(sys.argv[1], 'half')\n"
    )
    file = tmp_path / "stage.group.step.json"
    done = subprocess.run([sys.executable, "-c", program, str(file)], check=False, timeout=60)
    assert done.returncode == 9
    (tmp_path / ".keep").touch()
    LocalFiles().write(str(tmp_path / "other.json"), "whole")
    assert len(list(tmp_path.iterdir())) == 3
    LocalFiles().sweep(str(tmp_path))
    assert {one.name for one in tmp_path.iterdir()} == {".keep", "other.json"}
    LocalFiles().sweep(str(tmp_path / "nowhere"))


def test_names_when_a_folder_has_hidden_files_then_they_are_left_out(tmp_path: Path) -> None:
    files = LocalFiles()
    for name in ("b.json", "a/c.json", ".lock"):
        files.write(str(tmp_path / name), "x")
    assert files.names(str(tmp_path)) == ["a", "b.json"]
    assert files.names(f"file://{tmp_path}/a") == ["c.json"]
    assert files.names(str(tmp_path / "nowhere")) == files.names(str(tmp_path / "b.json")) == []


def test_reading_what_is_not_there(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert LocalFiles().read(str(tmp_path / "nowhere" / "a")) is None
    assert LocalFiles().read(str(tmp_path / "file" / "a")) is None


def test_reading_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="directory"):
        LocalFiles().read(str(tmp_path))


def test_file_is_for_its_owner_only(tmp_path: Path) -> None:
    LocalFiles().write(str(tmp_path / "a"), "x")
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600
    LocalFiles(is_shared=True).write(str(tmp_path / "b"), "x")
    assert stat.S_IMODE((tmp_path / "b").stat().st_mode) == 0o644


def test_broken_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files, path = LocalFiles(), str(tmp_path / "a")
    files.write(path, "old")

    def breaks(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", breaks)
        with pytest.raises(StorageError, match=r"(?s)a: cannot write: No space.*free some space"):
            files.write(path, "new")
    assert files.read(path) == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_text_is_synced_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the moment of each sync: what a reader would find, and what lies on the disk."""
    path, seen = tmp_path / "a", list[tuple[bool, bool]]()
    sync = os.fsync

    def look(handle: int) -> None:
        seen.append((stat.S_ISREG(os.fstat(handle).st_mode), path.exists()))
        sync(handle)

    monkeypatch.setattr(os, "fsync", look)
    LocalFiles().write(str(path), "new")
    assert seen == [(True, False), (False, True)]


def test_unwritable_text_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnicodeEncodeError):
        LocalFiles().write(str(tmp_path / "a"), "\ud800")
    assert list(tmp_path.iterdir()) == []


def test_move_replaces(tmp_path: Path) -> None:
    files = LocalFiles()
    files.write(str(tmp_path / "a"), "new")
    files.write(str(tmp_path / "b"), "old")
    files.move(str(tmp_path / "a"), f"file:{tmp_path / 'b'}")
    assert files.read(str(tmp_path / "b")) == "new"
    assert not files.exists(str(tmp_path / "a"))


def test_cache_folder(tmp_path: Path) -> None:
    assert cache_folder(tmp_path, {}) == tmp_path / ".cache"
    assert cache_folder(tmp_path, {"PIPELINE_CACHE_DIR": ""}) == tmp_path / ".cache"
    assert cache_folder(tmp_path, {"PIPELINE_CACHE_DIR": "c"}) == tmp_path / "c"
    assert cache_folder(tmp_path, {"PIPELINE_CACHE_DIR": "/var/c"}) == Path("/var/c")
