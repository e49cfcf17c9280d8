"""Policies of a flow: retry, checkpoint and notifications."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

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
