"""The error of the sample ODS: what went wrong, and one thing to do about it."""

from __future__ import annotations


class SampleOdsError(RuntimeError):
    """The sample ODS could not be made, changed or read.

    Attributes:
        message: what happened, in one sentence.
        hint: one thing to do; empty if there is none.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """What happened, and below it what to do."""
        return f"{self.message}\n    {self.hint}" if self.hint else self.message
