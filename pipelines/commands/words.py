"""Words of the command line as the values that the engine takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.errors import UsageError

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from pipelines.plan.windows import Period
    from pipelines.prepared import Options, PreparedFlow

DEFAULT_FLOW = "main_flow"
_LISTS = ("--select", "-s", "--exclude", "--var")


def one_value_an_option(words: Sequence[str]) -> list[str]:
    """``--select a b`` as ``--select a --select b``, which is what the parser understands."""
    spread: list[str] = []
    option = ""
    for word in words:
        if word.startswith("-"):
            option = word if word in _LISTS else ""
            spread.append(word)
        elif option and spread[-1] != option:
            spread += [option, word]
        else:
            spread.append(word)
    return spread


def options_of(
    *,
    run_date: datetime | None = None,
    var: list[str] | None = None,
    select: list[str] | None = None,
    exclude: list[str] | None = None,
    empty: bool = False,
    sample: str | None = None,
    clone_from: str | None = None,
    scratch: str | None = None,
    **rest: Any,
) -> Options:
    """What the options of a command say.

    Raises:
        UsageError: a variable that is not ``name=value``, or a small run that is none.
    """
    from pipelines.plan.small_run import small_run
    from pipelines.prepared import Options

    return Options(
        run_date=run_date.date() if run_date else None,
        vars=_variables(var or []),
        select=tuple(select or ()),
        exclude=tuple(exclude or ()),
        small=small_run(empty=empty, sample=sample, clone_from=clone_from, scratch=scratch),
        **rest,
    )


def period_of(
    first: datetime | None, last: datetime | None, size: str | None, reprocess: str
) -> Period:
    """The past that the options of a command say.

    Raises:
        UsageError: a size of windows, or a way to reprocess, that is none.
    """
    from pipelines.plan.windows import REPROCESS, WINDOW_SIZES, Period

    check_choice("--reprocess", reprocess, REPROCESS)
    if size is not None:
        check_choice("--window", size, WINDOW_SIZES)
    return Period(first and first.date(), last and last.date(), size, reprocess)


def is_history(prepared: PreparedFlow, *, is_asked: bool) -> bool:
    """Whether a run is one over windows of the past, by its options, else by the flow.

    Raises:
        UsageError: a mode that is none, or windows for a daily run.
    """
    from pipelines.plan.checks import RUN_MODES

    options = prepared.options
    if options.mode is not None:
        check_choice("--mode", options.mode, RUN_MODES)
    mode = options.mode or prepared.flow.pipeline.run.mode
    if is_asked and mode != "history":
        raise UsageError(
            "--from, --to and --window are for history runs", hint="give --mode history too"
        )
    return mode == "history" and options.small is None


def _variables(given: list[str]) -> dict[str, Any]:
    """``k=v`` words as a mapping; a value is read as YAML, so that numbers are numbers."""
    from pipelines.spec.yaml_document import parse_document

    found: dict[str, Any] = {}
    for word in given:
        name, equals, text = word.partition("=")
        if not equals or not name.isidentifier():
            raise UsageError(
                f"--var takes name=value, found {word!r}", hint="for example --var year=2026"
            )
        value = parse_document(text, f"--var {name}")
        found[name] = text if value.findings else value.tree
    return found


def flows_of(flow: str, project_dir: Path | None, *, every: bool) -> list[str]:
    """The flows that are meant: the one named, or every flow of the project.

    Raises:
        UsageError: both were asked for, or the project has no flow.
    """
    if not every:
        return [flow]
    if flow != DEFAULT_FLOW:
        raise UsageError(f"--all does not go with a flow, found {flow!r}", hint="give one of them")
    from pipelines.spec.flow_files import flow_files

    return [str(file) for file in flow_files(project_dir)]


def check_choice(option: str, value: str, allowed: Sequence[str]) -> None:
    """Raises UsageError where ``value`` of an option is none of those allowed."""
    if value not in allowed:
        raise UsageError(f"{option} is one of {', '.join(allowed)}, found {value!r}")


def words_of(listed: str | None) -> tuple[str, ...]:
    """The words of a list with commas, ``a, b``."""
    return tuple(word.strip() for word in (listed or "").split(",") if word.strip())
