"""Statements that were read before: kept over processes, and never in the way."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from pipelines.lineage import known_statements
from pipelines.lineage.known_statements import KnownStatements
from pipelines.lineage.tables import tables_of

if TYPE_CHECKING:
    from pathlib import Path

SQL = ("select * from a join b using (x)", "insert into t select * from a", "select from where")


def test_statement_when_read_before_then_is_the_same_and_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "cache" / "statements.json"
    first = KnownStatements(file)
    before = [first.tables(sql) for sql in SQL]
    assert before == [tables_of(sql) for sql in SQL]
    first.save()
    monkeypatch.setattr(known_statements, "tables_of", None)
    again = KnownStatements(file)
    assert [again.tables(sql) for sql in SQL] == before
    modified = file.stat().st_mtime_ns
    again.save()
    assert file.stat().st_mtime_ns == modified  # nothing is new
    assert [one.name for one in file.parent.iterdir()] == ["statements.json"]


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 0, "statements": {"x": 1}}', '{"version": 1}', "null"]
)
def test_file_when_broken_or_of_another_version_then_is_as_if_empty(
    text: str, tmp_path: Path
) -> None:
    file = tmp_path / "statements.json"
    file.write_text(text)
    known = KnownStatements(file)
    assert known.tables(SQL[0]) == tables_of(SQL[0])
    known.save()
    assert len(json.loads(file.read_text())["statements"]) == 1


def test_file_when_it_cannot_be_written_then_nothing_breaks(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    known = KnownStatements(tmp_path / "file" / "statements.json")
    known.tables(SQL[0])
    known.save()


def test_file_when_full_then_the_oldest_make_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_statements, "_MOST", 2)
    for sql in ("select 1", "select 2", "select 3"):
        known = KnownStatements(tmp_path / "statements.json")
        known.tables(sql)
        known.save()
    assert len(json.loads((tmp_path / "statements.json").read_text())["statements"]) == 2


# In a process of its own: others that start meanwhile are no business of a suite with threads.
READ_AHEAD = """
import sys
from pathlib import Path
from pipelines.lineage import known_statements
from pipelines.lineage.tables import tables_of

many = [f"select * from t{number} join u{number} using (id)" for number in range(600)]
many += ["select from where"]
known = known_statements.KnownStatements(Path(sys.argv[1]))
known.read_ahead([*many, *many])
known_statements.tables_of = None
assert [known.tables(sql) for sql in many] == [tables_of(sql) for sql in many]
known.save()
"""


def test_statements_when_many_are_new_then_are_read_ahead_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "statements.json"
    subprocess.run([sys.executable, "-c", READ_AHEAD, file], check=True)
    assert len(json.loads(file.read_text())["statements"]) == 601


KILLED = """
import os
import signal
import sys
from pathlib import Path
from pipelines.lineage import known_statements
from pipelines.lineage.tables import tables_of

parent, read = os.getpid(), known_statements._read

def read_or_die(sql):
    if os.getpid() != parent and "t590" in sql:
        os.kill(os.getpid(), signal.SIGKILL)
    return read(sql)

known_statements._read = read_or_die
many = [f"select * from t{number}" for number in range(600)]
known = known_statements.KnownStatements(Path(sys.argv[1]))
known.read_ahead(many)
assert [known.tables(sql) for sql in many] == [tables_of(sql) for sql in many]
"""


def test_statements_when_a_process_that_reads_them_is_killed_then_are_read_all_the_same(
    tmp_path: Path,
) -> None:
    subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "statements.json"], check=True, timeout=60
    )
