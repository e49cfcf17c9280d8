"""Backups of tables that Spark wrote: after a restore runs go on as if nothing had been."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pipelines.backups import back_up, restore, restore_to, verify
from pipelines.execution.backups.contents import table_contents
from pipelines.prepared import Options, PreparedFlow

if TYPE_CHECKING:
    from tests.conftest import Project

FLOW = """
- name: events
  source:
    type: delta
    path: "given"
    incremental: {column: id}
    query: select id, city from events
  destination: {path: "{{ base_path }}/events", mode: append}
- name: cities
  depends_on: [events]
  source: {type: delta, query: "select city, count(*) as events from events group by city"}
  destination:
    path: "{{ base_path }}/cities"
    mode: scd1
    keys: [city]
    options: {delta.checkpointPolicy: v2, delta.checkpointInterval: "1"}
- name: report
  depends_on: [events]
  source: {type: delta, query: select id from events}
  destination: {path: "{{ base_path }}/report", format: csv, mode: append}
"""
CONFIG = """
default_environment: test
environments:
  test: {base_path: lake, metadata: {enabled: false}}
  moved: {base_path: moved, metadata: {enabled: false}}
"""


def give(made: Project, *rows: str, mode: str = "append") -> None:
    frame = made.spark.sql(f"select * from values {', '.join(rows)} as t(id, city)")
    frame.write.format("delta").mode(mode).save(str(made.root / "given"))


def held(made: Project) -> dict[str, object]:
    return {
        "events": made.rows("events"),
        "cities": made.rows("cities"),
        "report": made.rows("report", "csv"),
        "commits": made.commits("events"),
    }


@pytest.mark.long
def test_after_a_restore_the_batch_is_done_and_the_next_one_reads_from_the_watermark(
    project: Callable[..., Project],
) -> None:
    made = project(FLOW, files={"pipelines/pipelines_config.yaml": CONFIG})
    prepared = PreparedFlow("main_flow", Options(project_dir=made.root, batch_id="b1"))
    give(made, "(1, 'Paris')", "(2, 'Rome')", mode="overwrite")
    made.run()
    before = held(made)
    taken = back_up(prepared, made.root.parent / f"{made.root.name}-backups").folder
    assert verify(taken).is_well

    give(made, "(3, 'Rome')")
    assert made.run(batch_id="b2")["events"].counts.written == 1
    after = held(made)
    assert after != before
    assert restore(prepared, taken).is_done
    assert held(made) == before
    assert set(made.run().statuses.values()) == {"checkpointed"}
    assert made.run(batch_id="b2")["events"].counts.written == 1
    assert held(made) == after

    assert restore_to(taken, made.root / "moved").is_done
    assert set(made.run(env="moved").statuses.values()) == {"checkpointed"}
    assert made.run(env="moved", batch_id="b2")["events"].counts.written == 1
    assert made.rows("../moved/cities") == after["cities"]


def test_a_table_with_deletion_vectors_is_copied_with_them_and_its_rows_are_counted(
    project: Callable[..., Project],
) -> None:
    made = project()
    table = Path(made.path("vectors"))
    frame = made.spark.range(0, 100, 1, 1).write.format("delta")
    frame.option("delta.enableDeletionVectors", "true").save(str(table))
    made.spark.sql(f"delete from delta.`{table}` where id in (3, 5)")
    found = table_contents(table)
    assert found is not None
    assert (found.version, found.rows) == (1, 98)
    assert sum(name.startswith("deletion_vector_") for name in found.files) == 1
