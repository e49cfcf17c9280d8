"""SQL files and template text rendered with Jinja2: sandboxed, undefined names are errors.

The sandbox keeps templates from reaching Python's internals and from growing without bound. It
is no wall against hostile authors of SQL: whoever writes SQL holds Spark's rights anyway.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from stat import S_ISREG
from typing import Any

import jinja2

from pipelines.errors import TemplateError, near_names
from pipelines.utils.sql_loader.messages import template_error
from pipelines.utils.sql_loader.quoting import sql_identifier, sql_literal
from pipelines.utils.sql_loader.sandbox import MAX_TEXT, LimitedEnvironment

ENGINE_TEMPLATES = Path(__file__).resolve().parents[2] / "sql_templates"
PROJECT_TEMPLATES = Path("sql") / "templates"
MAX_TAGS = 20_000
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
        self._environment = LimitedEnvironment(
            undefined=jinja2.StrictUndefined,
            loader=_ConfinedLoader([str(folder) for folder in dirs]),
            autoescape=False,
            keep_trailing_newline=True,
            cache_size=2_000,
        )
        self._environment.add_filter("sql_literal", sql_literal)
        self._environment.add_filter("sql_identifier", sql_identifier)
        self._compile = lru_cache(maxsize=20_000)(self._environment.from_string)
        # A flow names many files in few folders.
        self._folder: Callable[[str], tuple[Path, bool]] = lru_cache(maxsize=1_000)(self._look_up)

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
                self._environment.start_counting()
                rendered = self._compiled(text).render(names)
        except (jinja2.TemplateError, TemplateError, ArithmeticError, TypeError, ValueError,
                LookupError, RecursionError, AttributeError, OSError,
                MemoryError, SyntaxError) as error:  # fmt: skip
            raise template_error(error, names, file, line, self.project_dir) from None
        if len(rendered) > MAX_TEXT:
            raise TemplateError(
                f"the rendered text is longer than {MAX_TEXT} characters", file=file, line=line
            )
        return rendered

    def _look_up(self, folder: str) -> tuple[Path, bool]:
        """Where ``folder`` really is, and whether that is in the project."""
        real = (self.project_dir / folder).resolve()
        return real, real.is_relative_to(self.project_dir)

    def _compiled(self, text: str) -> jinja2.Template:
        if text.count("{{") + text.count("{%") > MAX_TAGS:
            raise ValueError(f"the template has more than {MAX_TAGS} tags")
        return self._compile(text)

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
            before, _, name = path.rpartition("/")
            folder, is_inside = self._folder(f"/{before}" if path.startswith("/") else before)
            file = folder / name
            if is_inside and not S_ISREG(file.lstat().st_mode):
                file = file.resolve()
                is_inside = file.is_relative_to(self.project_dir)
            if not is_inside:
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


class _ConfinedLoader(jinja2.FileSystemLoader):
    """Looks in its folders only; a link that leads out of them is refused."""

    def get_source(self, environment: jinja2.Environment, template: str) -> Any:
        text, filename, uptodate = super().get_source(environment, template)
        roots = [Path(folder).resolve() for folder in self.searchpath]
        if not any(Path(filename).resolve().is_relative_to(root) for root in roots):
            raise jinja2.TemplateNotFound(template, "the template is outside of its folder")
        return text, filename, uptodate
