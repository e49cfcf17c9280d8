"""Templates of a flow filled in, each failure a finding with its place in the YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from pipelines.errors import Finding, TemplateError, shorten
from pipelines.plan.compile.compiled import Sql, in_named_file
from pipelines.plan.scripts import script_problem
from pipelines.spec.templated import is_template

if TYPE_CHECKING:
    from pipelines.spec.yaml_document import Document

Place = tuple["str | int", ...]


class Rendered(Protocol):
    """SQL as it runs, and the file that it came from."""

    @property
    def text(self) -> str:
        """The statement."""

    @property
    def file(self) -> str:
        """The file, relative to the project."""

    @property
    def template(self) -> str:
        """The file's text."""


class Renderer(Protocol):
    """What compiling needs of a template engine."""

    def render_text(
        self, text: str, names: Mapping[str, Any], *, file: str = "", line: int = 1
    ) -> str:
        """``text`` filled in."""

    def render_file(self, path: str, names: Mapping[str, Any]) -> Rendered:
        """A file of the project, filled in."""

    def read_file(self, path: str) -> str:
        """A file of the project."""


class Templates:
    """Fills in the templates of one flow, gathering what goes wrong in ``findings``."""

    def __init__(self, renderer: Renderer, document: Document) -> None:
        self.renderer, self.document = renderer, document
        self.findings: list[Finding] = []

    def tree(self, value: Any, names: Mapping[str, Any], place: Place) -> Any:
        """``value`` with every text in it rendered."""
        if isinstance(value, dict):
            return {key: self.tree(item, names, (*place, key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item, names, (*place, n)) for n, item in enumerate(value)]
        return self.text_or_value(value, names, place)

    def text_or_value(self, value: Any, names: Mapping[str, Any], place: Place) -> Any:
        """``value`` rendered where it is a template, else as it is."""
        return self.text(value, names, place) if is_template(value) else value

    def text(self, text: str, names: Mapping[str, Any], place: Place, *, file: str = "") -> str:
        """``text`` rendered; empty where that failed."""
        if not is_template(text):
            return text
        try:
            return self.renderer.render_text(text, names, file=file or self.document.file)
        except TemplateError as error:
            if file:
                self.add_template_error(TemplateError(error.message, file=file), place)
            else:
                self.add_template_error(error, place)
            return ""

    def sql_file(self, path: str, names: Mapping[str, Any], place: Place) -> Sql | None:
        """A file of the project as a statement; None where that failed."""
        try:
            rendered = self.renderer.render_file(path, names)
        except TemplateError as error:
            self.add_template_error(error, place)
            return None
        if not rendered.text.strip():
            message = f"{rendered.file} holds no SQL"
            self.findings.append(self.document.finding("empty-sql", message, place))
            return None
        return Sql(rendered.text, rendered.file, rendered.template)

    def file_text(self, path: str, place: Place) -> str:
        """A file of the project as it stands; empty where that failed."""
        try:
            return self.renderer.read_file(path)
        except TemplateError as error:
            self.add_template_error(error, place)
            return ""

    def script_text(self, path: str, place: Place) -> str:
        """A Python file that is to be a step; what keeps it from being one is a finding."""
        failed = len(self.findings)
        text = self.file_text(path, place)
        problem = script_problem(text) if len(self.findings) == failed else None
        if problem is not None:
            finding = self.document.finding(
                problem.code,
                problem.message,
                place,
                hint="define ingest(spark, context) at the top level; it returns a DataFrame",
            )
            elsewhere = replace(finding, file=path, line=problem.line, column=0)
            self.findings.append(in_named_file(elsewhere, self.document, place))
        return text

    def add_template_error(self, error: TemplateError, place: Place) -> None:
        """Notes a failure; a template's is told where it arose, a file's where it is named."""
        finding = self.document.finding(
            error.code, error.message, place, hint=error.hint, near=error.near
        )
        if error.code != "template":
            finding = replace(finding, found=shorten(error.file))
        elif error.file not in ("", self.document.file):
            elsewhere = replace(finding, file=error.file, line=error.line, column=0)
            finding = in_named_file(elsewhere, self.document, place)
        self.findings.append(finding)
