"""Which values of a model depend on which others."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from snncompile.frontends.onnx.dataflow import Element, Flow, OperatorSum


@dataclass
class Dependencies:
    """The values of a flow on which the outputs of the step function depend, and how they depend on each other.

    Attributes:
        pairs: the name of each state's next value, by state; only states on which an output depends are kept.
        leaving: the outputs of the step function that are no next values.
    """

    flow: Flow
    pairs: Mapping[str, str]
    leaving: tuple[str, ...]

    def __post_init__(self) -> None:
        self.pairs = {s: root for s, root in self.pairs.items() if s in self.live}

    @cached_property
    def live(self) -> set[str]:
        """The values on which an output in `leaving` depends, in this tick or through states."""
        live: set[str] = set()
        pending = list(self.leaving)
        while pending:
            name = pending.pop()
            if name not in live:
                live.add(name)
                pending += self.inputs(name)
                pending += [self.pairs[name]] if name in self.pairs else []
        return live

    @cached_property
    def elements(self) -> dict[str, Element]:
        return {n: e for n, e in self.flow.elements.items() if n in self.live}

    @cached_property
    def operator_sums(self) -> dict[str, OperatorSum]:
        return {n: y for n, y in self.flow.operator_sums.items() if n in self.live}

    @cached_property
    def read_elsewhere(self) -> set[str]:
        """The values that something other than an element reads: outputs, next values, and inputs of layers."""
        return {*self.leaving, *self.pairs.values(), *(s for y in self.operator_sums.values() for s, _ in y.terms)}

    def inputs(self, name: str) -> list[str]:
        """The changing values from which a value is computed; none for an input of the step function."""
        if name in self.flow.operator_sums:
            return [source for source, _ in self.flow.operator_sums[name].terms]
        element = self.flow.elements.get(name)
        return [] if element is None else [n for n in element.inputs if n in self.flow.values]

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        """The outputs of the elements that read each value."""
        readers: dict[str, list[str]] = {}
        for element in self.elements.values():
            for name in self.flow.values.keys() & set(element.inputs):
                readers.setdefault(name, []).append(element.output)
        return readers

    def forward(self, seeds: Iterable[str], ends: Collection[str] = ()) -> set[str]:
        """The elements that depend on some values through elements alone.

        Args:
            seeds: the values; not part of the result, unless they depend on each other.
            ends: operators at which the search stops. Their elements are part of the result, their readers are not.
        """
        dependent: set[str] = set()
        pending = list(seeds)
        while pending:
            name = pending.pop()
            if name in self.elements and self.elements[name].node.op in ends:
                continue
            new = [r for r in self.readers.get(name, ()) if r not in dependent]
            dependent.update(new)
            pending += new
        return dependent

    def backward(self, roots: Iterable[str]) -> set[str]:
        """The elements on which some values depend through elements alone; the values themselves are included."""
        needed: set[str] = set()
        pending = [r for r in roots if r in self.elements]
        while pending:
            name = pending.pop()
            if name not in needed:
                needed.add(name)
                pending += [n for n in self.inputs(name) if n in self.elements]
        return needed
