"""Flows and what is found wrong with them: each fault, its line, its place, all of them at once."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from pipelines.errors import Finding, FlowError, UsageError
from pipelines.prepared import Options, PreparedFlow
from pipelines.spec.loader import load_flow
from tests.corpus import compare, expected_of

ROOT = Path(__file__).resolve().parents[1]
FLOWS = ROOT / "pipelines" / "flows"
CORPUS = ROOT / "tests" / "fixtures" / "broken_flows"
WARNED_CORPUS = ROOT / "tests" / "fixtures" / "warned_flows"
SEED = "etl_pipeline_project_structure.md"

BROKEN = sorted(CORPUS.glob("*.yaml"))
WARNED = sorted(WARNED_CORPUS.glob("*.yaml"))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes away what the shell says of environments."""
    for name in [name for name in os.environ if name == "PIPELINE_ENV" or "PIPELINE__" in name]:
        monkeypatch.delenv(name)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with the files that the broken flows name."""
    shutil.copytree(CORPUS / "files", tmp_path / "toy")
    (tmp_path / "toy" / "pipelines" / "flows").mkdir()
    return tmp_path / "toy"


@pytest.fixture
def findings(root: Path) -> Callable[[Path], tuple[Finding, ...]]:
    """A function that gives the findings which a run of a flow would be refused with."""

    def made(flow: Path) -> tuple[Finding, ...]:
        copy = root / "pipelines" / "flows" / flow.name
        shutil.copyfile(flow, copy)
        with pytest.raises(FlowError) as raised:
            PreparedFlow(str(copy), Options(project_dir=root)).checked()
        assert isinstance(raised.value, UsageError)
        assert raised.value.exit_code == 2
        return raised.value.findings

    return made


# --- broken flows ------------------------------------------------------------------------------


@pytest.mark.parametrize("flow", BROKEN, ids=lambda flow: flow.stem)
def test_flow_when_broken_then_each_fault_is_told_once_with_its_line_place_and_near_name(
    flow: Path, findings: Callable[[Path], tuple[Finding, ...]]
) -> None:
    expected, found = expected_of(flow), findings(flow)
    assert expected, f"{flow} says not what is wrong with it"
    compare(flow, expected, found)


@pytest.mark.parametrize("flow", WARNED, ids=lambda flow: flow.stem)
def test_flow_when_its_statements_and_tables_do_not_fit_then_each_misfit_is_a_warning(
    flow: Path, tmp_path: Path
) -> None:
    root = tmp_path / "toy"
    shutil.copytree(WARNED_CORPUS / "files", root)
    copy = root / "pipelines" / "flows" / flow.name
    shutil.copyfile(flow, copy)
    for _ in range(2):  # the second time from what the first has noted
        prepared = PreparedFlow(str(copy), Options(project_dir=root))
        found = prepared.findings()
        compare(flow, expected_of(flow), found)
        assert {one.severity for one in found} <= {"warning"}
        assert prepared.checked() is prepared.compiled


@pytest.mark.parametrize("flow", [flow for flow in BROKEN if len(expected_of(flow)) > 1],
                         ids=lambda flow: flow.stem)  # fmt: skip
def test_flow_when_several_things_are_wrong_then_they_are_told_in_the_order_of_the_file(
    flow: Path, findings: Callable[[Path], tuple[Finding, ...]]
) -> None:
    found = findings(flow)
    assert [one.line for one in found] == sorted(one.line for one in found)


def test_flow_when_judged_before_then_is_refused_again_and_never_run_in_part(root: Path) -> None:
    copy = root / "pipelines" / "flows" / "main_flow.yaml"
    shutil.copyfile(CORPUS / "five_faults_of_all_kinds.yaml", copy)
    prepared = PreparedFlow(str(copy), Options(project_dir=root))
    for _ in range(2):
        with pytest.raises(FlowError) as raised:
            prepared.checked()
        assert len(raised.value.findings) == 5
    with pytest.raises(FlowError):
        _ = prepared.compiled


def test_corpus_when_read_then_it_holds_flows_of_five_faults() -> None:
    assert len(BROKEN) >= 40
    assert sum(len(expected_of(flow)) >= 5 for flow in BROKEN) >= 3


def test_flow_when_not_utf8_then_is_unreadable(root: Path, tmp_path: Path) -> None:
    flow = root / "pipelines/flows/latin1.yaml"
    flow.write_bytes("pipeline:\n  name: übung\n".encode("latin-1"))
    with pytest.raises(FlowError) as raised:
        load_flow(flow, root)
    (found,) = raised.value.findings
    assert (found.code, found.file) == ("unreadable", "pipelines/flows/latin1.yaml")
    assert "utf-8" in found.message


def test_flow_when_it_begins_with_a_byte_order_mark_then_is_read(root: Path) -> None:
    flow = root / "pipelines/flows/bom.yaml"
    flow.write_bytes(b"\xef\xbb\xbf" + (FLOWS / "seed_example.yaml").read_bytes())
    assert load_flow(flow, root).pipeline.name == "edfi_etl_pipeline"


@pytest.mark.parametrize(
    "setting",
    [
        "source: {type: csv, path: in, query: linked/secret.sql}",
        "source: {type: csv, path: in, query: linked.sql}",
        "script: linked.py",
        "source: {type: csv, path: in}\n              dq_checks: [linked.sql]",
    ],
    ids=["folder", "query", "script", "check"],
)
def test_file_when_a_link_leads_out_of_the_project_then_is_refused_and_not_read(
    root: Path, tmp_path: Path, findings: Callable[[Path], tuple[Finding, ...]], setting: str
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    for name in ("secret.sql", "secret.py"):
        (outside / name).write_text("-- owner: {{ hidden }}\nSELECT 1\n", encoding="utf-8")
    (root / "linked").symlink_to(outside)
    (root / "linked.sql").symlink_to(outside / "secret.sql")
    (root / "linked.py").symlink_to(outside / "secret.py")
    flow = tmp_path / "linked.yaml"
    valid = (CORPUS / "unknown_datasource.yaml").read_text(encoding="utf-8")
    flow.write_text(
        valid.replace("source: {datasource: edfi_osd, table: t}", setting), encoding="utf-8"
    )
    (found,) = findings(flow)
    assert "outside of the project" in found.message
    assert "hidden" not in found.text()


def test_file_when_a_link_stays_inside_of_the_project_then_is_read(
    root: Path, tmp_path: Path
) -> None:
    (root / "sql" / "again.sql").symlink_to(root / "sql" / "students.sql")
    flow = root / "pipelines/flows/inside.yaml"
    broken = (CORPUS / "missing_sql_file.yaml").read_text(encoding="utf-8")
    flow.write_text(broken.replace("sql/studnets.sql", "sql/again.sql"), encoding="utf-8")
    step = PreparedFlow(str(flow), Options(project_dir=root, batch_id="b1")).step("students")
    assert step.sql is not None
    assert step.sql.text == "SELECT * FROM students\n"


# --- the flows of the project ------------------------------------------------------------------


@pytest.mark.parametrize("flow", sorted(FLOWS.glob("*.yaml")), ids=lambda flow: flow.stem)
def test_flow_when_it_is_one_of_the_projects_then_nothing_is_wrong_with_it(
    flow: Path,
) -> None:
    prepared = PreparedFlow(str(flow), Options(project_dir=ROOT))
    wrong = [one.text() for one in prepared.findings() if one.severity == "error"]
    assert wrong == []


@pytest.mark.parametrize("flow", sorted(FLOWS.glob("*.yaml")), ids=lambda flow: flow.stem)
def test_flow_when_it_is_one_of_the_projects_then_each_step_says_what_it_reads_and_writes(
    flow: Path,
) -> None:
    """What a step needs to run, judged from the YAML as any other reader sees it."""
    pipeline = yaml.safe_load(flow.read_text(encoding="utf-8"))["pipeline"]
    steps = [
        step for stage in pipeline["stages"] for group in stage["groups"] for step in group["steps"]
    ]
    assert steps
    for step in steps:
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", step["name"])
        assert ("source" in step) != ("script" in step)
        assert ("path" in step["destination"]) != ("view" in step["destination"])
    for name in {step["source"].get("datasource") for step in steps if "source" in step} - {None}:
        assert name in pipeline["datasources"]


def _seed() -> Path:
    """The seed document, in the folder `shared/seed` beside the checkout or as a variable says."""
    told = os.environ.get("PIPELINE_TESTS_SEED")
    return Path(told) if told else ROOT.parent / "shared" / "seed" / SEED


@pytest.mark.skipif(not _seed().is_file(), reason="the seed document is not here")
def test_seed_example_when_compared_with_the_seed_document_then_is_its_yaml_word_for_word() -> None:
    section = _seed().read_text(encoding="utf-8").split("\n## 4. ")[1].split("\n## 5. ")[0]
    (block,) = re.findall(r"^```yaml\n(.*?)^```", section, re.DOTALL | re.MULTILINE)
    ours = (FLOWS / "seed_example.yaml").read_text(encoding="utf-8")
    assert ours[ours.index("pipeline:\n") :].rstrip() == block.rstrip()
    before = ours[: ours.index("pipeline:\n")].splitlines()
    assert all(line.startswith("#") or not line for line in before)
