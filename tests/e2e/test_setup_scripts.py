from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("run_pipeline.sh", "run_tests.sh", ".ci/run", "scripts/setup.sh", "scripts/lock.sh",
           "scripts/supply_chain.sh")  # fmt: skip
LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-supply-chain.lock")
PROGRAMS = (
    *(
        "awk",
        "bash",
        "cat",
        "dirname",
        "env",
        "head",
        "id",
        "mkdir",
        "mv",
        "rm",
        "sed",
        "sha256sum",
    ),
    *("shasum", "touch"),
)


def locked(lock: str) -> dict[str, str]:
    lines = (ROOT / lock).read_text().splitlines()
    pins = (re.match(r"([A-Za-z0-9._-]+)==([^\s;]+)", line) for line in lines)
    return {canonical(pin[1]): pin[2] for pin in pins if pin}


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(section: str) -> set[str]:
    """Names in a list of pyproject.toml; read by hand, as Python 3.10 has no tomllib."""
    body = re.search(
        rf"^{section} = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.M | re.S
    )
    assert body
    return {canonical(name) for name in re.findall(r'^\s+"([A-Za-z0-9._-]+)', body[1], re.M)}


def write_program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of what the set-up reads, in a folder with a space, and a PATH with only PROGRAMS."""
    root = tmp_path / "a checkout"
    for name in (*SCRIPTS, *LOCKS, "pyproject.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    (root / "pipelines" / "flows").mkdir(parents=True)
    (root / "pipelines" / "flows" / "main_flow.yaml").touch()
    (root / "pipelines" / "pipelines_config.yaml").write_text("default_environment: local\n")
    (tmp_path / "bin").mkdir()
    for program in PROGRAMS:
        if found := shutil.which(program):
            (tmp_path / "bin" / program).symlink_to(found)
    return root


@pytest.fixture
def ready(checkout: Path) -> Path:
    """A checkout that is set up, but for `pipeline`, which only says how it was called."""
    python = write_program(checkout / ".venv/bin/python", "#!/bin/sh\nexit 99\n")
    java_home = checkout.parent / "java"
    write_program(java_home / "bin" / "java", "#!/bin/sh\n")
    write_program(
        python.with_name("pipeline"),
        '#!/bin/sh\necho "$@"\n[ "$1" != run ] || exit "${EXIT_CODE:-0}"\n',
    )
    (checkout / ".cache" / "jars" / "set").mkdir(parents=True)
    (checkout / ".cache" / "jars" / "set" / "manifest.json").write_text("{}")
    (checkout / ".cache" / "classes").mkdir()
    (checkout / ".cache" / "classes" / "of-some-java.jsa").touch()
    (checkout / ".cache" / "java_home").write_text(f"=\n{java_home}\n")
    for kind in ("run", "dev"):
        key = bash(checkout, f"_venv_key {kind}")
        (checkout / ".venv" / f".setup-{kind}").write_text(key.stdout)
    return checkout


def run(
    checkout: Path, *command: str, cwd: Path | None = None, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command as cron would: no terminal, no HOME, hardly any PATH."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd or "/",
        env={"PATH": str(checkout.parent / "bin"), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def bash(checkout: Path, line: str) -> subprocess.CompletedProcess[str]:
    setup = 'set -euo pipefail; source "$0/scripts/setup.sh"; '
    return run(checkout, "bash", "-c", setup + line, str(checkout))


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_when_committed_then_holds_no_address_and_no_path(lock: str) -> None:
    text = (ROOT / lock).read_text()

    assert "://" not in text
    assert not re.findall(r"^(?:-|/|.*file:).*$", text, re.M)


@pytest.mark.parametrize("lock", LOCKS)
def test_lock_when_it_pins_a_package_then_with_hashes(lock: str) -> None:
    entries = re.split(r"^(?=[A-Za-z])", (ROOT / lock).read_text(), flags=re.M)[1:]

    assert len(entries) > 20
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_locks_when_pyproject_names_a_package_then_it_is_pinned() -> None:
    assert declared("dependencies") - locked("requirements.lock").keys() == set()
    assert declared("dev") - locked("requirements-dev.lock").keys() == set()


def test_dev_lock_when_it_shares_a_package_then_with_the_same_version() -> None:
    assert locked("requirements.lock").items() <= locked("requirements-dev.lock").items()


def test_scripts_when_read_by_shellcheck_then_clean() -> None:
    shellcheck = shutil.which("shellcheck", path=str(Path(sys.executable).parent))
    if shellcheck is None:
        pytest.skip("shellcheck is not installed in this environment")
    result = subprocess.run(
        [shellcheck, "--external-sources", *SCRIPTS],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert result.stdout == ""


@pytest.mark.parametrize("script", ["run_pipeline.sh", "run_tests.sh", ".ci/run"])
def test_script_when_committed_then_executable(script: str) -> None:
    assert (ROOT / script).stat().st_mode & stat.S_IXUSR


def test_run_pipeline_when_python_is_too_old_then_stops_and_says_so(checkout: Path) -> None:
    write_program(
        checkout.parent / "bin" / "python3",
        '#!/bin/sh\n[ "$1" = --version ] && echo Python 3.8.10 && exit\nexit 1\n',
    )

    result = run(checkout, str(checkout / "run_pipeline.sh"))

    assert result.returncode == 1
    assert "found python3: Python 3.8.10" in result.stderr
    assert "Python 3.10 or newer is needed" in result.stderr
    assert result.stdout == ""
    assert not (checkout / ".venv").exists()


@pytest.mark.parametrize(
    ("arguments", "called"),
    [
        ([], "run {flows}/main_flow.yaml"),
        (["main_flow", "--threads", "2"], "run {flows}/main_flow.yaml --threads 2"),
        (["--var", "a=b c"], "run {flows}/main_flow.yaml --var a=b c"),
        (["my/flow.yaml"], "run my/flow.yaml"),
    ],
)
def test_run_pipeline_when_set_up_then_passes_everything_on(
    ready: Path, arguments: list[str], called: str
) -> None:
    result = run(ready, str(ready / "run_pipeline.sh"), *arguments)

    assert result.stdout == called.format(flows=ready / "pipelines" / "flows") + "\n"
    assert result.returncode == 0


def test_run_pipeline_when_the_pipeline_fails_then_returns_its_exit_code(ready: Path) -> None:
    assert run(ready, str(ready / "run_pipeline.sh"), EXIT_CODE="3").returncode == 3


@pytest.mark.parametrize(
    ("arguments", "environ", "environment", "makes_ods"),
    [
        ([], {}, "local", True),
        (["--env", "dev"], {}, "dev", False),
        (["main_flow", "--env=prod"], {}, "prod", False),
        ([], {"PIPELINE_ENV": "test"}, "test", False),
        (["--env", "local"], {"PIPELINE_ENV": "test"}, "local", True),
        (["--dry-run"], {}, "local", False),
    ],
)
def test_run_pipeline_when_environment_is_local_then_only_it_gets_a_sample_ods(
    ready: Path,
    arguments: list[str],
    environ: dict[str, str],
    environment: str,
    makes_ods: bool,
) -> None:
    result = run(ready, str(ready / "run_pipeline.sh"), *arguments, **environ)

    assert f"environment: {environment}\n" in result.stderr
    assert ("ods create --if-missing" in result.stderr) == makes_ods


def test_run_pipeline_when_config_names_another_default_then_it_counts(ready: Path) -> None:
    (ready / "pipelines" / "pipelines_config.yaml").write_text(
        'default_environment: "dev" # here\n'
    )

    assert "environment: dev\n" in run(ready, str(ready / "run_pipeline.sh")).stderr


@pytest.mark.parametrize(
    "change",
    [
        "touch .venv/.setup-unfinished",
        "rm .venv/.setup-run",
        "rm .venv/bin/pipeline",
        "echo 'new==1' >>requirements.lock",
        "echo >>pyproject.toml",
    ],
)
def test_venv_when_half_made_or_outdated_then_not_taken_for_ready(ready: Path, change: str) -> None:
    assert bash(ready, "_venv_is_ready run").returncode == 0

    run(ready, "bash", "-c", change, cwd=ready)

    assert bash(ready, "_venv_is_ready run").returncode == 1


def test_venv_when_the_folder_was_moved_then_not_taken_for_ready(ready: Path) -> None:
    moved = ready.rename(ready.with_name("moved"))

    assert bash(moved, "_venv_is_ready run").returncode == 1


def test_jars_when_missing_then_fetched_by_the_code_of_this_checkout(ready: Path) -> None:
    shutil.rmtree(ready / ".cache" / "jars")
    write_program(ready / ".venv/bin/python", '#!/bin/sh\necho "in $PWD: $@"\n')

    result = run(ready, str(ready / "run_pipeline.sh"), cwd=ROOT)

    assert f"in {ready}: -m pipelines.execution.jars\n" in result.stderr


@pytest.mark.parametrize("kept", ["of-some-java.jsa", "failed", ""])
def test_classes_when_neither_kept_nor_tried_then_kept_by_the_code_of_this_checkout(
    ready: Path, kept: str
) -> None:
    shutil.rmtree(ready / ".cache" / "classes")
    if kept:
        (ready / ".cache" / "classes").mkdir()
        (ready / ".cache" / "classes" / kept).touch()
    write_program(ready / ".venv/bin/python", '#!/bin/sh\necho "in $PWD: $@"\n')

    result = run(ready, str(ready / "run_pipeline.sh"), cwd=ROOT)

    says_so = f"in {ready}: -m pipelines.execution.class_archive\n" in result.stderr
    assert says_so is not bool(kept)


def test_classes_when_spark_was_installed_since_then_kept_anew(ready: Path) -> None:
    kept = ready / ".cache" / "classes" / "of-some-java.jsa"
    spark = ready / ".venv/lib/python3.11/site-packages/pyspark/jars"
    spark.mkdir(parents=True)
    for hours, answer in ((-1, 1), (1, 0)):
        moment = spark.stat().st_mtime + hours * 3600
        os.utime(kept, (moment, moment))
        assert bash(ready, 'cd "$ROOT" && _classes_are_kept').returncode == answer
