"""Checkpoints: markers are whole or absent, and say of a step that it is done only where it is."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.execution.checkpoints import BatchRecord, CheckpointStore, Marker
from pipelines.execution.files import LocalFiles
from pipelines.execution.resume import decide_all, has_work
from pipelines.pipeline import is_step_checkpointed, save_step_checkpoint
from tests.fakes import FilesInMemory

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pipelines.execution.resume import Decision
    from tests.conftest import Project

ROOT = Path(__file__).resolve().parents[1]
STEP = "bronze.ingestion.students"
MARKER = Marker("run-1", "2026-11-23T10:58:24.000Z", "f1", 7, {"bronze.a.b": 3})


# --- a marker is there or not ------------------------------------------------------------------


def test_marker_when_saved_then_the_step_counts_as_done_for_its_batch_only(tmp_path: Path) -> None:
    file = save_step_checkpoint(tmp_path / "ckpt", "2026-11-23", STEP, MARKER)
    assert file == tmp_path / "ckpt/2026-11-23/bronze.ingestion.students.json"
    said = json.loads(file.read_text(encoding="utf-8"))
    assert (said["run_id"], said["finished_at"]) == ("run-1", "2026-11-23T10:58:24.000Z")
    assert (said["fingerprint"], said["version_after"]) == ("f1", 7)
    assert is_step_checkpointed(tmp_path / "ckpt", "2026-11-23", STEP)
    assert not is_step_checkpointed(tmp_path / "ckpt", "2026-11-24", STEP)
    assert not is_step_checkpointed(tmp_path / "ckpt", "2026-11-23", "bronze.ingestion.schools")
    assert not is_step_checkpointed(tmp_path / "nowhere", "2026-11-23", STEP)


def test_marker_when_the_step_was_edited_since_then_it_does_not_count_as_done(
    tmp_path: Path,
) -> None:
    save_step_checkpoint(tmp_path, "b1", STEP, MARKER)
    assert is_step_checkpointed(tmp_path, "b1", STEP, "f1")
    assert not is_step_checkpointed(tmp_path, "b1", STEP, "f2")


def test_marker_when_the_step_is_done_again_then_the_new_one_counts(tmp_path: Path) -> None:
    save_step_checkpoint(tmp_path, "b1", STEP, MARKER)
    save_step_checkpoint(tmp_path, "b1", STEP, replace(MARKER, fingerprint="f2"))
    assert is_step_checkpointed(tmp_path, "b1", STEP, "f2")
    assert not is_step_checkpointed(tmp_path, "b1", STEP, "f1")


def test_marker_when_read_back_then_says_all_that_was_saved(tmp_path: Path) -> None:
    for store in (
        CheckpointStore(LocalFiles(), str(tmp_path)),
        CheckpointStore(FilesInMemory(), "s3a://bucket/ckpt/"),
    ):
        store.save_marker("b1", STEP, MARKER)
        assert store.marker("b1", STEP) == MARKER
        assert store.set_aside == []


# --- written whole or not at all ---------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before", "between"])
def test_marker_when_the_storage_goes_down_while_it_is_written_then_there_is_none(
    moment: str,
) -> None:
    files = FilesInMemory(breaks_at=moment)
    store = CheckpointStore(files, "s3a://bucket/ckpt")
    with pytest.raises(OSError, match="went down"):
        store.save_marker("b1", STEP, MARKER)
    assert store.marker("b1", STEP) is None
    files.breaks_at = "never"
    store.save_marker("b1", STEP, MARKER)
    assert store.marker("b1", STEP) == MARKER


@pytest.mark.parametrize("moment", ["before", "between"])
def test_marker_when_writing_it_anew_breaks_then_the_old_one_stays(moment: str) -> None:
    files = FilesInMemory()
    store = CheckpointStore(files, "s3a://bucket/ckpt")
    store.save_marker("b1", STEP, MARKER)
    files.breaks_at = moment
    with pytest.raises(OSError, match="went down"):
        store.save_marker("b1", STEP, replace(MARKER, fingerprint="f2"))
    assert store.marker("b1", STEP) == MARKER


@pytest.mark.parametrize("moment", ["os.fsync", "pathlib.Path.replace"])
def test_marker_when_the_process_is_killed_while_it_is_written_then_the_step_is_not_done(
    tmp_path: Path, moment: str
) -> None:
    program = f"""
import os, pathlib, signal
from pipelines.pipeline import save_step_checkpoint
from pipelines.execution.checkpoints import Marker
{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
save_step_checkpoint({str(tmp_path)!r}, "b1", {STEP!r}, Marker("run-0", "", "f1", 1))
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )
    assert done.returncode == -9
    assert not is_step_checkpointed(tmp_path, "b1", STEP)
    save_step_checkpoint(tmp_path, "b1", STEP, MARKER)
    assert is_step_checkpointed(tmp_path, "b1", STEP, "f1")


# --- markers that cannot be read ---------------------------------------------------------------


@settings(deadline=None)
@given(st.data())
def test_marker_when_cut_off_anywhere_then_is_set_aside_and_the_step_is_not_done(
    data: st.DataObject,
) -> None:
    files = FilesInMemory()
    store = CheckpointStore(files, "ckpt")
    path = store.save_marker("b1", STEP, MARKER)
    whole = files.texts[path]
    files.texts[path] = whole[: data.draw(st.integers(0, len(whole) - 1))]
    assert store.marker("b1", STEP) is None
    assert store.set_aside == [path]
    assert list(files.texts) == [f"{path}.corrupt"]
    assert store.marker("b1", STEP) is None
    assert store.set_aside == [path]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 200,
        b"null",
        b"[]",
        b'"done"',
        b'{"run_id": "run-1"}',
        b"<<<<<<< HEAD",
        pytest.param(
            b'{"run_id": "\xff\xfe"}',
        ),
    ],
)
def test_marker_when_it_is_no_marker_then_is_kept_aside_and_can_be_written_again(
    tmp_path: Path, content: bytes
) -> None:
    file = save_step_checkpoint(tmp_path, "b1", STEP, MARKER)
    file.write_bytes(content)
    assert not is_step_checkpointed(tmp_path, "b1", STEP)
    assert file.with_suffix(".json.corrupt").read_bytes() == content
    assert not file.exists()
    save_step_checkpoint(tmp_path, "b1", STEP, MARKER)
    assert is_step_checkpointed(tmp_path, "b1", STEP, "f1")


def test_batch_when_its_record_is_torn_then_counts_as_not_begun(tmp_path: Path) -> None:
    store = CheckpointStore(LocalFiles(), str(tmp_path))
    record = BatchRecord("b1", "run-1", 1_795_000_000_000, "2026-11-23", {"n": 1}, {"/lake/a": 3})
    store.save_batch(record)
    assert store.batch("b1") == record
    assert store.batch("b2") is None
    (tmp_path / "b1/_batch.json").write_text('{"batch_id": "b1", "run', encoding="utf-8")
    assert store.batch("b1") is None
    assert store.set_aside == [f"{tmp_path}/b1/_batch.json"]


# --- odd names of batches ----------------------------------------------------------------------

ODD = [
    "..",
    "../../etc",
    "a/../../b",
    "a/b",
    "/etc/passwd",
    "a\\b",
    "...",
    "%2E%2E",
    "file:/etc",
    "s3a://bucket/x",
    "2026-11-23T10:58:24+00:00",
    "région sud",
    "two\nlines",
    "nul\0byte",
    "*",
    "~",
    "-rf",
    pytest.param(
        ".",
    ),
    pytest.param(
        "x" * 300,
        id="300 letters",
    ),
    pytest.param(
        "授業" * 20,
        id="40 Japanese letters",
    ),
]


@pytest.mark.parametrize("batch_id", ODD)
def test_batch_when_its_name_is_odd_then_its_markers_stay_in_a_folder_of_their_own(
    tmp_path: Path, batch_id: str
) -> None:
    folder = tmp_path / "lake/_checkpoints/toy"
    file = save_step_checkpoint(folder, batch_id, STEP, MARKER)
    assert file.resolve().parent.parent == folder
    assert is_step_checkpointed(folder, batch_id, STEP, "f1")
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert written == [file.resolve()]


@given(st.text(min_size=1), st.text(min_size=1))
def test_batches_when_their_names_differ_then_so_do_their_folders(one: str, other: str) -> None:
    store = CheckpointStore(FilesInMemory(), "/lake/ckpt")
    paths = {os.path.normpath(store.marker_path(name, STEP)) for name in (one, other)}
    assert len(paths) == len({one, other})
    assert all(path.startswith("/lake/ckpt/") for path in paths)


def test_marker_when_the_names_are_as_long_as_a_flow_allows_then_is_saved(tmp_path: Path) -> None:
    step_id = ".".join(letter * 128 for letter in "abc")
    save_step_checkpoint(tmp_path, "b1", step_id, MARKER)
    assert is_step_checkpointed(tmp_path, "b1", step_id)


# --- what a run leaves out ---------------------------------------------------------------------

CHAIN = """
- name: upper
  source: {type: delta, query: sql/upper.sql}
  destination: {path: "{{ base_path }}/upper"}
- name: between
  depends_on: [upper]
  source: {type: delta, query: select * from upper}
  destination: {view: between}
- name: lower
  depends_on: [between]
  source: {type: delta, query: select * from between}
  destination: {path: "{{ base_path }}/lower", format: parquet}
- name: apart
  when: "{{ vars.apart | default(true) }}"
  source: {type: delta, query: select 1 as id}
  destination: {path: "{{ base_path }}/apart"}
"""
WRITTEN = {
    "upper": "upper/_delta_log/0.json",
    "lower": "lower/part-0",
    "apart": "apart/_delta_log/0",
}


class Batch:
    """A batch that an earlier run has done, as its markers and its lakehouse tell."""

    def __init__(self, made: Project) -> None:
        steps = made.pipeline().checked().steps
        self.made = made
        self.files = FilesInMemory({f"{made.root}/lake/{path}": "" for path in WRITTEN.values()})
        self.markers: dict[str, Marker] = {}
        for name in WRITTEN:
            step_id = f"stage.group.{name}"
            self.markers[step_id] = Marker(
                run_id="r0",
                finished_at="",
                fingerprint=steps[step_id].fingerprint,
                version_after=0,
                identity=f"of {name}",
                read={"stage.group.upper": "of upper"} if name == "lower" else {},
            )

    def decisions(self, **options: Any) -> Mapping[str, Decision | None]:
        """What another run would leave out, by the steps' names."""
        compiled = self.made.pipeline(**options).checked()
        decided = decide_all(compiled, self.markers.get, self.files)
        self.has_work = has_work(compiled, decided)
        return {step_id.rsplit(".", 1)[1]: decision for step_id, decision in decided.items()}

    def left_out(self, **options: Any) -> dict[str, str]:
        decisions = self.decisions(**options)
        return {name: decision.status.value for name, decision in decisions.items() if decision}


@pytest.fixture
def batch(project: Callable[..., Project]) -> Batch:
    return Batch(project(CHAIN, files={"sql/upper.sql": "select 1 as id"}))


def test_batch_when_all_is_done_then_nothing_is_left_to_do_and_the_run_before_is_named(
    batch: Batch,
) -> None:
    decisions = batch.decisions()
    told = {name: decision.reason for name, decision in decisions.items() if decision}
    assert told == dict.fromkeys(WRITTEN, "done by run r0")
    assert decisions["between"] is None
    assert not batch.has_work


def test_batch_when_it_has_no_markers_then_everything_runs(batch: Batch) -> None:
    batch.markers.clear()
    assert batch.left_out() == {}
    assert batch.has_work


def test_batch_when_a_step_was_edited_then_it_runs_and_so_does_what_reads_it(batch: Batch) -> None:
    batch.made.write("sql/upper.sql", "select 2 as id")
    assert batch.left_out() == {"apart": "checkpointed"}


def test_batch_when_a_marker_is_missing_then_its_step_runs_and_so_does_what_reads_it(
    batch: Batch,
) -> None:
    del batch.markers["stage.group.upper"]
    assert batch.left_out() == {"apart": "checkpointed"}


@pytest.mark.parametrize("name", ["lower", "apart"])
def test_batch_when_a_destination_is_gone_then_its_step_runs(batch: Batch, name: str) -> None:
    for path in [path for path in batch.files.texts if f"/{name}/" in path]:
        del batch.files.texts[path]
    assert batch.left_out() == {other: "checkpointed" for other in WRITTEN if other != name}
    assert batch.has_work


def test_batch_when_a_step_is_not_selected_or_not_wanted_then_is_skipped_and_says_why(
    batch: Batch,
) -> None:
    decisions = batch.decisions(select=("lower", "apart"), vars={"apart": False})
    told = {name: (one.status.value, one.reason) for name, one in decisions.items() if one}
    assert told == {
        "upper": ("skipped", "not selected"),
        "lower": ("checkpointed", "done by run r0"),
        "apart": ("skipped", "its 'when' is false"),
    }


# --- through a whole run -----------------------------------------------------------------------


def test_batch_when_run_again_then_its_step_is_checkpointed_until_its_check_is_edited(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: orders
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/orders", mode: append}
          dq_checks: [dq/ids.sql]
        """,
        files={"dq/ids.sql": "select id from orders where id is null"},
    )
    step_id, folder = "stage.group.orders", made.root / "lake/_checkpoints/toy"
    first = made.run()["orders"]
    assert first.status.value == "success"
    assert is_step_checkpointed(folder, "b1", step_id, first.fingerprint)
    again = made.run()["orders"]
    assert again.status.value == "checkpointed"
    assert again.attempts == ()
    made.write("dq/ids.sql", "select id from orders where id < 0")
    edited = made.run()["orders"]
    assert edited.status.value != "checkpointed"
    assert len(edited.checks) == 1
    assert is_step_checkpointed(folder, "b1", step_id, edited.fingerprint)
    assert made.rows("orders") == [(1,)]


def test_batches_when_some_cannot_be_read_then_the_others_are_told_and_nothing_is_set_aside(
    tmp_path: Path,
) -> None:
    store = CheckpointStore(LocalFiles(), str(tmp_path))
    assert store.batches() == []
    for number, name in enumerate(("old", "new")):
        store.save_batch(BatchRecord(name, "r1", number, "2026-11-23"))
    store.save_marker("old", "s.g.a", Marker("r1", "2026-11-23T00:00:00Z", "f", 3))
    torn = [tmp_path / "torn/_batch.json", tmp_path / "old/s.g.b.json"]
    for file in torn:
        file.parent.mkdir(exist_ok=True)
        file.write_text('{"run_id"')
    assert [one.batch_id for one in store.batches()] == ["new", "old"]
    markers = store.markers("old", ["s.g.a", "s.g.b", "s.g.c"])
    assert {step: one.version_after for step, one in markers.items()} == {"s.g.a": 3}
    assert all(file.exists() for file in torn)
    store.remove_batch("old")
    assert [one.batch_id for one in store.batches()] == ["new"]
