"""The tables that a statement names, told by sqlglot from its text; no Spark."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

_AFTERWARDS = re.compile(r" (?:for|but got) <.*", re.DOTALL)


@dataclass(frozen=True)
class TableUse:
    """One place of a statement where a table is named.

    Attributes:
        name: without quotes, and without what stands before it.
        schema: what stands before it, dotted parts joined; a view of the session has none.
        line: in the statement, from 1.
        column: of the first character, from 1.
    """

    name: str
    schema: str
    line: int
    column: int


@dataclass(frozen=True)
class StatementTables:
    """What a statement reads and writes; names that the statement makes itself are left out.

    Attributes:
        reads: in the order of the text.
        writes: the targets of INSERT, MERGE, UPDATE and DELETE.
        problem: why the text could not be read; both lists are empty then.
        line: of the problem, from 1; 0 if unknown.
        column: of the problem, from 1; 0 if unknown.
    """

    reads: tuple[TableUse, ...] = ()
    writes: tuple[TableUse, ...] = ()
    problem: str = ""
    line: int = 0
    column: int = 0


def tables_of(sql: str) -> StatementTables:
    """The tables of one statement of Spark SQL, as far as sqlglot understands it."""
    from sqlglot import exp
    from sqlglot.errors import ParseError, SqlglotError

    tokenizer, parser = _reader()
    try:
        read = parser.parse(tokenizer.tokenize(sql), sql)
        statements = [parsed for parsed in read if parsed is not None]
    except ParseError as error:
        first = error.errors[0] if error.errors else {}
        told = _AFTERWARDS.sub("", str(first.get("description") or error))
        near = first.get("highlight") or ""
        return StatementTables(
            problem=told + (f" near {near!r}" if near else ""),
            line=first.get("line") or 0,
            column=max(1, (first.get("col") or 0) - len(near) + 1),
        )
    except (SqlglotError, RecursionError) as error:
        return StatementTables(problem=str(error).splitlines()[0])
    if len(statements) != 1:
        return StatementTables(problem=f"{len(statements)} statements where one was expected")
    if isinstance(statements[0], exp.Command):
        return StatementTables(problem="a statement of this kind is not understood")
    written = _targets(statements[0])
    reads = [
        table
        for table in statements[0].find_all(exp.Table)
        if not any(table is one for one in written) and not _is_made_here(table)
    ]
    return StatementTables(_uses(sql, reads), _uses(sql, written))


@cache
def _reader() -> tuple[Any, Any]:
    """Sqlglot's tokenizer and parser of Spark SQL, which each statement starts afresh.

    They take as long to make as a small statement to read.
    """
    from sqlglot.dialects.spark import Spark

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # a statement it leaves alone is no news
    dialect = Spark()
    return dialect.tokenizer(), dialect.parser()


def _targets(statement: Any) -> list[Any]:
    """The table that a statement writes, if it writes one."""
    from sqlglot import exp

    if not isinstance(statement, exp.Insert | exp.Merge | exp.Update | exp.Delete):
        return []
    target = statement.this
    target = target.this if isinstance(target, exp.Schema) else target
    return [target] if isinstance(target, exp.Table) else []


def _is_made_here(table: Any) -> bool:
    """Whether the name is one of the statement's own: a CTE in sight there, or part of a hint.

    A CTE sees those before it, and itself only where they are recursive.
    """
    from sqlglot import exp

    name = "" if table.args.get("db") is not None else table.name.lower()
    came_from, node = table, table.parent
    through = None  # the CTE that the table stands in
    while node is not None:
        if isinstance(node, exp.Hint):
            return True
        if isinstance(node, exp.CTE):
            through = node
        given = node.args.get("with_")
        if given is not None and name:
            for cte in given.expressions:
                is_around = came_from is given and cte is through
                if is_around and not given.args.get("recursive"):
                    break
                if cte.alias.lower() == name:
                    return True
                if is_around:
                    break
        came_from, node = node, node.parent
    return False


def _uses(sql: str, tables: list[Any]) -> tuple[TableUse, ...]:
    """Tables with their places, in the order of the text; functions that give rows left out."""
    from sqlglot import exp

    found = []
    for table in tables:
        parts = table.parts
        if not parts or not all(isinstance(part, exp.Identifier) for part in parts):
            continue
        start = parts[0].meta.get("start", 0)
        line = sql.count("\n", 0, start) + 1
        column = start - sql.rfind("\n", 0, start)
        *before, name = (part.name for part in parts)
        found.append(TableUse(name, ".".join(before), line, column))
    return tuple(sorted(found, key=lambda use: (use.line, use.column)))
