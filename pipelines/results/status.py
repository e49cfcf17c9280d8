"""How steps and checks end, in the run log's words."""

from __future__ import annotations

from enum import Enum


class Status(str, Enum):
    """How a step ended, or where it stands; the run log's words."""

    PENDING = "pending"
    RUNNING = "running"
    SUCCESS = "success"
    FAILED = "failed"
    DQ_FAILED = "dq_failed"
    BLOCKED = "blocked"
    SKIPPED = "skipped"
    CHECKPOINTED = "checkpointed"
    UNCHANGED = "unchanged"
    INTERRUPTED = "interrupted"
    CANCELLED = "cancelled"

    @property
    def is_ok(self) -> bool:
        """Whether what depends on the step may go on."""
        return self in _OK

    @property
    def is_final(self) -> bool:
        """Whether nothing more will happen to the step in this run."""
        return self not in (Status.PENDING, Status.RUNNING)


NOT_SELECTED = "not selected"
"""The reason of a step that the selection leaves out."""
_OK = frozenset({Status.SUCCESS, Status.SKIPPED, Status.CHECKPOINTED, Status.UNCHANGED})


class CheckStatus(str, Enum):
    """How a data quality check ended."""

    PASSED = "passed"
    WARNED = "warned"
    FAILED = "failed"
    ERROR = "error"
    NOT_JUDGED = "not_judged"
    """It ran, over no rows; what it gave says nothing."""
