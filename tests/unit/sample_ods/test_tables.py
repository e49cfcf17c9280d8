from __future__ import annotations

import subprocess
import sys

import pytest

from pipelines.sample_ods.rows import COLUMNS
from pipelines.sample_ods.tables import TABLES, Engine, ddl, index_ddl


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_tables_when_a_key_is_named_then_its_columns_exist_and_are_required(table) -> None:  # type: ignore[no-untyped-def]
    required = {column.name for column in table.columns if column.is_required}

    assert table.key
    assert {*table.key, *table.unique} <= required
    assert len(set(table.column_names)) == len(table.columns)


@pytest.mark.parametrize("name", TABLES)
def test_columns_when_rows_are_made_then_no_required_column_is_left_out(name: str) -> None:
    table = TABLES[name]
    required = {column.name for column in table.columns if column.is_required}

    assert required <= set(COLUMNS[name]) <= set(table.column_names)


def test_tables_when_an_aggregate_root_then_its_deletes_are_tracked() -> None:
    roots = {table.name for table in TABLES.values() if table.is_root}

    assert {f"tracked_changes_{name}" for name in roots} == {
        name for name in TABLES if name.startswith("tracked_changes_edfi.")
    }


@pytest.mark.parametrize(
    ("engine", "types"),
    [
        ("derby", ("FirstName VARCHAR(75) NOT NULL", "Id CHAR(36) NOT NULL", "BirthDate DATE")),
        ("postgresql", ("Id UUID NOT NULL", "MultipleBirthStatus BOOLEAN,", "BIGINT")),
    ],
)
def test_ddl_when_asked_for_an_engine_then_speaks_its_types(
    engine: Engine, types: tuple[str, ...]
) -> None:
    statements = ddl(engine)
    student = next(words for words in statements if words.startswith("CREATE TABLE edfi.Student ("))

    assert statements[:2] == ("CREATE SCHEMA edfi", "CREATE SCHEMA tracked_changes_edfi")
    assert len(statements) == len(TABLES) + 2
    assert all(words in student for words in types)
    assert "PRIMARY KEY (StudentUSI)" in student
    assert "UNIQUE (StudentUniqueId)" in student
    assert '"' not in "".join(statements)


@pytest.mark.parametrize(("engine", "schema"), [("derby", "edfi."), ("postgresql", "")])
def test_index_ddl_when_asked_then_each_root_is_found_by_change_version(
    engine: Engine, schema: str
) -> None:
    statements = index_ddl(engine)

    assert (
        f"CREATE INDEX {schema}UX_Student_ChangeVersion ON edfi.Student (ChangeVersion)"
        in statements
    )
    assert len(statements) == sum(table.is_root for table in TABLES.values())
    assert not [words for words in statements if "ON tracked_changes_edfi" in words]


def test_derby_module_when_imported_then_spark_is_not() -> None:
    code = "import sys; from pipelines.sample_ods import derby, postgres; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.split()

    assert not {"pyspark", "delta", "psycopg"} & set(loaded)
    ours = {name for name in loaded if name.startswith("pipelines.")}
    assert ours - {"pipelines.errors"} == {
        name for name in loaded if name.startswith("pipelines.sample_ods")
    }
