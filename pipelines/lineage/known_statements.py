"""What was found out about statements before, kept in a file, since reading one takes a while."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipelines.lineage.tables import StatementTables, TableUse, tables_of

# Raised whenever `tables_of` says something else of a statement than before.
_VERSION = 1
_MOST = 50_000
# Fewer are read sooner than another process is at work.
_MANY = 250


class KnownStatements:
    """The tables of statements; a text that was read before, in whatever flow, is not read again.

    Args:
        file: where they are kept; one that is missing, broken or of another version is as if empty.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._kept: dict[str, Any] | None = None
        self._used: dict[str, Any] = {}
        self._is_new = False

    def tables(self, sql: str) -> StatementTables:
        """The tables of one statement of Spark SQL."""
        key = _key(sql)
        known = self._known(key)
        if known is None:
            self._is_new = True
            known = _read(sql)
        self._used[key] = known
        reads, writes, *problem = known
        return StatementTables(_uses(reads), _uses(writes), *problem)

    def read_ahead(self, statements: Iterable[str]) -> None:
        """Reads those that are new, on all processors where they are many."""
        keyed = ((_key(sql), sql) for sql in statements)
        new = {key: sql for key, sql in keyed if self._known(key) is None}
        processes = min(len(new) // _MANY + 1, os.cpu_count() or 1)
        # A fork takes over no threads, but the locks that they hold; other ways to start a
        # process take longer than the reading.
        if processes == 1 or sys.platform != "linux" or threading.active_count() > 1:
            return
        import multiprocessing
        from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor

        tables_of("select 1")  # so that no process has to load the reader for itself
        with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
            read = pool.map(_read, new.values(), chunksize=len(new) // (4 * processes) + 1)
            with suppress(BrokenProcessPool):  # one was killed: what is left is read when asked for
                for key, found in zip(new, read, strict=True):
                    self._used[key] = found
        self._is_new = True

    def save(self) -> None:
        """Keeps what is new; where it cannot be kept, the next time is only slower."""
        if not self._is_new:
            return
        older = {key: known for key, known in (self._kept or {}).items() if key not in self._used}
        room = max(0, _MOST - len(self._used))
        kept = {**dict(list(older.items())[-room:] if room else ()), **self._used}
        text = json.dumps({"version": _VERSION, "statements": kept}, separators=(",", ":"))
        partial = self._file.with_name(f"{self._file.name}.{os.getpid()}")
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(text, encoding="utf-8")
            partial.replace(self._file)

    def _known(self, key: str) -> Any:
        if self._kept is None:
            self._kept = self._load()
        return self._used.get(key) or self._kept.get(key)

    def _load(self) -> dict[str, Any]:
        try:
            said = json.loads(self._file.read_bytes())
            return dict(said["statements"]) if said["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _key(sql: str) -> str:
    return sha256(sql.encode()).hexdigest()[:32]


def _read(sql: str) -> list[Any]:
    return _plain(tables_of(sql))


def _plain(found: StatementTables) -> list[Any]:
    """``found`` in types of JSON, in the order of its attributes."""
    uses = ([[use.name, use.schema, use.line, use.column] for use in some]
            for some in (found.reads, found.writes))  # fmt: skip
    return [*uses, found.problem, found.line, found.column]


def _uses(kept: Any) -> tuple[TableUse, ...]:
    return tuple(TableUse(*use) for use in kept)
