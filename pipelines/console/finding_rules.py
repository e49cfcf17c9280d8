"""What each code of a finding means, and what to do about it: for SARIF and the reference."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.errors import Severity


@dataclass(frozen=True)
class FindingRule:
    """What one code stands for.

    Attributes:
        summary: what is wrong, one sentence.
        remedy: what to do about it, one or two sentences.
        severity: that of its findings.
    """

    summary: str
    remedy: str
    severity: Severity = "error"


_YAML = {
    "unreadable": FindingRule(
        "The file cannot be read as YAML, or is empty.",
        "Mend the YAML at the place that is named; a file holds one document.",
    ),
    "too-large": FindingRule(
        "The document is nested too deeply, or grows too large once its aliases are expanded.",
        "Split the flow, or use fewer aliases.",
    ),
    "tag": FindingRule(
        "The YAML has a tag such as `!!python/name`.", "Take the tag out; values need none."
    ),
    "bad-key": FindingRule(
        "A key of a mapping is no plain text.",
        'Where a value begins with a template, put it in quotes: `"{{ … }}"`.',
    ),
    "bad-merge": FindingRule(
        "`<<` merges something that is no mapping.", "Give it the alias of a mapping, or a list."
    ),
    "duplicate-key": FindingRule(
        "A key stands twice in one mapping.", "Keep one of the two; YAML would drop the other."
    ),
}
_MODEL = {
    "unknown-key": FindingRule(
        "A key that nothing here reads.", "Take the name that is offered, or remove the key."
    ),
    "missing-key": FindingRule("A key that must be there is missing.", "Add the key."),
    "bad-type": FindingRule(
        "A value of the wrong type.",
        "Write the type that is named; numbers, `true` and `false` stand without quotes.",
    ),
    "bad-value": FindingRule(
        "A value that is not among the allowed ones, or out of range.",
        "Choose one of those that the message lists.",
    ),
    "bad-name": FindingRule(
        "A name with characters that names may not have, or longer than 128 of them.",
        "Use letters, digits and underscores, and begin with no digit.",
    ),
    "duplicate-name": FindingRule(
        "Two stages, two groups of a stage, two steps of a group, two pre_views of a step or two "
        "tests of a file have one name.",
        "Rename one of them; upper and lower case are the same.",
    ),
    "source": FindingRule(
        "Keys of a `source` that do not go together, or lack one.",
        "Give `datasource` with `table` or `query_text`, or `type` with `path`, `query` or both.",
    ),
    "pre-view": FindingRule(
        "A pre_view that is made of nothing, or of two things.",
        "Give one of `path` (with `format`), `datasource` (with `table` or `query_text`), `query`.",
    ),
    "overlap": FindingRule(
        "An `overlap` that is neither a number nor a time.",
        "Write a number for a column of numbers, else such as `1 hour` or `2 days`.",
    ),
    "destination": FindingRule(
        "Keys of a `destination` that do not go together, or lack one.",
        "Follow the message: each mode says which keys and formats it needs.",
    ),
    "step": FindingRule(
        "A step with neither `source` nor `script`, or with both.", "Give one of the two."
    ),
    "declassify": FindingRule(
        "A column says why its class is lower, and not which it is.", "Add `classification`."
    ),
    "hmac-key": FindingRule(
        "`privacy.hmac_key` is not the name of a secret.",
        "Write `{{ secret('PSEUDONYM_KEY') }}`; the key is kept where the other secrets are.",
    ),
    "subject": FindingRule(
        "Keys of `privacy.subject` that do not go together.", "Follow the message."
    ),
    "script-syntax": FindingRule("Python cannot read a script.", "Follow the message."),
    "no-ingest": FindingRule(
        "A script has no function that can be called as `ingest(spark, context)`.",
        "Define it at the top level; it returns a DataFrame.",
    ),
    "never-runs": FindingRule(
        "A step's `when` is false in every run.",
        "Take the step out, or say when it runs; `run.mode` is `daily` or `history`.",
        "warning",
    ),
    "datasource": FindingRule(
        "A datasource that is not whole in this environment.",
        "Give `url` for type `jdbc`, `path` for files; in the flow or in the config.",
    ),
    "expectation": FindingRule(
        "An `expect` that cannot be read, or one beside `warn_at` or `error_at`.",
        "Write it as `value >= 1`, or give limits instead.",
    ),
    "unknown-environment": FindingRule(
        "The environment that was chosen is not in the config.",
        "Name one that is there by `--env` or `PIPELINE_ENV`, or add it.",
    ),
}
_GRAPH = {
    "unknown-dependency": FindingRule(
        "`depends_on` names no step, group or stage.", "Correct the name; case matters."
    ),
    "ambiguous-dependency": FindingRule(
        "A name in `depends_on` fits more than one thing.",
        "Write the exact path, as `stage.group.step`.",
    ),
    "own-dependency": FindingRule(
        "A step or group waits for itself, or for what it is part of.",
        "Take it out of `depends_on`.",
    ),
    "cycle": FindingRule(
        "Steps, groups or stages wait for one another in a circle.",
        "Take one of the named dependencies out.",
    ),
}
_FILES = {
    "template": FindingRule(
        "A template cannot be rendered.",
        "Correct the name or the syntax; `{{ secret(…) }}` is for datasources and notifications.",
    ),
    "missing-file": FindingRule(
        "A file that the flow names does not exist.",
        "Add it or correct the path, which is relative to the project.",
    ),
    "unreadable-file": FindingRule(
        "A file that the flow names cannot be read.",
        "See to it that it is a file, UTF-8, and yours to read.",
    ),
    "outside-file": FindingRule(
        "A file that the flow names is outside of the project.", "Move it into the project."
    ),
    "empty-sql": FindingRule("A SQL file holds no statement.", "Write the statement."),
    "unknown-header": FindingRule(
        "A check's file has a header that nothing reads.",
        "Take the name that is offered, or write the comment without the colon.",
    ),
    "duplicate-header": FindingRule(
        "A header stands twice in a check's file.", "Keep one of the two."
    ),
    "bad-header": FindingRule(
        "A header of a check's file has a value that it cannot have.", "Follow the message."
    ),
}
_PLAN = {
    "unknown-datasource": FindingRule(
        "A step reads a datasource that neither flow nor config has.",
        "Correct the name, or add it under `datasources`.",
    ),
    "two-writers": FindingRule("Two steps write to one path.", "Give each step a path of its own."),
    "two-views": FindingRule(
        "Two published tables would be one view of one schema.",
        "Rename one of the steps, or publish its stage into another schema.",
    ),
    "nothing-to-publish": FindingRule(
        "A stage is published, and no step of it writes a Delta table.",
        "Take `publish` out, or publish the stage whose tables are read.",
    ),
    "name-clash": FindingRule(
        "A step's SQL would see two things under one name.", "Rename one of the two."
    ),
    "duplicate-column": FindingRule(
        "`keys`, `partition_by` or `cluster_by` names a column twice.", "Name it once."
    ),
    "part-read": FindingRule(
        "A step reads only what changed, and its destination would lose or double rows, or cannot "
        "say up to where it was read.",
        "Write a Delta table by `append` or by keys; `append` takes no `overlap` and no "
        "`full_every_days`.",
    ),
    "all-changes": FindingRule(
        "A step reads `changes('step')`, and makes its table anew each time, so that all rows "
        "come.",
        "Read the whole, or write a Delta table by keys.",
        "warning",
    ),
    "part-partitions": FindingRule(
        "A step replaces whole partitions by a part of its source.",
        "Let its SQL read the touched partitions whole, and what is new as a pre_view.",
        "warning",
    ),
    "outside-scratch": FindingRule(
        "A small run would write outside of its scratch place.",
        "Begin the path with `{{ base_path }}`.",
    ),
    "no-sample-keys": FindingRule(
        "`--sample` was asked for, and the flow does not say by which columns.",
        "Add `sample: {keys: […]}` under `pipeline`.",
    ),
    "unmapped-notification": FindingRule(
        "The environment maps a notification's name to no address.",
        "Add it under the environment's `notifications`; an empty address tells nobody.",
        "warning",
    ),
    "missing-hmac-key": FindingRule(
        "A column has mask `hmac`, and the flow names no key.",
        "Name a secret under `pipeline`: `privacy: {hmac_key: …}`.",
    ),
    "missing-secret": FindingRule(
        "No provider has a secret that the flow asks for.",
        "Set it where the run will be; where only `validate` runs, none is needed.",
        "warning",
    ),
    "unchecked-secret": FindingRule(
        "A provider of secrets, such as Vault, does not tell whether it has one.",
        "Do what the hint says; where only `validate` runs, it need not be reachable.",
        "warning",
    ),
}
_TABLES = {
    "undeclared-input": FindingRule(
        "A statement reads a step's table, and the step does not depend on that step.",
        "Add it to `depends_on`, and read it by its name.",
        "warning",
    ),
    "unknown-table": FindingRule(
        "A statement reads a table that nothing gives it.",
        "Correct the name, or add a pre_view or a dependency that gives it.",
        "warning",
    ),
    "foreign-write": FindingRule(
        "A statement writes to a table that is not its step's, or a check writes at all.",
        "Write to `{{ destination }}`; let a check be a query.",
        "warning",
    ),
    "unread-dependency": FindingRule(
        "A step waits for another and never reads it.",
        "Take it out of `depends_on`, or say in a comment of the SQL what it waits for.",
        "warning",
    ),
    "unread-sql": FindingRule(
        "A statement cannot be read without Spark, so its tables are not known.",
        "Mend its syntax; if Spark takes it as it is, nothing need be done.",
        "warning",
    ),
}
_ANALYSED = {
    "unknown-columns": FindingRule(
        "The columns of a source are not known, so what reads it is not analysed.",
        "Record them where they can be had: `pipeline schema record`; commit the file.",
        "warning",
    ),
    "silent-source": FindingRule(
        "A source does not tell its columns, and `--sources database` takes no other word.",
        "Do what the hint says, or take the recorded columns: `--sources recorded`.",
    ),
    "unknown-column": FindingRule(
        "A statement, `keys` and the like, or a SQL test names a column that is not there.",
        "Take the name that is offered, or have the step before it give the column.",
    ),
    "unknown-function": FindingRule(
        "A statement calls a function that Spark does not know.", "Correct its name."
    ),
    "type-clash": FindingRule(
        "Values of one type stand where Spark needs another.", "Cast them, or mend the column."
    ),
    "sql-syntax": FindingRule("Spark cannot read a statement.", "Mend it at the place told."),
    "sql-analysis": FindingRule(
        "Spark cannot resolve a statement, for another reason.", "Follow Spark's message."
    ),
    "no-query": FindingRule(
        "A statement is of a kind that cannot stand there.",
        "A step takes a query, MERGE, INSERT, UPDATE or DELETE; a check or pre_view a query.",
    ),
    "check-form": FindingRule(
        "A check gives something that cannot be judged as a number.",
        "Head it `-- returns: rows` if it lists offending rows, or let it give one number.",
    ),
    "broken-promise": FindingRule(
        "A result has not the columns that the step's `columns` promise.",
        "Mend the SQL, or the promise.",
    ),
    "taken-column": FindingRule(
        "A result has a column that mode `scd2` makes itself.",
        "Leave it out, and name the column that says when a row changed: `sequence_by`.",
    ),
    "nullable-key": FindingRule(
        "A column of `keys` may be null, and a null is equal to nothing.",
        "Filter nulls out, or promise `nullable: false` under `columns`.",
        "warning",
    ),
    "schema-change": FindingRule(
        "A result cannot be written to the table that is there, or to any.",
        "Mend the SQL, or set `destination.schema` to `evolve` or `overwrite`.",
    ),
}
_PRIVACY = {
    "mask-of-statement": FindingRule(
        "A mask is on a column of a step whose statement writes by itself.",
        "Let a query and `mode` take the place of MERGE or INSERT.",
    ),
    "lowered-class": FindingRule(
        "A column is declared to be of a lower class than what it is made of.",
        "Give it a `mask`, or say in `declassify` why it may be less.",
    ),
    "max-classification": FindingRule(
        "A table has a column of a higher class than it may have.",
        "Leave the column out, give it a `mask`, or raise `max_classification`.",
    ),
    "shown-column": FindingRule(
        "Samples of a check, or the keys that `diff` and `blame` show, would hold personal data.",
        "Take the column out of `-- show:`, or declare the key's `classification`.",
    ),
}
_SQL_TESTS = {
    "sql-test": FindingRule(
        "Keys of a SQL test that do not go together, or lack one.",
        "Give `expect`, `checks` or both; or `expect_error` alone.",
    ),
    "bad-fixture": FindingRule(
        "A row of a SQL test cannot be read, or holds a value that its column cannot.",
        "Mend the value, or the CSV text or file.",
    ),
    "unknown-flow": FindingRule(
        "A SQL test is of a flow that does not exist.", "Correct the name."
    ),
    "unknown-step": FindingRule(
        "A SQL test or `privacy.subject` names a step that the flow does not have.",
        "Correct the name.",
    ),
    "untestable-step": FindingRule(
        "A SQL test is of a step whose result is no query's.",
        "Test a script in Python; let a query and `mode` take the place of MERGE or INSERT.",
    ),
    "unknown-view": FindingRule(
        "A SQL test gives rows to a view that its step does not read.",
        "Correct the name, or give rows to what a pre_view's query reads.",
    ),
    "untyped-view": FindingRule(
        "The columns of a view that a tested step reads are not known.",
        "Record a source, promise a script's `columns`, or mend the step that gives the view.",
    ),
    "unknown-check": FindingRule(
        "A SQL test names a check that its step does not have.",
        "Correct the name, or add the check to the step.",
    ),
}

RULES: Mapping[str, FindingRule] = {
    **_YAML, **_MODEL, **_GRAPH, **_FILES, **_PLAN, **_TABLES, **_ANALYSED, **_PRIVACY,
    **_SQL_TESTS
}  # fmt: skip
"""Code -> rule, in the order in which `validate`, and then `test`, comes upon them."""
