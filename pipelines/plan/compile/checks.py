"""A step's checks as they will run, and what its settings do not allow them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import Finding, near_names
from pipelines.plan.compile.compiled import CompiledCheck, in_named_file
from pipelines.spec.check_file import read_check_header
from pipelines.spec.expectations import parse_expectation
from pipelines.spec.steps import KEYED_MODES

if TYPE_CHECKING:
    from pipelines.plan.compile.compiled import Sql
    from pipelines.plan.compile.templates import Place, Templates
    from pipelines.spec.steps import Destination, DqCheck

_NOTHING_WRONG = parse_expectation("value = 0")


class CheckCompiler:
    """Compiles the checks of one step.

    Args:
        templates: fills in templates and keeps what goes wrong.
        names: what the step's templates see.
        destination: of the step.
    """

    def __init__(
        self,
        templates: Templates,
        names: Mapping[str, Any],
        destination: Destination,
    ) -> None:
        self._templates, self._names, self._destination = templates, names, destination

    def compile(self, check: DqCheck, place: Place) -> CompiledCheck | None:
        """``check``, which the flow names at ``place``; None where something is wrong with it."""
        params = {**self._names["params"], **check.params}
        sql = self._templates.sql_file(check.file, {**self._names, "params": params}, place)
        if sql is None:
            return None
        header, findings = read_check_header(sql.text, sql.file)
        if findings:
            self._templates.findings += self._placed(sql, findings, place)
            return None
        values = header.values
        says_limit = check.warn_at is not None or check.error_at is not None
        expect = check.expect or (None if says_limit else values.get("expect"))
        warn_at, error_at = check.warn_at, check.error_at
        if expect is None and not says_limit:
            warn_at = float(values["warn_at"]) if "warn_at" in values else None
            error_at = float(values["error_at"]) if "error_at" in values else None
        compiled = CompiledCheck(
            sql=sql,
            expectation=parse_expectation(expect) if expect else None,
            severity=check.severity or values.get("severity", "error"),
            warn_at=warn_at,
            error_at=error_at,
            returns=values.get("returns", ""),
            header=header,
        )
        self._templates.findings += self._placed(sql, self._of_scope(compiled), place)
        return compiled

    def _of_scope(self, check: CompiledCheck) -> Iterator[Finding]:
        """What keeps a check from looking only at what a run touched."""
        scope, destination = check.header.scope, self._destination
        if not scope:
            return
        tells_more = check.expectation not in (None, _NOTHING_WRONG)
        if check.severity != "error" or tells_more or {check.warn_at, check.error_at} != {None}:
            # What a run did not touch would be neither counted nor told of again.
            yield self._bad_scope(
                check, "a check with a scope must be of severity 'error' and expect value = 0"
            )
        if destination.mode not in KEYED_MODES:
            return  # nobody knows there what a run touched, and all rows are looked at
        may_be = [*destination.keys, *filter(None, [destination.surrogate_key])]
        known = {name.lower() for name in may_be}
        for name in scope:
            if name not in known:
                message = f"the scope names {name!r}, which is no key of the step's destination"
                near = near_names(name, may_be)
                hint = "" if near else f"its keys: {', '.join(may_be)}"
                yield replace(self._bad_scope(check, message), near=near, hint=hint)

    def _bad_scope(self, check: CompiledCheck, message: str) -> Finding:
        lines = enumerate(check.sql.text.splitlines(), start=1)
        line = next(number for number, text in lines if "scope" in text.lower())
        return Finding("bad-header", message, file=check.sql.file, line=line, column=1)

    def _placed(self, sql: Sql, findings: Iterable[Finding], place: Place) -> Iterator[Finding]:
        for finding in findings:
            line, column = sql.in_template(finding.line, finding.column)
            at = replace(finding, line=line, column=column)
            yield in_named_file(at, self._templates.document, place)
