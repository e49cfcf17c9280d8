"""What of a Delta table a backup needs: the files of its newest version, and its log up to it."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import unquote

import pytest
from arro3.core import Array, DataType, Table
from deltalake import DeltaTable, write_deltalake

from pipelines.errors import BackupError
from pipelines.execution.backups import contents
from pipelines.execution.backups.contents import folder_contents, table_contents


def write(path: Path, *numbers: int, mode: str = "append", **more: object) -> None:
    column = Array(list(numbers), type=DataType.int64())
    parts = Array([f"a b/{number}%" for number in numbers], type=DataType.string())
    rows = Table.from_pydict({"id": column, "p": parts})
    write_deltalake(str(path), rows, mode=mode, **more)  # type: ignore[call-overload]


def copied(path: Path, names: tuple[str, ...], target: Path) -> DeltaTable:
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path / name, target / name)
    return DeltaTable(str(target))


def ids(table: DeltaTable) -> list[int]:
    """The ids of a table whose files have one each, by its log; all of its files are there."""
    actions = table.get_add_actions(flatten=True)
    files = [unquote(name) for name in actions["path"].to_pylist()]
    root = Path(unquote(table.table_uri.removeprefix("file://")))
    assert all((root / name).is_file() for name in files)
    return list(actions["min.id"].to_pylist())


def test_a_table_when_files_were_replaced_then_only_those_of_now_are_needed_but_all_commits(
    tmp_path: Path,
) -> None:
    table, copy = tmp_path / "odd name", tmp_path / "copy"
    write(table, 1, 2, partition_by=["p"])
    write(table, 3, 4, 5, mode="overwrite", partition_by=["p"])
    found = table_contents(table)
    assert found is not None
    assert (found.version, found.rows, len(found.files)) == (1, 3, 5)
    made = copied(table, found.files, copy)
    assert sorted(ids(made)) == [3, 4, 5]
    assert [one["version"] for one in made.history()] == [1, 0]
    whole = table_contents(table, with_history=True)
    assert whole is not None
    assert sorted(ids(DeltaTable(str(table), version=0))) == [1, 2]
    copied(table, whole.files, tmp_path / "whole")
    assert sorted(ids(DeltaTable(str(tmp_path / "whole"), version=0))) == [1, 2]


def test_a_table_with_a_checkpoint_and_a_later_commit_is_read_from_the_copy(tmp_path: Path) -> None:
    table = tmp_path / "t"
    for number in range(3):
        write(table, number)
    DeltaTable(str(table)).create_checkpoint()
    write(table, 9)
    found = table_contents(table)
    assert found is not None
    assert "_delta_log/_last_checkpoint" in found.files
    assert any("checkpoint.parquet" in name for name in found.files)
    for name in ("00000000000000000000.json", "00000000000000000001.json"):
        (table / "_delta_log" / name).unlink()
    again = table_contents(table)
    assert again is not None
    assert copied(table, again.files, tmp_path / "copy").version() == 3


def test_a_table_when_somebody_commits_meanwhile_then_nothing_newer_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "t"
    write(path, 1)
    then = DeltaTable(str(path))
    for number in range(2):
        write(path, number)
    DeltaTable(str(path)).create_checkpoint()
    (path / f"_delta_log/.{0:020d}.json.1234.tmp").write_text("{}")
    monkeypatch.setattr(contents, "_opened", lambda _path: then)
    found = table_contents(path)
    assert found is not None
    assert [one for one in found.files if "log" in one] == [f"_delta_log/{0:020d}.json"]
    assert copied(path, found.files, tmp_path / "copy").version() == 0


def test_a_table_when_a_file_of_it_is_gone_then_it_says_which(tmp_path: Path) -> None:
    write(tmp_path / "t", 1)
    name = DeltaTable(str(tmp_path / "t")).get_add_actions()["path"].to_pylist()[0]
    next((tmp_path / "t").glob("*.parquet")).unlink()
    with pytest.raises(BackupError) as raised:
        table_contents(tmp_path / "t")
    assert f"version 0 needs {name}, which is gone" in str(raised.value)


def test_a_table_when_its_files_are_those_of_another_then_it_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "t", 1)
    commit = tmp_path / "t/_delta_log/00000000000000000000.json"
    name = DeltaTable(str(tmp_path / "t")).get_add_actions()["path"].to_pylist()[0]
    commit.write_text(commit.read_text().replace(name, f"file:/other/{name}"))
    with pytest.raises(BackupError, match="a file of it lies elsewhere: file:/other/"):
        table_contents(tmp_path / "t")


def test_what_is_no_table_has_no_contents(tmp_path: Path) -> None:
    assert table_contents(tmp_path / "nowhere") is None
    assert folder_contents(tmp_path / "nowhere") is None


def test_a_folder_is_taken_but_for_the_lock_and_what_killed_writes_left(tmp_path: Path) -> None:
    for name in ("b1/step.json", "_intervals.json", ".lock", "b1/.step.json.ab_cd123", ".a.crc"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    found = folder_contents(tmp_path)
    assert found is not None
    assert found.files == ("_intervals.json", "b1/step.json")
