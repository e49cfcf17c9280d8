"""Whether a Python file can be a step: read as text, never run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

_ARGUMENTS = 2  # ingest(spark, context)


@dataclass(frozen=True)
class ScriptProblem:
    """What keeps a script from being a step; ``line`` is 0 where it is about the whole file."""

    code: str
    message: str
    line: int


def script_problem(text: str) -> ScriptProblem | None:
    """What is wrong with the Python of a script; None where it can be called.

    A name `ingest` that is assigned or imported is believed to be a function.
    """
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:  # ValueError: a NUL in the text
        told = error.msg if isinstance(error, SyntaxError) else str(error)
        line = getattr(error, "lineno", None) or 0
        return ScriptProblem("script-syntax", f"Python cannot read the script: {told}", line)
    found = None
    for node in _top_level(body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == "ingest":
            found = node
        elif "ingest" in _names_given(node):
            return None
    if found is None:
        message = "the script has no function ingest(spark, context)"
        return ScriptProblem("no-ingest", message, 0)
    takes = found.args
    needed = len(takes.posonlyargs) + len(takes.args) - len(takes.defaults)
    most = len(takes.posonlyargs) + len(takes.args)
    named_only = [
        one for one, value in zip(takes.kwonlyargs, takes.kw_defaults, strict=True) if value is None
    ]
    fits = needed <= _ARGUMENTS and (most >= _ARGUMENTS or takes.vararg is not None)
    if not fits or named_only or isinstance(found, ast.AsyncFunctionDef):
        head = f"{'async ' * isinstance(found, ast.AsyncFunctionDef)}ingest({ast.unparse(takes)})"
        message = f"{head} cannot be called as ingest(spark, context)"
        return ScriptProblem("no-ingest", message, found.lineno)
    return None


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that importing the file runs, also below `if`, `try` and `with`."""
    for node in body:
        yield node
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                yield from _top_level(getattr(node, field, []))
        for handler in getattr(node, "handlers", []):
            yield from _top_level(handler.body)


def _names_given(node: ast.stmt) -> set[str]:
    """Names that an assignment or import gives; a star may give any, `ingest` too."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        names = {(one.asname or one.name).split(".")[0] for one in node.names}
        return names | {"ingest"} if "*" in names else names
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign):
        targets = [node.target]
    return {one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)}
