"""A small run: no rows, a sample, or clones of another environment's tables, in a scratch place."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.errors import UsageError

REGULAR = "regular"
"""The kind of a run that is no small one."""


@dataclass(frozen=True)
class SmallRun:
    """What is small about a run; whichever it is, it writes to a scratch place only.

    Attributes:
        empty: whether every raw source gives no rows.
        sample: an int is so many distinct keys, a float such a part of them; None takes all.
        clone_from: the environment whose tables stand there at the start; None is an empty place.
        scratch: the scratch place; None is the engine's own choice.
    """

    empty: bool = False
    sample: int | float | None = None
    clone_from: str | None = None
    scratch: str | None = None

    @property
    def kind(self) -> str:
        """The run log's word for it, such as ``empty`` or ``sample 1000, clone of prod``."""
        parts = ["empty"] if self.empty else []
        parts += [f"sample {self.sample}"] if self.sample is not None else []
        parts += [f"clone of {self.clone_from}"] if self.clone_from is not None else []
        return ", ".join(parts)


def small_run(
    *, empty: bool, sample: str | None, clone_from: str | None, scratch: str | None
) -> SmallRun | None:
    """What the command line's words ask for; None is a regular run.

    Raises:
        UsageError: words that do not go together, or a sample that is none.
    """
    if empty and sample is not None:
        raise UsageError("--empty takes no rows, --sample some", hint="give one of them")
    size = None if sample is None else _sample_size(sample)
    small = SmallRun(empty, size, clone_from, scratch)
    if small.kind:
        return small
    if scratch is not None:
        raise UsageError(
            "--scratch says where a small run writes, and this is none",
            hint="give --empty, --sample or --clone-from too",
        )
    return None


def _sample_size(text: str) -> int | float:
    """``1000`` as so many keys, ``0.01`` as a part of them."""
    try:
        size: int | float = int(text) if text.strip().isdigit() else float(text)
    except ValueError:
        size = 0
    if (isinstance(size, int) and size >= 1) or (isinstance(size, float) and 0 < size < 1):
        return size
    raise UsageError(
        f"--sample takes a number of keys or a fraction below 1, found {text!r}",
        hint="for example --sample 1000 or --sample 0.01",
    )
