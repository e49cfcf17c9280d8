"""Small runs before Spark: what words ask for, what stands against them, where they read."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pipelines.errors import FlowError, UsageError
from pipelines.plan.outside import is_below
from pipelines.plan.small_run import SmallRun, small_run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Project


def _asked(
    empty: bool = False,
    sample: str | None = None,
    clone_from: str | None = None,
    scratch: str | None = None,
) -> SmallRun | None:
    return small_run(empty=empty, sample=sample, clone_from=clone_from, scratch=scratch)


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (_asked(empty=True), "empty"),
        (_asked(sample="1000"), "sample 1000"),
        (_asked(sample="1"), "sample 1"),
        (_asked(sample="0.01", scratch="x"), "sample 0.01"),
        (_asked(clone_from="prod"), "clone of prod"),
        (_asked(sample="5", clone_from="prod"), "sample 5, clone of prod"),
        (_asked(empty=True, clone_from="prod"), "empty, clone of prod"),
    ],
)
def test_small_run_when_words_go_together_then_says_its_kind(
    asked: SmallRun | None, kind: str
) -> None:
    assert asked is not None
    assert asked.kind == kind


def test_small_run_when_nothing_is_asked_then_the_run_is_a_regular_one() -> None:
    assert _asked() is None


@pytest.mark.parametrize("text", ["0", "-5", "1.0", "1.5", "0.0", "many", "", "nan", "inf"])
def test_sample_when_it_is_none_then_says_what_it_takes(text: str) -> None:
    with pytest.raises(UsageError, match="number of keys or a fraction below 1") as raised:
        _asked(sample=text)
    assert "--sample 1000" in raised.value.hint


def test_small_run_when_words_contradict_then_refuses() -> None:
    with pytest.raises(UsageError, match="--empty takes no rows"):
        _asked(empty=True, sample="5")
    with pytest.raises(UsageError, match="this is none"):
        _asked(scratch="somewhere")


@pytest.mark.parametrize(
    ("path", "is_in"),
    [
        ("/lake", True),
        ("/lake/", True),
        ("/lake/bronze/x", True),
        ("/lakehouse/x", False),
        ("/other", False),
        ("/lake/../prod", False),
        ("/lake/a..b", True),
    ],
)
def test_is_below_when_asked_then_goes_by_whole_names(path: str, is_in: bool) -> None:
    assert is_below(path, "/lake/") is is_in


STEPS = """
- name: inside
  source: {type: csv, path: in/a.csv}
  destination: {path: "{{ base_path }}/inside"}
- name: outside
  source: {type: csv, path: in/b.csv}
  destination: {path: lake/outside}
"""


def test_findings_when_a_step_writes_elsewhere_then_a_small_run_is_refused_by_its_name(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS)
    assert made.pipeline().findings() == ()
    with pytest.raises(FlowError) as raised:
        made.pipeline(small=SmallRun(empty=True)).checked()
    (finding,) = raised.value.findings
    assert finding.code == "outside-scratch"
    assert finding.message.startswith("stage.group.outside would write outside")
    assert finding.path.endswith("destination.path")
    assert finding.line > 0
    assert "base_path" in finding.hint


def test_findings_when_checkpoints_go_elsewhere_then_a_small_run_is_refused(
    project: Callable[..., Project],
) -> None:
    head = "checkpoint: {path: marks}"
    made = project(STEPS.partition("- name: outside")[0], head)
    with pytest.raises(FlowError, match="checkpoints would be written outside"):
        made.pipeline(small=SmallRun(empty=True)).checked()


def test_findings_when_a_sample_has_no_keys_then_says_what_to_add(
    project: Callable[..., Project],
) -> None:
    steps = STEPS.partition("- name: outside")[0]
    made = project(steps)
    with pytest.raises(FlowError) as raised:
        made.pipeline(small=SmallRun(sample=5)).checked()
    assert raised.value.findings[0].code == "no-sample-keys"
    assert "keys: [StudentUSI]" in raised.value.findings[0].hint
    keyed = project(steps, "sample: {keys: [id]}")
    keyed.pipeline(small=SmallRun(sample=5)).checked()


def test_plan_when_it_reads_what_no_step_writes_then_it_reads_that_of_the_environment(
    project: Callable[..., Project],
) -> None:
    made = project(
        """
        - name: base
          source: {type: delta, path: "{{ base_path }}/of_others"}
          destination: {path: "{{ base_path }}/base"}
        - name: again
          depends_on: [base]
          pre_views:
            - {name: ours, format: delta, path: "{{ base_path }}/base"}
            - {name: theirs, format: csv, path: "{{ base_path }}/landing/{{ run_date }}"}
          source: {type: delta, query: select 1 as id}
          destination: {path: "{{ base_path }}/again"}
        """
    )
    steps = made.pipeline(small=SmallRun(empty=True)).checked().steps
    base, again = steps.values()
    scratch = made.root / ".cache/scratch/toy/test-empty/lakehouse"
    assert base.settings.source is not None
    assert base.settings.source.path == made.path("of_others")
    assert base.settings.destination.path == str(scratch / "base")
    ours, theirs = again.settings.pre_views
    assert ours.path == str(scratch / "base")
    assert str(theirs.path).startswith(made.path("landing/20"))


CONFIG = """
default_environment: test
environments:
  test:
    base_path: lake
    logs: {path: logs, upload_to: elsewhere}
    metadata: {path: "kept/metadata"}
    notifications: {"Teams://#alerts": "json://127.0.0.1:1"}
  prod:
    base_path: prod_lake
    logs: {path: prod_logs}
"""


def test_environment_when_the_run_is_small_then_nothing_of_it_is_written_or_told(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS.partition("- name: outside")[0])
    made.write("pipelines/pipelines_config.yaml", CONFIG)
    small = made.pipeline(small=SmallRun(clone_from="prod"))
    scratch = made.root / ".cache/scratch/toy/test-clone-of-prod"
    assert small.log_folder == scratch / "logs"
    assert small.environment.logs.upload_to is None
    assert small.environment.metadata.path == "{{ base_path }}/_metadata"
    assert small.connections.address("Teams://#alerts") is None
    assert small.checked().checkpoint.path.startswith(str(scratch / "lakehouse"))
    assert small.surroundings.at_home(small.checked()).base_path == str(made.root / "prod_lake")
    assert small.checked().environment_name == "test"


def test_resume_when_not_said_then_only_a_regular_run_goes_on(
    project: Callable[..., Project],
) -> None:
    made = project(STEPS)
    assert made.pipeline().options.goes_on
    assert not made.pipeline(small=SmallRun(empty=True)).options.goes_on
    assert made.pipeline(small=SmallRun(empty=True), resume=True).options.goes_on
    assert not made.pipeline(resume=True, full_refresh=True).options.goes_on


def test_state_modified_when_cloned_from_another_then_is_told_by_that_ones_last_run(
    project: Callable[..., Project],
) -> None:
    import json

    made = project(
        """
        - name: kept
          source: {type: csv, path: in/a.csv}
          destination: {path: "{{ base_path }}/kept"}
        - name: edited
          source: {type: csv, path: in/a.csv}
          destination: {path: "{{ base_path }}/edited"}
        """
    )
    made.write("pipelines/pipelines_config.yaml", CONFIG)
    steps = made.pipeline(env="prod").checked().steps
    log = {
        "pipeline": "toy",
        "environment": "prod",
        "steps": [
            {"id": step.id, "status": "success",
             "fingerprint": step.fingerprint if step.node.step.name == "kept" else "old"}
            for step in steps.values()
        ],
    }  # fmt: skip
    made.write("prod_logs/20261123T000000Z-aaaaaa.json", json.dumps(log))
    small = SmallRun(clone_from="prod")
    planned = made.pipeline(small=small, select=("state:modified",)).checked().plan.steps
    assert [step.id for step in planned.values() if step.action.value == "run"] == [
        "stage.group.edited"
    ]
