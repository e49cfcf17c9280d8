"""What an erasure makes of releases."""

from __future__ import annotations

import pytest

from pipelines.plan.erased_releases import FOLLOWS, STAYS, WITHDRAWN, ErasedTable, releases_erased
from pipelines.results.release import Release, ReleasedTable


def release(release_id: str, **versions: int) -> Release:
    tables = tuple(
        ReleasedTable(f"s.g.{name}", name, f"/lake/{name}", name, version)
        for name, version in versions.items()
    )
    return Release(release_id, "toy", "s", "test", release_id, "b1", "2026-01-01", "", tables)


def outcome(one: Release, **erased: tuple[int, int]) -> tuple[str, dict[str, int]] | None:
    tables = {f"/lake/{name}": ErasedTable(*versions) for name, versions in erased.items()}
    found = releases_erased([one], tables, "/lake/", shown="r2")
    if not found:
        return None
    to = found[0].to or found[0].release
    return found[0].outcome, {table.name: table.version for table in to.tables}


@pytest.mark.parametrize(
    ("one", "erased", "expected"),
    [
        (release("r1", a=3, b=4), {}, None),
        (release("r1", a=3, b=4), {"a": (3, 2)}, None),
        (release("r1", a=3, b=4), {"c": (9, 1)}, None),
        (release("r1", a=3, b=4), {"a": (5, 3)}, (FOLLOWS, {"a": 5, "b": 4})),
        (release("r1", a=3, b=4), {"a": (5, 3), "b": (6, 2)}, (FOLLOWS, {"a": 5, "b": 6})),
        (release("r1", a=3, b=4), {"a": (5, 4)}, (WITHDRAWN, {"a": 3, "b": 4})),
        (release("r1", a=3, b=4), {"a": (5, 3), "b": (6, 5)}, (WITHDRAWN, {"a": 3, "b": 4})),
        (release("r2", a=3, b=4), {"a": (5, 4)}, (STAYS, {"a": 3, "b": 4})),
        (release("r1", a=3), {"a": (5, 7)}, (WITHDRAWN, {"a": 3})),
    ],
)
def test_release_follows_tables_that_only_lost_the_person_since(
    one: Release,
    erased: dict[str, tuple[int, int]],
    expected: tuple[str, dict[str, int]] | None,
) -> None:
    assert outcome(one, **erased) == expected
