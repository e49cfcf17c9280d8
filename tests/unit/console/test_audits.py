"""Rollbacks, differences and authors as people read them."""

from __future__ import annotations

from pipelines.console import blame_text, diff_text, rollback_text
from pipelines.plan.rollback import Obstacle, RollbackPlan, TableUndo
from pipelines.plan.table_commits import TableCommit
from pipelines.results.blame import Author, Blame, BlamedRow
from pipelines.results.table_diff import ColumnDiff, RowDiff, TableDiff


def test_a_rollback_says_what_goes_where_and_what_speaks_against_it() -> None:
    commits = (TableCommit(3, "MERGE", "r2"), TableCommit(2, "MERGE", "r1"))
    plan = RollbackPlan(
        "r1",
        (
            TableUndo("s.g.a", "/a", 3, 1, commits),
            TableUndo("s.g.b", "/b", 0, None, (TableCommit(0, "WRITE", "r1"),)),
        ),
        (Obstacle("state_gone", "s.g.a", "files are gone", can_be_forced=False),),
        ("s.g.c",),
    )
    assert rollback_text(plan, "it would be refused").splitlines() == [
        "run r1",
        "  s.g.a: version 3 -> version 1, with 1 commit of others",
        "  s.g.b: version 0 -> removed: the run made it",
        "  s.g.c: holds nothing of the run",
        "  ! s.g.a: files are gone (not even by --force)",
        "it would be refused",
    ]
    assert "nothing to put back" in rollback_text(RollbackPlan("r1", ()))


def test_a_difference_shows_columns_counts_and_cells() -> None:
    diff = TableDiff(
        "s.g.t", "version 1", "version 2", ("id",),
        (ColumnDiff("new", None, "int"), ColumnDiff("kind", "int", "string")),
        added=2, removed=0, changed=1, changed_columns={"name": 1},
        samples=(
            RowDiff("changed", {"id": 1}, {"name": ("a\x1b", None)}),
            RowDiff("added", {"id": 2}, {"name": (None, "c"), "born": (None, "<date>")}),
        ),
        masked=("born",),
        files_read=2, files=10,
    )  # fmt: skip
    assert diff_text(diff).splitlines() == [
        "s.g.t",
        "  - version 1",
        "  + version 2",
        "  files read: 2 of 10",
        "+ column new int",
        "~ column kind int -> string",
        "2 rows added, 0 removed, 1 changed",
        "  name: 1 row",
        "+ id=2  name=c",
        "+ … and 1 more",
        "~ id=1  name: a� -> null",
        "1 column masked: --show-values shows them",
    ]
    row = RowDiff("removed", {}, {"born": ("<date>", None)})
    whole = TableDiff("s.g.t", "a", "b", removed=1, samples=(row,), masked=("born",))
    assert diff_text(whole).splitlines()[3:] == [
        "0 rows added, 1 removed",
        "1 column masked: --show-values shows them",
    ]
    assert diff_text(TableDiff("s.g.t", "a", "b")).endswith("the same")


def test_blame_says_who_wrote_and_how_sure_that_is() -> None:
    authors = (
        Author(7, 2, True, "2026-11-23T00:00:00Z", "MERGE", "r1", "b1", "s.g.t", "ab" * 32,
               "sql/t.sql", False, "c0ffee" * 7),
        Author(5, 1, False, "2026-11-22T00:00:00Z", "DELETE"),
        Author(None, 1, False),
    )  # fmt: skip
    rows = (BlamedRow({"id": 1}, 7), BlamedRow({"id": None}, None))
    text = blame_text(Blame("s.g.t", 9, "id > 0", "files", authors, rows, ("a note",)))
    assert text.splitlines() == [
        "s.g.t version 9: 4 rows where id > 0",
        "  told by files",
        "  note: a note",
        "2 rows by version 7, MERGE at 2026-11-23T00:00:00Z",
        "    run r1, batch b1",
        "    sql/t.sql, changed since",
        "    git show c0ffeec0ffee:sql/t.sql",
        "    sql sha256 abababababab",
        "1 row at the latest by version 5, DELETE at 2026-11-22T00:00:00Z",
        "    a foreign writer: the commit names no run",
        "1 row by a commit that the log no longer tells of",
        "       7  id=1",
        "       ?  id=null",
        "          … and 2 more",
    ]
