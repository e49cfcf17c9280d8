"""Classes kept by the set-up are what Spark starts with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.execution.class_archive import archive_options, keep_classes
from pipelines.execution.files import cache_folder
from pipelines.execution.jars import jar_cache, resolve_jars

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
# Its own words on stdout are few; Java's would be among them.
START = """
import sys
from pathlib import Path
from pipelines.execution.jars import jar_cache, resolve_jars
from pipelines.execution.session import start_session

folder, root, options = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
log = f'"-Xlog:class+load:file={folder / "loaded.log"}"'
jars = resolve_jars(jar_cache(root))
spark = start_session("e2e", "local[1]", {}, jars, folder=folder, java_options=f"{options} {log}")
spark.range(3).write.format("delta").save(str(folder / "table"))
print(spark.read.format("delta").load(str(folder / "table")).count())
spark.stop()
"""


def start(folder: Path, options: str) -> list[str]:
    """Lines on the classes that Java has loaded."""
    folder.mkdir(parents=True)
    done = subprocess.run(
        [sys.executable, "-c", START, folder, ROOT, options],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["3"]
    return (folder / "loaded.log").read_text(errors="replace").splitlines()


def from_archive(lines: list[str]) -> int:
    return sum(" org.apache.spark." in one and "shared objects file" in one for one in lines)


@pytest.mark.long
def test_spark_when_its_classes_were_kept_then_takes_them_from_the_archive(tmp_path: Path) -> None:
    keep_classes(cache_folder(ROOT), resolve_jars(jar_cache(ROOT)))
    options = archive_options(cache_folder(ROOT))
    assert from_archive(start(tmp_path / "a folder", options)) > 2_000


@pytest.mark.long
def test_spark_when_the_archive_is_broken_then_starts_without_it(tmp_path: Path) -> None:
    (tmp_path / "broken.jsa").write_text("no classes")
    kept = archive_options(cache_folder(ROOT)).partition(" -Xshare")
    options = f'"-XX:SharedArchiveFile={tmp_path / "broken.jsa"}"{kept[1]}{kept[2]}'
    assert from_archive(start(tmp_path / "a folder", options)) == 0
