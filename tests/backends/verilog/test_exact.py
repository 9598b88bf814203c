"""The emitted Verilog computes what the integer interpreter computes: on random graphs, in every spike and membrane."""

from __future__ import annotations

import itertools
import shutil
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.plan.layouts import as_image
from snncompile.backends.stream.context import Fold
from snncompile.backends.stream.cycles import cycles_of, emissions
from snncompile.backends.stream.fold import legal_units
from snncompile.backends.stream.hardware import Hardware
from snncompile.backends.stream.lower import lower
from snncompile.backends.stream.memory import XC7
from snncompile.backends.stream.words import words
from snncompile.backends.verilog.emit import emit
from snncompile.backends.verilog.host import simulate
from snncompile.diagnostics import CompileError
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Conv, Input, Linear, MaxPool, Output, Pad, SumPool, Upsample
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.rules import Firing
from snncompile.model import inside_differences
from snncompile.targets.sections import Fabric
from tests.backends.exactness import Case, random_case
from tests.image_graphs import image_graph
from tests.strategies import random_graph
from tests.tools import needs

GRAPHS, QUICK = 20, 6
CYCLES = 400_000
"""More than any of the networks takes."""
needs_simulator = needs("iverilog")


def folding(graph: Graph, seed: int) -> tuple[dict[str, Fold], int]:
    """A random fold of each population, and carry chains between registers."""
    rng, folds = np.random.default_rng(seed), {}
    for name in graph.populations:
        lanes = int(rng.integers(1, min(as_image(graph.shapes[name])[0], 8) + 1))
        folds[name] = Fold(lanes, int(rng.choice(legal_units(lanes))), int(rng.choice([1, 1, 2, 5, 64])),
                           bool(rng.random() < 0.5), (None, "block", "distributed")[rng.choice([0, 0, 1, 2])])
    return folds, int(rng.integers(1, 4))


def differences(case: Case, seed: int, stall: int, fabric: Fabric = XC7) -> list[str]:
    """Where the emitted Verilog differs from the interpreter, and without stalls from the predicted cycles."""
    hardware = lower(case.graph, *folding(case.graph, seed), fabric)
    found = simulate(case.graph, emit(hardware), case.x, stall, CYCLES)
    predicted = cycles_of(hardware, emissions(case.graph, hardware, case.x), next(iter(case.x.values())).shape[1])
    return [*inside_differences(case.wanted, found.traces),
            *(n for n, v in case.wanted.outputs.items() if not np.array_equal(v, found.traces.outputs[n])),
            *([f"{found.cycles} cycles, predicted {predicted}"] if not stall and predicted != found.cycles else [])]


@needs_simulator
@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.slow] if n >= QUICK else [])
                                  for n in (*range(GRAPHS), 158, 164, 1104)])
def test_verilog_equals_the_interpreter_on_random_graphs(seed: int) -> None:
    """Folded at random, and every other one with ends that stall at random."""
    assert differences(random_case(random_graph(seed), seed), seed, stall=40 * (seed % 2)) == []


@needs_simulator
@pytest.mark.parametrize("seed", [pytest.param(n, marks=[pytest.mark.slow] if n >= QUICK else [])
                                  for n in (*range(GRAPHS), 25, 30)])
def test_verilog_equals_the_interpreter_on_random_images(seed: int) -> None:
    """Half of the populations keep the sums of a few rows; frames stand still in every other network."""
    assert differences(random_case(image_graph(seed), seed), seed, stall=40 * (seed % 3 == 0)) == []


def test_random_images_have_lines_and_frames_that_stand() -> None:
    """What the test above promises, in the networks that always run."""
    cases = [(random_case(image_graph(seed), seed).graph, seed) for seed in range(GRAPHS)]
    stages = [s for graph, seed in cases for s in lower(graph, *folding(graph, seed)).stages]
    assert sum(s.lines for s in stages) > 8
    assert sum(s.lines and s.floor is not None for s in stages) > 0
    assert sum(s.lines and any(isinstance(m.initial, np.ndarray) for m in s.states) for s in stages) > 1
    assert sum(s.stands for s in stages) > 3
    assert sum(s.stream.stands for s in stages) > 0


LINED = [
    ((Input((2, 6, 1)), Conv(np.ones((2, 2, 1, 1)))), Fold(2, 2, lines=True)),
    ((Input((1, 7, 4)), Conv(np.ones((2, 1, 1, 1)), None, (2, 1), ((0, 0), (0, 0)))), Fold(1, lines=True))]
"""A row of one group, which has to be cleared before a later one takes its place; and rows that reach nothing."""


@needs_simulator
@pytest.mark.parametrize(("ops", "fold"), LINED)
def test_rows_take_the_place_of_others_when_those_are_done(ops: tuple[Any, ...], fold: Fold) -> None:
    case, hardware = only(*ops, Neuron.of("if", Firing(), threshold=2.0), folds=fold)
    (stage,) = hardware.stages
    assert stage.lines
    assert case.wanted.outputs["out"].any()
    assert wrong_in(case, hardware) == []


def standing(frames: tuple[int, ...]) -> tuple[Case, Hardware]:
    """A convolution of real-valued frames, of which these are shown in turn."""
    conv = Conv(np.ones((2, 1, 3, 3)), None, (1, 1), ((1, 1), (1, 1)))
    case, hardware = only(Input((1, 4, 4), "real", low=-1.0, high=1.0), conv,
                          Neuron.of("lif", Firing(), decay=0.5, threshold=1.0), folds=Fold(2))
    x = {"op0": case.x["op0"][:, list(frames)]}
    return Case(case.graph, x, {}, run(case.graph, x, record=True, states=True)), hardware


FRAMES = [(0, 0, 0), (0, 0, 1), (0, 1, 1), (0, 1, 0)]


@needs_simulator
@pytest.mark.parametrize("frames", FRAMES)
def test_a_frame_that_stands_still_is_sent_once(frames: tuple[int, ...]) -> None:
    """Frames that come again send the end of a tick only, and sums are kept; other frames are added anew."""
    case, hardware = standing(frames)
    x, (port,) = case.x["op0"], hardware.inputs
    new = [k for k, frame in enumerate(frames) if k == 0 or frames[k - 1] != frame]
    assert len(words(port.stream, x).split()) == np.count_nonzero(x[:, new]) + len(x) * len(frames)
    assert wrong_in(case, hardware) == []


@needs_simulator
def test_lines_keep_as_many_rows_as_a_kernel_reaches() -> None:
    """Three rows of sums are enough for a kernel of three rows, where all twelve would be kept else."""
    layers = (Input((1, 12, 6)), Conv(np.ones((2, 1, 3, 3)), None, (1, 1), ((1, 1), (1, 1))),
              Neuron.of("lif", Firing(), decay=0.5, threshold=4.0))
    kept = []
    for lines in (False, True):
        case, hardware = only(*layers, *(Conv(np.ones((3, 2, 3, 3))), layers[2]), folds=Fold(2, 1, lines=lines))
        assert wrong_in(case, hardware) == []
        kept.append([m.words for s in hardware.stages for m in s.memories if m.name == "sums0"])
    assert kept == [[72, 80], [18, 24]]


@needs_simulator
def test_names_meet_neither_each_other_nor_verilog() -> None:
    """Populations that are called as parts of the hardware are, in a network that is called as a word of Verilog."""
    case = random_case(random_graph(1), 1)
    names = dict(zip(case.graph.populations, ("x", "x_unit", "fifo", "testbench", "reg", "top"), strict=False))
    edges = tuple(replace(e, src=names.get(e.src, e.src), dst=names.get(e.dst, e.dst)) for e in case.graph.edges)
    nodes = {names.get(n, n): op for n, op in case.graph.nodes.items()}
    for name in ("module", "wire"):
        graph = case.graph.replace(name=name, nodes=nodes, edges=edges)
        wanted = run(graph, case.x, record=True, states=True)
        assert differences(Case(graph, case.x, case.rates, wanted), 1, stall=0) == []


@pytest.mark.parametrize(("tool", "limit"), [("absent", 1000), ("iverilog", 5)])
def test_a_simulation_that_fails_is_told(tool: str, limit: int, monkeypatch) -> None:
    if tool == "absent":
        monkeypatch.setenv("PATH", "")
    elif shutil.which(tool) is None:
        pytest.skip("no Icarus Verilog on this machine")
    case = random_case(random_graph(1), 1)
    with pytest.raises(CompileError) as caught:
        simulate(case.graph, emit(lower(case.graph)), case.x, limit=limit)
    assert caught.value.diagnostics[0].code == "SNN607"


@needs_simulator
def test_parameters_may_have_any_name() -> None:
    """A rule of a user, or a file, may call a parameter like a piece of Verilog."""
    case = random_case(random_graph(5), 5)

    def renamed(op: Any) -> Any:
        if not isinstance(op, Population):
            return op
        names = {n: f"{n}; endmodule" for n in op.params if n not in op.tables}
        steps = tuple(replace(s, value=names.get(str(s.value), s.value)) if s.op == "param" else s
                      for s in op.program.steps)
        return replace(op, program=replace(op.program, steps=steps), params={names.get(n, n): v for n, v in
                                                                             op.params.items()})

    graph = case.graph.replace(nodes={n: renamed(op) for n, op in case.graph.nodes.items()})
    assert differences(Case(graph, case.x, case.rates, case.wanted), 5, stall=0) == []


@needs_simulator
@pytest.mark.parametrize("seed", range(QUICK))
def test_weights_in_many_banks_are_the_same(seed: int) -> None:
    fabric = replace(XC7, block_widths=(1, 4, 9, 36), block_depths=(32, 16, 8, 4))
    assert differences(random_case(random_graph(seed), seed), seed + 1, 30 * (seed % 2), fabric) == []


@needs_simulator
@pytest.mark.parametrize("seed", [1, 5, 158, 1104])
@pytest.mark.parametrize("fill", [0, 1])
def test_empty_and_full_ticks_are_exact(seed: int, fill: int) -> None:
    """Nothing arrives at all, or everything that can: no buffer overflows, and nothing waits for ever."""
    case = random_case(random_graph(seed), seed)
    x = {n: np.full_like(v, fill * int(case.graph.inputs[n].high)) for n, v in case.x.items()}
    wanted = run(case.graph, x, record=True, states=True)
    assert differences(Case(case.graph, x, case.rates, wanted), seed, stall=20) == []


def only(*ops: Any, folds: Fold) -> tuple[Case, Hardware]:
    """Operators one after another into one population, with input that is dense, and the hardware of it."""
    nodes = {f"op{k}": op for k, op in enumerate(ops)} | {"out": Output()}
    names = list(nodes)
    graph = sc.compile(Graph("only", nodes, tuple(itertools.starmap(Edge, itertools.pairwise(names)))),
                       weight_rounding="nearest").graph
    low, high = (int(n) for n in (graph.inputs["op0"].low, graph.inputs["op0"].high))
    x = {"op0": np.random.default_rng(0).integers(low, high + 1, (2, 5, *ops[0].shape))}
    wanted = run(graph, x, record=True, states=True)
    return Case(graph, x, {}, wanted), lower(graph, dict.fromkeys(graph.populations, folds))


def wrong_in(case: Case, hardware: Hardware) -> list[str]:
    found = simulate(case.graph, emit(hardware), case.x, limit=CYCLES)
    return inside_differences(case.wanted, found.traces) + [
        n for n, v in case.wanted.outputs.items() if not np.array_equal(v, found.traces.outputs[n])]


@needs_simulator
@pytest.mark.parametrize(("channels", "folds"), [(3, Fold(2, 2)), (5, Fold(4, 4)), (6, Fold(4, 2)), (7, Fold(4, 4))])
def test_units_without_a_neuron_send_nothing(channels: int, folds: Fold) -> None:
    """All neurons fire in every tick by their bias, and units to spare have the bias of the last channel."""
    case, hardware = only(Input((2,)), Linear(np.eye(channels, 2), np.full(channels, 3.0)),
                          Neuron.of("if", Firing(), threshold=1.0), folds=folds)
    assert hardware.stages[0].stream.image[0] % folds.units == channels % folds.units
    assert case.wanted.outputs["out"].all()
    assert wrong_in(case, hardware) == []


@needs_simulator
@pytest.mark.parametrize("lanes", [1, 2])
def test_an_event_that_reaches_a_sum_twice_is_added_twice(lanes: int) -> None:
    """Each element becomes four, of which a pool adds several to the same sum, one straight after the other."""
    case, hardware = only(Input((2, 4, 4)), Upsample((2, 2)), SumPool((3, 3), (1, 1)),
                          Neuron.of("if", Firing(), threshold=3.0), folds=Fold(lanes))
    assert hardware.stages[0].links[0].hold > 0
    assert case.wanted.outputs["out"].any()
    assert wrong_in(case, hardware) == []


@needs_simulator
def test_channels_that_no_event_reaches() -> None:
    """Two channels of six have a source; all six neurons fire by their bias, and are swept."""
    case, hardware = only(Input((2,)), Pad(((0, 4),)), Neuron.of("if", Firing(), threshold=1.0, bias=0.5),
                          folds=Fold(2))
    (link,) = hardware.stages[0].links
    assert (link.reach, hardware.stages[0].groups) == (1, 3)
    assert case.wanted.outputs["out"].any((0, 1)).all()
    assert wrong_in(case, hardware) == []


@needs_simulator
def test_the_largest_of_values_that_are_all_negative_is_not_zero() -> None:
    """A maximum needs every element, and begins at the least value that there can be."""
    case, hardware = only(Input((1, 6, 6), "real", low=-1.0, high=0.25), MaxPool((2, 2), (2, 2)),
                          Neuron.of("if", Firing(), threshold=1.0), folds=Fold())
    largest = MaxPool((2, 2), (2, 2)).apply(case.x["op0"].reshape(-1, 1, 6, 6))
    assert (largest < 0).any()
    assert (largest > 0).any()
    assert [s.stream.whole for s in hardware.stages].count(True) == 1
    assert wrong_in(case, hardware) == []
