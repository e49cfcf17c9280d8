"""Modes that keep history: random histories against a plain model, and what users rely on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipelines.results import WriteCounts
from pipelines.utils.sql_runner import statements
from tests.history_model import Told, Version, replayed, satellite_after, spliced

if TYPE_CHECKING:
    from tests.conftest import Project

TEMPLATES = Path(__file__).resolve().parents[2] / "pipelines/sql_templates"
KEYS = range(80)
"""Histories that one example tries side by side: a MERGE takes as long for one as for many."""
SHAPE = {"k1": -1, "k2": "", "at": 0, "gone": False, "a": "", "b": ""}
"""A row that is in every file, for its columns, and in no batch."""


def day(number: int) -> date:
    return date(2026, 1, number)


def history(random: Random, deletes: bool = True) -> list[Told]:
    """Events of one key, no two at one instant, in no order."""
    return [
        Told(
            at,
            {"a": random.choice(["x", "y", None]), "b": random.choice(["p", "q", None])},
            ends=deletes and random.random() < 0.25,
        )
        for at in random.sample(range(1, 13), random.randint(0, 6))
    ]


def histories(seed: int) -> dict[int, list[Told]]:
    """Events by key."""
    return {key: history(Random(f"{seed}/{key}")) for key in KEYS}


def batches(seed: int, deletes: bool = True) -> list[dict[int, list[Told]]]:
    """Batches of events by key; what comes late, and what is told again, is among them."""
    return [
        {key: history(Random(f"{seed}/{number}/{key}"), deletes) for key in KEYS}
        for number in range(3)
    ]


def one_row_each(seed: int, deletes: bool = True) -> list[dict[int, list[Told]]]:
    """Batches of at most one event a key, each newer than those of the batch before."""
    return [
        {
            key: [replace(told, at=number * 12 + told.at) for told in events[:1]]
            for key, events in batch.items()
        }
        for number, batch in enumerate(batches(seed, deletes))
    ]


# Each example is many random histories at once, so a failure tells the seed, and no more is gained
# by shrinking it: the assertion names the key and its events.
seeds = st.integers(0, 2**32 - 1)
few = settings(
    max_examples=1,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Table:
    """A table of one step, loaded batch by batch."""

    def __init__(self, project: Project, name: str, **destination: Any) -> None:
        self.project, self.name, self.count = project, name, 0
        settings = {"path": "{{ base_path }}/" + name, "keys": ["k1", "k2"], **destination}
        project.flow(
            f"""
            - name: {name}
              source:
                type: json
                path: "{{{{ project_dir }}}}/in_{name}"
                query: select * from {name} where k1 >= 0
              destination: {json.dumps(settings)}
            """,
            name=name,
        )

    def load(self, batch: dict[int, list[Told]], **options: Any) -> Any:
        """Runs the step on a batch; the events' order in the file is that of the batch."""
        lines = [
            json.dumps(
                {"k1": key, "k2": f"k{key}", "at": told.at, "gone": told.ends, **told.payload}
            )
            for key, events in batch.items()
            for told in events
        ]
        self.project.write(f"in_{self.name}/rows.json", "\n".join([json.dumps(SHAPE), *lines]))
        self.count += 1
        step = self.project.run(self.name, batch_id=f"b{self.count}", **options)[self.name]
        assert step.error is None, step.error
        return step

    def rows(self) -> list[Any]:
        return self.project.spark.read.format("delta").load(self.project.path(self.name)).collect()

    def version(self) -> int | None:
        return self.project.log(self.name).version()

    def versions(self) -> dict[int, list[Version]]:
        """The rows of an SCD 2 table, by key, oldest first."""
        found: dict[int, list[Version]] = defaultdict(list)
        for row in sorted(self.rows(), key=lambda one: one.valid_from):
            assert row.is_current == (row.valid_to is None)
            payload = {"a": row.a, "b": row.b}
            found[row.k1].append(Version(row.valid_from, row.valid_to, payload, row.at))
        return found


@pytest.fixture
def table(project: Any) -> Any:
    count, made = iter(range(1_000)), project()
    return lambda **destination: Table(made, f"t{next(count)}", **destination)


def scd2(table: Any, **more: Any) -> Table:
    return table(
        **{"mode": "scd2", "sequence_by": "at", "apply_as_delete_when": "gone",
           "except_columns": ["gone"], **more}
    )  # fmt: skip


def cache_all_that_is_kept(patch: pytest.MonkeyPatch) -> None:
    """As if all kept rows were too many for values in a plan."""
    patch.setattr(statements, "_FEW_ROWS", 0)
    patch.setattr(statements, "_FEW_BYTES", 0)


def between(told: dict[int, list[Told]], low: int, high: int) -> dict[int, list[Told]]:
    """The events of [low, high)."""
    return {key: [one for one in events if low <= one.at < high] for key, events in told.items()}


def assert_sound(versions: Iterable[Version]) -> None:
    """Half-open intervals that never overlap, and at most one current row."""
    ordered = list(versions)
    for version in ordered:
        assert version.ends is None or version.begins < version.ends
    for before, after in pairwise(ordered):
        assert before.ends is not None
        assert before.ends <= after.begins


def loaded_as_the_model(
    loaded: Table,
    batch: dict[int, list[Told]],
    expected: dict[int, list[Version]],
    tracked: Sequence[str],
    *,
    keeps_nulls: bool,
) -> dict[int, list[Version]]:
    """The versions after ``batch``, which are those that the model makes of ``expected``."""
    loaded.load(batch)
    for key, told in batch.items():
        expected[key] = spliced(expected.get(key, []), told, tracked, keeps_nulls=keeps_nulls)
    found = loaded.versions()
    for key in KEYS:
        assert found.get(key, []) == expected[key], (key, batch[key])
        assert_sound(found.get(key, []))
    return found


@pytest.mark.parametrize(
    ("tracked", "keeps_nulls"),
    [
        (("a", "b"), True),
        pytest.param(("a",), True, marks=pytest.mark.long),
        pytest.param(("a", "b"), False, marks=pytest.mark.long),
    ],
)
def test_scd2_when_batches_come_in_any_order_then_as_the_model(
    table: Any, tracked: Sequence[str], keeps_nulls: bool
) -> None:
    more = {} if len(tracked) > 1 else {"track_history_on": list(tracked)}

    @few
    @given(seeds)
    def holds(seed: int) -> None:
        loads = batches(seed)
        loaded = scd2(table, ignore_null_updates=not keeps_nulls, **more)
        expected: dict[int, list[Version]] = {}
        for batch in loads:
            found = loaded_as_the_model(loaded, batch, expected, tracked, keeps_nulls=keeps_nulls)
        version = loaded.version()
        step = loaded.load(loads[-1])
        assert loaded.versions() == found
        assert loaded.version() == version
        assert step.status.value == "unchanged"

    holds()


@pytest.mark.long
@pytest.mark.parametrize("how", ["few rows", "many rows", "own template"])
@pytest.mark.parametrize(("tracked", "keeps_nulls"), [(("a",), True), (("a", "b"), False)])
def test_scd2_when_each_key_has_one_newer_row_then_as_the_model(
    table: Any,
    tracked: Sequence[str],
    keeps_nulls: bool,
    how: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if how == "many rows":
        cache_all_that_is_kept(monkeypatch)
    more = {} if len(tracked) > 1 else {"track_history_on": list(tracked)}

    @few
    @given(seeds)
    def holds(seed: int) -> None:
        loaded = scd2(table, ignore_null_updates=not keeps_nulls, **more)
        if how == "own template":  # one that knows nothing of the short way
            engine = (TEMPLATES / "scd2.sql.j2").read_text()
            assert "elif plain" in engine
            own = engine.replace("elif plain", "elif false")
            loaded.project.write("sql/templates/scd2.sql.j2", own)
        expected: dict[int, list[Version]] = {}
        for batch in one_row_each(seed):
            loaded_as_the_model(loaded, batch, expected, tracked, keeps_nulls=keeps_nulls)
        version = loaded.version()
        assert loaded.load(batch).status.value == "unchanged"
        assert loaded.version() == version

    holds()


@pytest.mark.long
def test_scd2_when_one_row_of_many_is_late_then_as_the_model(table: Any) -> None:
    loaded = scd2(table)
    value = {"a": "x", "b": None}
    loads = [
        {1: [Told(5, value)], 2: [Told(5, value), Told(7, value, ends=True)], 3: [Told(2, value)]},
        {1: [Told(8, {**value, "a": "y"})], 2: [Told(6, {**value, "a": "z"})]},
        {1: [Told(9, {**value, "a": "z"})], 3: [Told(2, {**value, "a": "y"})]},
        {1: [Told(9, {**value, "a": "q"}), Told(12, {**value, "a": "z"})]},
    ]
    expected: dict[int, list[Version]] = {}
    for batch in loads:
        loaded.load(batch)
        for key, told in batch.items():
            expected[key] = spliced(expected.get(key, []), told, ("a", "b"))
        assert loaded.versions() == expected


@pytest.mark.parametrize("tracked", [("a", "b"), pytest.param(("a",), marks=pytest.mark.long)])
def test_scd2_when_events_come_in_order_then_batches_make_what_one_replay_makes(
    table: Any, tracked: Sequence[str]
) -> None:
    @few
    @given(seeds, st.integers(4, 10))
    def holds(seed: int, cut: int) -> None:
        told = histories(seed)
        more = {"track_history_on": list(tracked)}
        daily, at_once = scd2(table, **more), scd2(table, **more)
        for low, high in ((0, cut), (cut, 99)):
            daily.load(
                {key: [one for one in told if low <= one.at < high] for key, told in told.items()}
            )
        at_once.load(told)
        for found in (daily.versions(), at_once.versions()):
            for key, events in told.items():
                assert found.get(key, []) == replayed(events, tracked)

    holds()


def test_satellite_when_batches_come_in_any_order_then_as_the_model(table: Any) -> None:
    @few
    @given(seeds)
    def holds(seed: int) -> None:
        loads = batches(seed, deletes=False)
        loaded = table(mode="satellite", sequence_by="at", track_history_on=["a"])
        expected: dict[int, dict[int, Any]] = defaultdict(dict)
        for batch in [*loads, loads[-1]]:
            step = loaded.load(batch)
            for key, told in batch.items():
                expected[key] = satellite_after(expected[key], told, ["a"])
            found: dict[int, dict[int, Any]] = defaultdict(dict)
            for row in loaded.rows():
                assert row.at not in found[row.k1]
                found[row.k1][row.at] = {"a": row.a, "b": row.b}
            assert {key: found[key] for key in KEYS} == expected
        assert step.status.value == "unchanged"

    holds()


def test_satellite_when_each_key_has_one_newer_row_then_as_the_model(table: Any) -> None:
    @few
    @given(seeds)
    def holds(seed: int) -> None:
        loaded = table(mode="satellite", sequence_by="at", track_history_on=["a"])
        expected: dict[int, dict[int, Any]] = defaultdict(dict)
        for batch in one_row_each(seed, deletes=False):
            loaded.load(batch)
            for key, told in batch.items():
                expected[key] = satellite_after(expected[key], told, ["a"])
            found: dict[int, dict[int, Any]] = defaultdict(dict)
            for row in loaded.rows():
                found[row.k1][row.at] = {"a": row.a, "b": row.b}
            assert {key: found[key] for key in KEYS} == expected

    holds()


def test_satellite_when_the_only_row_of_a_key_is_late_and_says_nothing_new_then_is_left_out(
    table: Any,
) -> None:
    loaded = table(mode="satellite", sequence_by="at", track_history_on=["a"])
    x, y = {"a": "x", "b": None}, {"a": "y", "b": None}
    loaded.load({1: [Told(5, x)], 2: [Told(5, x)]})
    loaded.load({1: [Told(8, y)]})
    loaded.load({1: [Told(6, x)], 2: [Told(6, y)]})
    assert sorted((row.k1, row.at) for row in loaded.rows()) == [(1, 5), (1, 8), (2, 5), (2, 6)]


@pytest.mark.parametrize("rows", ["few", "many"])
def test_scd2_when_rows_of_unknown_keys_only_end_then_nothing_is_committed(
    table: Any, rows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if rows == "many":
        cache_all_that_is_kept(monkeypatch)
    loaded = scd2(table)
    loaded.load({1: [Told(5, {"a": "x", "b": None})]})
    version = loaded.version()
    step = loaded.load({2: [Told(6, {"a": "x", "b": None}, ends=True)]})
    assert step.status.value == "unchanged"
    assert loaded.version() == version


@pytest.mark.parametrize("mode", ["scd2", "satellite"])
def test_history_when_a_key_of_a_later_batch_stands_twice_then_an_error_shows_it(
    table: Any, mode: str
) -> None:
    loaded = table(mode=mode, sequence_by="at")
    known = {"a": "x", "b": None}
    loaded.load({7: [Told(3, known)], 8: [Told(3, known)]})
    version = loaded.version()
    for other in (known, {"a": "y", "b": None}):
        with pytest.raises(AssertionError, match=r'same instant: \{"k1":7,"k2":"k7","__at":4\}'):
            loaded.load({7: [Told(4, known), Told(4, other)], 8: [Told(5, other)]})
    assert loaded.version() == version


@pytest.mark.parametrize("mode", ["scd2", "satellite"])
def test_history_when_a_key_of_a_later_batch_is_null_then_an_error_shows_it(
    table: Any, mode: str
) -> None:
    loaded = table(mode=mode, keys=["a"], sequence_by="at")
    loaded.load({7: [Told(3, {"a": "x", "b": None})]})
    with pytest.raises(AssertionError, match=r"key or its instant is null: \{\"__at\":4\}"):
        loaded.load({7: [Told(4, {"a": None, "b": None})]})


def test_scd1_when_batches_come_in_order_then_the_last_word_of_each_key(table: Any) -> None:
    @few
    @given(seeds, st.integers(4, 10))
    def holds(seed: int, cut: int) -> None:
        told = histories(seed)
        for keeps_nulls in (True, False):
            loaded = table(
                mode="scd1", sequence_by="at", apply_as_delete_when="gone",
                except_columns=["gone"], ignore_null_updates=not keeps_nulls,
            )  # fmt: skip
            for low, high in ((0, cut), (cut, 99), (cut, 99)):
                step = loaded.load(
                    {k: [one for one in told if low <= one.at < high] for k, told in told.items()}
                )
            expected = {}
            for key, events in told.items():
                versions = replayed(events, (), keeps_nulls=keeps_nulls)
                if versions and versions[-1].ends is None:
                    expected[key] = versions[-1].payload
            assert {row.k1: {"a": row.a, "b": row.b} for row in loaded.rows()} == expected
            assert step.status.value == "unchanged"

    holds()


def test_scd2_of_snapshots_when_keys_go_and_come_back_then_intervals_by_the_day(table: Any) -> None:
    loaded = table(mode="scd2", deletes="close", except_columns=["at", "gone"])

    def snapshot(**values: str) -> dict[int, list[Told]]:
        return {int(k[1:]): [Told(0, {"a": a, "b": None})] for k, a in values.items()}

    def versions() -> list[tuple[Any, ...]]:
        return sorted(
            (row.k1, row.a, str(row.valid_from), str(row.valid_to)) for row in loaded.rows()
        )

    loaded.load(snapshot(k1="x", k2="x"), run_date=day(1))
    loaded.load(snapshot(k1="y", k3="x"), run_date=day(3))
    loaded.load(snapshot(k1="y", k2="x", k3="x"), run_date=day(5))
    assert versions() == [
        (1, "x", "2026-01-01", "2026-01-03"),
        (1, "y", "2026-01-03", "None"),
        (2, "x", "2026-01-01", "2026-01-03"),
        (2, "x", "2026-01-05", "None"),
        (3, "x", "2026-01-03", "None"),
    ]
    again = loaded.load(snapshot(k1="y", k2="x", k3="x"), run_date=day(6))
    assert again.status.value == "unchanged"


def test_scd2_when_a_key_stands_twice_or_is_null_then_an_error_shows_it(table: Any) -> None:
    twice = scd2(table)
    with pytest.raises(AssertionError, match=r'same instant: \{"k1":7,"k2":"k7","__at":3\}'):
        twice.load({7: [Told(3, {"a": "x", "b": None}), Told(3, {"a": "y", "b": None})]})
    null = table(mode="scd2", keys=["a"], sequence_by="at")
    with pytest.raises(AssertionError, match=r"key or its instant is null: \{\"__at\":3\}"):
        null.load({7: [Told(3, {"a": None, "b": None})]})
    assert twice.version() is None
    assert null.version() is None


@pytest.mark.long
def test_scd2_when_a_column_is_added_and_another_order_comes_then_versions_stay_whole(
    table: Any,
) -> None:
    loaded = scd2(table, surrogate_key="id", schema="evolve", except_columns=["gone", "b"])
    loaded.load({1: [Told(2, {"a": "x", "b": "p"}), Told(4, {"a": "y", "b": "p"})]})
    ids = {row.valid_from: row.id for row in loaded.rows()}
    assert len(set(ids.values())) == 2
    text = (loaded.project.root / f"pipelines/flows/{loaded.name}.yaml").read_text()
    wider = text.replace('"gone", "b"', '"gone"')
    (loaded.project.root / f"pipelines/flows/{loaded.name}.yaml").write_text(wider)
    loaded.load({1: [Told(6, {"a": "y", "b": "q"})], 2: [Told(1, {"a": "x", "b": None})]})
    found = {(row.k1, row.valid_from): (row.a, row.b, row.valid_to) for row in loaded.rows()}
    assert found == {
        (1, 2): ("x", None, 4),
        (1, 4): ("y", None, 6),
        (1, 6): ("y", "q", None),
        (2, 1): ("x", None, None),
    }
    now = {row.valid_from: row.id for row in loaded.rows() if row.k1 == 1}
    assert now.items() >= ids.items()


def test_scd1_of_a_snapshot_when_keys_are_missing_then_they_go(table: Any) -> None:
    loaded = table(mode="merge", deletes="delete", except_columns=["at", "gone"])
    loaded.load({key: [Told(0, {"a": "x", "b": None})] for key in (1, 2)})
    step = loaded.load({key: [Told(0, {"a": "x", "b": None})] for key in (2, 3)})
    assert step.counts == WriteCounts(written=1, updated=0, deleted=1)
    assert sorted(row.k1 for row in loaded.rows()) == [2, 3]
