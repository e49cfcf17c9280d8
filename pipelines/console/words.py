"""Numbers, durations, statuses and colours as people read them, and the way out to a stream."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TextIO

from pipelines.secret_store.redaction import hidden

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_DEFAULT_WIDTH, _LEAST_WIDTH, _FOLDED_WIDTH = 100, 40, 12
_KILO = 1000
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")

MARKS: Mapping[str, tuple[str, str]] = {
    "run": ("▸", "bold"),
    "view": ("▸", "cyan"),
    "success": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "dq_failed": ("✗", "bold red"),
    "blocked": ("⊘", "magenta"),
    "skip": ("-", "dim"),
    "skipped": ("-", "dim"),
    "checkpointed": ("=", "cyan"),
    "unchanged": ("=", "cyan"),
    "interrupted": ("✗", "bold red"),
    "cancelled": ("✗", "bold red"),
    "running": ("▸", "blue"),
    "pending": ("·", "dim"),
    "missing": ("·", "dim"),
    "done": ("✓", "green"),
    "ok": ("✓", "green"),
    "warn": ("!", "yellow"),
    "fail": ("✗", "bold red"),
}
"""Sign and colour of each status, action and verdict; the word always stands beside it."""

BROKEN = ("failed", "dq_failed", "interrupted", "cancelled")


def number_text(number: float | int | None) -> str:
    """``number`` with thousands separators; a dash for None."""
    if number is None:
        return "-"
    if isinstance(number, float):
        return f"{number:,.0f}" if number.is_integer() else f"{number:,.4g}"
    return f"{number:,}"


def counted(number: int, word: str, plural: str = "") -> str:
    """``number`` and its word, such as ``1 row`` or ``10,000 rows``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


def size_text(size: int) -> str:
    """``size`` bytes in the unit that suits it, such as ``3.2 MB``."""
    number, units = float(size), ["B", "kB", "MB", "GB"]
    while number >= _KILO and units[1:]:
        number, units = number / _KILO, units[1:]
    return f"{number:,.0f} {units[0]}" if units[0] == "B" else f"{number:,.1f} {units[0]}"


def counts_text(words: Iterable[str]) -> str:
    """How often each of ``words`` occurs, such as ``7 success, 1 failed``."""
    found = list(words)
    known = [word for word in MARKS if word in found]
    order = [*known, *sorted(set(found) - set(known))]
    return ", ".join(f"{found.count(word):,} {word}" for word in order)


def clean(text: object) -> str:
    """``text`` without control characters, which could play tricks on a terminal."""
    return _CONTROL.sub("�", str(text).replace("\r\n", "\n"))


def one_line(text: object, width: int = 200) -> str:
    """``text`` on one line, cut to ``width`` characters."""
    line = " ".join(clean(text).split())
    return line if len(line) <= width else line[: width - 1] + "…"


def use_color(stream: TextIO, variables: Mapping[str, str] = os.environ) -> bool:
    """Whether ``stream`` shows colours and the user wants them (NO_COLOR, FORCE_COLOR, TERM)."""
    if variables.get("NO_COLOR"):
        return False
    if variables.get("FORCE_COLOR"):
        return True
    return is_terminal(stream) and variables.get("TERM") != "dumb"


def is_terminal(stream: TextIO) -> bool:
    """Whether somebody looks at ``stream``; a closed one is none."""
    try:
        return stream.isatty()
    except ValueError:
        return False


def render(*parts: RenderableType, width: int | None = None, color: bool | None = None) -> str:
    """``parts`` as text for stdout, one below the other.

    Args:
        parts: what rich can show.
        width: columns; None takes the terminal's, or 100 where there is none.
        color: whether with colours; None decides by stdout and NO_COLOR.
    """
    import io

    from rich.console import Console

    colored = use_color(sys.stdout) if color is None else color
    columns = width or shutil.get_terminal_size((_DEFAULT_WIDTH, 24)).columns
    console = Console(
        file=io.StringIO(),
        width=max(columns, _LEAST_WIDTH),
        force_terminal=colored,
        no_color=not colored,
        color_system="standard" if colored else None,
        highlight=False,
        emoji=False,
        markup=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        for part in parts:
            console.print(part)
    return "\n".join(line.rstrip() for line in capture.get().rstrip().splitlines())


def styled(text: object, style: str = "") -> Text:
    """``text`` as it stands, never read as markup."""
    from rich.text import Text

    return Text(clean(text), style=style)


def marked(word: str) -> Text:
    """A status with its sign and colour."""
    sign, style = MARKS.get(word, ("?", ""))
    return styled(f"{sign} {word}", style)


def table(*columns: str, right: Iterable[str] = (), fold: Iterable[str] = ()) -> Any:
    """An empty table with a head.

    Args:
        columns: their headings.
        right: those with numbers, kept whole.
        fold: those that go on in the next line where the others are cut.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    whole, folded = set(right), set(fold)
    for name in columns:
        made.add_column(
            name,
            justify="right" if name in whole else "left",
            no_wrap=name not in folded,
            overflow="fold" if name in folded else "ellipsis",
            min_width=_FOLDED_WIDTH if name in folded else None,
        )
    return made


def write_result(text: str) -> None:
    """Puts ``text`` on stdout."""
    write_line(text, sys.stdout)


def write_message(text: str) -> None:
    """Puts ``text`` on stderr."""
    write_line(text, sys.stderr)


def write_line(text: str, stream: TextIO) -> None:
    """Puts ``text``, without secrets, and a line end on ``stream``, as well as that can show it."""
    text = hidden(text)
    try:
        stream.write(f"{text}\n")
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(f"{text.encode(encoding, 'replace').decode(encoding)}\n")
    stream.flush()
