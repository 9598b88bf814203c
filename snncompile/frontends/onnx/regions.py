"""Which elements make a neuron: those between a state and its next value, and what nothing but they lead to.

States that feed each other through elements belong to one neuron, and so do states joined by graded values (a
synaptic current and its membrane). Spikes end a neuron. A state that nothing of this kind holds is a delay.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import networkx as nx

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.dataflow import TRUTHS, Element, Flow, Layer

SUMS = {"Add", "Sub", "Sum"}
# What turns membranes into spikes: comparisons, and whole numbers of thresholds.
SPIKES = TRUTHS | {"Floor", "Ceil", "Round", "Sign", "QuantizeLinear"}


class TwoInputs(Exception):
    """A neuron has more than one input, and they do not add up; the values are the argument."""


@dataclass
class Region:
    """The elements of a neuron.

    Attributes:
        states: the inputs of the step that are its states.
        elements: by output, in an order in which they can be computed.
        terms: its input: values, each with the sign with which it is added.
        exit: the value that leaves it.
    """

    states: tuple[str, ...]
    elements: dict[str, Element]
    terms: tuple[tuple[str, int], ...]
    exit: str


@dataclass
class Regions:
    """The elements of a flow, divided among neurons.

    Attributes:
        pairs: next values by state.
        leaving: values that the step gives, states apart.
    """

    flow: Flow
    pairs: Mapping[str, str]
    leaving: tuple[str, ...]
    found: list[Region] = field(default_factory=list)
    delays: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.pairs = {s: root for s, root in self.pairs.items() if s in self.live}

    @cached_property
    def live(self) -> set[str]:
        """The values that lead to something that leaves; a state that nothing reads leads to nothing."""
        live: set[str] = set()
        pending = list(self.leaving)
        while pending:
            name = pending.pop()
            if name not in live:
                live.add(name)
                pending += self._inputs(name)
                pending += [self.pairs[name]] if name in self.pairs else []
        return live

    @cached_property
    def elements(self) -> dict[str, Element]:
        return {n: e for n, e in self.flow.elements.items() if n in self.live}

    @cached_property
    def layers(self) -> dict[str, Layer]:
        return {n: y for n, y in self.flow.layers.items() if n in self.live}

    @cached_property
    def _final(self) -> set[str]:
        """The values that something other than an element reads."""
        return {*self.leaving, *self.pairs.values(), *(s for y in self.layers.values() for s, _ in y.terms)}

    def _inputs(self, name: str) -> list[str]:
        if name in self.flow.layers:
            return [source for source, _ in self.flow.layers[name].terms]
        element = self.flow.elements.get(name)
        return [] if element is None else [n for n in element.inputs if n in self.flow.values]

    @cached_property
    def readers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for element in self.elements.values():
            for name in self.flow.values.keys() & set(element.inputs):
                found.setdefault(name, []).append(element.output)
        return found

    def forward(self, seeds: Iterable[str], ends: Collection[str] = ()) -> set[str]:
        """The elements that depend on values, those among them that end the search included."""
        found: set[str] = set()
        pending = list(seeds)
        while pending:
            name = pending.pop()
            if name in self.elements and self.elements[name].node.op in ends:
                continue
            new = [r for r in self.readers.get(name, ()) if r not in found]
            found.update(new)
            pending += new
        return found

    def backward(self, roots: Iterable[str]) -> set[str]:
        """The elements that values depend on, themselves included."""
        found: set[str] = set()
        pending = [r for r in roots if r in self.elements]
        while pending:
            name = pending.pop()
            if name not in found:
                found.add(name)
                pending += [n for n in self._inputs(name) if n in self.elements]
        return found

    # --- the states of one neuron ------------------------------------------------------------------------

    def divide(self) -> None:
        """Find every neuron; raises SNN104 for those that no rule can be."""
        groups = self._groups()
        self.delays = set(self.pairs) - {s for g in groups for s in g}
        while groups:
            group = groups.pop(0)
            try:
                self.found.append(self._region(group))
            except TwoInputs as e:
                groups = self._merged(group, groups, e.args[0])
        for element in reversed(list(self.elements.values())):
            if not self._claimed(element.output) and not self.expressible(element):
                self.found.append(self._stateless(element))
        self.found = [r for r in self.found if r.exit]

    def _groups(self) -> list[set[str]]:
        """The states that belong together, whatever their neurons read."""
        whole: nx.DiGraph[str] = nx.DiGraph()
        reached = {s: self.forward([s], TRUTHS) for s in self.pairs}
        whole.add_edges_from((s, t) for s in self.pairs for t, root in self.pairs.items() if root in reached[s])
        cells = [set(c) for c in nx.strongly_connected_components(whole)
                 if len(c) > 1 or any(whole.has_edge(s, s) for s in c)]
        self.delays = set(self.pairs).difference(*cells)
        values = [c | self.forward(c, SPIKES) for c in cells]
        meeting = [self._meeting(e, values) for e in self.elements.values() if e.node.op not in SUMS]
        graded = [[i, k] for i, v in enumerate(values) for k, c in enumerate(cells)
                  if any(self.pairs[t] in v for t in c)]
        close = _joined(cells, meeting)
        groups = []
        for group in _joined(cells, [*meeting, *graded]):
            group |= self._own_spikes(group)
            groups += [group] if self._fits(group) else [c | self._own_spikes(c) for c in close if c <= group]
        rank = {s: i for i, s in enumerate(self.pairs)}
        return sorted(groups, key=lambda g: min(rank[s] for s in g))

    def _meeting(self, element: Element, values: list[set[str]]) -> list[int]:
        """The cells whose graded values meet in an element, unless one of its inputs is made of all of them already."""
        sides = [{i for i, v in enumerate(values) if name in v} for name in self._inputs(element.output)]
        every = set().union(*sides)
        return [] if every in sides else sorted(every)

    def _own_spikes(self, group: set[str]) -> set[str]:
        """The states that remember what a neuron of these states gave, and that it reads itself."""
        core = self.forward(group) & self.backward(self.pairs[s] for s in group)
        found = set()
        for state in self.delays:
            sources = {n for v in self.backward([self.pairs[state]]) for n in self._inputs(v)} & self.pairs.keys()
            if sources and sources <= group | {state} and not core.isdisjoint(self.readers.get(state, ())):
                found.add(state)
        return found

    def _merged(self, group: set[str], others: list[set[str]], values: list[str]) -> list[set[str]]:
        """The groups left to do, this one together with a state that its inputs come from, or with all of them."""
        sources = {n for v in self.backward(values) for n in self._inputs(v)} | set(values)
        cells = [*others, *(set(r.states) for r in self.found)]
        wider = [group.union([s], *(c for c in cells if s in c)) for s in self.pairs if s in sources - group]
        if not wider:
            listed = ", ".join(shorten(v, 40) for v in values)
            fail("SNN104", f"neuron of the state {shorten(min(group))}", f"it reads {listed}", "one input, or a sum",
                 "let the step add them before the neuron reads them")
        joined = next(filter(self._fits, wider), set().union(*wider))
        self.delays -= joined
        self.found = [r for r in self.found if not joined & set(r.states)]
        return [joined, *(g for g in others if not g & joined)]

    def _fits(self, group: set[str]) -> bool:
        try:
            self._region(group)
        except TwoInputs:
            return False
        return True

    # --- the elements of one neuron ----------------------------------------------------------------------

    def _region(self, group: set[str]) -> Region:
        roots = [self.pairs[s] for s in self.pairs if s in group]
        core = self.forward(group) & self.backward(roots)
        foreign = self.forward(s for s in self.pairs if s not in group | self.delays)
        terms = self._inputs_of(core, roots, group, foreign - core)
        return self._finished(core, self._tail(core, group), tuple(s for s in self.pairs if s in group), terms)

    def _ordered(self, names: set[str]) -> dict[str, Element]:
        return {n: e for n, e in self.elements.items() if n in names}

    def _frontier(self, core: set[str], roots: Iterable[str], group: set[str]) -> list[str]:
        """The values that elements of a neuron, or its next states, take from outside."""
        read = [n for name in self._ordered(core) for n in self._inputs(name)] + [
            r for r in roots if r in self.flow.values]
        return list(dict.fromkeys(n for n in read if n not in core and n not in group))

    def _inputs_of(self, core: set[str], roots: list[str], group: set[str], foreign: set[str]
                   ) -> tuple[tuple[str, int], ...]:
        """What the neuron reads, its core growing backward until that is one value or one sum."""
        order = {n: i for i, n in enumerate(self.elements)}
        first = self._frontier(core, roots, group)
        while True:
            frontier = self._frontier(core, roots, group)
            absorbable = [n for n in frontier if n in self.elements and n not in foreign]
            if len(frontier) <= 1:
                head = [n for n in absorbable if not self.expressible(self.elements[n])
                        and len(set(self._inputs(n))) == 1 and len(self.readers[n]) == 1 and n not in self._final]
                if not head:
                    return tuple((n, 1) for n in frontier)
                core.add(head[0])
                continue
            terms = self._added(core, roots, frontier)
            if terms:
                return terms
            between = next(filter(None, (self._between(n, core.union(group, frontier) - {n}) for n in frontier)), None)
            if not between and not absorbable:
                raise TwoInputs(first)
            core |= between or {max(absorbable, key=lambda n: order[n])}

    def _between(self, name: str, settled: set[str]) -> set[str]:
        """The elements that give a value from settled ones alone; nothing where it takes others."""
        found: set[str] = set()
        pending = [name]
        while pending:
            value = pending.pop()
            if value in found or value in settled:
                continue
            if value not in self.elements:
                return set()
            found.add(value)
            pending += self._inputs(value)
        return found

    def _added(self, core: set[str], roots: list[str], values: list[str]) -> tuple[tuple[str, int], ...]:
        """The values with their signs, if all are terms of one sum inside the core; nothing otherwise."""
        paths = [dict(self._climb(core, v)) for v in values]
        top = next((name for name in paths[0] if all(name in p for p in paths)), None)
        if top is None or set(values) & set(roots):
            return ()
        return tuple((v, p[top]) for v, p in zip(values, paths, strict=True))

    def _climb(self, core: set[str], value: str) -> Iterator[tuple[str, int]]:
        """The sums that a value is a term of, inner ones first, and its sign in each."""
        sign, first = 1, True
        while True:
            readers = [r for r in self.readers.get(value, ()) if r in core or not first]
            if len(readers) != 1 or readers[0] not in core or (not first and value in self._final):
                return
            element = self.elements[readers[0]]
            if element.node.op not in SUMS or element.inputs.count(value) != 1:
                return
            if element.node.op == "Sub" and element.inputs[1] == value:
                sign = -sign
            value, first = element.output, False
            yield value, sign

    def _tail(self, core: set[str], group: set[str]) -> set[str]:
        """The elements that nothing but the core leads to, and that are no layers."""
        inside = core | group
        tail: set[str] = set()
        for name in self.elements:
            sources = self._inputs(name)
            if name not in core and all(n in inside for n in sources) and not group.issuperset(sources):
                tail.add(name)
                inside.add(name)
        for name in reversed(self._ordered(tail)):
            if self.expressible(self.elements[name]) and not any(r in tail for r in self.readers.get(name, ())):
                tail.discard(name)
        return tail

    def _claimed(self, name: str) -> bool:
        return any(name in r.elements for r in self.found)

    def _stateless(self, element: Element) -> Region:
        core = {element.output}
        foreign = {n for r in self.found for n in r.elements}
        try:
            terms = self._inputs_of(core, [], set(), foreign)
        except TwoInputs as e:
            listed = ", ".join(shorten(v, 40) for v in e.args[0])
            fail("SNN104", element.node.place, f"it joins {listed}", "values of one neuron, or a sum")
        return self._finished(core, self._tail(core, set()) - foreign, (), terms)

    def expressible(self, element: Element) -> bool:
        """Whether an element is a layer too: a sum, a scale, a rectification."""
        op, changing = element.node.op, self._inputs(element.output)
        if op in SUMS or op in ("Neg", "Relu"):
            return True
        if op == "Mul" or (op == "Div" and changing == [element.inputs[0]]):
            return len(changing) == 1
        return op in ("Max", "Min") and len(changing) == 1 and all(
            not self.flow.constants[n].any() for n in element.inputs if n in self.flow.constants)

    # --- what leaves -------------------------------------------------------------------------------------

    def _finished(self, core: set[str], tail: set[str], states: tuple[str, ...], terms: tuple[tuple[str, int], ...]
                  ) -> Region:
        """The region with the one value that leaves it; what follows from that value alone is no part of it."""
        exits = self._exits(core | tail, states)
        for name in [n for n in self.elements if n in exits] if len(exits) > 1 else ():
            kept = {n for n in tail if n == name or not self._between(n, {name})}
            if self._exits(core | kept, states) == {name}:
                tail, exits = kept, {name}
                break
        if len(exits) > 1:
            fail("SNN104", f"neuron of {shorten(next(iter(states), min(core)))}",
                 f"several of its values are read: {', '.join(shorten(n, 40) for n in sorted(exits))}",
                 "one: its spikes, or its membrane", "write a neuron for each, with states of their own")
        return Region(states, self._ordered(core | tail), terms, exits.pop() if exits else "")

    def _exits(self, inside: set[str], states: tuple[str, ...]) -> set[str]:
        """The values of a region that something beyond it reads; who reads a state, reads its next value late."""
        read = {*self.leaving, *(root for s, root in self.pairs.items() if s not in states)}
        read.update(source for layer in self.layers.values() for source, _ in layer.terms)
        read.update(n for name in self.elements if name not in inside for n in self._inputs(name))
        return {self.pairs.get(n, n) for n in read if n in inside or n in states}


def _joined(cells: list[set[str]], links: Iterable[list[int]]) -> list[set[str]]:
    """Cells that are linked, each lot as one."""
    net: nx.Graph[int] = nx.Graph()
    net.add_nodes_from(range(len(cells)))
    for link in links:
        nx.add_path(net, link)
    return [set().union(*(cells[i] for i in c)) for c in nx.connected_components(net)]
