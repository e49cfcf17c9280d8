"""Masks applied to a step's rows before they are written; the key of `hmac` is in no plan."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pipelines.errors import StepError
from pipelines.execution.hidden import hidden_row
from pipelines.lineage.columns import Column as Described
from pipelines.plan.masks import unfit_masks
from pipelines.utils.sql_loader import quoted_name

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

    from pipelines.execution.handlers import Product
    from pipelines.plan.compile import CompiledStep
    from pipelines.spec.steps import ColumnContract

REDACTED = "REDACTED"
LEAST_KEY_BYTES = 16
"""A shorter key could be guessed from one known value and its pseudonym."""
_BLOCK_BYTES = 64
_INNER, _OUTER = 0x36, 0x5C
_TEXTLESS = ("array", "map", "struct", "variant")


def with_masks(
    session: SparkSession, step: CompiledStep, product: Product, key: Callable[[], str]
) -> Product:
    """``product`` with the columns masked that ``step`` says.

    Args:
        session: the step's.
        step: the step.
        product: what it made.
        key: gives the key of `hmac`; asked only where a column needs it.

    Raises:
        StepError: a mask cannot be applied; nothing may be written then.
    """
    promised = [one for one in step.settings.columns if one.mask is not None]
    if not promised:
        return product
    if product.frame is None:
        raise StepError(
            "a statement that writes by itself cannot be masked",
            where=step.id,
            hint="let a query and 'mode' take its place",
        )
    described = [Described(one.name, one.dataType.simpleString()) for one in product.frame.schema]
    problems = [message for _, message in unfit_masks(described, promised)]
    if problems:
        raise StepError("; ".join(problems), where=step.id, hint="mend 'columns'")
    return replace(product, frame=masked(session, product.frame, promised, key, where=step.id))


def masked(
    session: SparkSession,
    frame: DataFrame,
    promised: list[ColumnContract],
    key: Callable[[], str],
    *,
    where: str,
) -> DataFrame:
    """``frame`` with the columns of ``promised`` masked; all names are columns of it.

    Raises:
        StepError: the key of `hmac` is too short to be one.
    """
    by_name = {one.name.lower(): one.mask for one in promised}
    pads = _pads(session, key(), where) if "hmac" in by_name.values() else None
    return frame.select(
        [
            _masked(frame, number, by_name.get(name.lower()), pads).alias(name)
            for number, name in enumerate(frame.columns)
        ]
    )


def _masked(frame: DataFrame, number: int, mask: str | None, pads: Any) -> Column:
    from pyspark.sql import functions as f

    field = frame.schema[number]
    column = frame[quoted_name(field.name)]
    if mask is None:
        return column
    if mask == "null":
        return f.lit(None).cast(field.dataType)
    if mask == "redact":
        return f.lit(REDACTED)
    if mask == "year":
        return f.year(column)
    text = f.to_json(f.struct(column)) if field.dataType.typeName() in _TEXTLESS else column
    content = f.when(column.isNotNull(), text.cast("string").cast("binary"))
    if mask == "hash":
        return f.sha2(content, 256)
    inner = f.sha2(f.concat(pads["inner"], content), 256)
    return f.sha2(f.concat(pads["outer"], f.unhex(inner)), 256)


def _pads(session: SparkSession, key: str, where: str) -> Column:
    """The two keys of HMAC-SHA-256 (RFC 2104), ``inner`` and ``outer``, as a subquery."""
    from pyspark.sql import functions as f

    raw = key.encode()
    if len(raw) < LEAST_KEY_BYTES:
        raise StepError(
            f"the secret of privacy.hmac_key has {len(raw)} bytes, and a key needs "
            f"{LEAST_KEY_BYTES} at least",
            where=where,
            hint="make one, for example with: openssl rand -hex 32",
        )
    if len(raw) > _BLOCK_BYTES:
        raw = hashlib.sha256(raw).digest()
    block = raw.ljust(_BLOCK_BYTES, b"\0")
    pads = {"inner": _INNER, "outer": _OUTER}
    row = hidden_row(
        session, {name: bytes(byte ^ pad for byte in block) for name, pad in pads.items()}
    )
    return row.select(f.struct(*pads)).scalar()
