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
    return ".".join(f"`{part.replace('`', '``')}`" for part in str(value).split("."))
