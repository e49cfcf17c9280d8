"""Strict YAML: a tree of plain values, the place of each in the file, and all problems at once.

Stricter than PyYAML on purpose: YAML 1.2's words for booleans and numbers only (`no`, `12:30`
and `010` stay text), no tags, no duplicate keys, string keys only, and limits on size, depth
and on what aliases expand to.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from yaml.composer import ComposerError

from pipelines.errors import Finding, shorten

MAX_BYTES = 32 * 1024 * 1024
MAX_DEPTH = 40
MAX_NODES = 2_000_000
MAX_ALIAS_NODES = 20_000
MAX_DIGITS = 18

_BaseLoader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
_INT = re.compile(r"[-+]?(0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_LEADING_ZERO = re.compile(r"[-+]?0[0-9]+\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("null", "Null", "NULL", "~", ""), None),
}
_KNOWN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "map", "seq"))

Path_ = tuple["str | int", ...]


@dataclass(frozen=True)
class Document:
    """A YAML file as plain values.

    Attributes:
        file: the file's name as messages show it.
        text: what was read.
        tree: dicts, lists, strings, numbers, booleans and None.
        findings: what is wrong with the YAML itself.
    """

    file: str
    text: str
    tree: Any
    findings: tuple[Finding, ...] = ()
    _root: Any = field(default=None, repr=False, compare=False)

    def locate(self, path: Sequence[str | int], *, key: bool = False) -> tuple[int, int]:
        """Line and column, from 1, of the value at ``path``, or of its key.

        Parts of the path that the document lacks are left out, so that the place of a
        missing key is its parent's.
        """
        node, mark = self._root, getattr(self._root, "start_mark", None)
        for part in path:
            step = _child(node, part)
            if step is None:
                continue
            key_node, node = step
            mark = (key_node if key and key_node is not None else node).start_mark
        return (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)

    def finding(
        self, code: str, message: str, path: Sequence[str | int], *, key: bool = False, **more: Any
    ) -> Finding:
        """A finding at ``path`` of this document."""
        line, column = self.locate(path, key=key)
        return Finding(
            code, message, file=self.file, line=line, column=column, path=path_text(path), **more
        )


def path_text(path: Sequence[str | int]) -> str:
    """``("stages", 0, "name")`` as ``stages[0].name``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def read_document(path: Path, *, shown_as: str = "") -> Document:
    """The file at ``path``, read strictly.

    Never raises for what the file holds: look at ``findings``.
    """
    name = shown_as or str(path)
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"the file is larger than {MAX_BYTES // 2**20} MiB")
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Document(name, "", None, (_unreadable(name, f"cannot be read: {why}"),))
    document = parse_document(text, name)
    if document.tree is None and not document.findings:
        return replace(document, findings=(_unreadable(name, "the file is empty"),))
    return document


def parse_document(text: str, name: str) -> Document:
    """``text`` as a document called ``name`` in messages."""
    try:
        root = _compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        return Document(name, text, None, (_unreadable(name, f"not valid YAML: {problem}", mark),))
    except (yaml.YAMLError, ValueError) as error:
        return Document(name, text, None, (_unreadable(name, f"not valid YAML: {error}"),))
    builder = _Builder(name)
    tree = builder.value(root, (), 0) if root is not None else None
    # Of a document that is too large no part is worth a look.
    return Document(name, text, None if builder.stopped else tree, tuple(builder.findings), root)


def _compose(text: str) -> Any:
    """The root node of ``text``; None where it is empty.

    A loop over events, since the composer of the YAML library recurses: a deep enough file
    would take the whole process down.
    """
    root: Any = None
    open_nodes: list[Any] = []
    anchors: dict[str, Any] = {}
    for event in yaml.parse(text, Loader=_BaseLoader):
        mark: Any = event.start_mark
        if isinstance(event, yaml.DocumentStartEvent) and root is not None:
            raise ComposerError(None, None, "one document a file, found a second", mark)
        if isinstance(event, yaml.CollectionEndEvent):
            open_nodes.pop()
        if not isinstance(event, yaml.NodeEvent):
            continue
        node = _node(event, anchors, mark)
        if open_nodes:
            _attach(open_nodes[-1], node)
        else:
            root = node
        if isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append(node)
            if len(open_nodes) > MAX_DEPTH + 1:
                raise ComposerError(None, None, f"nested deeper than {MAX_DEPTH}", mark)
    return root


def _node(event: Any, anchors: dict[str, Any], mark: Any) -> Any:
    """The node that ``event`` begins, or the one that an alias means."""
    if isinstance(event, yaml.AliasEvent):
        if event.anchor not in anchors:
            raise ComposerError(None, None, f"unknown alias {event.anchor!r}", mark)
        return anchors[event.anchor]
    end: Any = event.end_mark
    node: Any
    if isinstance(event, yaml.ScalarEvent):
        value: Any = event.value
        node = yaml.ScalarNode(event.tag or "", value, mark, end, style=event.style)
    elif isinstance(event, yaml.MappingStartEvent):
        node = yaml.MappingNode(event.tag or "", [], mark, end)
    else:
        node = yaml.SequenceNode(event.tag or "", [], mark, end)
    if event.anchor is not None:
        anchors[event.anchor] = node
    return node


def _attach(parent: Any, node: Any) -> None:
    """Adds ``node`` to ``parent``: an item, or a key and then its value."""
    if isinstance(parent, yaml.SequenceNode):
        parent.value.append(node)
    elif parent.value and parent.value[-1][1] is None:
        parent.value[-1] = (parent.value[-1][0], node)
    else:
        parent.value.append((node, None))


class _Builder:
    """Turns nodes into values, gathering findings; one for each document."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.findings: list[Finding] = []
        self.nodes = 0
        self.seen: set[int] = set()
        self.alias_nodes = 0
        self.stopped = False

    def value(self, node: Any, path: Path_, depth: int, in_alias: bool = False) -> Any:
        if self.stopped:
            return None
        self.nodes += 1
        if not isinstance(node, yaml.ScalarNode):
            in_alias = in_alias or id(node) in self.seen
            self.seen.add(id(node))
        self.alias_nodes += in_alias
        if depth > MAX_DEPTH or self.nodes > MAX_NODES or self.alias_nodes > MAX_ALIAS_NODES:
            self.stopped = True
            what = "nesting" if depth > MAX_DEPTH else "size after expanding aliases"
            self.add("too-large", f"the document's {what} is beyond the limit", node, path)
            return None
        if isinstance(node, yaml.MappingNode):
            self.tag(node, path)
            return self.mapping(node, path, depth, in_alias)
        if isinstance(node, yaml.SequenceNode):
            self.tag(node, path)
            return [
                self.value(item, (*path, number), depth + 1, in_alias)
                for number, item in enumerate(node.value)
            ]
        return self.scalar(node, path)

    def mapping(self, node: Any, path: Path_, depth: int, in_alias: bool) -> dict[str, Any]:
        values: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        first_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None:
                hint = "a template that a value begins with stands in quotes: '{{ … }}'"
                self.add("bad-key", "a key must be plain text", key_node, path, hint)
                continue
            if key in first_lines:
                message = f"key {key!r} stands twice; the first is on line {first_lines[key]}"
                self.add("duplicate-key", message, key_node, (*path, key))
                continue
            first_lines[key] = key_node.start_mark.line + 1
            if key == "<<" and not key_node.style:
                self.merge(value_node, path, depth, merged)
                continue
            values[key] = self.value(value_node, (*path, key), depth + 1, in_alias)
        return {**merged, **values}

    def merge(self, node: Any, path: Path_, depth: int, into: dict[str, Any]) -> None:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        for source in reversed(sources):
            if isinstance(source, yaml.MappingNode):
                self.seen.add(id(source))
                into.update(self.value(source, path, depth + 1) or {})
            else:
                self.add("bad-merge", "'<<' takes an alias of a mapping", node, path)

    def scalar(self, node: Any, path: Path_) -> Any:
        text: str = node.value
        self.tag(node, path)
        if node.style in ("'", '"', "|", ">") or node.tag not in (None, "", "!"):
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.match(text):
            return int(text) if len(text) <= MAX_DIGITS else text
        if _FLOAT.match(text) and not _LEADING_ZERO.match(text):
            return float(text)
        return text

    def tag(self, node: Any, path: Path_) -> None:
        if node.tag not in (None, "", "!") and node.tag not in _KNOWN_TAGS:
            self.add("tag", f"tags such as {shorten(node.tag)} are not allowed", node, path)

    def add(self, code: str, message: str, node: Any, path: Path_, hint: str = "") -> None:
        mark = node.start_mark
        self.findings.append(
            Finding(
                code,
                message,
                file=self.name,
                line=mark.line + 1,
                column=mark.column + 1,
                path=path_text(path),
                hint=hint,
            )
        )


def _unreadable(name: str, message: str, mark: Any = None) -> Finding:
    line, column = (mark.line + 1, mark.column + 1) if mark is not None else (0, 0)
    return Finding("unreadable", message, file=name, line=line, column=column)


def _child(node: Any, part: str | int) -> tuple[Any, Any] | None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value_node in node.value:
            if getattr(key_node, "value", None) == part:
                return key_node, value_node
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
        return (None, node.value[part]) if part < len(node.value) else None
    return None
