from __future__ import annotations

import re
import shutil
from collections import Counter
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from pipelines.errors import UsageError
from pipelines.flows import visualize_pipeline_dag
from pipelines.flows.arrows import Arrow, find_arrows
from pipelines.flows.palette import LOOKS, PLAIN, QUIET_TEXT, TEXT
from pipelines.flows.visualize_pipeline_dag import dot_source, draw, main, mermaid_source
from pipelines.plan.graph import Graph, StepNode, build_graph
from pipelines.spec.flow import Group, Stage
from pipelines.spec.loader import load_flow
from pipelines.spec.steps import Step

SVG = "{http://www.w3.org/2000/svg}"
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


def step(name: str, *depends_on: str, **more: Any) -> dict[str, Any]:
    read = {"source": {"type": "delta", "query": "select 1"}}
    return {
        "name": name,
        "depends_on": list(depends_on),
        "destination": {"path": f"/lake/{name}"},
        **({} if "script" in more else read),
        **more,
    }


def group(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "steps": list(steps), **more}


def flow_file(folder: Path, **stages: dict[str, Any]) -> Path:
    file = folder / "made_up.yaml"
    made = [{"name": name, **stage} for name, stage in stages.items()]
    file.write_text(yaml.safe_dump({"pipeline": {"name": "made_up", "stages": made}}))
    return file


def graph_of(folder: Path, **stages: dict[str, Any]) -> Graph:
    return build_graph(load_flow(flow_file(folder, **stages), folder))


def vault(folder: Path) -> Graph:
    """The seed's shape: bronze, silver of three groups, gold."""
    table = {"source": {"datasource": "ods", "table": "t"}}
    hubs = group("hubs", step("hub_a", "a"), step("hub_b", "b"), depends_on=["bronze"])
    links = group("links", step("link", "hub_a", "hub_b"), depends_on=["hubs"])
    dims = group(
        "dims",
        step("dim_a", "link"),
        step("dim_b", "hub_b", script="x.py", destination={"view": "v"}),
    )
    return graph_of(
        folder,
        bronze={"groups": [group("ods", step("a", **table), step("b", **table))]},
        silver={"depends_on": ["bronze"], "parallel": False, "groups": [hubs, links]},
        gold={"depends_on": ["silver"], "groups": [dims]},
    )


def wide(folder: Path, count: int = 25) -> Graph:
    """Four stages of ``count`` steps; each step reads its namesake, each stage waits for all."""
    names = ("a", "b", "c", "d")
    stages = {}
    for before, stage in zip((None, *names), names, strict=False):
        steps = [step(f"{stage}{n}", *([f"{before}{n}"] if before else [])) for n in range(count)]
        groups = [group(f"g{n}", *steps[n::5]) for n in range(5)]
        stages[stage] = {"groups": groups, "depends_on": [before] if before else []}
    return graph_of(folder, **stages)


def svg_of(graph: Graph, folder: Path, **more: Any) -> ET.Element:
    (file,) = draw(graph, title="made up", formats=["svg"], out_dir=folder, name="f", **more)
    return ET.parse(file).getroot()


def shown(svg: ET.Element, kind: str) -> list[ET.Element]:
    """Groups of class ``kind``: nodes, edges or clusters that are really drawn."""
    found = svg.iterfind(f".//{SVG}g[@class='{kind}']")
    return [g for g in found if any(part.tag != f"{SVG}title" for part in g)]


def test_find_arrows_draws_dependencies_and_one_arrow_between_stages(tmp_path: Path) -> None:
    assert find_arrows(vault(tmp_path)) == (
        Arrow("bronze", "silver"),
        Arrow("bronze.ods.a", "silver.hubs.hub_a"),
        Arrow("bronze.ods.b", "silver.hubs.hub_b"),
        Arrow("silver", "gold"),
        Arrow("silver.hubs.hub_a", "silver.links.link"),
        Arrow("silver.hubs.hub_b", "gold.dims.dim_b"),
        Arrow("silver.hubs.hub_b", "silver.links.link"),
        Arrow("silver.links.link", "gold.dims.dim_a"),
    )


def test_find_arrows_leaves_out_what_a_longer_way_implies(tmp_path: Path) -> None:
    steps = [step("a"), step("b", "a"), step("c", "a", "b")]
    graph = graph_of(tmp_path, s={"groups": [group("g", *steps)]})
    assert find_arrows(graph) == (Arrow("s.g.a", "s.g.b"), Arrow("s.g.b", "s.g.c"))


def test_find_arrows_when_all_wait_for_all_then_one_arrow(tmp_path: Path) -> None:
    first = [step(f"a{n}") for n in range(3)]
    second = [step(f"b{n}", "a0", "a1", "a2") for n in range(3)]
    groups = [group("g", *first), group("h", *second, depends_on=["g"])]
    assert find_arrows(graph_of(tmp_path, s={"groups": groups})) == (Arrow("s.g", "s.h"),)


def test_find_arrows_when_flow_is_big_then_only_what_stages_do_not_imply(tmp_path: Path) -> None:
    graph = wide(tmp_path)
    assert len(graph.steps) == 100
    assert find_arrows(graph) == (Arrow("a", "b"), Arrow("b", "c"), Arrow("c", "d"))
    assert len(find_arrows(graph, lineage=True)) == 75 + 3


@pytest.mark.parametrize("make", [vault, wide])
def test_find_arrows_keeps_the_order_of_the_graph(make: Any, tmp_path: Path) -> None:
    graph: Graph = make(tmp_path)
    waits = {node: {b for b in before if _is_inner(node, b)} for node, before in _all(graph)}
    for arrow in find_arrows(graph):
        head = arrow.head if arrow.head in graph.steps else f"{arrow.head}:start"
        tail = arrow.tail if arrow.tail in graph.steps else f"{arrow.tail}:end"
        waits[head].add(tail)
    drawn = Graph(graph.steps, {node: frozenset(before) for node, before in waits.items()})
    for step_id in graph.steps:
        assert drawn.ancestors(step_id) == graph.ancestors(step_id)


def _all(graph: Graph) -> Any:
    return graph.waits_for.items()


def _is_inner(node: str, before: str) -> bool:
    """Whether the edge says no more than that a box holds what is in it."""
    return before.endswith(":start") or node.endswith(":end")


@needs_dot
def test_draw_svg_shows_each_step_once_and_every_arrow(tmp_path: Path) -> None:
    graph = vault(tmp_path)
    svg = svg_of(graph, tmp_path)
    texts = Counter(text.text for text in svg.iter(f"{SVG}text"))
    assert {texts[node.step.name] for node in graph.steps.values()} == {1}
    assert texts["jdbc · overwrite"] == 2
    assert texts["script · view"] == 1
    for box in ("bronze", "silver", "gold", "ods", "hubs", "links", "dims", "made up"):
        assert texts[box] == 1
    assert len(shown(svg, "edge")) == len(find_arrows(graph)) == 8
    assert len(shown(svg, "cluster")) == 7
    assert len(shown(svg, "node")) == 7


@needs_dot
def test_draw_svg_when_hundred_steps_then_three_edges(tmp_path: Path) -> None:
    svg = svg_of(wide(tmp_path), tmp_path)
    assert len(shown(svg, "edge")) == 3
    assert len(shown(svg, "node")) == 100
    note = "4 stages · thick arrow: waits for all of it · 75 arrows between steps are implied"
    assert any(note in (text.text or "") for text in svg.iter(f"{SVG}text"))


@needs_dot
def test_draw_svg_when_no_step_ran_draws_without_a_legend(tmp_path: Path) -> None:
    svg = svg_of(vault(tmp_path), tmp_path, statuses={"of.another.flow": ("success", 1.0)})
    assert len(shown(svg, "node")) == len(shown(svg_of(vault(tmp_path), tmp_path), "node"))


@needs_dot
def test_draw_svg_shows_status_by_colour_border_word_and_duration(tmp_path: Path) -> None:
    statuses = {
        "bronze.ods.a": ("success", 12.34),
        "bronze.ods.b": ("failed", 245.0),
        "silver.hubs.hub_b": ("blocked", 0.0),
    }
    svg = svg_of(vault(tmp_path), tmp_path, statuses=statuses)
    nodes = {node.find(f"{SVG}title").text: node for node in shown(svg, "node")}  # type: ignore[union-attr]
    for step_id, words in (
        ("bronze.ods.a", "success · 12.3 s"),
        ("bronze.ods.b", "FAILED · 4 min 05 s"),
        ("silver.hubs.hub_b", "blocked"),
    ):
        shape = nodes[step_id].find(f".//{SVG}path")
        look = LOOKS[statuses[step_id][0]]
        assert shape is not None
        assert (shape.get("fill"), shape.get("stroke")) == (look.fill, look.border)
        assert words in [text.text for text in nodes[step_id].iter(f"{SVG}text")]
    dashed = nodes["silver.hubs.hub_b"].find(f".//{SVG}path")
    assert dashed is not None
    assert dashed.get("stroke-dasharray")
    legend = [text.text for text in svg.iter(f"{SVG}text")]
    assert {"1 success", "1 FAILED", "1 blocked"} <= set(legend)


@pytest.mark.parametrize("look", [PLAIN, *LOOKS.values()], ids=lambda look: look.word or "plain")
def test_text_stands_out_from_every_fill(look: Any) -> None:
    assert _contrast(TEXT, look.fill) >= 4.5
    assert _contrast(QUIET_TEXT, look.fill) >= 4.5
    assert _contrast(look.border, look.fill) >= 3


def _contrast(one: str, other: str) -> float:
    """Contrast ratio of WCAG 2.1."""

    def luminance(color: str) -> float:
        parts = [int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def hostile() -> Graph:
    """Names that the flow's rules forbid, as a graph made by hand could carry them."""
    names = ('<b>"x"</b>:n', "a;b\\n]")
    made = [
        Step.model_construct(name=name, **{
            "source": None, "script": "s.py", "tags": (), "depends_on": (),
            "destination": Step.model_validate(step("x")).destination,
        })
        for name in names
    ]  # fmt: skip
    box = Group.model_construct(name="g & <h>", steps=tuple(made))
    stage = Stage.model_construct(name='s"]', groups=(box,))
    ids = [f"{stage.name}.{box.name}.{name}" for name in names]
    nodes = {i: StepNode(i, stage, box, s, ()) for i, s in zip(ids, made, strict=True)}
    return Graph(nodes, {ids[0]: frozenset(), ids[1]: frozenset({ids[0]})})


@needs_dot
def test_draw_when_names_are_hostile_then_they_are_only_text(tmp_path: Path) -> None:
    svg = svg_of(hostile(), tmp_path)
    texts = [text.text for text in svg.iter(f"{SVG}text")]
    assert '<b>"x"</b>:n' in texts
    assert "g & <h>" in texts
    assert len(shown(svg, "edge")) == 1


def test_mermaid_source_when_names_are_hostile_then_they_are_only_text() -> None:
    text = mermaid_source(hostile(), title='t "q"\nflowchart')
    assert text.splitlines()[1] == 'title: "t \\"q\\"\\nflowchart"'
    assert 'step2("#60;b#62;#34;x#34;#60;/b#62;:n<br/>script · overwrite")' in text
    assert "    step2 --> step3" in text.splitlines()


def test_mermaid_source_has_every_step_box_arrow_and_status(tmp_path: Path) -> None:
    graph = vault(tmp_path)
    text = mermaid_source(graph, title="t", statuses={"bronze.ods.a": ("failed", 2.0)})
    assert text.splitlines()[3] in ("flowchart LR", "flowchart TB")
    assert len(re.findall(r"^ +subgraph ", text, re.M)) == 7
    assert text.count("    end\n") == 7
    assert len(re.findall(r" (-->|==>) ", text)) == 8
    assert '("a<br/>jdbc · overwrite<br/>FAILED · 2.0 s"):::status_failed' in text
    assert f"classDef status_failed fill:{LOOKS['failed'].fill}," in text


def test_draw_without_dot_still_gives_mermaid_and_dot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = vault(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    files = draw(graph, title="t", formats=["mermaid", "dot"], out_dir=tmp_path / "new", name="f")
    assert [file.name for file in files] == ["f.mmd", "f.dot"]
    assert files[1].read_text() == dot_source(graph, title="t")
    for word in ("png", "pdf", "svg"):
        with pytest.raises(UsageError, match="'dot'") as caught:
            draw(graph, title="t", formats=[word], out_dir=tmp_path, name="f")
        assert "apt-get install graphviz" in caught.value.hint


def test_draw_when_format_unknown_then_names_the_near_one(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        draw(vault(tmp_path), title="t", formats=["svgg"], out_dir=tmp_path, name="f")
    assert "did you mean 'svg'?" in caught.value.hint


@needs_dot
def test_main_draws_png_and_pdf_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = flow_file(tmp_path, s={"groups": [group("g", step("a"))]})
    (tmp_path / "pyproject.toml").touch()
    assert main([str(file), "--out", str(tmp_path)]) == 0
    made = [Path(line) for line in capsys.readouterr().out.splitlines()]
    assert [path.name for path in made] == ["made_up.png", "made_up.pdf"]
    assert made[0].read_bytes()[:4] == b"\x89PNG"
    assert made[1].read_bytes()[:5] == b"%PDF-"


def test_main_when_flow_is_missing_then_exit_2_and_no_stack(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "no.yaml")]) == 2
    assert "does not exist" in capsys.readouterr().err
    assert visualize_pipeline_dag.DEFAULT_FLOW == "main_flow"


@needs_dot
def test_draw_when_only_steps_depend_then_stages_still_stand_behind_each_other(
    tmp_path: Path,
) -> None:
    graph = graph_of(
        tmp_path,
        bronze={"groups": [group("ods", step("a"), step("b", "a"))]},
        silver={"groups": [group("hubs", step("hub_a", "a"), step("hub_b", "b"))]},
        gold={"groups": [group("dims", step("dim", "hub_a"))]},
    )
    sides = {}
    for cluster in shown(svg_of(graph, tmp_path), "cluster"):
        shape, label = cluster.find(f".//{SVG}path"), cluster.find(f".//{SVG}text")
        assert shape is not None
        assert label is not None
        across = [float(x) for x in re.findall(r"(-?[\d.]+),-?[\d.]+", shape.get("d") or "")]
        sides[label.text] = (min(across), max(across))
    assert sides["bronze"][1] < sides["silver"][0]
    assert sides["silver"][1] < sides["gold"][0]
