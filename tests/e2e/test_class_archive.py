"""Classes kept by one JVM are what the next one starts with."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
from pathlib import Path
from pipelines.execution.class_archive import ClassArchive
from pipelines.execution.jars import jar_cache, resolve_jars
from pipelines.execution.session import start_session

folder, root = Path(sys.argv[1]), Path(sys.argv[2])
archive = ClassArchive(folder / "kept classes.jsa")
options = archive.java_options(record=True)
log = f'"-Xlog:class+load:file={folder / "loaded.log"}"' if archive.file.exists() else ""
spark = start_session(
    "keeping", "local[1]", {}, resolve_jars(jar_cache(root)), folder=folder,
    java_options=f"{options} {log}",
)
spark.range(3).write.format("delta").mode("append").save(str(folder / "table"))
print(spark.read.format("delta").load(str(folder / "table")).count(), archive.keep(spark))
spark.stop()
"""


def test_second_jvm_when_classes_were_kept_then_has_spark_and_delta_from_the_archive(
    tmp_path: Path,
) -> None:
    root = Path(__file__).resolve().parents[2]

    def start() -> str:
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path), str(root)],
            capture_output=True, text=True, check=True, timeout=240, cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
        )  # fmt: skip
        return done.stdout.strip()

    assert start() == "3 True"
    assert start() == "6 False"
    loaded = (tmp_path / "loaded.log").read_text().splitlines()
    shared = [line for line in loaded if "shared objects file (top)" in line]
    for package in ("org.apache.spark.sql.", "org.apache.spark.sql.delta."):
        assert sum(package in line for line in shared) > 100, package
