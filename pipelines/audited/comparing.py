"""Compares two states of a step's table: of runs, versions, environments or places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.audited.opened import files_of, opened_session
from pipelines.errors import UsageError
from pipelines.plan.compile import absolute_path
from pipelines.plan.outside import is_below
from pipelines.sinks.run_log import read_run

if TYPE_CHECKING:
    from pipelines.execution.audits.diff import Side
    from pipelines.execution.session import SparkSession
    from pipelines.plan.compile import CompiledStep
    from pipelines.prepared import PreparedFlow
    from pipelines.results.table_diff import TableDiff
    from pipelines.utils.sql_runner import Commit, DeltaLog

_HISTORY_KEY = {"scd2": "valid_from"}
_SIDES = 2


@dataclass(frozen=True)
class Asked:
    """What is to be compared; nothing means before and after the last run that wrote.

    Attributes:
        runs: one (before and after it) or two (after each).
        versions: one (with the newest) or two.
        other: the flow in another environment.
        against: a table, a lakehouse, or the scratch place of a small run.
        keys: columns that tell rows apart; empty takes the destination's.
        limit: at most so many sample rows of each kind.
        show_values: whether personal data may be seen.
    """

    runs: tuple[str, ...] = ()
    versions: tuple[int, ...] = ()
    other: PreparedFlow | None = None
    against: str | None = None
    keys: tuple[str, ...] = ()
    limit: int = 20
    show_values: bool = False

    def check(self) -> None:
        """Raises UsageError where it is too much at once."""
        given = [
            option
            for option, value in (
                ("--run", self.runs),
                ("--version", self.versions),
                ("a second --env", self.other),
                ("--against", self.against),
            )
            if value
        ]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} do not go together", hint="give one of them")
        for option, values in (("--run", self.runs), ("--version", self.versions)):
            if len(values) > _SIDES:
                raise UsageError(f"{option} is given twice at most, found {len(values)}")


def diff_of(
    prepared: PreparedFlow, name: str, asked: Asked, *, spark: SparkSession | None = None
) -> TableDiff:
    """How two states of the table of the step called ``name`` differ.

    Raises:
        UsageError: there is no such step, run, version or table.
        SqlError: a state is not there any more.
    """
    asked.check()
    step = prepared.step(name)
    if step.settings.destination.path is None:
        raise UsageError(f"{step.id} is a view, which keeps nothing to compare")
    with opened_session(prepared, spark) as session:
        from pipelines.execution.audits.diff import compare
        from pipelines.execution.audits.shown import shown_of

        sides = _sides(session, prepared, step, asked)
        keys = asked.keys or keys_of(step)
        shown = shown_of(step.settings, keys, show_values=asked.show_values)
        return compare(session, step.id, sides, keys=keys, limit=asked.limit, shown=shown)


def keys_of(step: CompiledStep) -> tuple[str, ...]:
    """The columns that tell the rows of a step's table apart, as far as the flow says."""
    destination = step.settings.destination
    if destination.mode == "satellite" and destination.sequence_by:
        return (*destination.keys, destination.sequence_by)
    if destination.mode in _HISTORY_KEY:
        return (*destination.keys, _HISTORY_KEY[destination.mode])
    if destination.keys:
        return destination.keys
    return tuple(column.name for column in step.settings.columns if column.unique)[:1]


def _sides(
    session: SparkSession, prepared: PreparedFlow, step: CompiledStep, asked: Asked
) -> tuple[Side, Side]:
    from pipelines.utils.sql_runner import DeltaLog

    destination = step.settings.destination
    path = destination.path or ""
    if asked.other is not None:
        other = asked.other.step(step.id)
        labels = (one.compiled.environment_name for one in (prepared, asked.other))
        one, two = (
            _newest(session, which, which.settings.destination.path or "", label)
            for which, label in zip((step, other), labels, strict=True)
        )
        return one, two
    if asked.against is not None:
        there = _place(session, prepared, path, asked.against)
        here = _newest(session, step, path, prepared.compiled.environment_name)
        return here, _newest(session, step, there, asked.against)
    if destination.format != "delta":
        raise UsageError(
            f"{step.id} writes files of format {destination.format}, which keep one state only",
            hint="compare with another environment or place: a second --env, or --against PATH",
        )
    log = DeltaLog(session, path)
    newest = log.version()
    if newest is None:
        raise UsageError(f"{step.id} has never been written", where=path)
    if asked.versions:
        pair = (*asked.versions, newest)[:_SIDES]
        for version in pair:
            if not 0 <= version <= newest:
                raise UsageError(
                    f"{step.id} has no version {version}", hint=f"the newest is {newest}"
                )
        return _at(path, pair[0]), _at(path, pair[1])
    if len(asked.runs) == _SIDES:
        before, after = (_after_run(log, prepared, step, run) for run in asked.runs)
        return before, after
    return _around(log, prepared, step, asked.runs[0] if asked.runs else None)


def _at(path: str, version: int, label: str = "") -> Side:
    from pipelines.execution.audits.diff import Side

    return Side(f"{label}, version {version}" if label else f"version {version}", path, version)


def _newest(session: SparkSession, step: CompiledStep, path: str, label: str) -> Side:
    """The newest state of a step's table at ``path``."""
    from pipelines.execution.audits.diff import Side
    from pipelines.utils.sql_runner import DeltaLog

    destination = step.settings.destination
    if destination.format != "delta":
        return Side(label, path, None, destination.format, destination.options)
    version = DeltaLog(session, path).version()
    if version is None:
        raise UsageError(f"{step.id} has never been written there", where=path)
    return _at(path, version, label)


def _place(session: SparkSession, prepared: PreparedFlow, path: str, against: str) -> str:
    """Where the step's table is below ``against``, which may be the table itself."""
    root = absolute_path(against, prepared.flow.project_dir)
    files = files_of(prepared, session)
    if files.exists(f"{root}/_delta_log"):
        return root
    base = prepared.compiled.base_path.rstrip("/")
    if not is_below(path, base):
        raise UsageError(
            f"{path} is not below the lakehouse {base}, so its place in {against} is not known",
            hint="give the table's own folder",
        )
    below = path[len(base) :].strip("/")
    lakehouse = f"{root}/lakehouse"
    return f"{lakehouse if files.exists(lakehouse) else root}/{below}"


def _commits_of(log: DeltaLog, run_id: str) -> list[Commit]:
    """What a run committed to a table, newest first."""
    return [one for one in log.commits_back(0) if one.user_metadata.get("run_id") == run_id]


def _after_run(log: DeltaLog, prepared: PreparedFlow, step: CompiledStep, run: str) -> Side:
    """The table as it was when a run had ended."""
    said = read_run(prepared.log_folder, run)
    run_id = said["run_id"]
    own = _commits_of(log, run_id)
    if own:
        return _at(log.path, own[0].version, f"after {run_id}")
    for one in said["steps"]:
        version = (one.get("destination") or {}).get("version_after")
        if one["id"] == step.id and version is not None and log.has_version(version):
            return _at(log.path, version, f"after {run_id}")
    raise UsageError(
        f"run {run_id} has neither written nor read {step.id}",
        hint="'pipeline show' tells what a run did",
    )


def _around(
    log: DeltaLog, prepared: PreparedFlow, step: CompiledStep, run: str | None
) -> tuple[Side, Side]:
    """The table before and after a run; without one, after the last one that wrote it."""
    if run is None:
        last = next((one for one in log.standing() if one.user_metadata.get("run_id")), None)
        if last is None:
            raise UsageError(f"no run has written {step.id}", hint="give two of --version")
        run_id = str(last.user_metadata["run_id"])
    else:
        run_id = str(read_run(prepared.log_folder, run)["run_id"])
    own = _commits_of(log, run_id)
    if not own:
        raise UsageError(f"run {run_id} has not written {step.id}")
    if own[-1].version == 0:
        raise UsageError(
            f"run {run_id} made {step.id}: before it there was nothing",
            hint="'pipeline diff … --version 0 --version N' compares later states with it",
        )
    before = _at(log.path, own[-1].version - 1, f"before {run_id}")
    return before, _at(log.path, own[0].version, f"after {run_id}")
