"""Pydantic's complaints as findings with a place in the file and the near name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ValidationError

from pipelines.errors import Finding, near_names, shorten
from pipelines.spec.templated import NAME_PATTERN

if TYPE_CHECKING:
    from pipelines.spec.yaml_document import Document

Model = TypeVar("Model", bound=BaseModel)
Place = Sequence["str | int"]

_MESSAGES = {
    "string_type": "expected text",
    "int_type": "expected a whole number",
    "int_from_float": "expected a whole number",
    "float_type": "expected a number",
    "bool_type": "expected true or false",
    "bool_parsing": "expected true or false",
    "int_parsing": "expected a whole number",
    "float_parsing": "expected a number",
    "tuple_type": "expected a list",
    "list_type": "expected a list",
    "dict_type": "expected a mapping of keys to values",
    "model_type": "expected a mapping of keys to values",
    "model_attributes_type": "expected a mapping of keys to values",
    "too_short": "must not be empty",
}
_CODES: dict[str, tuple[str, str, bool]] = {
    **{kind: ("bad-type", message, True) for kind, message in _MESSAGES.items()},
    **dict.fromkeys(
        ("greater_than", "greater_than_equal", "less_than", "less_than_equal"),
        ("bad-value", "", True),
    ),
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        ("bad-value", "expected a day as YYYY-MM-DD", True),
    ),
    "rows": ("bad-type", "", True),
    "string_too_long": ("bad-name", "", True),
    "string_too_short": ("bad-value", "must not be empty", True),
    "string_pattern_mismatch": (
        "bad-name",
        "letters, digits and underscores only, not starting with a digit",
        True,
    ),
}


def validate(
    model: type[Model], tree: Any, document: Document, at: Place = (), *, strict: bool = True
) -> tuple[Model | None, list[Finding]]:
    """``tree`` as a ``model``, or the findings that say why not.

    Args:
        model: what the tree should be.
        tree: plain values.
        document: where they come from, for the places.
        at: place of ``tree`` in the document.
        strict: whether a number in quotes is an error; after rendering it is not.
    """
    try:
        if strict:
            return model.model_validate_json(json.dumps(tree), strict=True), []
        return model.model_validate(tree), []
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=True)
        return None, _findings(model, tree, document, at, problems)


def _findings(
    model: type[BaseModel], tree: Any, document: Document, at: Place, problems: Iterable[Any]
) -> list[Finding]:
    schema = model.model_json_schema()
    seen: set[tuple[str, tuple[str | int, ...]]] = set()
    findings = []
    for problem in problems:
        place, value = _walk(tree, problem["loc"])
        kind = problem["type"]
        # pydantic calls a list too short whose items are wrong; those have findings of their own.
        if (kind, place) in seen or (kind == "too_short" and value):
            continue
        seen.add((kind, place))
        findings.append(_finding(kind, problem, place, value, (document, at, schema)))
    return _one_for_each_value(findings)


def _one_for_each_value(findings: Iterable[Finding]) -> list[Finding]:
    """A value that could be of several types, and is of none, makes one finding of them all."""
    merged: dict[object, Finding] = {}
    for number, finding in enumerate(findings):
        key = finding.path if finding.code == "bad-type" else number
        if key in merged:
            other = finding.message.removeprefix("expected ")
            if other not in merged[key].message:
                message = f"{merged[key].message} or {other}"
                merged[key] = replace(merged[key], message=message)
        else:
            merged[key] = finding
    return list(merged.values())


def _finding(
    kind: str,
    problem: Mapping[str, Any],
    place: tuple[str | int, ...],
    value: Any,
    context: tuple[Document, Place, Mapping[str, Any]],
) -> Finding:
    document, at, schema = context
    full = (*at, *place)
    text = str(problem["msg"])
    last = str(problem["loc"][-1]) if problem["loc"] else ""
    if kind == "extra_forbidden":
        keys = _keys_at(schema, place[:-1])
        near = near_names(last, keys)
        hint = "" if near else f"known here: {', '.join(sorted(keys))}"
        return document.finding(
            "unknown-key", f"unknown key {last!r}", full, key=True, near=near, hint=hint
        )
    if kind == "missing":
        return document.finding("missing-key", f"key {last!r} is missing", full, key=True)
    if kind in ("literal_error", "enum"):
        allowed = problem["ctx"]["expected"].replace("'", "").replace(" or ", ", ").split(", ")
        message, near = f"expected one of {', '.join(allowed)}", near_names(str(value), allowed)
        return document.finding("bad-value", message, full, found=shorten(value), near=near)
    code, message, shows_value = _CODES.get(kind, (kind.replace("_", "-"), "", False))
    if kind == "string_pattern_mismatch" and problem["ctx"]["pattern"] != NAME_PATTERN:
        message = f"does not match {problem['ctx']['pattern']}"
    is_secret = any("writeOnly" in node for node in _nodes_at(schema, place))
    found = shorten(value) if shows_value and not is_secret else ""
    return document.finding(code, message or _lower_first(text), full, found=found)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


def _walk(root: Any, loc: Iterable[str | int]) -> tuple[tuple[str | int, ...], Any]:
    """The part of ``loc`` that is a place in ``tree`` (pydantic adds names of its own)."""
    tree: Any = root
    place: list[str | int] = []
    for part in loc:
        is_key = isinstance(tree, dict) and part in tree
        if is_key or (isinstance(tree, list) and part in range(len(tree))):
            tree = tree[part]
            place.append(part)
    return tuple(place), tree


def _keys_at(schema: Mapping[str, Any], place: Place) -> set[str]:
    """The keys that the schema knows at ``place``."""
    return {key for node in _nodes_at(schema, place) for key in node.get("properties", ())}


def _nodes_at(schema: Mapping[str, Any], place: Place) -> list[Mapping[str, Any]]:
    """What the schema says of ``place``, all variants."""
    nodes = [schema]
    for part in place:
        nodes = [child for node in nodes for child in _children(schema, node, part)]
    return [variant for node in nodes for variant in _variants(schema, node)]


def _children(
    schema: Mapping[str, Any], node: Mapping[str, Any], part: str | int
) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    for variant in _variants(schema, node):
        if isinstance(part, int):
            child = variant.get("items")
        else:
            child = variant.get("properties", {}).get(part, variant.get("additionalProperties"))
        if isinstance(child, dict):
            found.append(child)
    return found


def _variants(schema: Mapping[str, Any], node: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in node:
        node = {**schema["$defs"][node["$ref"].rsplit("/", 1)[-1]], **node}
    nested = [child for key in ("anyOf", "allOf", "oneOf") for child in node.get(key, ())]
    return [node, *(variant for child in nested for variant in _variants(schema, child))]
