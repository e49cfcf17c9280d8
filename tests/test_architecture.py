"""The house rules: which rooms there are, what they may know of each other, what loads when."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted(
    path.relative_to(ROOT)
    for folder in ("pipelines", "ingestion")
    for path in (ROOT / folder).rglob("*.py")
)
HEAVY = {"apprise", "delta", "deltalake", "numpy", "pandas", "py4j", "pyarrow",
         "pyspark"}  # fmt: skip


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    """Python in a process of its own, with the project to import from."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _loaded_by(statement: str) -> set[str]:
    """The modules that are loaded once ``statement`` has run in a fresh process."""
    done = _python("-c", f"{statement}\nimport json, sys\nprint(json.dumps(list(sys.modules)))")
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


# --- rooms -------------------------------------------------------------------------------------


def test_imports_when_all_are_looked_at_then_every_contract_is_kept() -> None:
    done = _python(
        "-c",
        "import sys; from importlinter.cli import lint_imports; "
        "sys.exit(lint_imports(config_filename='pyproject.toml', no_cache=True))",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert ", 0 broken" in done.stdout
    assert int(re.findall(r"(\d+) kept", done.stdout)[0]) >= 5


def test_utils_when_listed_then_are_the_five_modules_that_people_know() -> None:
    found = {
        path.stem
        for path in (ROOT / "pipelines/utils").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").is_file()) and path.stem != "__init__"
    }
    assert found == {"datasource", "dq_checks", "metadata_logger", "sql_loader", "sql_runner"}


@pytest.mark.parametrize("path", ["pipelines/__init__.py", "pipelines/utils/__init__.py"])
def test_package_when_it_is_only_a_folder_then_holds_nothing_but_its_docstring_and_version(
    path: str,
) -> None:
    docstring, *others = ast.parse((ROOT / path).read_text(encoding="utf-8")).body
    assert isinstance(docstring, ast.Expr)
    for one in others:
        assert isinstance(one, ast.Assign)
        assert ast.unparse(one.targets[0]) == "__version__"


def test_modules_when_named_then_none_hides_one_of_pythons_own() -> None:
    hidden = {
        str(path): names
        for path in MODULES
        if (names := {*path.parent.parts, path.stem} & sys.stdlib_module_names)
    }
    assert hidden == {}


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_module_when_opened_then_its_first_line_says_what_it_is_for(path: Path) -> None:
    told = ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    assert told, f"{path} has no docstring"
    first = told.splitlines()[0]
    assert first.endswith("."), first


# --- what loads when ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    [
        "pipelines.plan.plan",
        "pipelines.plan.compile",
        "pipelines.plan.checks",
        "pipelines.run_pipeline",
        "pipelines.pipeline",
        "pipelines.console",
        "pipelines.flows.visualize_pipeline_dag",
    ],
)
def test_import_when_nothing_is_run_yet_then_neither_spark_nor_other_heavy_libraries_load(
    module: str,
) -> None:
    assert _loaded_by(f"import {module}") & HEAVY == set()


def test_import_when_only_the_package_is_asked_for_then_no_module_of_it_loads() -> None:
    loaded = _loaded_by("import pipelines")
    assert {name for name in loaded if name.startswith("pipelines.")} == set()


@pytest.mark.parametrize(
    "name", ["datasource", "dq_checks", "metadata_logger", "sql_loader", "sql_runner"]
)
def test_utils_when_one_is_imported_then_it_comes_without_the_engine(name: str) -> None:
    loaded = _loaded_by(f"from pipelines.utils import {name}")
    assert f"pipelines.utils.{name}" in loaded
    for room in ("execution", "console", "sinks", "plan", "pipeline", "run_pipeline"):
        assert f"pipelines.{room}" not in loaded


# --- what no file may hold ---------------------------------------------------------------------

LEFT_OUT = {".git", ".venv", ".cache", "data", "build", "dist", "logs", "__pycache__"}
FORBIDDEN = {
    "a path of somebody's machine": re.compile(
        r"(?<![\w.])/(?:home|Users|root|work)/[\w.-]+/|[A-Z]:\\Users\\|"
        + re.escape(str(ROOT) + os.sep if len(ROOT.parts) > 2 else "\0")
    ),
    "the address of a package registry": re.compile(
        r"https?://[\w.-]*(?:pypi|pythonhosted|repo1?\.maven|maven\.(?:org|apache)|npmjs|"
        r"artifactory|nexus|repo\.anaconda)[\w.-]*",
        re.IGNORECASE,
    ),
}


def _texts() -> dict[str, str]:
    """Every text file of the project that is not made by the set-up, tools or runs."""
    found = {}
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [
            name for name in folders
            if name not in LEFT_OUT and not name.endswith(("_cache", ".egg-info"))
            and name not in (".hypothesis", "artifacts", "spark-warehouse", "metastore_db")
        ]  # fmt: skip
        for name in files:
            path = Path(folder, name)
            if (
                path.is_symlink()
                or name == ".git"
                or name.startswith(".env")
                or path.stat().st_size > 1 << 20
            ):
                continue
            try:
                found[str(path.relative_to(ROOT))] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                continue
    return found


@pytest.mark.parametrize("what", FORBIDDEN)
def test_files_when_searched_then_none_ties_the_project_to_one_machine(what: str) -> None:
    texts = _texts()
    assert {"README.md", "pyproject.toml", "requirements.lock"} <= texts.keys()
    places = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match[0]}"
        for path, text in texts.items()
        for match in FORBIDDEN[what].finditer(text)
    ]
    assert places == []
