"""The YAML of a pipeline: every fault is found before anything starts, at its line, all at once.

`fixtures/broken_flows` holds one flow a fault. A comment `# expect: CODE [near NAME]` stands on the
line that the finding must name; `# expect-in FILE:LINE: CODE [near NAME]` tells of another file.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from pipelines.errors import Finding, FlowError, UsageError
from pipelines.prepared import Options, PreparedFlow

ROOT = Path(__file__).resolve().parents[1]
FLOWS = Path(__file__).with_name("fixtures") / "broken_flows"
SEED = Path(os.environ.get("EDFI_SHARED", ROOT.parent / "shared")) / "seed"
EXPECTED = re.compile(r"# expect(?:-in (\S+):(\d+))?: (\S+)(?: near (\S+))?")
CONFIG = "default_environment: test\nenvironments:\n  test:\n    base_path: lake\n"


@dataclass(frozen=True)
class Expected:
    """What a broken flow must be told: where, which code, and the name that was meant."""

    file: str
    line: int
    code: str
    near: str

    def fits(self, finding: Finding) -> bool:
        return (
            finding.file.endswith(self.file)
            and (finding.line, finding.code) == (self.line, self.code)
            and (not self.near or self.near in finding.near)
        )


def expected_of(flow: Path) -> list[Expected]:
    return [
        Expected(
            match[1] or "main_flow.yaml", int(match[2] or number), match[3], match[4] or ""
        )
        for number, line in enumerate(flow.read_text(encoding="utf-8").splitlines(), 1)
        for match in EXPECTED.finditer(line)
    ]


def prepare(flow: Path, folder: Path) -> PreparedFlow:
    """The flow as the main flow of a project of its own, with the files beside it."""
    shutil.copytree(FLOWS / "files", folder, dirs_exist_ok=True)
    (folder.parent / "outside.sql").write_text("select 1 as id", encoding="utf-8")
    (folder / "sql/link.sql").symlink_to(folder.parent / "outside.sql")
    (folder / "pipelines/flows").mkdir(parents=True)
    (folder / "pipelines/pipelines_config.yaml").write_text(CONFIG, encoding="utf-8")
    shutil.copy(flow, folder / "pipelines/flows/main_flow.yaml")
    return PreparedFlow("main_flow", Options(project_dir=folder, batch_id="b"))


def errors_of(prepared: PreparedFlow) -> tuple[Finding, ...]:
    with pytest.raises(FlowError) as caught:
        prepared.checked()
    assert isinstance(caught.value, UsageError)
    assert caught.value.exit_code == 2
    return caught.value.findings


@pytest.mark.parametrize("flow", sorted(FLOWS.glob("*.yaml")), ids=lambda flow: flow.stem)
def test_flow_when_broken_then_its_fault_is_told_with_file_and_line(
    flow: Path, tmp_path: Path
) -> None:
    expected = expected_of(flow)
    found = errors_of(prepare(flow, tmp_path / "project"))
    told = "\n".join(f"{finding.code}: {finding.text()}" for finding in found)
    assert expected, "the file says nothing of what to expect"
    for one in expected:
        assert any(one.fits(finding) for finding in found), f"{one} is not in\n{told}"
    assert len(found) == len(expected), told


def test_flow_when_it_has_many_faults_then_all_are_told_at_once_in_their_order(
    tmp_path: Path,
) -> None:
    flow = tmp_path / "flow.yaml"
    flow.write_text(
        """\
pipeline:
  name: broken
  vesion: 1  # expect: unknown-key
  stages:
    - name: bronze
      parallel: sometimes  # expect: bad-type
      groups:
        - name: load
          steps:
            - name: one
              source: {type: delta, query: select 1 as id}
              destination: {path: t, mode: overwite}  # expect: bad-value
            - name: two words  # expect: bad-name
              source: {type: delta, query: select 1 as id}
              destination: {view: two}
              retry: {attempts: 0}  # expect: bad-value
""",
        encoding="utf-8",
    )
    found = errors_of(prepare(flow, tmp_path / "project"))
    assert [(finding.line, finding.code) for finding in found] == [
        (one.line, one.code) for one in expected_of(flow)
    ]


@pytest.mark.parametrize("name", [path.stem for path in (ROOT / "pipelines/flows").glob("*.yaml")])
def test_flow_when_it_is_one_of_the_projects_then_it_has_no_error(name: str) -> None:
    prepared = PreparedFlow(name, Options(project_dir=ROOT, batch_id="b", env="local"))
    assert prepared.checked().steps


@pytest.mark.skipif(not SEED.is_dir(), reason="the founding document is not beside the checkout")
def test_seed_example_when_compared_with_the_founding_document_then_is_it_word_for_word() -> None:
    (document,) = SEED.glob("*.md")
    section = document.read_text(encoding="utf-8").split("\n## 4.")[1]
    example = section.split("```yaml\n")[1].split("```")[0]
    kept = (ROOT / "pipelines/flows/seed_example.yaml").read_text(encoding="utf-8")
    assert example.strip() in kept
    assert yaml.safe_load(kept) == yaml.safe_load(example)
