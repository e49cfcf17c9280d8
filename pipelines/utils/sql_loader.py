"""SQL files and template text rendered with Jinja2: sandboxed, undefined names are errors.

The sandbox keeps templates from reaching Python's internals and from growing without bound. It
is no wall against hostile authors of SQL: whoever writes SQL holds Spark's rights anyway.
"""

from __future__ import annotations

import hashlib
import math
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from pipelines.errors import TemplateError, near_names

ENGINE_TEMPLATES = Path(__file__).resolve().parent.parent / "sql_templates"
PROJECT_TEMPLATES = Path("sql") / "templates"
MAX_TEXT = 4 * 1024 * 1024
MAX_REPEAT = 100_000
MAX_EXPONENT = 64
_UNDEFINED = re.compile(r"'([^']+)' is undefined|has no attribute '([^']+)'")
_NAME = re.compile(r"(?<!\{)\{\{ *([A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*) *\}\}", re.ASCII)
_WORDS_OF_JINJA = frozenset({"true", "false", "none", "True", "False", "None"})


@dataclass(frozen=True)
class RenderedSql:
    """SQL as it runs.

    Attributes:
        text: the rendered statement.
        file: file it came from, relative to the project; empty for SQL in the YAML.
        template: the file's text.
    """

    text: str
    file: str = ""
    template: str = ""

    @property
    def sha256(self) -> str:
        """Of the text."""
        return hashlib.sha256(self.text.encode()).hexdigest()


class SqlLoader:
    """Renders the templates of one project.

    Args:
        project_dir: files outside of it, also through links and `..`, are refused.
        template_dirs: where `{% import %}` and `{% include %}` look; by default the project's
            `sql/templates/`, then the engine's own.
    """

    def __init__(self, project_dir: Path, template_dirs: Sequence[Path] | None = None) -> None:
        self.project_dir = project_dir.resolve()
        dirs = (
            template_dirs
            if template_dirs is not None
            else (self.project_dir / PROJECT_TEMPLATES, ENGINE_TEMPLATES)
        )
        self._environment = _Environment(
            undefined=jinja2.StrictUndefined,
            loader=_ConfinedLoader([str(folder) for folder in dirs]),
            autoescape=False,
            finalize=_printable,
            keep_trailing_newline=True,
            cache_size=2_000,
        )
        self._environment.filters["sql_literal"] = sql_literal
        self._environment.filters["sql_identifier"] = sql_identifier
        self._compile = lru_cache(maxsize=20_000)(self._environment.from_string)
        # A flow names many files in few folders.
        self._real_folder: Callable[[Path], Path] = lru_cache(maxsize=1_000)(Path.resolve)

    def render_text(
        self, text: str, names: Mapping[str, Any], *, file: str = "", line: int = 1
    ) -> str:
        """``text`` with its templates filled in from ``names``.

        Args:
            text: what to render.
            names: what the templates may use.
            file: where the text stands, for messages.
            line: line of ``file`` that the text begins on.

        Raises:
            TemplateError: bad syntax, an undefined name, or a forbidden operation.
        """
        if "{{" not in text and "{%" not in text and "{#" not in text:
            return text
        try:
            rendered = _with_names_filled_in(text, names)
            if rendered is None:
                rendered = self._compile(text).render(names)
        except (jinja2.TemplateError, TemplateError, ArithmeticError, TypeError, ValueError,
                LookupError, RecursionError, AttributeError, OSError,
                MemoryError) as error:  # fmt: skip
            raise _template_error(error, names, file, line, self.project_dir) from None
        if len(rendered) > MAX_TEXT:
            raise TemplateError(
                f"the rendered text is longer than {MAX_TEXT} characters", file=file, line=line
            )
        return rendered

    def render_file(self, path: str, names: Mapping[str, Any]) -> RenderedSql:
        """The SQL file at ``path``, relative to the project, rendered.

        Raises:
            TemplateError: the file cannot be read, or its template cannot be rendered.
        """
        template = self.read_file(path)
        return RenderedSql(self.render_text(template, names, file=path), path, template)

    def read_file(self, path: str) -> str:
        """The text of a file of the project.

        Raises:
            TemplateError: there is none, it is outside of the project, or it is not UTF-8.
        """
        try:
            named = self.project_dir / path
            file = self._real_folder(named.parent) / named.name
            if file.is_symlink() or named.name == "..":
                file = file.resolve()
            if not file.is_relative_to(self.project_dir):
                raise TemplateError(
                    "the file is outside of the project",
                    file=path,
                    hint="paths are relative to the project and stay inside of it",
                    code="outside-file",
                )
            if file.stat().st_size > MAX_TEXT:
                raise ValueError(f"it is larger than {MAX_TEXT} bytes")
            return file.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            siblings = [sibling.name for sibling in file.parent.glob("*")]
            near = [str(Path(path).with_name(name)) for name in near_names(file.name, siblings)]
            raise TemplateError(
                "the file does not exist", file=path, near=near, code="missing-file"
            ) from None
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: links in a circle
            why = getattr(error, "strerror", None) or str(error)
            raise TemplateError(
                f"the file cannot be read: {why}", file=path, code="unreadable-file"
            ) from None


def sql_literal(value: Any) -> str:
    """``value`` as a literal of Spark SQL, safely quoted."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return f"double('{value}')"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def sql_identifier(value: str) -> str:
    """``value`` as an identifier of Spark SQL, each dotted part in backticks."""
    return ".".join(f"`{part.replace('`', '``')}`" for part in str(value).split("."))


def _with_names_filled_in(text: str, names: Mapping[str, Any]) -> str | None:
    """``text`` as Jinja would render it; None where it takes more than looking up plain values.

    Most templates only name values, and Jinja takes a hundred times as long to compile one.
    """
    if "{%" in text or "{#" in text or "\r" in text:
        return None
    parts = _NAME.split(text)
    for number, part in enumerate(parts):
        if number % 2 == 0:
            if "{{" in part:
                return None
            continue
        value: Any = names
        for key in part.split("."):
            if not isinstance(value, Mapping) or key not in value or key in _WORDS_OF_JINJA:
                return None
            value = value[key]
        if type(value) not in (str, int):
            return None
        parts[number] = str(value)
    return "".join(parts)


def _printable(value: Any) -> Any:
    """``value``, which is about to be put into a text; a list may hold undefined names too."""
    nested = value.values() if isinstance(value, Mapping) else value
    if isinstance(value, Mapping | list | tuple | set | frozenset):
        for one in nested:
            if isinstance(one, jinja2.Undefined):
                str(one)  # raises, as it does by itself
            _printable(one)
    return value


class _CodeGenerator(jinja2.compiler.CodeGenerator):
    """Lets `~` pass through the environment, which the sandbox leaves alone."""

    def visit_Concat(self, node: Any, frame: Any) -> None:
        self.write("environment.join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")


class _Environment(ImmutableSandboxedEnvironment):
    """The sandbox, with limits on repetition and with mappings read by key first."""

    intercepted_binops = frozenset(["*", "**", "+"])
    code_generator_class = _CodeGenerator

    def join_texts(self, parts: Sequence[Any]) -> str:
        """What `~` gives."""
        text = "".join(str(part) for part in parts)
        if len(text) > MAX_TEXT:
            raise SecurityError("the text grows too long")
        return text

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        is_of_text = isinstance(getattr(__obj, "__self__", None), str)
        if is_of_text and any(isinstance(one, int) and one > MAX_REPEAT for one in args):
            raise SecurityError("the text grows too long")
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        if operator == "**" and (abs(left) > MAX_REPEAT or abs(right) > MAX_EXPONENT):
            raise SecurityError("the power is too large")
        for one, other in ((left, right), (right, left)):
            repeats = isinstance(one, str | list | tuple) and isinstance(other, int)
            if repeats and len(one) * other > MAX_REPEAT:
                raise SecurityError("the repetition is too long")
        is_joined = operator == "+" and isinstance(left, str | list | tuple)
        if is_joined and len(left) + len(right) > MAX_TEXT:
            raise SecurityError("the text grows too long")
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)


class _ConfinedLoader(jinja2.FileSystemLoader):
    """Looks in its folders only; a link that leads out of them is refused."""

    def get_source(self, environment: jinja2.Environment, template: str) -> Any:
        text, filename, uptodate = super().get_source(environment, template)
        roots = [Path(folder).resolve() for folder in self.searchpath]
        if not any(Path(filename).resolve().is_relative_to(root) for root in roots):
            raise jinja2.TemplateNotFound(template, "the template is outside of its folder")
        return text, filename, uptodate


def _template_error(
    error: Exception, names: Mapping[str, Any], file: str, line: int, root: Path
) -> TemplateError:
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
    for folder in (root, ENGINE_TEMPLATES.parent):
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
