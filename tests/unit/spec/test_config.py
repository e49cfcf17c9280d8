from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ConfigError, Finding, UsageError
from pipelines.spec.config import Environment
from pipelines.spec.loader import load_environment, load_flow, log_folder, merged_datasources

CONFIG = """\
default_environment: local
environments:
  local:
    base_path: data/lake
    spark:
      conf:
        spark.sql.codegen.factoryMode: NO_CODEGEN
    datasources:
      ods: {user: etl}
  prod:
    base_path: s3a://bucket/lake
    vars: {year: 2026}
"""
FILE = "pipelines/pipelines_config.yaml"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / FILE).write_text(CONFIG, encoding="utf-8")
    return tmp_path


def _load(root: Path, name: str | None = None, **variables: str) -> Environment:
    return load_environment(root, name=name, variables=variables)[1]


def _findings(root: Path, text: str = "", /, **variables: str) -> tuple[Finding, ...]:
    if text:
        (root / FILE).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_environment(root, variables=variables)
    assert raised.value.exit_code == 2
    return raised.value.findings


# --- which environment -------------------------------------------------------------------------


def test_environment_when_chosen_in_several_ways_then_the_option_wins_then_the_variable(
    root: Path,
) -> None:
    text = (root / FILE).read_text(encoding="utf-8")
    (root / FILE).write_text(f"{text}  test: {{base_path: t}}\n", encoding="utf-8")
    say = {"PIPELINE_ENV": "prod"}
    assert load_environment(root, variables={})[0] == "local"
    assert load_environment(root, variables=say)[0] == "prod"
    assert load_environment(root, variables={"PIPELINE_ENV": ""})[0] == "local"
    assert load_environment(root, name="test", variables=say)[0] == "test"


def test_environment_when_variables_are_not_given_then_are_those_of_the_process(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_ENV", "prod")
    monkeypatch.setenv("PIPELINE__LOGS__PATH", "elsewhere")
    name, environment = load_environment(root)
    assert (name, environment.logs.path) == ("prod", "elsewhere")
    assert log_folder(root, None, None) == root / "elsewhere"


def test_environment_when_unknown_then_near_and_known_names_are_told(root: Path) -> None:
    (found,) = _findings(root, PIPELINE_ENV="prdo")
    assert (found.code, found.line, found.path) == ("unknown-environment", 2, "environments")
    assert "'prdo'" in found.message
    assert found.near == ("prod",)
    assert found.hint == "known: local, prod"


def test_default_environment_when_it_does_not_exist_then_is_told(root: Path) -> None:
    (found,) = _findings(root, CONFIG.replace("local\n", "locl\n", 1))
    assert (found.code, found.near) == ("unknown-environment", ("local",))


def test_config_when_another_file_is_named_then_it_is_read_instead(root: Path) -> None:
    other = root / "other.yaml"
    other.write_text(CONFIG.replace("data/lake", "other/lake"), encoding="utf-8")
    _, environment = load_environment(root, config_file=other, variables={})
    assert environment.base_path == "other/lake"


# --- what is refused ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "code", "line", "near"),
    [
        ("default_environment: local", "default_envronment: local", "unknown-key", 1,
         "default_environment"),
        ("    base_path: data/lake\n", "", "missing-key", 3, ""),
        ("base_path: data/lake", "base_path: 5", "bad-type", 4, ""),
        ("      conf:", "      config:", "unknown-key", 6, "conf"),
        ("NO_CODEGEN", "[1]", "bad-type", 7, ""),
        ("{user: etl}", "{usr: etl}", "unknown-key", 9, "user"),
        ("{user: etl}", "{type: jdcb}", "bad-value", 9, "jdbc"),
        ("{user: etl}", "{identifier_case: uper}", "bad-value", 9, "upper"),
        ("    vars:", "    secrets: {providers: [vualt]}\n    vars:", "bad-value", 12, ""),
        ("    vars:", "    secrets: {providers: []}\n    vars:", "bad-type", 12, ""),
        ("    vars:", "    metadata: {enabled: 1}\n    vars:", "bad-type", 12, ""),
        ("    vars:", "    base_path: twice\n    vars:", "duplicate-key", 12, ""),
    ],
)  # fmt: skip
def test_config_when_wrong_then_the_fault_is_told_with_line_and_near_name(
    root: Path, old: str, new: str, code: str, line: int, near: str
) -> None:
    assert CONFIG.count(old) == 1
    found = _findings(root, CONFIG.replace(old, new))
    assert {(one.code, one.file, one.line) for one in found if one.code != "missing-key"} | {
        (one.code, one.file, one.line) for one in found if code == "missing-key"
    } == {(code, FILE, line)}
    if near:
        assert any(near in one.near for one in found)


def test_config_when_several_things_are_wrong_then_all_are_told_in_other_environments_too(
    root: Path,
) -> None:
    text = CONFIG.replace("{user: etl}", "{usr: etl}").replace("{year: 2026}", "none")
    found = _findings(root, text)
    assert [(one.code, one.line) for one in found] == [("unknown-key", 9), ("bad-type", 12)]


def test_config_when_several_things_are_wrong_then_they_are_in_the_order_of_the_file(
    root: Path,
) -> None:
    text = CONFIG.replace("data/lake", "5").replace("    vars:", "    base_path: b\n    vars:")
    lines = [one.line for one in _findings(root, text)]
    assert len(lines) == 2
    assert lines == sorted(lines)


def test_config_when_missing_then_its_name_is_told(tmp_path: Path) -> None:
    (found,) = _findings(tmp_path)
    assert (found.code, found.file) == ("unreadable", FILE)


# --- overrides by variables --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variable", "text", "path", "value"),
    [
        ("BASE_PATH", "/tmp/lake", "base_path", "/tmp/lake"),
        ("BASE_PATH", "s3a://bucket/lake", "base_path", "s3a://bucket/lake"),
        ("BASE_PATH", "{{ project_dir }}/lake", "base_path", "{{ project_dir }}/lake"),
        ("SPARK__MASTER", "local[2]", "spark.master", "local[2]"),
        ("SPARK__MASTER", "null", "spark.master", None),
        ("SPARK__MASTER", "", "spark.master", None),
        ("spark__Master", "yarn", "spark.master", "yarn"),
        ("METADATA__ENABLED", "false", "metadata.enabled", False),
        ("LOGS__UPLOAD_TO", "s3a://b/logs", "logs.upload_to", "s3a://b/logs"),
        ("SECRETS__PROVIDERS", "[env, files]", "secrets.providers", ("env", "files")),
        ("SPARK__PACKAGES", "['g:a:1']", "spark.packages", ("g:a:1",)),
        ("DATASOURCES__ODS__URL", "jdbc:postgresql://h:5432/o?a=b&c=d", "datasources.ods.url",
         "jdbc:postgresql://h:5432/o?a=b&c=d"),
        ("DATASOURCES__NEW_ONE__URL", "jdbc:x", "datasources.new_one.url", "jdbc:x"),
        ("VARS__YEAR", "2027", "vars.year", 2027),
        ("VARS__YEAR", "'2027'", "vars.year", "2027"),
        ("VARS__YEARS", "[2026, 2027]", "vars.years", [2026, 2027]),
        ("VARS__ANSWER", "no", "vars.answer", "no"),
    ],
)  # fmt: skip
def test_variable_when_it_names_a_key_then_replaces_it(
    root: Path, variable: str, text: str, path: str, value: Any
) -> None:
    found: Any = _load(root, **{f"PIPELINE__{variable}": text})
    for part in path.split("."):
        found = found[part] if isinstance(found, dict) else getattr(found, part)
    assert (found, type(found)) == (value, type(value))


def test_variable_when_it_sets_one_key_then_its_neighbours_and_other_environments_stay(
    root: Path,
) -> None:
    say = {"PIPELINE__DATASOURCES__ODS__URL": "jdbc:x", "PIPELINE__SPARK__MASTER": "yarn"}
    environment = _load(root, **say)
    ods = environment.datasources["ods"]
    assert (ods.user, ods.url) == ("etl", "jdbc:x")
    assert environment.spark.conf == {"spark.sql.codegen.factoryMode": "NO_CODEGEN"}
    assert environment.base_path == "data/lake"
    assert _load(root, "prod", **say).base_path == "s3a://bucket/lake"
    assert _load(root).spark.master == "local[*]"


def test_variable_when_the_key_of_the_file_has_capitals_then_is_the_same_key(root: Path) -> None:
    say = {"PIPELINE__SPARK__CONF__spark.sql.codegen.factorymode": "FALLBACK"}
    assert _load(root, **say).spark.conf == {"spark.sql.codegen.factoryMode": "FALLBACK"}


def test_variable_when_it_sets_a_new_key_with_capitals_then_they_stay(root: Path) -> None:
    say = {"PIPELINE__SPARK__CONF__spark.driver.extraJavaOptions": "-Xss4m"}
    assert "spark.driver.extraJavaOptions" in _load(root, **say).spark.conf


@pytest.mark.parametrize("name", ["PIPELINE_BASE_PATH", "XPIPELINE__BASE_PATH", "BASE_PATH",
                                  "pipeline__base_path"])  # fmt: skip
def test_variable_when_the_prefix_is_another_then_is_ignored(root: Path, name: str) -> None:
    assert _load(root, **{name: "other"}).base_path == "data/lake"


@pytest.mark.parametrize(
    ("variable", "text", "code", "near"),
    [
        ("SPRK__MASTER", "yarn", "unknown-key", "spark"),
        ("BASEPATH", "x", "unknown-key", "base_path"),
        ("SPARK__MASTR", "yarn", "unknown-key", "master"),
        ("METADATA__ENABLED", "maybe", "bad-type", ""),
        ("BASE_PATH", "[a]", "bad-type", ""),
        ("", "x", "unknown-key", ""),
    ],
)
def test_variable_when_wrong_then_the_finding_names_it(
    root: Path, variable: str, text: str, code: str, near: str
) -> None:
    (found,) = _findings(root, **{f"PIPELINE__{variable}": text})
    assert found.code == code
    assert found.hint == f"set by PIPELINE__{variable}"
    if near:
        assert near in found.near


def test_variable_when_it_goes_into_a_value_then_says_so(root: Path) -> None:
    with pytest.raises(UsageError, match=r"PIPELINE__BASE_PATH__X goes into 'base_path'"):
        _load(root, PIPELINE__BASE_PATH__X="1")


def test_password_when_set_by_a_variable_of_digits_then_is_taken_or_at_least_not_shown(
    root: Path,
) -> None:
    try:
        environment = _load(root, PIPELINE__DATASOURCES__ODS__PASSWORD="73914682")
    except ConfigError as error:
        assert "73914682" not in str(error)
    else:
        password = environment.datasources["ods"].password
        assert password is not None
        assert password.get_secret_value() == "73914682"


def test_password_when_read_then_is_not_in_what_is_printed(root: Path) -> None:
    environment = _load(root, PIPELINE__DATASOURCES__ODS__PASSWORD="hunter22")
    password = environment.datasources["ods"].password
    assert password is not None
    assert password.get_secret_value() == "hunter22"
    assert "hunter22" not in repr(environment)
    assert "hunter22" not in environment.model_dump_json()


@settings(deadline=None)
@given(
    name=st.lists(
        st.sampled_from(["SPARK", "CONF", "MASTER", "VARS", "ODS", "DATASOURCES", "BASE_PATH",
                         "NOTIFICATIONS", "SECRETS", "", "x", "LOGS", "PATH", "é"]),
        min_size=1, max_size=4,
    ).map("__".join),
    text=st.text(max_size=20)
    | st.sampled_from(["[", "{}", "*a", "&a [*a]", "!x 1", "1e999", "- 1"]),
)  # fmt: skip
def test_variable_when_random_then_gives_an_environment_or_a_clean_error(
    config_root: Path, name: str, text: str
) -> None:
    try:
        environment = _load(config_root, **{f"PIPELINE__{name}": text})
    except UsageError as error:
        assert f"PIPELINE__{name}" in str(error)
    else:
        assert isinstance(environment, Environment)


@pytest.fixture(scope="module")
def config_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("config")
    (folder / "pipelines").mkdir()
    (folder / FILE).write_text(CONFIG, encoding="utf-8")
    return folder


# --- datasources of the flow and of the environment --------------------------------------------

FLOW = """\
pipeline:
  name: toy
  datasources:
    ods:
      url: jdbc:derby:local
      user: app
      options: {fetchsize: 100, ssl: false}
    drop: {type: csv, path: in}
  stages:
    - name: bronze
      groups:
        - name: load
          steps:
            - name: students
              source: {datasource: ods, table: t}
              destination: {path: lake/students}
"""


def _merged(root: Path, datasources: str) -> tuple[dict[str, dict[str, Any]], list[Finding]]:
    flow = root / "pipelines/flow.yaml"
    flow.write_text(FLOW, encoding="utf-8")
    (root / FILE).write_text(
        "default_environment: a\nenvironments:\n  a:\n    base_path: lake\n"
        f"    datasources: {datasources}\n",
        encoding="utf-8",
    )
    return merged_datasources(load_flow(flow), _load(root))


def test_datasource_when_the_environment_speaks_then_its_keys_win_and_options_are_joined(
    root: Path,
) -> None:
    merged, findings = _merged(root, "{ods: {url: 'jdbc:x', options: {ssl: true, more: 1}}}")
    assert findings == []
    assert merged["ods"] == {
        "url": "jdbc:x",
        "user": "app",
        "options": {"fetchsize": 100, "ssl": True, "more": 1},
    }
    assert merged["drop"] == {"type": "csv", "path": "in"}


def test_datasource_when_only_the_environment_knows_it_then_exists(root: Path) -> None:
    merged, findings = _merged(root, "{extra: {url: 'jdbc:y', password: pw}}")
    assert findings == []
    assert (merged["extra"]["url"], merged["extra"]["password"]) == ("jdbc:y", "pw")


def test_datasource_when_not_whole_after_the_environment_then_says_what_it_needs(
    root: Path,
) -> None:
    _, (found,) = _merged(root, "{ods: {type: parquet}}")
    assert (found.code, found.path) == ("datasource", "pipeline.datasources.ods")
    assert "needs 'path'" in found.message
