"""Which outputs of other steps a step reads, and what tells one set of them from another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import TYPE_CHECKING

from pipelines.plan.changes import changes_seen

if TYPE_CHECKING:
    from pipelines.plan.compile import CompiledStep, Sql
    from pipelines.plan.graph import Graph

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def outputs_read(step: CompiledStep, graph: Graph) -> dict[str, frozenset[str]]:
    """The steps upstream that ``step`` may read, by id, with the names that their views get.

    A name that does not occur in the step's SQL or checks cannot be read. A script, and SQL that
    builds names with `identifier()`, may read all. A step that only the changes are read of has no
    names.
    """
    words, changes = words_of(step), changes_seen(step, graph)
    above = graph.ancestors(step.id)
    read: dict[str, frozenset[str]] = {}
    for step_id, node in graph.steps.items():
        if step_id not in above:
            continue
        names = {node.step.name, node.step.destination.view or node.step.name}
        used = names if words is None else {name for name in names if name.lower() in words}
        if used or step_id in changes:
            read[step_id] = frozenset(used)
    return read


def words_of(step: CompiledStep) -> frozenset[str] | None:
    """Every word of the step's SQL and checks, in lower case; None where names may be built."""
    return None if step.settings.script is not None else words_in(step.statements)


def words_in(statements: Iterable[Sql]) -> frozenset[str] | None:
    """Every word of ``statements``, in lower case; None where they may build names."""
    words = frozenset(word.lower() for sql in statements for word in _WORD.findall(sql.text))
    return None if "identifier" in words else words


def digest(read: Mapping[str, str]) -> str:
    """Sixteen characters that change with any of the identities in ``read``."""
    return sha256(json.dumps(dict(sorted(read.items()))).encode()).hexdigest()[:16]


def view_identity(fingerprint: str, read: str) -> str:
    """The identity of a view: it is what it is made by and from, the digest ``read``."""
    return f"{fingerprint}/{read}"
