"""What went wrong in a template, as an error that says where and offers near names."""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2

from pipelines.errors import TemplateError, near_names

_ENGINE = Path(__file__).resolve().parents[2]
_UNDEFINED = re.compile(r"'([^']+)' is undefined|has no attribute '([^']+)'")


def template_error(
    error: Exception, names: Mapping[str, Any], file: str, line: int, root: Path
) -> TemplateError:
    """``error``, which rendering raised, with its place.

    Args:
        error: of Jinja or Python.
        names: what the template could use.
        file: where its text stands.
        line: line of ``file`` that the text begins on.
        root: the project's folder.
    """
    here = line - 1 + _line_of(error)
    if isinstance(error, jinja2.TemplateSyntaxError):
        said = f"template syntax: {error.message}"
        if error.name is not None:  # an included one
            return TemplateError(said, file=_shown(error.filename or error.name, root),
                                 line=error.lineno)  # fmt: skip
        return TemplateError(said, file=file, line=line - 1 + error.lineno)
    if isinstance(error, jinja2.TemplateNotFound):
        return TemplateError(f"template {error.name!r} does not exist", file=file, line=here)
    if isinstance(error, TemplateError):
        return TemplateError(error.message, file=file, line=here, near=error.near)
    if isinstance(error, MemoryError):
        return TemplateError("the template needs too much memory", file=file, line=here)
    message, hint = str(error) or type(error).__name__, ""
    near: tuple[str, ...] = ()
    if isinstance(error, jinja2.UndefinedError):
        match = _UNDEFINED.search(message)
        unknown = (match[1] or match[2]) if match else ""
        near = near_names(unknown, _all_names(names))
        if unknown in ("secret", "changes"):
            hint = "secret() works in datasources and notifications only" * (unknown == "secret")
        message = f"{message.replace('dict object', 'the value')}"
        if not near and not hint:
            hint = f"known names: {', '.join(sorted(names))}"
    return TemplateError(message, file=file, line=here, hint=hint, near=near)


def _shown(path: str, root: Path) -> str:
    """``path`` relative to the project; one of the engine's own by its folder and name."""
    for folder in (root, _ENGINE):
        if Path(path).is_relative_to(folder):
            return str(Path(path).relative_to(folder))
    return path


def _line_of(error: Exception) -> int:
    """Line within the template on which ``error`` arose; 1 if unknown."""
    lines = [
        frame.lineno
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename == "<template>" and frame.lineno
    ]
    return lines[-1] if lines else 1


def _all_names(names: Mapping[str, Any]) -> list[str]:
    nested = [key for value in names.values() if isinstance(value, Mapping) for key in value]
    return [*names, *(str(key) for key in nested)]
