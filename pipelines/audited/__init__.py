"""Audits of what runs have written: put back, compared, asked for authors, rid of a person."""

from pipelines.audited.blaming import blame_of
from pipelines.audited.comparing import Asked, diff_of
from pipelines.audited.forgetting import Erasure, forget
from pipelines.audited.rolling_back import Rollback, roll_back

__all__ = ["Asked", "Erasure", "Rollback", "blame_of", "diff_of", "forget", "roll_back"]
