"""Values as text of Spark SQL, safely quoted."""

from __future__ import annotations

import math
from typing import Any


def sql_literal(value: Any) -> str:
    """``value`` as a literal of Spark SQL, safely quoted."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and not math.isfinite(value):
        return f"double('{value}')"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def sql_identifier(value: str) -> str:
    """``value`` as an identifier of Spark SQL, each dotted part in backticks."""
    return ".".join(map(quoted_name, str(value).split(".")))


def quoted_name(name: str) -> str:
    """One name of Spark SQL in backticks; dots in it are of the name."""
    return "`" + name.replace("`", "``") + "`"
