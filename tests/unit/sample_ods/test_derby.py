from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.errors import SampleOdsError
from pipelines.sample_ods import derby


def test_put_in_place_when_the_rename_fails_then_the_old_ods_comes_back(tmp_path: Path) -> None:
    target = tmp_path / "ods"
    target.mkdir()
    (target / "service.properties").touch()

    with pytest.raises(FileNotFoundError):
        derby._put_in_place(tmp_path / "missing", target, aside=tmp_path / "old")

    assert derby.exists(target)


@pytest.mark.parametrize(("students", "seed"), [(0, 1), (-3, 1), (10**9, 1), (1, 2**63)])
def test_create_when_numbers_are_out_of_range_then_nothing_is_made(
    tmp_path: Path, students: int, seed: int
) -> None:
    with pytest.raises(SampleOdsError, match="cannot make"):
        derby.create(tmp_path / "ods", students, seed)

    assert not list(tmp_path.iterdir())


def test_jdbc_url_when_the_path_would_end_early_then_refused(tmp_path: Path) -> None:
    assert derby.jdbc_url(tmp_path) == f"jdbc:derby:{tmp_path.resolve()}"

    with pytest.raises(SampleOdsError, match="cannot open"):
        derby.jdbc_url(tmp_path / "a;create=true")
