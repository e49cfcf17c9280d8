"""Who wrote the rows of a table, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.console.words import clean, counted, one_line

if TYPE_CHECKING:
    from pipelines.results.blame import Author, Blame

_SHORT = 12


def blame_text(blame: Blame) -> str:
    """A paragraph a commit, newest first, then sample rows with their versions."""
    which = f" where {blame.where}" if blame.where else ""
    lines = [f"{blame.step} version {blame.version}: {counted(blame.rows, 'row')}{which}"]
    lines.append(f"  told by {blame.source}")
    lines += [f"  note: {note}" for note in blame.notes]
    for author in blame.authors:
        lines += _author_lines(author)
    for row in blame.samples:
        version = "?" if row.version is None else str(row.version)
        values = ", ".join(
            f"{name}={'null' if value is None else one_line(value, 60)}"
            for name, value in row.values.items()
        )
        lines.append(f"  {version:>6}  {values}")
    left = blame.rows - len(blame.samples)
    if blame.samples and left > 0:
        lines.append(f"          … and {left:,} more")
    return clean("\n".join(lines))


def _author_lines(author: Author) -> list[str]:
    rows = counted(author.rows, "row")
    if author.version is None:
        return [f"{rows} by a commit that the log no longer tells of"]
    by = "by" if author.is_exact else "at the latest by"
    if not author.operation:
        return [f"{rows} {by} version {author.version}, of which the log no longer tells"]
    lines = [f"{rows} {by} version {author.version}, {author.operation} at {author.at}"]
    if author.run_id:
        batch = f", batch {author.batch_id}" if author.batch_id else ""
        lines.append(f"    run {author.run_id}{batch}")
    else:
        lines.append("    a foreign writer: the commit names no run")
    if author.sql_file:
        told = {True: "as it is now", False: "changed since", None: "perhaps changed since"}
        lines.append(f"    {author.sql_file}, {told[author.sql_is_current]}")
        if author.sql_is_current is not True and author.git_commit:
            lines.append(f"    git show {author.git_commit[:_SHORT]}:{author.sql_file}")
    if author.sql_sha256:
        lines.append(f"    sql sha256 {author.sql_sha256[:_SHORT]}")
    return lines
