"""Makes a neuron of every region of elements: a rule, its parameters, and the dimensions of parameters and states."""

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
from snncompile.ir.rules import BIAS, THRESHOLD, Dimension, Quantity, fixed_rule
from snncompile.ir.types import Array, Shape

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_]+")
# A use of a constant: the constant's name in the file, the shape in which it is used, and its dimension there.
Source: TypeAlias = tuple[str, Shape, Dimension]


def make_neuron(flow: Flow, pairs: Mapping[str, str], region: Region, name: str, initial: Mapping[str, Any]) -> Neuron:
    """The neuron of a region.

    Args:
        pairs: the name of each state's next value, by state.
        name: the neuron's name in the graph; its rule is named after the last part behind a dot.
        initial: the initial values of states that do not start at 0, by the state's name in the file.
    """
    reader = _Reader(flow, region)
    states = _state_names(region)
    program, params = reader.program({states[s]: pairs[s] for s in region.states}, states)
    inferred = measure(program, params)
    dimensions, spiking = inferred if inferred else ({}, False)
    sources: dict[str, Source] = {
        p: (p.split(" ", 1)[1], np.shape(v), dimensions.get(f"param.{p}", "real")) for p, v in params.items()}
    names = _names(sources, _threshold(program))
    program = _renamed(program, {p: names[s] for p, s in sources.items()})
    quantities = {names[s]: Quantity(s[2]) for s in sources.values()}
    state_quantities = {s: Quantity(dimensions.get(f"state.{s}", "membrane")) for s in states.values()}
    rule_name = NOT_IN_NAMES.sub("_", name.rsplit(".", 1)[-1]).strip("_") or "neuron"
    rule = fixed_rule(rule_name, program, quantities, state_quantities, spiking=spiking)
    firsts = {states[s]: np.asarray(initial[s], np.float64) for s in region.states if s in initial}
    values = {names[s]: params[p] for p, s in sources.items()}
    return Neuron(rule, values, initial={n: v[0] if v.ndim > 1 and len(v) == 1 else v for n, v in firsts.items()})


def _state_names(region: Region) -> dict[str, str]:
    """A short name for each state of a region: the part of its name behind the last dot, made distinct."""
    names: dict[str, str] = {}
    for state in region.states:
        base = BEFORE.sub("", state)
        short = NOT_IN_NAMES.sub("_", base.rsplit(".", 1)[-1]).strip("_") or "v"
        while short in names.values():
            short += "_"
        names[state] = short
    return names


@dataclass
class _Reader:
    """Builds the expressions of a region's elements.

    Attributes:
        params: the values of the constants that were met, under preliminary parameter names `NUMBER NAME-IN-FILE`.
        known: the expressions of states, of the input and of elements read so far, by name. None stands for a term
            that has moved out of the region into the neuron's input, where edges add it.
    """

    flow: Flow
    region: Region
    params: dict[str, Any] = field(default_factory=dict)
    known: dict[str, Expr | None] = field(default_factory=dict)

    def program(self, following: Mapping[str, str], states: Mapping[str, str]) -> tuple[Program, dict[str, Any]]:
        """The program of the region, and its parameters' values by preliminary name.

        Args:
            following: the name of each state's next value, by the state's short name.
            states: the states' short names, by their names in the file.
        """
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
        """What is left of a sum, some of whose terms have moved into the neuron's input; None where nothing is left."""
        total: Expr | None = None
        for i, name in enumerate(element.inputs):
            if name in self.known and self.known[name] is None:
                continue
            term = self._read(name, axes)
            term = -term if element.node.op == "Sub" and i == 1 else term
            total = term if total is None else total + term
        return total

    def _read(self, name: str, axes: int, element: Element | None = None) -> Expr:
        """The expression of a value or constant that an element of `axes` axes reads."""
        expression_of_name = self.known.get(name)
        if expression_of_name is not None:
            return expression_of_name
        array = self.flow.numbers(name, axes)
        if element is not None and element.node.op in ("QuantizeLinear", "DequantizeLinear") and array.size > 1:
            array = _along_axis(array, element, axes)
        if not array.any():
            return Expr("const", (), 0)
        param = f"{len(self.params)} {name}"
        self.params[param] = _parameter_value(array)
        return Expr("param", (), param)

    def _number(self, element: Element, i: Any) -> Any:
        """A constant input of an element as a number, None where it is left out or not a single number.

        Args:
            i: the input's index; or the word "type" for the smallest and largest integer of `QuantizeLinear`'s output.
        """
        inputs = element.inputs
        if i == "type":
            dtype = self.flow.constants[inputs[2]].dtype if len(inputs) > 2 and inputs[2] else np.dtype(np.uint8)
            return (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
        if i >= len(inputs) or inputs[i] not in self.flow.constants or self.flow.constants[inputs[i]].size != 1:
            return None
        return float(self.flow.constants[inputs[i]].ravel()[0])


def _along_axis(array: Array, element: Element, axes: int) -> Array:
    """A vector laid along the axis that the element's attribute `axis` names, to broadcast against `axes` axes."""
    shape = [1] * axes
    shape[element.node.attributes.get("axis", 1) - 1] = -1
    return array.reshape(shape)


def _parameter_value(array: Array) -> Any:
    """The value of a parameter: a float where the array holds one value, otherwise the array in floats."""
    array = array if array.dtype.kind == "f" else array.astype(np.float64)
    return float(array.ravel()[0]) if array.size == 1 else array


def _names(sources: Mapping[str, Source], threshold: str | None) -> dict[Source, str]:
    """The final name of each parameter.

    A parameter is named after the last part of its constant's name, behind the last slash and dot; the one with which
    the output is compared is named `threshold`. A constant that is used in two dimensions becomes two parameters.

    Args:
        sources: by preliminary name.
        threshold: the preliminary name of the parameter with which the output is compared, if there is one.
    """
    names: dict[Source, str] = {}
    for source in sources.values():
        if source in names:
            continue
        name = NOT_IN_NAMES.sub("_", source[0].rsplit("/", 1)[-1].rsplit(".", 1)[-1]).strip("_")
        name = f"c{len(names)}" if not name or name[0].isdigit() else name
        name = f"{name}_" if name in (BIAS, THRESHOLD) else name
        name = THRESHOLD if threshold is not None and source == sources[threshold] else name
        while name in names.values():
            name += "_"
        names[source] = name
    return names


def _renamed(program: Program, names: Mapping[str, str]) -> Program:
    """The program with its parameters renamed, and steps that have become equal merged."""
    steps: dict[Step, int] = {}
    moved: list[int] = []
    for step in program.steps:
        value = names[str(step.value)] if step.op == "param" else step.value
        moved.append(steps.setdefault(Step(step.op, tuple(moved[a] for a in step.args), value), len(steps)))
    return Program(tuple(steps), moved[program.output], tuple((n, moved[i]) for n, i in program.next_state))


def _threshold(program: Program) -> str | None:
    """The parameter with which the output compares something, where the output is such a comparison."""
    out = program.steps[program.output]
    if out.op not in ("ge", "gt"):
        return None
    sides = [program.steps[a] for a in out.args]
    return next((str(s.value) for s in sides if s.op == "param"), None)
