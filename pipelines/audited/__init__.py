"""Audits of what runs have written: put back, compared, and asked who wrote which row."""

from pipelines.audited.blaming import blame_of
from pipelines.audited.comparing import Asked, diff_of
from pipelines.audited.rolling_back import Rollback, roll_back

__all__ = ["Asked", "Rollback", "blame_of", "diff_of", "roll_back"]
