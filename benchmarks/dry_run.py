"""How long `validate` takes for flows of many steps, and with Spark over its bare start.

    python benchmarks/dry_run.py --steps 1000 10000 --rounds 3
    python benchmarks/dry_run.py --analyze --rounds 3

Each step of a generated flow reads two others by a statement of its own, with a window and a CTE,
and has a check of its own: two files a step. `cold` has never read the statements before, `warm`
has. Rounds are interleaved; least and median are told, in seconds.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LAYERS = 10
STEP = """\
            - name: t{number}
              depends_on: [{upstream}]
              source: {{type: delta, query: sql/t{number}.sql}}
              destination: {{path: "{{{{ base_path }}}}/{{{{ stage.name }}}}/{{{{ name }}}}"}}
              dq_checks: [dq/t{number}.sql]
"""
SQL = """\
-- Table {number}.
with

row_of as (

    {rows}

),

numbered as (

    select id, name, row_number() over (partition by name order by id) as position
    from row_of

)

select id, name, position, date '{{{{ run_date }}}}' as load_date
from numbered
where position = 1
"""
CHECK = """\
-- expect: value = 0
-- description: Keys are unique.
select count(*) - count(distinct id) from {{ name }}
"""
BARE = """
from pathlib import Path
from pyspark.sql import SparkSession
from pipelines.execution.jars import jar_cache, resolve_jars
jars = ",".join(map(str, resolve_jars(jar_cache(Path.cwd()))))
SparkSession.builder.master("local[*]").config("spark.jars", jars).config(
    "spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension"
).config(
    "spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog"
).config("spark.ui.enabled", "false").getOrCreate().stop()
"""


def main() -> None:
    """Measures, and prints one line a figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, nargs="*", default=[1_000, 10_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--analyze", action="store_true", help="the main flow before Spark instead")
    asked = parser.parse_args()
    if asked.analyze:
        bare = [sys.executable, "-c", BARE]
        _report(
            asked.rounds,
            {
                "bare Spark start": lambda: _seconds(bare),
                "validate --analyze": lambda: _seconds(_pipeline("validate", "--analyze")),
            },
        )
        return
    with tempfile.TemporaryDirectory() as name:
        for count in asked.steps:
            root = Path(name, str(count))
            make_flow(root, count)
            words = _pipeline("validate", "--project-dir", str(root))
            _report(
                asked.rounds,
                {
                    f"{count} steps, cold": lambda root=root, words=words: _cold(root, words),
                    f"{count} steps, warm": lambda words=words: _seconds(words),
                },
            )


def make_flow(root: Path, count: int) -> None:
    """A project of ``count`` steps in ten stages, each step reading two of the stage before."""
    for folder in ("pipelines/flows", "sql", "dq"):
        (root / folder).mkdir(parents=True)
    (root / "pipelines/pipelines_config.yaml").write_text(
        "default_environment: bench\nenvironments:\n  bench: {base_path: lake}\n"
    )
    lines = ["pipeline:\n  name: large\n  stages:\n"]
    width = count // LAYERS
    for layer in range(LAYERS):
        lines.append(f"    - name: stage{layer}\n      groups:\n        - name: all\n")
        lines.append("          steps:\n")
        for place in range(width):
            number = layer * width + place
            above = [(layer - 1) * width + one for one in (place, (place * 7 + 3) % width)]
            names = [f"t{one}" for one in dict.fromkeys(above)] if layer else []
            rows = "select 1 as id, 'x' as name"
            if names:
                rows = " union all ".join(f"select id, name from {name}" for name in names)
            lines.append(STEP.format(number=number, upstream=", ".join(names)))
            (root / f"sql/t{number}.sql").write_text(SQL.format(number=number, rows=rows))
            (root / f"dq/t{number}.sql").write_text(CHECK)
    (root / "pipelines/flows/main_flow.yaml").write_text("".join(lines))


def _report(rounds: int, figures: dict[str, Callable[[], float]]) -> None:
    taken: dict[str, list[float]] = {name: [] for name in figures}
    for _ in range(rounds):
        for name, measure in figures.items():
            taken[name].append(measure())
    for name, seconds in taken.items():
        sys.stdout.write(f"{name:28} {min(seconds):6.2f} {statistics.median(seconds):6.2f}\n")


def _cold(root: Path, words: list[str]) -> float:
    shutil.rmtree(root / ".cache", ignore_errors=True)
    return _seconds(words)


def _pipeline(*words: str) -> list[str]:
    return [str(Path(sys.executable).with_name("pipeline")), *words]


def _seconds(words: list[str]) -> float:
    started = time.perf_counter()
    subprocess.run(words, cwd=ROOT, check=True, capture_output=True)
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
