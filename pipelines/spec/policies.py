"""Policies of a flow: retry, checkpoint, notifications, releases and maintenance."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from pipelines.spec.templated import Spec, Templated, TemplatedBool


def _as_list(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    return (value,) if isinstance(value, str) else value


Addresses = Annotated[
    tuple[str, ...], BeforeValidator(_as_list, json_schema_input_type=str | list[str])
]


class RetryPolicy(Spec):
    """How often, and how long apart, a step that failed by a passing fault is tried again."""

    attempts: Annotated[int, Field(ge=1, le=100), Templated] = 3
    """Tries in all, the first one included."""
    delay_seconds: Annotated[float, Field(ge=0), Templated] = 10
    """Wait before the second try."""
    backoff: Literal["exponential", "linear", "fixed"] = "exponential"
    """How the wait grows: doubled, by `delay_seconds` more, or not at all."""
    max_delay_seconds: Annotated[float, Field(ge=0), Templated] = 300
    """No wait is longer."""
    jitter: TemplatedBool = True
    """Vary each wait at random by up to a fifth, so that steps do not come back all at once."""

    def overridden_by(self, other: RetryPolicy | None) -> RetryPolicy:
        """This policy with what ``other`` says outright."""
        if other is None:
            return self
        said = {name: getattr(other, name) for name in other.model_fields_set}
        return self.model_copy(update=said)


class CheckpointPolicy(Spec):
    """Where a run leaves word of the steps that are done."""

    enabled: TemplatedBool = True
    """Write markers, and skip what a marker says is done when the same batch runs again."""
    path: str = "{{ base_path }}/_checkpoints/{{ pipeline.name }}"
    """Folder of the markers, local or on any storage that Spark reaches."""


class RunPolicy(Spec):
    """Which part of time a run is for, where the command line does not say."""

    mode: Literal["daily", "history"] = "daily"
    """`daily`: the day of the run. `history`: windows of the past, `--from` a day on."""
    window: Literal["day", "week", "month", "year"] = "month"
    """How much of the past a history run takes at a time; weeks begin on Monday."""
    max_parallel_windows: Annotated[int, Field(ge=1)] = 1
    """Windows of a history run side by side, where that cannot change what comes out."""


class SamplePolicy(Spec):
    """How `run --sample` chooses rows: the same keys in every table, so that joins still match."""

    keys: tuple[str, ...] = ()
    """Columns of the sources: each is sampled by the first it has; one without is read whole."""


class Notifications(Spec):
    """Whom to tell when a run ends."""

    on_failure: Addresses = ()
    """A step or the run failed. An address such as `Teams://#data-alerts`, or a list."""
    on_success: Addresses = ()
    """The run succeeded."""
    on_dq_warning: Addresses = ()
    """The run ended with checks that warned."""


class PublishPolicy(Spec):
    """How readers get the tables of a stage: together, at versions whose checks passed."""

    schema_name: str | None = Field(
        default=None,
        alias="schema",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$|\{[{%]",
        description="Schema of the metastore in which each table gets a view of its own.",
    )


def _as_publish(value: object) -> object:
    if value is True:
        return {}
    if value is None:
        raise PydanticCustomError("bad-type", "expected true, false or a mapping, found nothing")
    return None if value is False else value


Publish = Annotated[
    PublishPolicy | None,
    BeforeValidator(_as_publish, json_schema_input_type=bool | PublishPolicy),
]


class VacuumPolicy(Spec):
    """Which files that no version needs any more are deleted by `maintain`."""

    enabled: TemplatedBool = True
    """Whether to delete any."""
    retain_hours: Annotated[float, Field(ge=0), Templated] = 168
    """Files in use within so many hours stay; those that a kept release needs stay longer."""
    allow_short: TemplatedBool = False
    """Switch Delta's own check off, which refuses less than the table's retention (168 hours)."""


class TableMaintenance(Spec):
    """What `maintain` does to one table, where it is not what the flow says."""

    optimize: TemplatedBool | None = None
    """Join small files into large ones."""
    vacuum: VacuumPolicy | None = None
    """Which files are deleted."""


class KeepPolicy(Spec):
    """How much of what runs leave is kept by `maintain`."""

    logs_days: Annotated[int, Field(ge=1), Templated] = 90
    """Logs of runs that began longer ago go; the newest stays."""
    batches_days: Annotated[int, Field(ge=1), Templated] = 90
    """Checkpoints of batches whose last step ended longer ago go; those of the newest stay."""
    releases: Annotated[int, Field(ge=1), Templated] = 10
    """Releases of a stage, the current one among them; older ones go."""


class MaintenancePolicy(Spec):
    """What `maintain` does."""

    optimize: TemplatedBool = True
    """Join small files of tables into large ones."""
    vacuum: VacuumPolicy = Field(default_factory=VacuumPolicy)
    """Which files of tables are deleted."""
    keep: KeepPolicy = Field(default_factory=KeepPolicy)
    """How much of logs, checkpoints and releases stays."""
