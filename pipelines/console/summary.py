"""A run that is over: its steps, what failed and why, what warned."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.console.releases import outcome_lines
from pipelines.console.words import (
    BROKEN,
    clean,
    counted,
    marked,
    number_text,
    one_line,
    render,
    styled,
    table,
)
from pipelines.results import NOT_SELECTED, duration_text

if TYPE_CHECKING:
    from rich.console import RenderableType

    from pipelines.results import RunResult

Tree = Mapping[str, Any]

_COLLAPSE_FROM = 60
_SAMPLES_SHOWN = 5
_FAULTS = {"True": "passing fault", "False": "lasting fault"}
_ROW_COUNTS = ("written", "updated", "deleted")


def summary_text(
    run_result: RunResult,
    *,
    log: str | None = None,
    width: int | None = None,
    color: bool | None = None,
) -> str:
    """What became of a run, for its end.

    Args:
        run_result: the run.
        log: where its log lies; None is where the run has put it, empty says nothing of it.
        width: columns; None takes the terminal's, or 100 where there is none.
        color: whether with colours; None decides by stdout and NO_COLOR.
    """
    run = run_result.as_dict()
    log = run_result.run.log_file if log is None else log
    return render(*_body(run, log), width=width, color=color)


def show_text(
    run: Tree, *, log: str = "", width: int | None = None, color: bool | None = None
) -> str:
    """What became of a run, from its JSON log, with its circumstances above."""
    window = " to ".join(str(day) for day in run.get("window") or ())
    facts = {
        "pipeline": run.get("pipeline"),
        "flow": run.get("flow"),
        "environment": run.get("environment"),
        "batch": run.get("batch_id"),
        "mode": run.get("mode"),
        "small run": run.get("run_kind") if run.get("scratch") else None,
        "window": window,
        "started": run.get("started_at"),
        "finished": run.get("finished_at"),
        "rolled back": run.get("rolled_back_at"),
        "by": "@".join(str(run[key]) for key in ("user", "host") if run.get(key)),
        "commit": run.get("git_commit"),
        "versions": ", ".join(f"{k} {v}" for k, v in (run.get("versions") or {}).items()),
    }
    made = table("", "")
    made.columns[1].no_wrap, made.columns[1].overflow, made.show_header = False, "fold", False
    for name, fact in facts.items():
        if fact:
            made.add_row(styled(name, "dim"), styled(fact))
    return render(made, "", *_body(run, log), width=width, color=color)


def _near_path(path: str) -> str:
    """``path`` as seen from the working directory where it lies below it."""
    here = Path.cwd()
    return str(Path(path).relative_to(here)) if Path(path).is_relative_to(here) else path


def _body(run: Tree, log: str) -> Iterable[RenderableType]:
    all_steps = list(run.get("steps") or ())
    steps = [step for step in all_steps if step.get("reason") != NOT_SELECTED]
    if steps:
        yield _step_table(steps)
    if len(steps) < len(all_steps):
        yield styled(f"{counted(len(all_steps) - len(steps), 'step')} {NOT_SELECTED}", "dim")
    for step in steps:
        if step.get("status") in BROKEN:
            yield ""
            yield from _failure(step)
    warned = [
        (step, check)
        for step in steps
        for check in step.get("dq") or ()
        if check.get("status") == "warned"
    ]
    if warned:
        yield ""
        yield styled(counted(len(warned), "warning"), "yellow")
        for step, check in warned:
            yield styled(f"! {step.get('id')}  {check_text(check)}", "yellow")
    noted = [(step, note) for step in steps for note in step.get("notes") or ()]
    if noted:
        yield ""
        yield styled(counted(len(noted), "note"), "dim")
        for step, note in noted:
            yield styled(f"  {step.get('id')}  {one_line(note)}", "dim")
    unjudged = sum(
        check.get("status") == "not_judged" for step in steps for check in step.get("dq") or ()
    )
    if unjudged:
        yield ""
        yield styled(
            f"{counted(unjudged, 'check')} ran and judged nothing: there are no rows", "dim"
        )
    if run.get("error"):
        yield ""
        yield from _error(run["error"], "")
    yield from _released(run)
    yield ""
    status = str(run.get("status", "?"))
    took = f" in {duration_text(run['duration_seconds'])}" if run.get("finished_at") else ""
    tail = f" — log {_near_path(log)}" if log else ""
    style = "bold green" if status == "success" else "bold red"
    yield styled(f"run {run.get('run_id')} {status}{took}{tail}", style)
    if run.get("scratch"):
        tables = _near_path(f"{run['scratch']}/lakehouse")
        yield styled(f"small run ({run.get('run_kind')}): its tables are in {tables}")
    if {step.get("status") for step in steps} == {"checkpointed"}:
        told = f"batch {run.get('batch_id')} was done already; --no-resume does it again"
        yield styled(told, "dim")


def _released(run: Tree) -> Iterable[RenderableType]:
    lines = outcome_lines(run.get("releases") or ())
    if lines:
        yield ""
    for line, is_well in lines:
        yield styled(line, "" if is_well else "yellow")


def _step_table(steps: Sequence[Tree]) -> RenderableType:
    counts = [name for name in _ROW_COUNTS if any(_rows(step, name) for step in steps)] or [
        "written"
    ]
    made = table(
        "step",
        "status",
        *counts,
        "time",
        "tries",
        "",
        right=(*counts, "time", "tries"),
        fold=("step", ""),
    )
    if len(steps) <= _COLLAPSE_FROM:
        blocks: Iterable[list[Tree]] = ([step] for step in steps)
    else:
        blocks = _blocks(steps)
    for block in blocks:
        step, more = block[0], len(block) - 1
        name = f"{step.get('stage')}.{step.get('group')}  {len(block):,} steps"
        seconds = sum(_seconds(each) or 0 for each in block)
        made.add_row(
            styled(name if more else step.get("id", "?"), "dim" if more else ""),
            marked(str(step.get("status", "?"))),
            *(number_text(_total(block, column)) for column in counts),
            duration_text(seconds) if seconds or _seconds(step) is not None else "-",
            "" if more else str(len(step.get("attempts") or ()) or "-"),
            styled("" if more else _note(step), "dim"),
        )
    return made  # type: ignore[no-any-return]


def _blocks(steps: Iterable[Tree]) -> Iterable[list[Tree]]:
    """Of a long run: a group whose steps all ended well, and alike, is one block."""
    by_group = groupby(steps, key=lambda step: (step.get("stage"), step.get("group")))
    for _, members in by_group:
        block = list(members)
        statuses = {step.get("status") for step in block}
        if len(statuses) == 1 and not statuses & {*BROKEN, "blocked"}:
            yield block
        else:
            yield from ([step] for step in block)


def _rows(step: Tree, name: str) -> int | None:
    value: int | None = step.get(f"rows_{name}")
    return value


def _total(steps: Iterable[Tree], name: str) -> int | None:
    known = [rows for step in steps if (rows := _rows(step, name)) is not None]
    return sum(known) if known else None


def _seconds(step: Tree) -> float | None:
    seconds: float | None = step.get("duration_seconds")
    return seconds if step.get("started_at") else None


def _note(step: Tree) -> str:
    if step.get("reason"):
        return one_line(step["reason"], 80)
    warned = sum(check.get("status") == "warned" for check in step.get("dq") or ())
    return counted(warned, "warning") if warned else ""


def _failure(step: Tree) -> Iterable[RenderableType]:
    tries = len(step.get("attempts") or ())
    after = f" after {counted(tries, 'attempt')}" if tries > 1 else ""
    yield styled(f"✗ {step.get('id')}  {step.get('status')}{after}", "bold red")
    if step.get("error"):
        yield from _error(step["error"], "    ")
    for check in step.get("dq") or ():
        if check.get("status") not in ("failed", "error"):
            continue
        yield styled(f"    {check_text(check)}")
        samples = list(check.get("sample") or ())
        for row in samples[:_SAMPLES_SHOWN]:
            yield styled("        " + ", ".join(f"{k}={one_line(v, 40)}" for k, v in row.items()))
        if len(samples) > _SAMPLES_SHOWN:
            yield styled(f"        and {len(samples) - _SAMPLES_SHOWN:,} more", "dim")


def _error(error: Tree, indent: str) -> Iterable[RenderableType]:
    kind = f"{error['type']}: " if error.get("type") else ""
    lines = clean(f"{kind}{error.get('message', '')}").splitlines()
    yield styled("\n".join(indent + line for line in lines))
    if error.get("verdict"):
        again = _FAULTS.get(str(error.get("transient")), "")
        yield styled(f"{indent}{' · '.join(p for p in (again, error['verdict']) if p)}", "dim")
    if error.get("hint"):
        yield styled(f"{indent}→ {error['hint']}", "yellow")


def check_text(check: Tree) -> str:
    """A check with its value, what was asked of it, and its own words."""
    parts = []
    if check.get("value") is not None:
        parts.append(f"value {number_text(check['value'])}")
    if check.get("expectation"):
        parts.append(f"expected {check['expectation']}")
    said = [check.get("message") if not parts else "", check.get("description")]
    if check.get("owner"):
        said.append(f"owner {check['owner']}")
    told = "; ".join(one_line(text) for text in said if text)
    return f"{check.get('file')}: {', '.join(parts)}" + (f"  ({told})" if told else "")
