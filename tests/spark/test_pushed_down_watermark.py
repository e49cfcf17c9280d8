"""What leaves a PostgreSQL server in a daily run, by the server's own log."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

import pytest

from tests.postgres_server import postgres

if TYPE_CHECKING:
    from tests.conftest import Project

pytestmark = pytest.mark.postgres

FLOW = """
- name: by_time
  source:
    datasource: ods
    table: edfi.student
    incremental: {column: lastmodifieddate, overlap: 1 hour}
    partition: {column: usi, lower: 0, upper: 1000, count: 2}
    query: "select usi, FirstName, LastModifiedDate from by_time"
  destination: {path: "{{ base_path }}/by_time", mode: merge, keys: [usi]}
- name: by_number
  source:
    datasource: ods
    query_text: select usi, changeversion from edfi.student where usi > 0
    incremental: {column: changeversion}
  destination: {path: "{{ base_path }}/by_number", mode: append}
"""
SET_UP = """
create schema edfi;
create table edfi.student (usi int primary key, "FirstName" text,
    "LastModifiedDate" timestamptz not null, changeversion bigint not null);
insert into edfi.student select n, 'pupil ' || n,
    timestamp '2026-01-01' + n * interval '1 minute', n from generate_series(1, 999) as n;
alter system set log_statement = 'all';
alter system set log_timezone = 'UTC';
select pg_reload_conf();
"""
CHANGED = """
update edfi.student set "FirstName" = 'Ada', "LastModifiedDate" = '2026-01-02 10:00:00.123456+00',
    changeversion = 1000 where usi = 7;
"""


def test_watermark_when_the_source_is_postgresql_then_only_new_rows_leave_the_server(
    project: Callable[..., Project],
) -> None:
    with postgres() as server:
        server.execute(*SET_UP.strip().rstrip(";").split(";\n"))
        source = f"{{type: jdbc, url: '{server.url}', user: postgres}}"
        made = project(FLOW, f"datasources: {{ods: {source}}}")
        made.run(run_date=date(2026, 1, 1), batch_id="one")
        server.execute(CHANGED)
        log = server.folder / "log"
        before = log.stat().st_size
        ran = made.run(run_date=date(2026, 1, 2), batch_id="two")
        asked = log.read_text(encoding="utf-8")[before:]
    assert ran.result.exit_code == 0
    assert ran["by_time"].counts.updated == 1
    assert ran["by_number"].counts.written == 1
    reads = [line.split(": ", 2)[-1] for line in asked.splitlines() if "SELECT" in line]
    fetched = [one for one in reads if "edfi" in one and "1=0" not in one and " LIMIT " not in one]
    highest = [one for one in fetched if "max(" in one]
    rows = [one for one in fetched if "max(" not in one]
    assert len(highest) == 2, highest
    assert len(rows) == 3, "two ranges of one table, and a query"
    low, high = "2026-01-01 15:39:00.000001", "2026-01-02 10:00:00.123457"
    for sql in rows:
        if '"LastModifiedDate"' in sql:
            assert f"\"LastModifiedDate\" < '{high}'" in sql
            assert f"\"LastModifiedDate\" >= '{low}'" in sql
        else:
            assert '"changeversion" > 999' in sql
            assert '"changeversion" <= 1000' in sql
