"""Datasources: the options that Spark gets, and tables read from a database in a folder."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from pipelines.errors import UsageError
from pipelines.results import AttemptFailed
from pipelines.spec.steps import Partition
from pipelines.utils.datasource import CONNECT_SECONDS, DRIVERS, FETCH_ROWS, DataSource

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import SparkSession

    from tests.conftest import Project

PASSWORD = "correct-horse"

# --- options, without Spark ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "engine", "place", "more"),
    [
        (
            "jdbc:postgresql://db.example:5432/ods?sslmode=verify-full",
            "postgresql",
            "db.example:5432",
            {
                "connectTimeout": str(CONNECT_SECONDS),
                "loginTimeout": str(CONNECT_SECONDS),
                "tcpKeepAlive": "true",
                "ApplicationName": "pipelines",
            },
        ),
        (
            "jdbc:postgresql://db.example/ods",
            "postgresql",
            "db.example",
            {
                "sslmode": "require",
                "connectTimeout": str(CONNECT_SECONDS),
                "loginTimeout": str(CONNECT_SECONDS),
                "tcpKeepAlive": "true",
                "ApplicationName": "pipelines",
            },
        ),
        (
            "jdbc:sqlserver://db.example:1433;databaseName=ods;Encrypt=strict;loginTimeout=3",
            "sqlserver",
            "db.example:1433",
            {"applicationName": "pipelines", "sessionInitStatement": "set dateformat ymd"},
        ),
        (
            "jdbc:sqlserver://db.example:1433;databaseName=ods",
            "sqlserver",
            "db.example:1433",
            {
                "encrypt": "true",
                "loginTimeout": str(CONNECT_SECONDS),
                "applicationName": "pipelines",
                "sessionInitStatement": "set dateformat ymd",
            },
        ),
        ("jdbc:derby:data/ods;create=true", "derby", "jdbc:derby:data/ods", {}),
    ],
)
def test_options_when_the_engine_is_known_then_driver_and_limits_are_set(
    url: str, engine: str, place: str, more: dict[str, str]
) -> None:
    source = DataSource("ods", url=url, user="reader", password=SecretStr(PASSWORD))
    assert (source.engine, source.place) == (engine, place)
    assert source.options() == {
        "url": url,
        "driver": DRIVERS[engine],
        "fetchsize": str(FETCH_ROWS),
        "user": "reader",
        "password": PASSWORD,
        **more,
    }
    assert PASSWORD not in repr(source)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("jdbc:postgresql://db.example/ods", "91"),
        ("jdbc:sqlserver://db.example;databaseName=ods", "90500"),
        ("jdbc:postgresql://db.example/ods?socketTimeout=5", None),
        ("jdbc:derby:data/ods", None),
    ],
)
def test_options_when_steps_have_a_time_limit_then_no_connection_is_silent_for_longer(
    url: str, told: str | None
) -> None:
    options = DataSource("ods", url=url, silent_seconds=90.5).options()
    assert options.get("socketTimeout") == told


def test_options_when_given_by_hand_then_they_win() -> None:
    source = DataSource.from_settings(
        "ods",
        {
            "url": "jdbc:sqlserver://db.example;databaseName=ods",
            "driver": "some.other.Driver",
            "password": PASSWORD,
            "options": {"fetchsize": 5, "encrypt": False},
        },
    )
    options = source.options()
    assert (options["fetchsize"], options["encrypt"]) == ("5", "false")
    assert options["driver"] == "some.other.Driver"
    assert options["password"] == PASSWORD
    assert "user" not in options
    assert PASSWORD not in repr(source)


@pytest.mark.parametrize(
    ("url", "options", "tls"),
    [
        ("jdbc:postgresql://db.example/ods", {}, "unchecked"),
        ("jdbc:postgresql://db.example/ods?sslmode=verify-full", {}, "checked"),
        ("jdbc:postgresql://db.example/ods?a=b&sslMode=verify-ca", {}, "checked"),
        ("jdbc:postgresql://db.example/ods?ssl=true", {}, "checked"),
        ("jdbc:postgresql://db.example/ods?ssl=false", {}, "off"),
        ("jdbc:postgresql://db.example/ods?sslmode=prefer", {}, "off"),
        ("jdbc:postgresql://db.example/ods", {"sslmode": "disable"}, "off"),
        ("jdbc:postgresql://localhost:5432/ods", {}, ""),
        ("jdbc:postgresql://127.0.0.1.example/ods", {}, "unchecked"),
        ("jdbc:sqlserver://db.example;databaseName=ods", {}, "checked"),
        ("jdbc:sqlserver://db.example;trustServerCertificate=true", {}, "unchecked"),
        ("jdbc:sqlserver://db.example;encrypt=false", {}, "off"),
        ("jdbc:sqlserver://db.example;encrypt=strict", {}, "checked"),
        ("jdbc:sqlserver://db.example", {"encrypt": False}, "off"),
        ("jdbc:sqlserver://127.0.0.1:1433;encrypt=false", {}, ""),
        ("jdbc:derby:data/ods", {}, ""),
        ("jdbc:oracle:thin:@//db.example/ods", {}, ""),
    ],
)
def test_tls_when_the_address_or_options_say_then_is_known(
    url: str, options: dict[str, Any], tls: str
) -> None:
    assert DataSource("ods", url=url, extra_options=options).tls == tls


def test_options_when_the_driver_is_unknown_then_says_what_to_set() -> None:
    source = DataSource("ods", url="jdbc:oracle:thin:@//db.example:1521/ods")
    with pytest.raises(UsageError, match="no driver is known for 'oracle'") as raised:
        source.options()
    assert raised.value.where == "datasource ods"
    assert "driver" in raised.value.hint


def test_options_when_it_is_a_folder_then_only_the_readers_own() -> None:
    settings = {"type": "csv", "path": "data", "options": {"header": True, "sep": ";"}}
    source = DataSource.from_settings("folder", settings)
    assert source.options() == {"header": "true", "sep": ";"}
    assert (source.engine, source.place) == ("", "data")


@pytest.mark.parametrize(
    "url",
    [
        "jdbc:postgresql://reader:correct-horse@db.example:5432/ods",
        "jdbc:sqlserver://db.example:5432;user=reader;password=correct-horse",
        "jdbc:postgresql://db.example:5432/ods?user=reader&password=correct-horse",
    ],
)
def test_place_when_the_address_holds_a_password_then_shows_the_host_only(url: str) -> None:
    assert DataSource("ods", url=url).place == "db.example:5432"


# --- a database in a folder ------------------------------------------------------------------


@pytest.fixture(scope="module")
def derby(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database with a table of ten pupils."""
    url = f"jdbc:derby:{tmp_path_factory.mktemp('derby')}/ods;create=true"
    jvm: Any = spark._jvm
    connection = jvm.java.sql.DriverManager.getConnection(url)
    statement = connection.createStatement()
    statement.execute("create schema edfi")
    statement.execute(
        "create table edfi.Student (StudentUSI int primary key, FirstName varchar(75), "
        "BirthDate date, Score decimal(5, 2), LastModifiedDate timestamp)"
    )
    for number in range(10):
        name = "null" if number == 3 else f"'Pupil {number}'"
        statement.execute(
            f"insert into edfi.Student values ({number}, {name}, '2010-01-0{number % 9 + 1}', "
            f"{number}.50, '2026-01-01 10:00:00')"
        )
    statement.close()
    connection.close()
    return url.replace(";create=true", "")


@pytest.mark.parametrize(
    ("case", "columns"),
    [
        ("preserve", ["STUDENTUSI", "FIRSTNAME"]),
        ("lower", ["studentusi", "firstname"]),
        ("upper", ["STUDENTUSI", "FIRSTNAME"]),
    ],
)
def test_read_when_a_case_is_asked_for_then_the_columns_have_it(
    spark: SparkSession, derby: str, case: str, columns: list[str]
) -> None:
    frame = DataSource("ods", url=derby, identifier_case=case).read(spark, "edfi.Student")
    assert frame.columns[:2] == columns
    assert [kind for _, kind in frame.dtypes] == [
        "int", "string", "date", "decimal(5,2)", "timestamp",
    ]  # fmt: skip
    assert frame.count() == 10
    assert frame.where(f"{columns[1]} is null").collect()[0][0] == 3


def test_read_when_partitioned_then_reads_ranges_side_by_side_and_no_row_is_lost(
    spark: SparkSession, derby: str
) -> None:
    # The bounds leave rows on either side of them.
    ranges = Partition(column="STUDENTUSI", lower=2, upper=8, count=3)
    frame = DataSource("ods", url=derby).read(spark, "edfi.Student", partition=ranges)
    assert frame._jdf.rdd().getNumPartitions() == 3
    assert sorted(row[0] for row in frame.collect()) == list(range(10))


def test_read_when_given_the_databases_own_sql_then_it_runs_there(
    spark: SparkSession, derby: str
) -> None:
    sql = "select count(*) as n, max(StudentUSI) as top from edfi.Student where StudentUSI < 5"
    source = DataSource("ods", url=derby, identifier_case="lower")
    frame = source.read(spark, query_text=sql, options={"fetchsize": 1})
    assert frame.columns == ["n", "top"]
    assert [tuple(row) for row in frame.collect()] == [(5, 4)]


FLOW = """
- name: students
  source: {datasource: ods, table: edfi.Student, query: "select studentusi, firstname from students where studentusi < 2"}
  destination: {path: "{{ base_path }}/students"}
- name: names
  depends_on: [students]
  pre_views: [{name: everyone, datasource: ods, query_text: "select FirstName from edfi.Student where StudentUSI >= 8"}]
  source: {type: delta, query: "select firstname from everyone"}
  destination: {path: "{{ base_path }}/names"}
- name: ranges
  source: {datasource: ods, table: edfi.Student, partition: {column: StudentUSI, lower: 0, upper: 10, count: 2}, options: {fetchsize: 3}}
  destination: {path: "{{ base_path }}/ranges"}
- name: by_script
  script: ingestion/by_script.py
  destination: {path: "{{ base_path }}/by_script"}
- name: no_such_table
  source: {datasource: ods, table: edfi.Nobody}
  destination: {path: "{{ base_path }}/no_such_table"}
- name: refused
  source: {datasource: closed, table: edfi.Student}
  destination: {path: "{{ base_path }}/refused"}
  retry: {attempts: 2, delay_seconds: 0}
"""  # noqa: E501


def test_flow_when_it_reads_a_database_then_rows_arrive_and_failures_name_the_place(
    project: Callable[..., Project], derby: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ODS_PASSWORD", PASSWORD)
    made = project(
        FLOW,
        f"""
        datasources:
          ods: {{type: jdbc, url: "{derby}", identifier_case: lower}}
          closed:
            type: jdbc
            url: jdbc:postgresql://127.0.0.1:1/ods
            user: reader
            password: "{{{{ secret('ODS_PASSWORD') }}}}"
        """,
        {
            "ingestion/by_script.py": """\
                def ingest(spark, context):
                    return context.datasources["ods"].read(spark, "edfi.Student").limit(2)
                """,
        },
    )
    ran = made.run()
    assert made.rows("students") == [(0, "Pupil 0"), (1, "Pupil 1")]
    assert made.rows("names") == [("Pupil 8",), ("Pupil 9",)]
    assert len(made.rows("ranges")) == 10
    assert len(made.rows("by_script")) == 2
    assert ran["ranges"].counts.written == 10

    missing = ran["no_such_table"].error
    assert missing is not None
    assert missing.transient is False
    assert "datasource ods at jdbc:derby:" in missing.message
    assert "EDFI.NOBODY" in missing.message

    refused = ran["refused"].error
    assert refused is not None
    assert refused.transient is True
    assert "datasource closed at 127.0.0.1:1" in refused.message
    assert "refused" in refused.message
    assert PASSWORD not in repr(ran.events)
    again = [event for event in ran.events if isinstance(event, AttemptFailed)]
    assert [event.step_id for event in again] == ["stage.group.refused"]
    assert PASSWORD not in "".join(
        file.read_text(encoding="utf-8") for file in (made.root / "pipelines/logs").glob("*.json")
    )
