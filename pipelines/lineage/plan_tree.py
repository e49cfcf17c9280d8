"""Column lineage out of Spark's analysed plan, as the JSON that Catalyst prints of it.

Catalyst has resolved every name by then: stars are spelt out, CTEs and views followed, and each
attribute has an id. A node is an object with its class, its count of children, and its fields; a
tree is the list of its nodes, each before its children. Expressions are such lists too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pipelines.lineage.columns import ColumnRef, StatementColumns

_PACKAGE = "org.apache.spark.sql.catalyst."
_LEFT_ONLY = ("LeftSemi", "LeftAnti")
# Fields whose expressions decide which rows there are, not what stands in them.
_ROW_FIELDS = ("condition", "groupingExpressions", "partitionSpec", "orderSpec")
_NAMED_IN = {
    "Project": "projectList",
    "Aggregate": "aggregateExpressions",
    "Window": "windowExpressions",
}
_SIDE_BY_SIDE = ("Union", "Intersect", "Except", "UnionLoop")
Ids = Iterable[int]


def columns_of_plan(nodes: Sequence[Mapping[str, Any]]) -> StatementColumns:
    """Where the columns of a plan come from.

    Args:
        nodes: the analysed plan of a query, parsed from ``plan.toJSON()``; temp views in it
            are the tables that the answer names.
    """
    reader = _PlanReader()
    output = reader.read(_tree(nodes))
    names = reader.names
    values = {names[one]: frozenset(reader.sources([one])) for one in output}
    return StatementColumns(values, frozenset(reader.sources(reader.deciding)))


class _Node:
    """A node of a plan or an expression with its children."""

    def __init__(self, fields: Mapping[str, Any]) -> None:
        self.fields = fields
        self.kind: str = fields["class"].rsplit(".", 1)[-1]
        self.children: list[_Node] = []


def _tree(nodes: Sequence[Mapping[str, Any]]) -> _Node:
    """The tree that a list of nodes, each before its children, stands for."""
    pending = iter(nodes)

    def build() -> _Node:
        node = _Node(next(pending))
        node.children = [build() for _ in range(node.fields["num-children"])]
        return node

    return build()


class _PlanReader:
    """Follows attribute ids through a plan.

    Attributes:
        names: of attributes, by id.
        deciding: ids of attributes by which rows are kept, joined or grouped.
    """

    def __init__(self) -> None:
        self.names: dict[int, str] = {}
        self.deciding: set[int] = set()
        self._made_of: dict[int, set[int]] = defaultdict(set)
        self._columns: dict[int, ColumnRef] = {}
        self._common: dict[int, list[int]] = {}

    def sources(self, ids: Ids) -> Iterator[ColumnRef]:
        """The columns of tables that attributes go back to."""
        pending, seen = list(ids), set[int]()
        while pending:
            one = pending.pop()
            if one in seen:
                continue
            seen.add(one)
            if one in self._columns:
                yield self._columns[one]
            pending += self._made_of.get(one, ())

    def read(self, node: _Node, view: str = "") -> list[int]:
        """The ids of what a plan's node gives, in order; all below it is followed on the way.

        Args:
            node: of a plan.
            view: the temp view that it is in.
        """
        kind, fields = node.kind, node.fields
        if kind == "SubqueryAlias" and node.children[0].kind == "View":
            view = _text(fields.get("identifier"))
        if kind == "WithCTE":
            return self._with_common(node, view)
        below = []
        for child in node.children:
            below.append(self.read(child, view))
            if kind == "UnionLoop":  # its second part reads what the first gives
                self._common.setdefault(_number(fields["id"]), below[0])
        if kind not in ("Window", "Sort"):  # their fields of those names decide no row
            for name in _ROW_FIELDS:
                self.deciding |= set(self._expressions(fields.get(name)))
        if kind in ("CTERelationRef", "UnionLoopRef"):
            return self._reference(fields)
        if kind in _NAMED_IN:
            made = [self._named(expression) for expression in fields[_NAMED_IN[kind]]]
            return [*below[0], *made] if kind == "Window" else made
        if kind == "Join":
            return self._join(fields, below)
        if kind in _SIDE_BY_SIDE:
            return self._merged(below)
        return self._any_other(fields, below, view) if below else self._leaf(fields, view)

    def _merged(self, below: list[list[int]]) -> list[int]:
        """A union or the like, whose columns are those of its first part by place."""
        for others in below[1:]:
            for first, other in zip(below[0], others, strict=False):
                self._made_of[first].add(other)
        return below[0]

    def _any_other(self, fields: Mapping[str, Any], below: list[list[int]], view: str) -> list[int]:
        """A node that gives what is below it, or attributes of its own made of all it names."""
        generated = self._attributes(fields.get("generatorOutput") or [])
        given = generated or self._attributes(fields.get("output") or [])
        passed_on = [one for ids in below for one in ids]
        used = set(self._expressions({k: v for k, v in fields.items() if k != "child"}))
        for one in given:
            self._made_of[one] |= (used or set(passed_on)) - {one}
        return [*passed_on, *generated] if generated or not given else given

    def _with_common(self, node: _Node, view: str) -> list[int]:
        """A plan with its CTEs, which come after it in the list of children, or before."""
        definitions = [child for child in node.children if child.kind == "CTERelationDef"]
        for definition in definitions:
            number = _number(definition.fields["id"])
            self._common[number] = self.read(definition.children[0], view)
        (plan,) = (child for child in node.children if child.kind != "CTERelationDef")
        return self.read(plan, view)

    def _reference(self, fields: Mapping[str, Any]) -> list[int]:
        """A place where a CTE is read: ids of its own, one for each of the CTE's."""
        output = self._attributes(fields["output"])
        number = _number(fields.get("cteId", fields.get("loopId")))
        for own, original in zip(output, self._common.get(number, ()), strict=False):
            self._made_of[own].add(original)
        return output

    def _leaf(self, fields: Mapping[str, Any], view: str) -> list[int]:
        output = self._attributes(fields.get("output") or [])
        for one in output:
            if view:
                self._columns[one] = ColumnRef(view, self.names[one])
        return output

    def _join(self, fields: Mapping[str, Any], below: list[list[int]]) -> list[int]:
        kind = str(fields.get("joinType"))
        if any(name in kind for name in _LEFT_ONLY):
            return below[0]
        exists = self._attributes(fields["joinType"]) if "ExistenceJoin" in kind else []
        return [*below[0], *exists] if exists else [*below[0], *below[1]]

    def _named(self, expression: Sequence[Mapping[str, Any]]) -> int:
        """The id of an expression with a name, and what it is made of."""
        top = expression[0]
        number = _id(top)
        self.names[number] = str(top["name"])
        if not top["class"].endswith("AttributeReference"):
            self._made_of[number] |= set(self._expressions(expression)) - {number}
        return number

    def _attributes(self, fields: Any) -> list[int]:
        """Attributes that a node says it gives, in order."""
        found = []
        for expression in _expression_lists(fields):
            top = expression[0]
            if "exprId" in top:
                self.names.setdefault(_id(top), str(top.get("name", "")))
                found.append(_id(top))
        return found

    def _expressions(self, fields: Any) -> Iterator[int]:
        """Ids of the attributes in expressions, and of what subqueries in them give."""
        if isinstance(fields, list):
            if fields and isinstance(fields[0], dict) and _is_plan(fields[0]):
                yield from self.read(_tree(fields))
                return
            for one in fields:
                yield from self._expressions(one)
        elif isinstance(fields, dict):
            if str(fields.get("class", "")).endswith(".AttributeReference"):
                yield _id(fields)
                return
            for value in fields.values():
                if isinstance(value, list | dict):
                    yield from self._expressions(value)


def _expression_lists(fields: Any) -> Iterator[Sequence[Mapping[str, Any]]]:
    """The expressions of a field, each as its list of nodes."""
    if isinstance(fields, list):
        if fields and isinstance(fields[0], dict) and "class" in fields[0]:
            yield fields
        else:
            for one in fields:
                yield from _expression_lists(one)


def _is_plan(fields: Mapping[str, Any]) -> bool:
    name = str(fields.get("class", ""))
    return name.startswith(f"{_PACKAGE}plans.logical.") and "num-children" in fields


def _id(fields: Mapping[str, Any]) -> int:
    return int(fields["exprId"]["id"])


def _number(value: Any) -> int:
    return int(value)


def _text(value: Any) -> str:
    return str(value["name"] if isinstance(value, Mapping) else value)
