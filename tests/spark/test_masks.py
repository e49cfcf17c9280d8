"""Masks: what is written in place of values, and that the key of pseudonyms shows nowhere."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pytest

KEY = "canary-of-the-pseudonyms-4711"
HEAD = """
privacy: {hmac_key: "{{ secret('PSEUDONYM_KEY') }}"}
"""
STEPS = """
- name: people
  source: {type: delta, path: "{{ base_path }}/given"}
  destination: {path: "{{ base_path }}/people", mode: scd1, keys: [id]}
  debug: true
  columns:
    - {name: id, mask: hmac, type: string}
    - {name: name, mask: hmac, type: string}
    - {name: mail, mask: hash}
    - {name: born, mask: year, type: int}
    - {name: town, mask: null, type: string}
    - {name: note, mask: redact, nullable: false}
    - {name: tags, mask: hash}
- name: names
  depends_on: [people]
  source: {type: delta, query: "select id, born + 1 as later from people"}
  destination: {path: "{{ base_path }}/names"}
"""
ROWS = """
select * from values
    (1, 'Ada', 'a@x.org', date'2010-05-06', 'Paris', 'of note', array('x')),
    (2, cast(null as string), null, null, 'Rome', null, null)
as t(id, name, mail, born, town, note, tags)
"""


def pseudonym(text: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def masked_rows() -> list[tuple[Any, ...]]:
    return sorted(
        [
            (pseudonym("1"), pseudonym("Ada"), digest("a@x.org"), 2010, None, "REDACTED",
             digest('{"tags":["x"]}')),
            (pseudonym("2"), None, None, None, None, "REDACTED", None),
        ],
        key=repr,
    )  # fmt: skip


def forms(secret: str) -> list[bytes]:
    """A secret, and the two keys that HMAC makes of it, as they may be shown."""
    block = secret.encode().ljust(64, b"\0")
    pads = [bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C)]
    shown = [secret.encode(), *(pad[: len(secret)] for pad in pads)]
    return [form for one in shown for form in (one, one.hex().encode(), one.hex().upper().encode(),
                                               base64.b64encode(one)[:24])]  # fmt: skip


def test_masks_are_written_and_the_key_shows_nowhere(
    project: Any, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    made = project(STEPS, HEAD)
    made.put("given", ROWS)
    monkeypatch.setenv("PSEUDONYM_KEY", KEY)
    store = made.spark._jsparkSession.sharedState().statusStore()
    seen = store.executionsList()
    before = seen.last().executionId() if seen.size() else -1
    made.run()
    made.run(batch_id="b2")  # a merge, by keys that are masked
    assert made.rows("people") == masked_rows()
    assert {later for _, later in made.rows("names")} == {2011, None}

    told = list(capfd.readouterr())
    executions = store.executionsList()
    # Spark keeps the last thousand of a session, so their number need not have grown.
    runs = list(map(executions.apply, range(executions.size())))
    runs = [run for run in runs if run.executionId() > before]
    assert runs
    for run in runs:
        told += [run.physicalPlanDescription(), str(run.details()), str(run.modifiedConfigs())]
    history = made.spark.sql(f"describe history delta.`{made.path('people')}`").collect()
    told += [str(history)]
    files = [file for file in made.root.rglob("*") if file.is_file()]
    content = b"".join([*map(Path.read_bytes, files), *(text.encode() for text in told)])
    assert b"Scan ExistingRDD[inner" in content  # the plans were looked at
    for form in forms(KEY):
        assert form not in content


def test_keys_of_any_length_give_the_hmac_of_the_standard(
    project: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = "k" * 100
    made = project(
        """
        - name: people
          source: {type: delta, path: "{{ base_path }}/given"}
          destination: {path: "{{ base_path }}/people"}
          columns: [{name: name, mask: hmac}]
        """,
        HEAD,
    )
    made.put("given", "select 'Zoë' as name")
    monkeypatch.setenv("PSEUDONYM_KEY", long)
    made.run()
    assert made.rows("people") == [(pseudonym("Zoë", long),)]
    monkeypatch.setenv("PSEUDONYM_KEY", "short")
    failed = made.run(batch_id="b2")["people"]
    assert failed.error is not None
    assert "5 bytes" in failed.error.message
    assert made.rows("people") == [(pseudonym("Zoë", long),)]


def test_statement_that_writes_by_itself_is_refused_before_it_writes(project: Any) -> None:
    made = project(
        """
        - name: people
          source: {type: delta, query: sql/people.sql}
          destination: {path: "{{ base_path }}/people", mode: append}
          columns: [{name: name, mask: hash}]
        """,
        files={"sql/people.sql": "insert into {{ destination }} select 'Ada' as name"},
    )
    failed = made.run()["people"]
    assert "cannot be masked" in failed.error.message
    assert not Path(made.path("people")).exists()


def test_mask_counts_as_an_edit_of_the_step_and_a_class_does_not(project: Any) -> None:
    def prints(columns: str) -> tuple[str, str]:
        made = project(
            f"""
            - name: people
              source: {{type: delta, path: in}}
              destination: {{path: out}}
              columns: [{{name: name{columns}}}]
            """,
            HEAD,
        )
        step = made.pipeline().compiled.steps["stage.group.people"]
        return step.fingerprint, step.edition

    plain = prints("")
    assert prints(", classification: pii") == plain
    for mask in ("hash", "hmac", "null"):
        fingerprint, edition = prints(f", mask: {mask}")
        assert fingerprint != plain[0]
        assert edition != plain[1]
