"""Compiling a plan: all templates filled in, all problems found, before anything runs."""

from pipelines.plan.compile.compiled import (
    CompiledCheck,
    CompiledPlan,
    CompiledStep,
    Sql,
    absolute_path,
)
from pipelines.plan.compile.compiler import compile_plan

__all__ = ["CompiledCheck", "CompiledPlan", "CompiledStep", "Sql", "absolute_path", "compile_plan"]
