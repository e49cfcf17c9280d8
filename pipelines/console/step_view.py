"""A step as it would run: its resolved settings, its SQL, its checks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pipelines.console.words import clean

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledCheck, CompiledStep

_OWN_BLOCKS = {"name", "dq_checks", "retry", "timeout_seconds"}


def step_text(step: CompiledStep) -> str:
    """``step`` as one SQL script: what is no SQL stands in comments, so that it can be pasted.

    Secrets stay as the templates that ask for them.
    """
    blocks = [_head(step)]
    for name, view in step.pre_view_sql.items():
        blocks.append(_sql(f"pre_view {name}", view.file, view.text))
    if step.sql is not None:
        blocks.append(_sql("query", step.sql.file, step.sql.text))
    elif step.settings.script is not None:
        blocks.append(_comment(f"script: {step.settings.script}, no SQL"))
    else:
        blocks.append(_comment("the source is written as it is, no SQL"))
    blocks += [
        _sql(f"check, {_judged(check)}", check.sql.file, check.sql.text) for check in step.checks
    ]
    return clean("\n\n".join(blocks))


def _head(step: CompiledStep) -> str:
    settings = step.settings.model_dump(
        mode="json", by_alias=True, exclude=_OWN_BLOCKS, exclude_unset=True
    )
    retry = step.retry.model_dump(mode="json")
    limit = step.timeout_seconds
    facts: dict[str, Any] = {"step": step.id, "fingerprint": step.fingerprint, **settings}
    facts |= {"retry": retry, "timeout_seconds": "none" if limit is None else limit}
    return _comment("\n".join(line for key, value in facts.items() for line in _lines(key, value)))


def _lines(key: str, value: Any) -> list[str]:
    if not isinstance(value, dict):
        return [f"{key}: {_value(value)}"]
    return [f"{key}:", *(f"    {line}" for name, v in value.items() for line in _lines(name, v))]


def _value(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _judged(check: CompiledCheck) -> str:
    asked = [check.expectation.text] if check.expectation else []
    limits = {"warn_at": check.warn_at, "error_at": check.error_at}
    asked += [f"{name} {limit:g}" for name, limit in limits.items() if limit is not None]
    expected = ", ".join(asked) or "value = 0 or no rows"
    return f"expect {expected}, severity {check.severity}"


def _sql(what: str, file: str, text: str) -> str:
    origin = f" from {file}" if file else ""
    return f"{_comment(what + origin)}\n{text.strip()}"


def _comment(text: str) -> str:
    return "\n".join(f"-- {line}".rstrip() for line in text.splitlines())
