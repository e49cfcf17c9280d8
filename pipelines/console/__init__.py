"""Everything that people see on a terminal: results on stdout, messages on stderr.

Each ``..._text`` function gives a text without a line end; ``write_result`` and
``write_message`` put it out. Importing this package costs nothing: what a command shows
is loaded when it is asked for, and rich only for tables and the live display.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.console.backups import backup_text, restored_text, verified_text
    from pipelines.console.blame import blame_text
    from pipelines.console.diff import diff_text
    from pipelines.console.findings import findings_text
    from pipelines.console.impact import impact_dict, impact_text
    from pipelines.console.intervals import intervals_text
    from pipelines.console.lineage import lineage_text
    from pipelines.console.listings import doctor_text, history_text
    from pipelines.console.live import LiveProgress
    from pipelines.console.maintenance import maintenance_text
    from pipelines.console.plan_view import plan_json, plan_text
    from pipelines.console.privacy import erasure_text, privacy_text
    from pipelines.console.progress_lines import JsonProgress, PlainProgress, progress
    from pipelines.console.releases import (
        release_list_text,
        release_sql,
        release_text,
        stage_releases_text,
    )
    from pipelines.console.rollback import rollback_text
    from pipelines.console.sql_tests import (
        sql_test_text,
        sql_tests_report,
        sql_tests_summary,
    )
    from pipelines.console.step_view import step_text
    from pipelines.console.summary import show_text, summary_text
    from pipelines.console.words import is_terminal, number_text, write_message, write_result

__all__ = [
    "JsonProgress",
    "LiveProgress",
    "PlainProgress",
    "backup_text",
    "blame_text",
    "diff_text",
    "doctor_text",
    "erasure_text",
    "findings_text",
    "history_text",
    "impact_dict",
    "impact_text",
    "intervals_text",
    "is_terminal",
    "lineage_text",
    "maintenance_text",
    "number_text",
    "plan_json",
    "plan_text",
    "privacy_text",
    "progress",
    "release_list_text",
    "release_sql",
    "release_text",
    "restored_text",
    "rollback_text",
    "show_text",
    "sql_test_text",
    "sql_tests_report",
    "sql_tests_summary",
    "stage_releases_text",
    "step_text",
    "summary_text",
    "verified_text",
    "write_message",
    "write_result",
]

_ROOMS = {
    "backups": ("backup_text", "restored_text", "verified_text"),
    "blame": ("blame_text",),
    "diff": ("diff_text",),
    "findings": ("findings_text",),
    "impact": ("impact_dict", "impact_text"),
    "intervals": ("intervals_text",),
    "lineage": ("lineage_text",),
    "listings": ("doctor_text", "history_text"),
    "live": ("LiveProgress",),
    "maintenance": ("maintenance_text",),
    "plan_view": ("plan_json", "plan_text"),
    "privacy": ("erasure_text", "privacy_text"),
    "progress_lines": ("JsonProgress", "PlainProgress", "progress"),
    "sql_tests": ("sql_test_text", "sql_tests_report", "sql_tests_summary"),
    "releases": ("release_list_text", "release_sql", "release_text", "stage_releases_text"),
    "rollback": ("rollback_text",),
    "step_view": ("step_text",),
    "summary": ("show_text", "summary_text"),
    "words": ("is_terminal", "number_text", "write_message", "write_result"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """What is asked for, loaded now."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), name)
