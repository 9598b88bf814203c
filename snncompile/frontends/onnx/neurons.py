"""Regions of elements as neurons: their rule, its parameters, what those measure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from snncompile.frontends.onnx.dataflow import Element, Flow
from snncompile.frontends.onnx.infer_dimensions import measure
from snncompile.frontends.onnx.pairs import BEFORE
from snncompile.frontends.onnx.regions import SUMS, Region
from snncompile.frontends.onnx.rule import expression
from snncompile.ir.expr import Expr, Program, Step, flatten
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Dimension, Quantity, fixed_rule
from snncompile.ir.types import Array, Shape

WORD = re.compile(r"[^A-Za-z0-9_]+")
# A constant of the file, the shape in which it is used, and what it measures there.
Source: TypeAlias = tuple[str, Shape, Dimension]


def make_neuron(flow: Flow, pairs: Mapping[str, str], region: Region, name: str, initial: Mapping[str, Any]) -> Neuron:
    """The neuron that a region is; its rule is named after its last word."""
    reader = _Reader(flow, region)
    states = _state_names(region)
    program, params = reader.program({states[s]: pairs[s] for s in region.states}, states)
    measured = measure(program, params)
    dimensions, spiking = measured if measured else ({}, False)
    sources: dict[str, Source] = {
        p: (p.split(" ", 1)[1], np.shape(v), dimensions.get(f"param.{p}", "real")) for p, v in params.items()}
    names = _names(sources, _threshold(program))
    program = _renamed(program, {p: names[s] for p, s in sources.items()})
    kinds = {names[s]: Quantity(s[2]) for s in sources.values()}
    kept = {s: Quantity(dimensions.get(f"state.{s}", "membrane")) for s in states.values()}
    word = WORD.sub("_", name.rsplit(".", 1)[-1]).strip("_") or "neuron"
    rule = fixed_rule(word, program, kinds, kept, spiking=spiking)
    firsts = {states[s]: np.asarray(initial[s], np.float64) for s in region.states if s in initial}
    values = {names[s]: params[p] for p, s in sources.items()}
    return Neuron(rule, values, initial={n: v[0] if v.ndim > 1 and len(v) == 1 else v for n, v in firsts.items()})


def _state_names(region: Region) -> dict[str, str]:
    """Short names for states: their last words."""
    found: dict[str, str] = {}
    for state in region.states:
        base = BEFORE.sub("", state)
        short = WORD.sub("_", base.rsplit(".", 1)[-1]).strip("_") or "v"
        while short in found.values():
            short += "_"
        found[state] = short
    return found


@dataclass
class _Reader:
    """The expressions of a region."""

    flow: Flow
    region: Region
    params: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Expr | None] = field(default_factory=dict)

    def program(self, following: Mapping[str, str], states: Mapping[str, str]) -> tuple[Program, dict[str, Any]]:
        self.known = {s: Expr("state", (), short) for s, short in states.items()}
        self.known |= {v: None for v, _ in self.region.terms[1:]}
        if self.region.terms:
            self.known[self.region.terms[0][0]] = Expr("input")
        for name, element in self.region.elements.items():
            self.known[name] = self._element(element)
        axes = len(self.flow.values[self.region.exit].shape)
        program = flatten(self._read(self.region.exit, axes), {s: self._read(v, axes) for s, v in following.items()})
        return program, self.params

    def _element(self, element: Element) -> Expr | None:
        axes = len(self.flow.values[element.output].shape)
        inputs = element.inputs[:3] if element.node.op in ("Quant", "Trunc") else element.inputs
        if element.node.op in SUMS and any(n in self.known and self.known[n] is None for n in inputs):
            return self._without(element, axes)
        args = [self._read(n, axes, element) if n else None for n in inputs]
        return expression(element, args, lambda i: self._number(element, i))

    def _without(self, element: Element, axes: int) -> Expr | None:
        """A sum some of whose terms have moved into the input of the neuron."""
        total: Expr | None = None
        for i, name in enumerate(element.inputs):
            if name in self.known and self.known[name] is None:
                continue
            term = self._read(name, axes)
            term = -term if element.node.op == "Sub" and i == 1 else term
            total = term if total is None else total + term
        return total

    def _read(self, name: str, axes: int, element: Element | None = None) -> Expr:
        found = self.known.get(name)
        if found is not None:
            return found
        array = self.flow.numbers(name, axes)
        if element is not None and element.node.op in ("QuantizeLinear", "DequantizeLinear") and array.size > 1:
            array = _along(array, element, axes)
        if not array.any():
            return Expr("const", (), 0)
        param = f"{len(self.params)} {name}"
        self.params[param] = _plain(array)
        return Expr("param", (), param)

    def _number(self, element: Element, i: Any) -> Any:
        """A constant input of an element as a number; the range of integers that `QuantizeLinear` gives for "type"."""
        inputs = element.inputs
        if i == "type":
            kind = self.flow.constants[inputs[2]].dtype if len(inputs) > 2 and inputs[2] else np.dtype(np.uint8)
            return (int(np.iinfo(kind).min), int(np.iinfo(kind).max))
        if i >= len(inputs) or inputs[i] not in self.flow.constants or self.flow.constants[inputs[i]].size != 1:
            return None
        return float(self.flow.constants[inputs[i]].ravel()[0])


def _along(array: Array, element: Element, axes: int) -> Array:
    """One value for each place on an axis of the tensor."""
    shape = [1] * axes
    shape[element.node.attributes.get("axis", 1) - 1] = -1
    return array.reshape(shape)


def _plain(array: Array) -> Any:
    """A parameter: a number, or the array in floats."""
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    return float(array.ravel()[0]) if array.size == 1 else array


def _names(sources: Mapping[str, Source], threshold: str | None) -> dict[Source, str]:
    """Parameters' names: the last words of the constants they come from; what the output is compared with is the
    threshold. A constant that is used as two kinds of quantity is two parameters."""
    names: dict[Source, str] = {}
    for source in sources.values():
        if source in names:
            continue
        word = WORD.sub("_", source[0].rsplit("/", 1)[-1].rsplit(".", 1)[-1]).strip("_")
        word = f"c{len(names)}" if not word or word[0].isdigit() else word
        word = f"{word}_" if word in ("bias", "threshold") else word
        word = "threshold" if threshold is not None and source == sources[threshold] else word
        while word in names.values():
            word += "_"
        names[source] = word
    return names


def _renamed(program: Program, names: Mapping[str, str]) -> Program:
    """The program under other names of its parameters, each distinct operation computed once."""
    steps: dict[Step, int] = {}
    moved: list[int] = []
    for step in program.steps:
        value = names[str(step.value)] if step.op == "param" else step.value
        moved.append(steps.setdefault(Step(step.op, tuple(moved[a] for a in step.args), value), len(steps)))
    return Program(tuple(steps), moved[program.output], tuple((n, moved[i]) for n, i in program.next_state))


def _threshold(program: Program) -> str | None:
    """The parameter that the output's comparison, if it is one, is with."""
    out = program.steps[program.output]
    if out.op not in ("ge", "gt"):
        return None
    sides = [program.steps[a] for a in out.args]
    return next((str(s.value) for s in sides if s.op == "param"), None)
