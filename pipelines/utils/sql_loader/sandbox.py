"""Jinja's sandbox with limits: no template grows, or goes on, without bound.

Work is counted in steps, not in seconds, so that a template is refused everywhere or nowhere: a
turn of a loop, a call, a filter, a comparison, and what they handle by its size. A template that
would spend more than `MAX_STEPS` is refused; that many take a second or two.
"""

from __future__ import annotations

import functools
import re
import threading
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

MAX_TEXT = 4 * 1024 * 1024
MAX_REPEAT = 100_000
MAX_EXPONENT = 64
MAX_BITS = 4_096
MAX_STEPS = 200_000
_STEPS_A_CALL = 2
_LETTERS_A_STEP = 100
_COPIED_A_STEP = 10
# Filters that look at every word, and take as long for a few letters as others for many.
_SLOW = frozenset({"urlize", "wordwrap"})
_SLOW_LETTERS_A_STEP = 5
# What comes out may be as long as two things that go in, one times the other.
MAX_PRODUCT = 16 * MAX_TEXT
# Filters whose numbers are the size of what comes out.
_SIZED = frozenset({"batch", "center", "indent", "slice", "tojson", "truncate", "wordwrap"})
# Filters that put one of their arguments into the text again and again.
_REPEATING = frozenset({"format", "indent", "join", "replace", "tojson", "urlize", "wordwrap"})
# What gives something else each time would make every run of a batch another one.
_NOT_THE_SAME_TWICE = (("filters", "random"), ("globals", "lipsum"))
_WIDE_PERCENT = re.compile(r"%[^%a-zA-Z]*(?:[0-9]{6}|\*)")
_WIDE_BRACES = re.compile(r"\{[^{}]*:[^{}]*(?:[0-9]{6}|\{)")


class _Counter(threading.local):
    """Steps that are left to what this thread renders."""

    left = MAX_STEPS


class _CodeGenerator(CodeGenerator):
    """Lets loops and `~` pass through the environment, which the sandbox leaves alone."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.join_texts((")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_For(self, node: nodes.For, frame: Frame) -> None:
        counted = nodes.EnvironmentAttribute("counted", lineno=node.lineno)
        node.iter = nodes.Call(counted, [node.iter], [], None, None, lineno=node.lineno)
        super().visit_For(node, frame)

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:
        node.expr = self._weighed(node.expr)
        for operand in node.ops:
            operand.expr = self._weighed(operand.expr)
        super().visit_Compare(node, frame)

    def _weighed(self, value: nodes.Expr) -> nodes.Expr:
        """``value`` as what a call gives, since calls weigh what they are given."""
        if isinstance(value, nodes.Const):
            return value
        same = nodes.EnvironmentAttribute("same", lineno=value.lineno)
        return nodes.Call(same, [value], [], None, None, lineno=value.lineno)


class LimitedEnvironment(ImmutableSandboxedEnvironment):
    """The sandbox, with its limits, and with mappings read by key first."""

    intercepted_binops = frozenset(["*", "**", "+", "%"])
    code_generator_class = _CodeGenerator

    def __init__(self, **options: Any) -> None:
        self._counter = _Counter()
        super().__init__(finalize=self._printable, **options)
        for kind, name in _NOT_THE_SAME_TWICE:
            getattr(self, kind).pop(name)
        for name, function in tuple(self.filters.items()):
            self.add_filter(name, function)

    def start_counting(self) -> None:
        """What is rendered next, on this thread, has all its steps."""
        self._counter.left = MAX_STEPS

    def add_filter(self, name: str, function: Callable[..., Any]) -> None:
        """Makes ``function`` a filter, whose work is counted."""
        # Jinja puts a context with all names, or its like, before the arguments of some filters.
        first = 1 if hasattr(function, "jinja_pass_arg") else 0

        @functools.wraps(function)
        def counted(*args: Any, **options: Any) -> Any:
            value, *more = (*args[first:], *options.values())
            self._spend(1)
            if name == "join" and isinstance(value, Iterator):
                value = list(self.counted(value))
                args = (*args[:first], value, *args[first + 1 :])
            size, others = self._weigh(value), [self._weigh(one) for one in more]
            if name in _SLOW:
                self._spend(size // _SLOW_LETTERS_A_STEP)
            if name in _SIZED:
                _refuse_if(any(map(_is_large, more)))
                others += _numbers(more)
            if name in _REPEATING:
                _refuse_if(size * max(others, default=0) > MAX_PRODUCT)
            if name == "format":
                _refuse_if(_WIDE_PERCENT.search(str(value)))
            return function(*args, **options)

        self.filters[name] = counted

    def counted(self, items: Iterable[Any]) -> Iterator[Any]:
        """``items``, each of them a step."""
        for item in items:
            self._spend(1)
            yield item

    @staticmethod
    def same(value: Any) -> Any:
        """``value``."""
        return value

    def join_texts(self, parts: Iterable[Any]) -> str:
        """What `~` gives."""
        text = self.concat(str(self._printable(part)) for part in parts)
        self._spend(len(text) // _LETTERS_A_STEP)
        return text

    @staticmethod
    def concat(pieces: Iterable[str]) -> str:
        """The pieces of a text that is rendered, or of a part of it, as one."""
        kept, length = [], 0
        for piece in pieces:
            length += len(piece)
            if length > MAX_TEXT:
                raise SecurityError(f"the rendered text is longer than {MAX_TEXT} characters")
            kept.append(piece)
        return "".join(kept)

    def call(__self, __context: Any, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        """What calling ``__obj`` gives."""
        # The sandbox wraps `format`.
        owner = getattr(getattr(__obj, "__wrapped__", __obj), "__self__", None)
        if isinstance(owner, str):
            args = tuple(
                list(__self.counted(one)) if isinstance(one, Iterator) else one for one in args
            )
        given = (*args, *kwargs.values())
        __self._spend(_STEPS_A_CALL)
        size, sizes = __self._weigh(owner), [__self._weigh(one) for one in given]
        if isinstance(owner, str):
            sizes += _numbers(given) if getattr(__obj, "__name__", "") == "expandtabs" else []
            _refuse_if(size * max(sizes, default=0) > MAX_PRODUCT)
            if getattr(__obj, "__name__", "") in ("format", "format_map"):
                _refuse_if(_WIDE_BRACES.search(owner))
            else:
                _refuse_if(any(map(_is_large, given)))
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """What an operator gives."""
        self._spend(1)
        if operator == "**" and (abs(left) > MAX_REPEAT or abs(right) > MAX_EXPONENT):
            raise SecurityError("the power is too large")
        if operator == "%" and isinstance(left, str):
            _refuse_if(self._weigh(left) * self._weigh(right) > MAX_PRODUCT)
            _refuse_if(_WIDE_PERCENT.search(left))
        are_numbers = isinstance(left, int) and isinstance(right, int)
        if operator == "*" and are_numbers and left.bit_length() + right.bit_length() > MAX_BITS:
            raise SecurityError("the number grows too large")
        for one, other in ((left, right), (right, left)):
            repeats = isinstance(one, str | list | tuple) and isinstance(other, int)
            if operator == "*" and repeats:
                if len(one) * other > MAX_REPEAT:
                    raise SecurityError("the repetition is too long")
                self._spend(len(one) * max(other, 0) // _COPIED_A_STEP)
        if operator == "+" and isinstance(left, str | list | tuple):
            length = len(left) + len(right)
            _refuse_if(length > MAX_TEXT)
            self._spend(length // _COPIED_A_STEP)
        return super().call_binop(context, operator, left, right)

    def getattr(self, obj: Any, attribute: str) -> Any:
        """A key of a mapping, else an attribute."""
        if isinstance(obj, Mapping) and attribute in obj:
            return obj[attribute]
        return super().getattr(obj, attribute)

    def _compile(self, source: str, filename: str) -> Any:
        """The code of a template; Python need not warn of what it says, rendering will."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)
            return super()._compile(source, filename)

    def _printable(self, value: Any) -> Any:
        """``value``, which is about to be put into a text; a list may hold undefined names too."""
        nested = value.values() if isinstance(value, Mapping) else value
        if isinstance(value, Mapping | list | tuple | set | frozenset):
            for one in nested:
                self._spend(1)
                if isinstance(one, jinja2.Undefined):
                    str(one)  # raises, as it does by itself
                self._printable(one)
        elif isinstance(value, str):
            self._spend(len(value) // _LETTERS_A_STEP)
        elif isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise SecurityError("the number grows too large")
        return value

    def _spend(self, steps: int) -> None:
        self._counter.left -= steps
        if self._counter.left < 0:
            raise SecurityError(f"the template takes more than {MAX_STEPS} steps")

    def _weigh(self, value: Any) -> int:
        """How large ``value`` is, with all that is in it; spends steps in proportion."""
        if isinstance(value, str | bytes):
            self._spend(len(value) // _LETTERS_A_STEP)
            return len(value)
        if isinstance(value, range):
            self._spend(len(value))
            return len(value)
        if isinstance(value, Mapping):
            value = [one for pair in value.items() for one in pair]
        if isinstance(value, list | tuple | set | frozenset):
            self._spend(len(value))
            return len(value) + sum(map(self._weigh, value))
        return 1


def _numbers(values: Iterable[Any]) -> list[int]:
    return [abs(one) for one in values if isinstance(one, int)]


def _refuse_if(is_too_long: object) -> None:
    if is_too_long:
        raise SecurityError("the text grows too long")


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and abs(value) > MAX_REPEAT
