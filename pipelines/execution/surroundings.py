"""The environments of a run: whose sources it reads, whose tables count, and where it writes."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.execution.files import cache_folder
from pipelines.execution.scratch import Scratch, choose_scratch
from pipelines.plan.compile import CompiledPlan, absolute_path, compile_plan
from pipelines.plan.outside import reading_outside
from pipelines.spec.config import is_local_master
from pipelines.spec.loader import load_environment

if TYPE_CHECKING:
    from pipelines.plan.plan import Plan
    from pipelines.plan.small_run import SmallRun
    from pipelines.spec.config import Environment
    from pipelines.utils.sql_loader import SqlLoader

Named = tuple[str, "Environment"]
"""An environment and its name."""


class Surroundings:
    """The environments of one run; of a regular one all three are the same.

    Args:
        project_dir: root of the project.
        pipeline: name of the pipeline.
        loader: fills in templates.
        config: another config file than the project's.
        env: name of the environment; None takes what variables or the config say.
        small: what is small about the run.

    Each attribute raises ConfigError with every finding of the config.
    """

    def __init__(
        self,
        project_dir: Path,
        pipeline: str,
        loader: SqlLoader,
        *,
        config: Path | None,
        env: str | None,
        small: SmallRun | None,
    ) -> None:
        self._project_dir, self._pipeline, self._loader = project_dir, pipeline, loader
        self._config, self._env, self._small = config, env, small

    @cached_property
    def own(self) -> Named:
        """The environment that was chosen, as the config has it: its sources are read."""
        return load_environment(self._project_dir, config_file=self._config, name=self._env)

    @cached_property
    def home(self) -> Named:
        """The one whose tables and past count: that which is cloned from, else our own."""
        if self._small is None or self._small.clone_from in (None, self.own[0]):
            return self.own
        return load_environment(
            self._project_dir,
            config_file=self._config,
            name=self._small.clone_from,
            variables={},  # they are meant for the environment that runs
        )

    @cached_property
    def scratch(self) -> Scratch | None:
        """Where a small run writes; None for a regular run.

        Raises:
            UsageError: a lakehouse would be the scratch place.
        """
        if self._small is None:
            return None
        return choose_scratch(
            self._small,
            [(name, self._lakehouse(name, environment)) for name, environment in self._all],
            cache_folder(self._project_dir),
            self._pipeline,
            is_one_machine=is_local_master(self.own[1].spark.master),
        )

    @cached_property
    def written(self) -> Environment:
        """The environment as the run sees it; a small run writes nothing but its scratch place."""
        own = self.own[1]
        return own if self.scratch is None else self.scratch.instead_of(own)

    def compile(self, plan: Plan, batch_id: str | None) -> CompiledPlan:
        """``plan`` as it runs."""
        compiled = compile_plan(plan, self._loader, self.own[0], self.written, batch_id)
        if self.scratch is None:
            return compiled
        return reading_outside(compiled, self._compile_in(self.own, compiled))

    def at_sources(self, compiled: CompiledPlan) -> CompiledPlan:
        """``compiled`` as datasources see it: paths in theirs are the environment's."""
        return compiled if self.scratch is None else self._compile_in(self.own, compiled)

    def at_home(self, compiled: CompiledPlan) -> CompiledPlan:
        """``compiled`` in the environment whose tables count."""
        return self._compile_in(self.home, compiled)

    @property
    def _all(self) -> tuple[Named, Named]:
        return self.own, self.home

    def _compile_in(self, place: Named, compiled: CompiledPlan) -> CompiledPlan:
        return compile_plan(compiled.plan, self._loader, *place, compiled.batch_id)

    def _lakehouse(self, name: str, environment: Environment) -> str:
        """The root of an environment's tables."""
        pipeline = {"name": self._pipeline}
        names = {"project_dir": str(self._project_dir), "env": name, "pipeline": pipeline}
        path = self._loader.render_text(environment.base_path, names)
        return absolute_path(path, self._project_dir)
