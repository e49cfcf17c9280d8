"""Backups of a flow's lakehouse: taken, looked through, put back."""

from pipelines.backups.looking import verify
from pipelines.backups.restoring import restore, restore_to
from pipelines.backups.taking import back_up
from pipelines.execution.backups.manifest import read_manifest

__all__ = ["back_up", "read_manifest", "restore", "restore_to", "verify"]
