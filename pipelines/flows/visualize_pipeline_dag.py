"""Draws a flow's DAG as PNG, PDF, SVG, Mermaid or DOT; runnable with ``python -m``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import graphviz

from pipelines.errors import PipelineError, UsageError, near_names
from pipelines.flows.dot_text import dot_source
from pipelines.flows.mermaid_text import mermaid_source
from pipelines.plan.graph import Graph, build_graph
from pipelines.spec.loader import find_flow_file, load_flow

if TYPE_CHECKING:
    from pipelines.flows.palette import Statuses

DEFAULT_FLOW = "main_flow"
DEFAULT_FORMATS = ("png", "pdf")
FORMATS = ("png", "pdf", "svg", "mermaid", "dot")
_SUFFIXES = {"mermaid": "mmd"}
_BITMAP_DOTS_PER_INCH = 120

__all__ = ["DEFAULT_FORMATS", "FORMATS", "dot_source", "draw", "draw_flow", "mermaid_source"]


def draw(
    graph: Graph,
    *,
    title: str,
    statuses: Statuses | None = None,
    formats: Sequence[str] = DEFAULT_FORMATS,
    out_dir: Path,
    name: str,
    datasource_types: Mapping[str, str] | None = None,
) -> list[Path]:
    """The files ``out_dir/name.<suffix>``, written, one for each format in its order.

    Args:
        graph: the DAG.
        title: heading of the picture.
        statuses: status and seconds of each step of a run, by step id; None draws no run.
        formats: of ``FORMATS``.
        out_dir: folder; made if it is not there.
        name: file name without suffix.
        datasource_types: type of each datasource by name; `jdbc` where it is not known.

    Raises:
        UsageError: a format that is not known, or one that needs `dot` where that is missing.
    """
    wanted = [_known_format(word) for word in formats]
    written = []
    for word in dict.fromkeys(wanted):
        if word == "mermaid":
            text = mermaid_source(
                graph, title=title, statuses=statuses, datasource_types=datasource_types
            )
            content = text.encode()
        else:
            dots = _BITMAP_DOTS_PER_INCH if word == "png" else None
            source = dot_source(
                graph,
                title=title,
                statuses=statuses,
                datasource_types=datasource_types,
                dots_per_inch=dots,
            )
            content = source.encode() if word == "dot" else _rendered(source, word)
        out_dir.mkdir(parents=True, exist_ok=True)
        file = out_dir / f"{name}.{_SUFFIXES.get(word, word)}"
        partial = file.with_name(f".{file.name}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(file)
        written.append(file)
    return written


def draw_flow(
    flow: str = DEFAULT_FLOW,
    *,
    out_dir: Path = Path(),
    formats: Sequence[str] = DEFAULT_FORMATS,
    project_dir: Path | None = None,
) -> list[Path]:
    """The pictures of a flow, by name or path, each as ``out_dir/<flow file>.<suffix>``.

    Raises:
        UsageError: no such flow, a flow with errors, or a format that cannot be had.
    """
    file = find_flow_file(flow, project_dir)
    loaded = load_flow(file, project_dir)
    types = {name: source.type for name, source in loaded.pipeline.datasources.items()}
    return draw(
        build_graph(loaded),
        title=loaded.pipeline.name,
        formats=formats,
        out_dir=out_dir,
        name=file.stem,
        datasource_types=types,
    )


def _known_format(word: str) -> str:
    if word not in FORMATS:
        near = near_names(word, FORMATS)
        meant = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(
            f"cannot draw format {word!r}", hint=f"{meant}formats: {', '.join(FORMATS)}"
        )
    return word


def _rendered(source: str, word: str) -> bytes:
    try:
        rendered: bytes = graphviz.Source(source, engine="dot").pipe(format=word)
    except graphviz.ExecutableNotFound:
        raise UsageError(
            f"format {word!r} needs Graphviz's 'dot', which is not on the PATH",
            hint="apt-get install graphviz  (formats mermaid and dot work without it)",
        ) from None
    except graphviz.CalledProcessError as error:
        told = (error.stderr or b"").decode(errors="replace").strip() or str(error)
        raise PipelineError(f"dot could not draw format {word!r}: {told}") from None
    return rendered


def main(words: Sequence[str] | None = None) -> int:
    """The exit code of the command line ``words``; the files' names go to stdout."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.flows.visualize_pipeline_dag",
        description="Draw the DAG of a flow.",
    )
    parser.add_argument("flow", nargs="?", default=DEFAULT_FLOW, help="a name or a path")
    parser.add_argument("--out", type=Path, default=Path(), help="folder; default: here")
    parser.add_argument(
        "--format", default=",".join(DEFAULT_FORMATS), help=f"of {','.join(FORMATS)}"
    )
    given = parser.parse_args(words)
    formats = [word.strip() for word in given.format.split(",") if word.strip()]
    try:
        files = draw_flow(given.flow, out_dir=given.out, formats=formats)
    except PipelineError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for file in files:
        sys.stdout.write(f"{file}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
