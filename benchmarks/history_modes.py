"""How long mode `scd2` takes against hand-written MERGEs with the same effect.

    python benchmarks/history_modes.py --rows 2000000 --changed 0.01 --rounds 6

A table of current versions gets a whole snapshot in which some rows have changed, some are new.
Peers: `classic` is the MERGE of the textbooks, with a union of closing and inserting rows over the
whole snapshot; `tuned` finds the changed rows once, keeps them, and merges only those. Neither
looks for keys that stand twice, late rows or several changes of a key. All start from the same
version, in one session with one setting, in turns; least and median are told, in seconds. None pays
for what the one before it left in memory. Before them go rounds in which Java compiles what each
way takes, `--warm-ups` of them.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.execution.jars import jar_cache, resolve_jars
from pipelines.execution.session import start_session
from pipelines.pipeline import Pipeline
from pipelines.prepared import Options

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parents[1]
PAYLOAD = ("first_name", "last_name", "city", "grade", "score")
FLOW = """\
pipeline:
  name: bench
  checkpoint: {enabled: false}
  stages:
    - name: gold
      groups:
        - name: dimensions
          steps:
            - name: dim
              source: {type: delta, path: "{{ project_dir }}/snapshot"}
              destination:
                path: "{{ base_path }}/ours"
                mode: scd2
                keys: [id]
                sequence_by: changed_at
"""
CONFIG = """\
default_environment: bench
environments:
  bench: {base_path: lake, metadata: {enabled: false}}
"""
SAME = " and ".join(f"t.{name} <=> s.{name}" for name in PAYLOAD)
COLUMNS = ", ".join(("id", *PAYLOAD, "changed_at"))
CHANGED = f"""
select s.*, t.id is not null as is_known
from delta.`{{snapshot}}` as s
left join (select * from delta.`{{table}}` where is_current) as t on s.id = t.id
where t.id is null or (s.changed_at >= t.valid_from and not ({SAME}))
"""
TUNED = f"""
merge into delta.`{{table}}` as t
using (
    select id as match_id, changed.* from changed where is_known
    union all
    select null as match_id, changed.* from changed
) as s
on t.id = s.match_id and t.is_current
when matched then update set valid_to = s.changed_at, is_current = false
when not matched then insert ({COLUMNS}, valid_from, valid_to, is_current)
values ({COLUMNS}, changed_at, null, true)
"""
CLASSIC = f"""
merge into delta.`{{table}}` as t
using (
    select s.id as match_id, s.* from delta.`{{snapshot}}` as s
    union all
    select null as match_id, s.* from delta.`{{snapshot}}` as s
    inner join delta.`{{table}}` as t on s.id = t.id and t.is_current and not ({SAME})
) as s
on t.id = s.match_id and t.is_current
when matched and not ({SAME}) then update set valid_to = s.changed_at, is_current = false
when not matched then insert ({COLUMNS}, valid_from, valid_to, is_current)
values ({COLUMNS}, changed_at, null, true)
"""


def main() -> None:
    """Measures, and prints one line a way."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--changed", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--warm-ups", type=int, default=2)
    asked = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="history-modes-"))
    conf = {"spark.driver.extraJavaOptions": "-XX:+UseParallelGC"}
    jars = resolve_jars(jar_cache(ROOT))
    spark = start_session("bench", "local[*]", conf, jars, folder=folder / "spark")
    try:
        _prepare(spark, folder, asked.rows, asked.changed)
        _report(asked.warm_ups, asked.rounds, spark, folder)
    finally:
        spark.stop()
        shutil.rmtree(folder)


def _prepare(spark: SparkSession, folder: Path, rows: int, changed: float) -> None:
    """The snapshot, and the table as it was the day before, once for each way."""
    (folder / "pipelines/flows").mkdir(parents=True)
    (folder / "pipelines/flows/main_flow.yaml").write_text(FLOW)
    (folder / "pipelines/pipelines_config.yaml").write_text(CONFIG)
    every = max(int(1 / changed), 1)
    people = spark.range(rows).selectExpr(
        "id",
        "concat('first ', id % 5000) as first_name",
        "concat('last ', id % 9000) as last_name",
        "concat('city ', id % 700) as city",
        "cast(id % 13 as string) as grade",
        "cast(id % 1000 as double) as score",
    )
    people.createOrReplaceTempView("people")
    before = spark.sql(
        "select *, date'2026-01-01' as changed_at, date'2026-01-01' as valid_from, "
        f"cast(null as date) as valid_to, true as is_current from people where id < {rows * 0.999}"
    )
    snapshot = spark.sql(
        f"select id, first_name, last_name, if(id % {every} = 0, 'moved', city) as city, grade, "
        f"score, if(id % {every} = 0, date'2026-01-02', date'2026-01-01') as changed_at from people"
    )
    snapshot.write.format("delta").save(str(folder / "snapshot"))
    for way in ("ours", "tuned", "classic"):
        before.write.format("delta").save(str(folder / "lake" / way))


def _report(warm_ups: int, rounds: int, spark: SparkSession, folder: Path) -> None:
    ways: dict[str, Callable[[], object]] = {
        "ours": lambda: _ours(spark, folder),
        "tuned": lambda: _tuned(spark, folder),
        "classic": lambda: spark.sql(CLASSIC.format(**_names(folder, "classic"))).collect(),
    }
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(warm_ups + rounds):
        for way, action in ways.items():
            if number:
                table = f"delta.`{folder / 'lake' / way}`"
                spark.sql(f"restore table {table} to version as of 0").collect()
            spark._jvm.System.gc()
            started = time.perf_counter()
            action()
            if number >= warm_ups:
                seconds[way].append(time.perf_counter() - started)
    effects = {way: _effect(spark, folder, way) for way in ways}
    if len(set(effects.values())) != 1:
        sys.exit(f"the ways differ in effect: {effects}")
    for way, found in seconds.items():
        ratios = [mine / other for mine, other in zip(seconds["ours"], found, strict=True)]
        sys.stdout.write(
            f"{way:10} {min(found):6.2f} {statistics.median(found):6.2f}   "
            f"ours / {way}: {', '.join(f'{one:.2f}' for one in ratios)}\n"
        )


def _ours(spark: SparkSession, folder: Path) -> None:
    result = Pipeline("main_flow", Options(project_dir=folder), spark=spark).run()
    if result.exit_code:
        sys.exit(str([step.error for step in result.steps]))


def _tuned(spark: SparkSession, folder: Path) -> None:
    names = _names(folder, "tuned")
    changed = spark.sql(CHANGED.format(**names)).persist()
    changed.createOrReplaceTempView("changed")
    spark.sql(TUNED.format(**names)).collect()
    changed.unpersist()


def _names(folder: Path, way: str) -> dict[str, str]:
    return {"snapshot": str(folder / "snapshot"), "table": str(folder / "lake" / way)}


def _effect(spark: SparkSession, folder: Path, way: str) -> tuple[int, ...]:
    """What tells tables apart: rows, current ones, and a sum over all that is in them."""
    table = spark.read.format("delta").load(str(folder / "lake" / way))
    columns = sorted(table.columns)
    return tuple(
        table.selectExpr(
            "count(*)", "count_if(is_current)", f"sum(hash({', '.join(columns)}))"
        ).first()
        or ()
    )


if __name__ == "__main__":
    main()
