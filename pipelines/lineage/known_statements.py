"""What was found out about statements before, kept in a file, since reading one takes a while."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from pipelines.lineage.tables import StatementTables, TableUse, tables_of

# Raised whenever `tables_of` says something else of a statement than before.
_VERSION = 1
_MOST = 50_000


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
        if self._kept is None:
            self._kept = self._load()
        key = sha256(sql.encode()).hexdigest()[:32]
        known = self._used.get(key) or self._kept.get(key)
        if known is None:
            self._is_new = True
            known = _plain(tables_of(sql))
        self._used[key] = known
        reads, writes, *problem = known
        return StatementTables(_uses(reads), _uses(writes), *problem)

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

    def _load(self) -> dict[str, Any]:
        try:
            said = json.loads(self._file.read_bytes())
            return dict(said["statements"]) if said["version"] == _VERSION else {}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _plain(found: StatementTables) -> list[Any]:
    """``found`` in types of JSON, in the order of its attributes."""
    uses = ([[use.name, use.schema, use.line, use.column] for use in some]
            for some in (found.reads, found.writes))  # fmt: skip
    return [*uses, found.problem, found.line, found.column]


def _uses(kept: Any) -> tuple[TableUse, ...]:
    return tuple(TableUse(*use) for use in kept)
