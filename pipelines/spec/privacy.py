"""Classes of data, masks, and what a flow says of personal data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from pipelines.spec.templated import Spec

Classification = Literal["public", "internal", "pii", "sensitive"]
Mask = Literal["hash", "hmac", "null", "redact", "year"]
CLASSES: tuple[Classification, ...] = ("public", "internal", "pii", "sensitive")
"""From what anyone may see to what few may."""
DEFAULT_CLASS: Classification = "internal"
"""Of columns of which nothing is said."""
PERSONAL: tuple[Classification, ...] = ("pii", "sensitive")
MASKED_CLASS: Mapping[Mask, Classification] = {
    "hash": "internal",
    "hmac": "internal",
    "year": "internal",
    "null": "public",
    "redact": "public",
}
"""What is left of a column's class once it is masked."""
ANY_TABLE = "*"
"""Stands for every table and query of a datasource."""


def rank(classification: str) -> int:
    """The place of a class among `CLASSES`."""
    return CLASSES.index(classification)


def highest(classes: Iterable[Classification]) -> Classification:
    """The highest of ``classes``; `public` where there is none."""
    return max(classes, key=rank, default="public")


def lowest(classes: Iterable[Classification | None]) -> Classification | None:
    """The lowest of those that are given; None where none is."""
    return min((one for one in classes if one is not None), key=rank, default=None)


def as_mask(value: object) -> object:
    """YAML reads the mask `null` as no value at all; it must not be no mask."""
    return "null" if value is None else value


class Subject(Spec):
    """How the rows of one person are found."""

    keys: Annotated[dict[str, tuple[str, ...]], Field(min_length=1)]
    """Columns that mean the person, any of them for `forget --key`. Each with the steps whose
    tables tell its values from those of the keys above it."""
    columns: dict[str, dict[str, str]] = Field(default_factory=dict)
    """By step, columns that hold a key under another name: `{old: {pupil: student_id}}`."""
    skip: tuple[str, ...] = ()
    """Steps whose tables are left as they are, though they have such a column."""

    @model_validator(mode="after")
    def _is_whole(self) -> Subject:
        for step, columns in self.columns.items():
            for key in columns.values():
                if key not in self.keys:
                    raise PydanticCustomError(
                        "subject", "a column of {step} is said to hold {key}, which is no key",
                        {"step": step, "key": key},
                    )  # fmt: skip
        return self

    @property
    def steps(self) -> tuple[str, ...]:
        """The steps that it names, each once."""
        told = (step for steps in self.keys.values() for step in steps)
        return tuple(dict.fromkeys((*told, *self.columns, *self.skip)))


class PrivacyPolicy(Spec):
    """What a flow says of personal data as a whole."""

    hmac_key: str | None = None
    """The key of mask `hmac`: `{{ secret('PSEUDONYM_KEY') }}`, never the key itself."""
    subject: Subject | None = None
    """How the rows of one person are found, for `pipeline forget`."""

    @model_validator(mode="after")
    def _is_no_open_key(self) -> PrivacyPolicy:
        if self.hmac_key is not None and "secret(" not in self.hmac_key:
            raise PydanticCustomError(
                "hmac_key", "hmac_key must name a secret, such as secret('PSEUDONYM_KEY'), "
                "and not be the key", {},
            )  # fmt: skip
        return self
