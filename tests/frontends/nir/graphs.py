"""Random FLOAT graphs that NIR can express, with layers, skips, loops, delays and unusual names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import AvgPool, Conv, Identity, Input, Linear, Output, Reshape, Scale, SumPool
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Shape
from tests.strategies import Choices, Drawn

NAMES = ("n{}", "10{}", "layer.{}", "a/{}", "..{}", "ä{}", 'q"{}\n', "{};")
SPIKING = ("if", "lif", "plif", "cubalif", "threshold", "euler_lif")
GRADED = ("li", "integrator", "cubali", "accumulator", "euler_li")


@dataclass
class Growing:
    """A graph to which nodes are added one by one."""

    pick: Choices
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    shapes: dict[str, Shape] = field(default_factory=dict)

    def add(self, op: Op, source: str | None, shape: Shape = ()) -> str:
        name = self.pick.one(NAMES).format(len(self.nodes))
        self.nodes[name] = op
        self.shapes[name] = op.infer(self.shapes[source] if source is not None else shape)
        if source is not None:
            self.edges.append(Edge(source, name, self.pick.integer(1, 3) if self.pick.chance(15) else 0))
        return name


@st.composite
def expressible_graphs(draw: st.DrawFn) -> Graph:
    """Well-formed graphs that `export_nir` can write."""
    return expressible(Choices(Drawn(draw)))


def expressible(pick: Choices) -> Graph:
    """A well-formed graph that `export_nir` can write."""
    g = Growing(pick)
    shape = pick.one([(3,), (2, 4, 4), (1, 5, 3), (2, 6)])
    last = g.add(pick.one([Input(shape), Input(shape, high=3), Input(shape, "real", -0.5, 0.5, 0.25)]), None, shape)
    for _ in range(pick.integer(1, 5)):
        for _ in range(pick.integer(0, 2)):
            last = g.add(_linear(pick, g.shapes[last]), last)
        last = g.add(neuron(pick, g.shapes[last]), last)
        _join(g, last)
    g.add(Output(pick.one(["rate", "last", "max"])), last)
    read = {e.src for e in g.edges}
    for name in [n for n, op in g.nodes.items() if n not in read and not isinstance(op, Output)]:
        g.add(Output(), name)
    meta: dict[str, Any] = pick.one([{}, {"dt": 2.5e-4}, {"dt": 0.001, "by": ["ä", 1, None]}])
    return Graph(pick.one(["net", "a/b"]), g.nodes, tuple(g.edges), meta=meta)


def _join(g: Growing, last: str) -> None:
    """Add edges between nodes of equal shape: sums, skips, loops, and repeated edges."""
    same = [n for n in g.nodes if g.shapes[n] == g.shapes[last]]
    for _ in range(g.pick.integer(0, 2)):
        source = g.pick.one(same)
        into = [n for n in same if isinstance(g.nodes[n], (Neuron, Scale, Identity))]
        target = g.pick.one(into)
        forward = list(g.nodes).index(source) < list(g.nodes).index(target)
        g.edges.append(Edge(source, target, g.pick.integer(0 if forward else 1, 2)))


def _linear(pick: Choices, shape: Shape) -> Op:
    kind = pick.integer(0, 3)
    if kind == 0:
        return Identity()
    if kind == 1:
        factors: list[Any] = [0.5, 2, np.full(shape, 3, np.float32), pick.weights(*shape),
                              pick.weights(shape[0], *(1,) * (len(shape) - 1))]
        return Scale(pick.one(factors))
    if len(shape) == 1:
        out = pick.integer(1, 4)
        return Linear(pick.weights(out, shape[0]), pick.one([None, np.zeros(out), pick.weights(out)]))
    if kind == 2:
        first = pick.integer(0, len(shape) - 1)
        return Reshape((*shape[:first], int(np.prod(shape[first:]))))
    return _spatial(pick, shape)


def _spatial(pick: Choices, shape: Shape) -> Op:
    axes = len(shape) - 1
    if axes == 2 and pick.chance(40):
        pad = pick.integer(0, 1)
        return pick.one([SumPool, AvgPool])((2, 1), (1, 2), ((pad, pad), (0, 0)))
    out, groups = pick.integer(1, 3) * shape[0], pick.one([1, shape[0]])
    bias = pick.one([None, np.zeros(out, np.float32), pick.weights(out)])
    pads = pick.one([((1, 1),) * axes, ((0, 1),) * axes])
    return Conv(pick.weights(out, shape[0] // groups, *(2,) * axes).astype(np.float32), bias,
                (1,) * axes, pads, (1,) * axes, groups)


def neuron(pick: Choices, shape: Shape) -> Neuron:
    """A neuron of a rule for which NIR has an equation."""
    rule = pick.one(SPIKING * 2 + GRADED)
    params = {name: _param(pick, shape, low) for name, low in {
        "if": {"gain": 1}, "lif": {"decay": 0, "gain": 1}, "plif": {"w": -60}, "li": {"decay": 0, "gain": 1},
        "cubalif": {"decay": 0, "decay_syn": 0, "gain": 1, "gain_syn": 1},
        "cubali": {"decay": 0, "decay_syn": 0, "gain": 1, "gain_syn": 1}, "threshold": {"gain": 1},
        "integrator": {"gain": 1}, "accumulator": {},
        "euler_lif": {"rate": 1}, "euler_li": {"rate": 1}}[rule].items()}
    initial = {"v": _param(pick, shape, -20)} if rule not in ("threshold", "accumulator") and pick.chance(20) else {}
    if rule in ("lif", "cubalif", "li", "cubali") and pick.chance(30):
        params["bias"] = _param(pick, shape, -20)
    options: dict[str, str] = {}
    if rule.startswith("cuba") and pick.chance(50):
        options["filter"] = pick.one(["decay-first", "add-first", "decay-both"])
    if rule.startswith("euler"):
        options["input"] = pick.one(["decayed", "whole"])
        params |= {name: _param(pick, shape, 1) for name in ("rest", "rate_syn", "bias") if pick.chance(30)}
    firing = Firing()
    if rule in SPIKING:
        several = 1 if rule == "threshold" else pick.one([1, 3, None])
        params["threshold"] = _param(pick, shape, 16)
        firing = Firing(pick.one([">=", ">"]), pick.one(["subtract", "value", "none"]),
                        pick.one(["same", "before-decay", "after-decay", "drop-input", "carried"]), several)
        for name in ("v_reset", "v_min"):
            if pick.chance(20) and rule != "threshold":
                params[name] = _param(pick, shape, -40, -1)
    return Neuron.of(rule, firing, options, initial, **params)


def _param(pick: Choices, shape: Shape, low: int, high: int = 63) -> Any:
    if pick.chance(70):
        return pick.integer(low, high) / 64
    form = shape if pick.chance(50) else (shape[0], *(1,) * (len(shape) - 1))
    return pick.weights(*form, low=low, high=high)
