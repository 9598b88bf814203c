"""Every pass on small graphs in the text form: the graph before it, and what it makes of it.

`pairs/NAME.before.snn` becomes `pairs/NAME.after.snn` by the pipeline in the first line of `pairs/NAME.passes`; the
other lines of that file say what to look at. NAME is the name of the pass, or that name and a case (`retime-relays`).
Options that are not written follow from the target c99. The arrays of all graphs are in `pairs/weights.safetensors`;
where numbers do not matter, the graphs have shapes instead (`?float32[4,4]`).

A new pair needs the first and the last of these files; `pytest --update-golden` writes the graph after the pass. Where
its arrays are to hold numbers, `write_pair("NAME", "before", graph)` writes the first one.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from safetensors.numpy import load, save

from snncompile.ir.graph import Graph
from snncompile.ir.serde import restore
from snncompile.ir.text import arrays_of, to_text
from snncompile.ir.verify import verify
from snncompile.passes.pipeline import Pass, run_passes
from snncompile.passes.pipeline_text import expect_stages, passes_from_text
from snncompile.passes.table import PASSES, Choices
from snncompile.targets.load import load_target

FOLDER = Path(__file__).parent / "pairs"
WEIGHTS = FOLDER / "weights.safetensors"
NAMES = sorted(p.name.removesuffix(".passes") for p in FOLDER.glob("*.passes"))
ARRAY = re.compile(r"@([a-z]\d+\[[\d,]*\]#[0-9a-f]{16})")


def passes_of_pair(name: str) -> tuple[Pass, ...]:
    pipeline, _, _ = (FOLDER / f"{name}.passes").read_text(encoding="utf-8").partition("\n")
    return passes_from_text(pipeline, Choices(load_target("c99")), place=f"{name}.passes")


def read_pair(name: str, side: str) -> tuple[str, Graph]:
    """The text of a graph, and the graph."""
    text = (FOLDER / f"{name}.{side}.snn").read_text(encoding="utf-8")
    return text, verify(restore(text, WEIGHTS.read_bytes(), where=f"{name}.{side}.snn"))


def write_pair(name: str, side: str, graph: Graph) -> None:
    """Write a graph, and its arrays beside those of the others."""
    (FOLDER / f"{name}.{side}.snn").write_text(to_text(graph), encoding="utf-8")
    known = load(WEIGHTS.read_bytes()) if WEIGHTS.exists() else {}
    arrays = {**known, **arrays_of(graph)}
    WEIGHTS.write_bytes(save({n: arrays[n] for n in sorted(arrays)}))


@pytest.mark.parametrize("name", NAMES)
def test_a_pass_makes_of_one_graph_the_other(name, request):
    text, before = read_pair(name, "before")
    passes = passes_of_pair(name)
    expect_stages(passes, before.stage)
    after = run_passes(before, passes)
    if request.config.getoption("--update-golden"):
        write_pair(name, "after", after)
    assert to_text(before) == text
    assert to_text(after) == read_pair(name, "after")[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_pair_is_named_for_the_only_pass_that_it_shows(name):
    (shown,) = passes_of_pair(name)
    assert name == shown.name or name.startswith(f"{shown.name}-")


def test_every_pass_of_the_table_has_a_pair():
    shown = {one.name for name in NAMES for one in passes_of_pair(name)}
    assert {entry.name for entry in PASSES} - shown == set()


def test_the_arrays_are_those_that_the_graphs_name(request):
    texts = [p.read_text(encoding="utf-8") for p in FOLDER.glob("*.snn")]
    named = {array for text in texts for array in ARRAY.findall(text)}
    arrays = load(WEIGHTS.read_bytes())
    if request.config.getoption("--update-golden"):
        arrays = {n: arrays[n] for n in sorted(named)}
        WEIGHTS.write_bytes(save(arrays))
    assert set(arrays) == named
