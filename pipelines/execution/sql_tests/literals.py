"""Values of a fixture as literals of Spark SQL, each of the type that its column has."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any

from pipelines.errors import near_names, shorten
from pipelines.spec.fixture_rows import value_of_text

_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}
_WORDS = {"byte": "tinyint", "short": "smallint", "integer": "int", "long": "bigint"}
_DECIMAL = re.compile(r"decimal\((\d+),(-?\d+)\)")
_TIMESTAMP = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"(?:[ T](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.\d{1,6})?)?"
    r"(?P<zone> ?(?:Z|UTC|[+-]\d\d:\d\d))?)?\Z"
)
_HOURS, _MINUTES = 24, 60
_NO_NUMBERS = ("nan", "infinity", "+infinity", "-infinity")


def literal_of(value: Any, data_type: Any, *, is_text: bool = False) -> str:
    """``value`` as an expression of SQL.

    Args:
        value: what the fixture holds.
        data_type: the column's type, as Spark writes it in JSON.
        is_text: whether it comes from CSV, where a number is a text too.

    Raises:
        ValueError: it is no value of that type; says what it would have to be.
    """
    if value is None:
        return "null"
    if isinstance(data_type, Mapping):
        if is_text and isinstance(value, str):
            value = value_of_text(value)
        return _nested(value, data_type)
    kind = str(data_type)
    word = kind.split("(", maxsplit=1)[0].split(" ", maxsplit=1)[0]
    if word in ("varchar", "char"):
        word = "string"
    if word not in _LITERALS:
        raise ValueError(f"a value of type {kind} cannot be written in a test")
    return _LITERALS[word](value, kind, is_text)


def quoted(text: str) -> str:
    """``text`` as a literal of SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _nested(value: Any, data_type: Mapping[str, Any]) -> str:
    kind = data_type["type"]
    if kind == "array":
        if not isinstance(value, list):
            raise ValueError(f"expected a list, found {shorten(value)}")
        return f"array({', '.join(_item(one, data_type['elementType']) for one in value)})"
    if not isinstance(value, dict):
        raise ValueError(f"expected a mapping of keys to values, found {shorten(value)}")
    if kind == "map":
        # The keys of YAML are texts, whatever the type of the map's.
        pairs = (
            f"{_item(key, data_type['keyType'], is_text=True)}, "
            f"{_item(one, data_type['valueType'])}"
            for key, one in value.items()
        )
        return f"map({', '.join(pairs)})"
    if kind == "struct":
        return _struct(value, data_type)
    raise ValueError(f"a value of type {kind} cannot be written in a test")


def _struct(value: Mapping[str, Any], data_type: Mapping[str, Any]) -> str:
    """A struct; fields that are left out are null."""
    given = {name.lower(): one for name, one in value.items()}
    fields = {field["name"].lower(): field for field in data_type["fields"]}
    for name in value:
        if name.lower() not in fields:
            names = [field["name"] for field in data_type["fields"]]
            near = near_names(name, names)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(names)}"
            raise ValueError(f"the struct has no field {name!r}; {hint}")
    parts = (
        f"{quoted(field['name'])}, {_item(given.get(name), field['type'])}"
        for name, field in fields.items()
    )
    return f"named_struct({', '.join(parts)})"


def _item(value: Any, data_type: Any, *, is_text: bool = False) -> str:
    return literal_of(value, data_type, is_text=is_text)


def _string(value: Any, kind: str, is_text: bool) -> str:
    if isinstance(value, bool):
        raise ValueError(f"expected text, found {str(value).lower()}; put it in quotes")
    if isinstance(value, int):
        return quoted(str(value))
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {shorten(value)}; put it in quotes")
    return quoted(value)


def _whole(value: Any, kind: str, is_text: bool) -> str:
    number = value
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+", value):
        number = int(value)  # a number of many digits is a text in YAML as well
    if not isinstance(number, int) or isinstance(number, bool):
        raise ValueError(f"expected a whole number, found {shorten(value)}")
    limit = 2 ** (_BITS[kind] - 1)
    if not -limit <= number < limit:
        raise ValueError(f"{number} does not fit into {_WORDS[kind]}")
    return f"cast('{number}' as {_WORDS[kind]})"


def _fraction(value: Any, kind: str, is_text: bool) -> str:
    if isinstance(value, str) and value.lower().lstrip(".") in _NO_NUMBERS:
        return f"cast('{value.lstrip('.')}' as {kind})"
    return f"cast('{_number(value)}' as {kind})"


def _decimal(value: Any, kind: str, is_text: bool) -> str:
    number = _number(value)
    match = _DECIMAL.fullmatch(kind)
    digits, scale = (int(match[1]), int(match[2])) if match else (10, 0)
    _, figures, exponent = number.as_tuple()
    behind = max(0, -int(exponent))
    before = max(0, len(figures) + int(exponent)) if any(figures) else 0
    if behind > scale and any(figures[len(figures) - (behind - scale) :]):
        raise ValueError(f"{value} has more than {scale} digits behind the point, as {kind} has")
    if before > digits - scale:
        raise ValueError(f"{value} does not fit into {kind}")
    return f"cast('{number}' as {kind})"


def _number(value: Any) -> Decimal:
    """A number of YAML, or the text of one, which keeps all of its digits."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError(f"expected a number, found {shorten(value)}")
    try:
        number = Decimal(repr(value) if isinstance(value, float) else value)
    except InvalidOperation:
        number = Decimal("nan")
    if not number.is_finite():
        raise ValueError(f"expected a number, found {shorten(value)}")
    return number


def _boolean(value: Any, kind: str, is_text: bool) -> str:
    said = value.lower() if is_text and isinstance(value, str) else value
    if said in ("true", "false"):
        return str(said)
    if not isinstance(said, bool):
        raise ValueError(f"expected true or false, found {shorten(value)}")
    return str(said).lower()


def _date(value: Any, kind: str, is_text: bool) -> str:
    try:
        return f"date '{date.fromisoformat(value).isoformat()}'"
    except (TypeError, ValueError):
        raise ValueError(f"expected a day as YYYY-MM-DD, found {shorten(value)}") from None


def _timestamp(value: Any, kind: str, is_text: bool) -> str:
    match = _TIMESTAMP.match(value) if isinstance(value, str) else None
    zone = match["zone"] if match else None
    if match is None or not _is_moment(match):
        raise ValueError(f"expected a time as YYYY-MM-DD HH:MM:SS, found {shorten(value)}")
    if zone and kind == "timestamp_ntz":
        raise ValueError(f"{kind} has no time zone, found {shorten(value)}")
    return f"cast('{value}' as {kind})"


def _is_moment(match: re.Match[str]) -> bool:
    try:
        date.fromisoformat(match["day"])
    except ValueError:
        return False
    hour, minute, second = (int(match[part] or 0) for part in ("hour", "minute", "second"))
    return hour < _HOURS and minute < _MINUTES and second < _MINUTES


def _binary(value: Any, kind: str, is_text: bool) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"(?:[0-9A-Fa-f]{2})*", value):
        raise ValueError(f"expected bytes as hexadecimal digits, found {shorten(value)}")
    return f"X'{value}'"


_LITERALS: Mapping[str, Callable[[Any, str, bool], str]] = {
    "string": _string,
    **dict.fromkeys(_BITS, _whole),
    "float": _fraction,
    "double": _fraction,
    "decimal": _decimal,
    "boolean": _boolean,
    "date": _date,
    "timestamp": _timestamp,
    "timestamp_ntz": _timestamp,
    "binary": _binary,
}
