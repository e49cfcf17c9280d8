"""What a check asks of its number: `value >= 1 and value < 100`, parsed once, judged often."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

_NUMBER = r"[-+]?(?:\d+(?:_\d+)*\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_COMPARISON = re.compile(rf"value\s*(=|==|!=|<>|<=|>=|<|>)\s*({_NUMBER})\Z")
_BETWEEN = re.compile(rf"value\s+between\s+({_NUMBER})\s+and\s+({_NUMBER})\Z")
_PROTECTED_AND = re.compile(rf"(between\s+{_NUMBER})\s+and\s+")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


@dataclass(frozen=True)
class Expectation:
    """Alternatives of conditions on one number; of one alternative all parts must hold."""

    text: str
    alternatives: tuple[tuple[tuple[str, float], ...], ...]

    def holds(self, value: float) -> bool:
        """Whether ``value`` is as asked."""
        return any(
            all(_OPERATORS[symbol](value, number) for symbol, number in parts)
            for parts in self.alternatives
        )


@cache
def parse_expectation(text: str) -> Expectation:
    """The expectation that ``text`` says.

    The grammar: ``value OP NUMBER`` with ``= == != <> < <= > >=``, ``value between A and B``
    (both included), joined by ``and`` and ``or`` (``and`` binds closer).

    Raises:
        ValueError: ``text`` is not of that form; the message says what is.
    """
    words = " ".join(text.strip().lower().split())
    alternatives = []
    for alternative in re.split(r"\s+or\s+", words):
        guarded = _PROTECTED_AND.sub(r"\1 AND ", alternative)
        parts: list[tuple[str, float]] = []
        for part in re.split(r"\s+and\s+", guarded):
            parts.extend(_conditions(part.replace(" AND ", " and "), text))
        alternatives.append(tuple(parts))
    return Expectation(" ".join(text.split()), tuple(alternatives))


def _conditions(part: str, whole: str) -> list[tuple[str, float]]:
    between = _BETWEEN.match(part)
    if between:
        return [(">=", float(between[1])), ("<=", float(between[2]))]
    comparison = _COMPARISON.match(part)
    if comparison:
        return [(comparison[1], float(comparison[2]))]
    raise ValueError(
        f"{whole!r} is no expectation; write for example 'value >= 1', "
        "'value = 0' or 'value between 1 and 10'"
    )
