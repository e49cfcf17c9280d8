"""A folder gets its name when it is whole, and not before."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.errors import BackupError
from pipelines.execution.backups.partial import clear_partials, made_whole

ROOT = Path(__file__).resolve().parents[4]
DIES = """
import os, sys
from pathlib import Path
from pipelines.execution.backups.partial import made_whole
with made_whole(Path(sys.argv[1])) as partial:
    (partial / "f").write_text("half")
    os._exit(9)
"""


def test_a_folder_when_it_is_whole_then_has_its_name_and_nothing_is_left(tmp_path: Path) -> None:
    with made_whole(tmp_path / "one") as partial:
        (partial / "f").write_text("x")
        assert not (tmp_path / "one").exists()
    assert [one.name for one in tmp_path.iterdir()] == ["one"]
    assert (tmp_path / "one/f").read_text() == "x"


def test_a_folder_when_its_process_was_killed_then_is_none_and_is_cleared_away(
    tmp_path: Path,
) -> None:
    command = [sys.executable, "-c", DIES, str(tmp_path / "one")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, env=environment, check=False, timeout=60).returncode == 9
    assert [one.name for one in tmp_path.iterdir()] == [".one.partial"]
    clear_partials(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_being_filled_is_not_cleared_away_nor_filled_twice(tmp_path: Path) -> None:
    with made_whole(tmp_path / "one") as partial:
        clear_partials(tmp_path)
        assert partial.exists()
        with pytest.raises(BackupError, match="another process"), made_whole(tmp_path / "one"):
            pass
    assert (tmp_path / "one").exists()


def test_a_folder_when_something_breaks_then_nothing_is_left(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), made_whole(tmp_path / "one") as partial:
        (partial / "f").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_when_there_is_something_already_then_that_stays(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one/f").write_text("x")
    with pytest.raises(BackupError, match="something already"), made_whole(tmp_path / "one"):
        pass
    assert (tmp_path / "one/f").read_text() == "x"
