"""Builds the graph of a step function.

Regions of element-wise nodes become neurons, other nodes become layer operators, and a state that belongs to no neuron
becomes a delay of one tick on an edge.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.dataflow import Element, Flow, enter, follow
from snncompile.frontends.onnx.doubts import doubts
from snncompile.frontends.onnx.file import Model
from snncompile.frontends.onnx.layers import IGNORED, LAYERS
from snncompile.frontends.onnx.neurons import make_neuron
from snncompile.frontends.onnx.pairs import BEFORE, find_initial, find_pairs
from snncompile.frontends.onnx.regions import Region, Regions
from snncompile.frontends.onnx.rule import ELEMENTS
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.op import Op
from snncompile.ir.ops import Identity, Input, Output, Rectify, Scale

INPUTS = {"spike": (0, 1), "real": (-1, 1)}


def step_graph(model: Model, place: str, states: Mapping[str, str], initial: Mapping[str, Any], values: str) -> Graph:
    """The FLOAT graph of a model; its notes say (SNN105) where the file may have been meant otherwise.

    Args:
        place: the file's name in messages.
        states: output by state input; empty where the option was not given.
        initial: initial values by state input.
        values: what the inputs carry, `spike` or `real`.

    Raises:
        CompileError: SNN404 for states that the model does not have; otherwise as `read_onnx` does.
    """
    pairs = find_pairs(model, place, states)
    for name in initial:
        if name not in pairs:
            fail("SNN404", f"option initial, {shorten(name)}", "there is no state of this name",
                 ", ".join(map(shorten, pairs)))
    flow = enter(model, place, pairs)
    follow(flow, ELEMENTS, LAYERS, IGNORED)
    leaving = tuple(n for n in model.outputs if n not in pairs.values())
    roots = {i: flow.named(o) for i, o in pairs.items()}
    regions = Regions(flow, roots, tuple(flow.named(n) for n in leaving))
    regions.divide()
    builder = _Builder(model, flow, regions, frozenset(pairs), {**find_initial(model), **initial}, values)
    graph = builder.build(leaving)
    return graph.noting(flow.notes).noting(doubts(model, flow, graph, pairs, place, bool(states)))


@dataclass
class _Builder:
    """Builds the graph of a model whose elements are divided among neurons.

    Attributes:
        states: the inputs of the model that are states.
        initial: initial values by state input, numbers or arrays.
        nodes: the nodes of the graph so far.
        edges: the edges of the graph so far.
        owners: the graph node that computes each value, by the value's name in the file.
        reserved: names that are kept for the graph's outputs.
    """

    model: Model
    flow: Flow
    regions: Regions
    states: frozenset[str]
    initial: Mapping[str, Any]
    values: Any
    nodes: dict[str, Op] = field(default_factory=dict)
    edges: list[Edge] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    reserved: set[str] = field(default_factory=set)

    def build(self, leaving: Sequence[str]) -> Graph:
        flow, regions = self.flow, self.regions
        self.reserved = set(leaving) - set(self.model.inputs)
        for name in self.model.inputs:
            if name not in self.states:
                self.owners[name] = self._name(name)
                self.nodes[self.owners[name]] = Input(flow.values[name].shape, self.values, *INPUTS[self.values])
        terms: dict[str, list[tuple[str, tuple[Op, ...]]]] = {}
        in_neurons = {n for r in regions.neurons for n in r.elements}
        for region in regions.neurons:
            name = self.owners[region.exit] = self._name(_population_name(region))
            self.nodes[name] = make_neuron(flow, regions.pairs, region, name, self.initial)
            terms[name] = [(v, () if sign > 0 else (Scale(-1.0),)) for v, sign in region.terms]
        for output, total in regions.operator_sums.items():
            self._place(total.name, output, list(total.terms), terms)
        for output, element in regions.elements.items():
            if output not in in_neurons:
                self._place(element.node.name or output, output, self._operators(element), terms)
        for name, parts in terms.items():
            self._connect(name, parts)
        self.reserved = set()
        for output in leaving:
            name = self._name(output)
            self.nodes[name] = Output()
            source, delay = self._source(self.flow.named(output))
            self.edges.append(Edge(source, name, delay))
        return Graph(self.model.name or "onnx", self.nodes, tuple(self.edges))

    def _name(self, wanted: str) -> str:
        """The wanted name, with a number behind it where it is taken."""
        name, count = wanted or "_", 1
        while name in self.nodes or name in self.reserved:
            count += 1
            name = f"{wanted}_{count}"
        return name

    def _place(self, wanted: str, output: str, parts: list[tuple[str, tuple[Op, ...]]],
               terms: dict[str, list[tuple[str, tuple[Op, ...]]]]) -> None:
        """Add the node that computes a sum of terms.

        A single term's last operator becomes the node itself; several terms are added by an `Identity`.

        Args:
            wanted: the node's name, if it is free.
            output: the value's name in the file.
            parts: the terms.
            terms: receives, under the node's name, the terms that edges must bring to it.
        """
        name = self.owners[output] = self._name(wanted.strip("/") or output)
        single = len(parts) == 1 and parts[0][1]
        self.nodes[name] = parts[0][1][-1] if single else Identity()
        terms[name] = [(parts[0][0], parts[0][1][:-1])] if single else parts

    def _connect(self, name: str, parts: list[tuple[str, tuple[Op, ...]]]) -> None:
        """Add the edges that bring terms to a node, and a node for each operator on the way."""
        for value, chain in parts:
            source, delay = self._source(value)
            for op in chain:
                middle = self._name(f"{name}.{op.kind()}")
                self.nodes[middle] = op
                self.edges.append(Edge(source, middle, delay))
                source, delay = middle, 0
            self.edges.append(Edge(source, name, delay))

    def _source(self, value: str) -> tuple[str, int]:
        """The graph node that computes a value, and how many ticks before.

        Raises:
            CompileError: SNN104 where no node computes it, or where a state on the way cannot be a plain delay.
        """
        delay, pairs = 0, self.regions.pairs
        while value in pairs:
            if delay > len(pairs):
                fail("SNN104", f"state {shorten(value)}", "it is its own next value",
                     "a next value that depends on something else")
            if np.any(self.initial.get(value, 0)):
                fail("SNN104", f"state {shorten(value)}", "an initial value other than 0; the state is only a delay",
                     "an initial value of 0")
            value, delay = pairs[value], delay + 1
        if value not in self.owners:
            problem = "it is a constant" if value in self.flow.constants else "no operator of the graph computes it"
            fail("SNN104", f"value {shorten(value)}", problem, "a value that depends on the input")
        return self.owners[value], delay

    def _operators(self, element: Element) -> list[tuple[str, tuple[Op, ...]]]:
        """The terms of an element outside of neurons; a constant term becomes the bias of a `Scale`."""
        flow, op = self.flow, element.node.op
        axes = len(flow.values[element.output].shape)
        parts: list[tuple[str, tuple[Op, ...]]] = []
        bias: Any = None
        for i, name in enumerate(element.inputs):
            sign = -1.0 if (op == "Sub" and i == 1) or op == "Neg" else 1.0
            if name in flow.values:
                parts.append((name, () if sign > 0 else (Scale(-1.0),)))
            elif name and op in ("Add", "Sub", "Sum"):
                number = flow.numbers(name, axes) * sign
                bias = number if bias is None else bias + number
        if bias is not None:
            factor = 1.0 if len(parts) > 1 or not parts[0][1] else -1.0
            if len(parts) > 1:
                fail("SNN104", element.node.place, "constants and several values in one sum",
                     "several values, or one value and constants")
            return [(parts[0][0], (Scale(factor, _scalar(bias)),))]
        return parts if op in ("Add", "Sub", "Sum", "Neg") else [(parts[0][0], (self._unary(element, axes),))]

    def _unary(self, element: Element, axes: int) -> Op:
        """The operator of an element that rectifies one value, or scales it by constants."""
        op = element.node.op
        if op in ("Relu", "Max", "Min"):
            return Rectify(-1 if op == "Min" else 1)
        factor: Any = 1.0
        for name in element.inputs:
            if name in self.flow.constants:
                number = np.asarray(self.flow.numbers(name, axes), np.float64)
                factor = factor * (1 / number if op == "Div" else number)
        return Scale(_scalar(factor))


def _scalar(value: Any) -> Any:
    """A float where the array holds one value, otherwise the array."""
    array = np.asarray(value)
    return float(array.ravel()[0]) if array.size == 1 else array


def _population_name(region: Region) -> str:
    """The name of a region's neuron.

    It is the name of the first state without the parts that mark it as an input or as a membrane (`lif1.mem` gives
    `lif1`, `prev_v` gives `v`). Without states, it is the name of the node whose value leaves the region.
    """
    if not region.states:
        element = region.elements.get(region.exit)
        return (element.node.name if element and element.node.name else region.exit).strip("/")
    base = BEFORE.sub("", region.states[0])
    return re.sub(r"(?<=.)(?:\.[^.]*|_(?:v|u|mem|syn|i|spk|spike|state|potential))$", "", base)
