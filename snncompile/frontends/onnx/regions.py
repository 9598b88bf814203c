"""Divides the elements of a model among neurons.

A neuron consists of one or more states, of all elements on a path from one of them to a next value (its core), and of
elements that depend on nothing but the core (its tail, such as the comparison that fires). Take

    v = 0.5 * mem + x;  spk = v > 1;  mem_out = v - spk

`mem` is the state, `mem_out` its next value; the product, the sum, the comparison and the difference are the core, and
`x` is the input. In detail:

- States that depend on each other through elements belong to one neuron.
- So do states that graded (not spiking) values connect, such as a synaptic current and the membrane it charges.
- Spikes end a neuron: what is computed from them belongs to other neurons, unless it returns to the same states.
- A state whose next value does not depend on itself is no neuron's state. It becomes a delay of one tick on an edge.
- An element outside of all this that no layer operator can express becomes a neuron without states.

A neuron has one input, or several that are only added. Where a group of states needs more, it is merged with the states
from which its inputs come, and tried again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import networkx as nx

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.onnx.dataflow import TRUTHS, Element
from snncompile.frontends.onnx.dependencies import Dependencies

SUMS = {"Add", "Sub", "Sum"}
# Operators that turn membranes into spikes: comparisons, and those that count how often a threshold fits.
SPIKES = TRUTHS | {"Floor", "Ceil", "Round", "Sign", "QuantizeLinear"}


class TwoInputs(Exception):
    """A neuron would have several inputs that are not merely added; their names are the exception's argument."""


@dataclass
class Region:
    """The elements of one neuron.

    Attributes:
        states: the names of its states, which are inputs of the step function.
        elements: by output, each after those that it reads.
        terms: the values that add up to its input, each with its sign (1 or -1).
        exit: the name of the value that others read, "" where nobody reads one.
    """

    states: tuple[str, ...]
    elements: dict[str, Element]
    terms: tuple[tuple[str, int], ...]
    exit: str


@dataclass
class Regions(Dependencies):
    """The division of a flow's elements among neurons.

    Attributes:
        neurons: one region for each neuron found so far.
        delays: the states that belong to no neuron.
    """

    neurons: list[Region] = field(default_factory=list)
    delays: set[str] = field(default_factory=set)

    # --- the states of one neuron ------------------------------------------------------------------------

    def divide(self) -> None:
        """Find all neurons, and fill `neurons` and `delays`.

        Raises:
            CompileError: SNN104 for a neuron with several inputs that are not added, or with several values that
                others read.
        """
        groups = self._groups()
        self.delays = set(self.pairs) - {s for g in groups for s in g}
        while groups:
            group = groups.pop(0)
            try:
                self.neurons.append(self._region(group))
            except TwoInputs as e:
                groups = self._merged(group, groups, e.args[0])
        for element in reversed(list(self.elements.values())):
            if not self._claimed(element.output) and not self.expressible(element):
                self.neurons.append(self._stateless(element))
        self.neurons = [r for r in self.neurons if r.exit]

    def _groups(self) -> list[set[str]]:
        """Groups of states, each for one neuron.

        Sets of states that depend on each other (the loops) are joined where their graded values meet in an element, or
        where one loop's graded values determine a state of the other. A joined group that would have several inputs is
        taken apart again, as far as graded values do not meet.
        """
        depends: nx.DiGraph[str] = nx.DiGraph()
        reached = {s: self.forward([s], TRUTHS) for s in self.pairs}
        depends.add_edges_from((s, t) for s in self.pairs for t, root in self.pairs.items() if root in reached[s])
        loops = [set(c) for c in nx.strongly_connected_components(depends)
                 if len(c) > 1 or any(depends.has_edge(s, s) for s in c)]
        self.delays = set(self.pairs).difference(*loops)
        graded = [c | self.forward(c, SPIKES) for c in loops]
        meeting = [self._meeting(e, graded) for e in self.elements.values() if e.node.op not in SUMS]
        driving = [[i, k] for i, v in enumerate(graded) for k, c in enumerate(loops)
                   if any(self.pairs[t] in v for t in c)]
        inseparable = _joined(loops, meeting)
        groups = []
        for group in _joined(loops, [*meeting, *driving]):
            group |= self._own_spikes(group)
            groups += [group] if self._fits(group) else [c | self._own_spikes(c) for c in inseparable if c <= group]
        rank = {s: i for i, s in enumerate(self.pairs)}
        return sorted(groups, key=lambda g: min(rank[s] for s in g))

    def _meeting(self, element: Element, graded: list[set[str]]) -> list[int]:
        """The indices of the loops whose graded values meet in an element for the first time.

        Where one input of the element already depends on all of them, they met before, and the list is empty.

        Args:
            graded: for every loop of states, its graded values.
        """
        sides = [{i for i, v in enumerate(graded) if name in v} for name in self.inputs(element.output)]
        every = set().union(*sides)
        return [] if every in sides else sorted(every)

    def _own_spikes(self, group: set[str]) -> set[str]:
        """The states in `delays` that keep what the neuron of a group computed, and that this neuron itself reads.

        An example is the spike of the last tick, by which a neuron resets itself.
        """
        core = self.forward(group) & self.backward(self.pairs[s] for s in group)
        own: set[str] = set()
        for state in self.delays:
            sources = {n for v in self.backward([self.pairs[state]]) for n in self.inputs(v)} & self.pairs.keys()
            if sources and sources <= group | {state} and not core.isdisjoint(self.readers.get(state, ())):
                own.add(state)
        return own

    def _merged(self, group: set[str], others: list[set[str]], values: list[str]) -> list[set[str]]:
        """The groups that remain to be done, after a group with several inputs was merged with states they come from.

        The group is merged with the first state that leaves it one input, or else with all states its inputs come from.
        Neurons that were found already and lose a state to it are dropped.

        Args:
            values: the inputs of the group.

        Raises:
            CompileError: SNN104 where the inputs come from no other state.
        """
        sources = {n for v in self.backward(values) for n in self.inputs(v)} | set(values)
        elsewhere = [*others, *(set(r.states) for r in self.neurons)]
        wider = [group.union([s], *(c for c in elsewhere if s in c)) for s in self.pairs if s in sources - group]
        if not wider:
            listed = ", ".join(shorten(v, 40) for v in values)
            fail("SNN104", f"neuron of the state {shorten(min(group))}", f"it reads {listed}",
                 "one input, or several that are only added", "add them before the neuron reads them")
        joined = next(filter(self._fits, wider), set().union(*wider))
        self.delays -= joined
        self.neurons = [r for r in self.neurons if not joined & set(r.states)]
        return [joined, *(g for g in others if not g & joined)]

    def _fits(self, group: set[str]) -> bool:
        """Whether the neuron of a group has one input, or several that are only added."""
        try:
            self._region(group)
        except TwoInputs:
            return False
        return True

    # --- the elements of one neuron ----------------------------------------------------------------------

    def _region(self, group: set[str]) -> Region:
        """The region of a group of states. Raises `TwoInputs`."""
        roots = [self.pairs[s] for s in self.pairs if s in group]
        core = self.forward(group) & self.backward(roots)
        foreign = self.forward(s for s in self.pairs if s not in group | self.delays)
        terms = self._inputs_of(core, roots, group, foreign - core)
        return self._finished(core, self._tail(core, group), tuple(s for s in self.pairs if s in group), terms)

    def _ordered(self, names: set[str]) -> dict[str, Element]:
        return {n: e for n, e in self.elements.items() if n in names}

    def _frontier(self, core: set[str], roots: Iterable[str], group: set[str]) -> list[str]:
        """The values from outside that the elements of a neuron read, or that its states become in the next tick."""
        read = [n for name in self._ordered(core) for n in self.inputs(name)] + [
            r for r in roots if r in self.flow.values]
        return list(dict.fromkeys(n for n in read if n not in core and n not in group))

    def _inputs_of(self, core: set[str], roots: list[str], group: set[str], foreign: set[str]
                   ) -> tuple[tuple[str, int], ...]:
        """The terms of the neuron's input.

        As long as the core reads several values that it does not merely add, elements before it are added to the core,
        in place.

        Args:
            roots: the next values of the neuron's states.
            foreign: elements that belong to other neurons, and may not be added.

        Raises:
            TwoInputs: where no element is left that could be added.
        """
        order = {n: i for i, n in enumerate(self.elements)}
        first = self._frontier(core, roots, group)
        while True:
            frontier = self._frontier(core, roots, group)
            absorbable = [n for n in frontier if n in self.elements and n not in foreign]
            if len(frontier) <= 1:
                head = next(filter(self._belongs_to_its_reader, absorbable), None)
                if head is None:
                    return tuple((n, 1) for n in frontier)
                core.add(head)
                continue
            terms = self._added(core, roots, frontier)
            if terms:
                return terms
            between = next(filter(None, (self._between(n, core.union(group, frontier) - {n}) for n in frontier)), None)
            if not between and not absorbable:
                raise TwoInputs(first)
            core |= between or {max(absorbable, key=lambda n: order[n])}

    def _belongs_to_its_reader(self, name: str) -> bool:
        """Whether no layer can compute an element of one input that a single other element reads."""
        return (not self.expressible(self.elements[name]) and len(set(self.inputs(name))) == 1
                and len(self.readers[name]) == 1 and name not in self.read_elsewhere)

    def _between(self, name: str, settled: set[str]) -> set[str]:
        """The elements that compute a value from settled ones alone; an empty set where others are needed too."""
        between: set[str] = set()
        pending = [name]
        while pending:
            value = pending.pop()
            if value in between or value in settled:
                continue
            if value not in self.elements:
                return set()
            between.add(value)
            pending += self.inputs(value)
        return between

    def _added(self, core: set[str], roots: list[str], values: list[str]) -> tuple[tuple[str, int], ...]:
        """The values with their signs, if all of them are terms of one sum inside the core; otherwise empty."""
        paths = [dict(self._climb(core, v)) for v in values]
        top = next((name for name in paths[0] if all(name in p for p in paths)), None)
        if top is None or set(values) & set(roots):
            return ()
        return tuple((v, p[top]) for v, p in zip(values, paths, strict=True))

    def _climb(self, core: set[str], value: str) -> Iterator[tuple[str, int]]:
        """The sums inside the core of which a value is a term, inner sums first, and its sign in each."""
        sign, first = 1, True
        while True:
            readers = [r for r in self.readers.get(value, ()) if r in core or not first]
            if len(readers) != 1 or readers[0] not in core or (not first and value in self.read_elsewhere):
                return
            element = self.elements[readers[0]]
            if element.node.op not in SUMS or element.inputs.count(value) != 1:
                return
            if element.node.op == "Sub" and element.inputs[1] == value:
                sign = -sign
            value, first = element.output, False
            yield value, sign

    def _tail(self, core: set[str], group: set[str]) -> set[str]:
        """The elements outside the core that depend on nothing but the core and the neuron's states.

        Trailing ones that layer operators can express are left out.
        """
        inside = core | group
        tail: set[str] = set()
        for name in self.elements:
            sources = self.inputs(name)
            if name not in core and all(n in inside for n in sources) and not group.issuperset(sources):
                tail.add(name)
                inside.add(name)
        for name in reversed(self._ordered(tail)):
            if self.expressible(self.elements[name]) and not any(r in tail for r in self.readers.get(name, ())):
                tail.discard(name)
        return tail

    def _claimed(self, name: str) -> bool:
        return any(name in r.elements for r in self.neurons)

    def _stateless(self, element: Element) -> Region:
        """The region of a neuron without states that begins with an element."""
        core = {element.output}
        foreign = {n for r in self.neurons for n in r.elements}
        try:
            terms = self._inputs_of(core, [], set(), foreign)
        except TwoInputs as e:
            listed = ", ".join(shorten(v, 40) for v in e.args[0])
            fail("SNN104", element.node.place, f"it reads {listed}",
                 "one value, or several that are only added")
        return self._finished(core, self._tail(core, set()) - foreign, (), terms)

    def expressible(self, element: Element) -> bool:
        """Whether a layer operator computes the same: a sum, a scale by constants, or a rectification."""
        op, changing = element.node.op, self.inputs(element.output)
        if op in SUMS or op in ("Neg", "Relu"):
            return True
        if op == "Mul" or (op == "Div" and changing == [element.inputs[0]]):
            return len(changing) == 1
        return op in ("Max", "Min") and len(changing) == 1 and all(
            not self.flow.constants[n].any() for n in element.inputs if n in self.flow.constants)

    # --- the value that leaves a neuron ------------------------------------------------------------------

    def _finished(self, core: set[str], tail: set[str], states: tuple[str, ...], terms: tuple[tuple[str, int], ...]
                  ) -> Region:
        """The region of a neuron, whose tail is cut where that leaves a single value that others read.

        Raises:
            CompileError: SNN104 where others read several of its values.
        """
        exits = self._exits(core | tail, states)
        for name in [n for n in self.elements if n in exits] if len(exits) > 1 else ():
            kept = {n for n in tail if n == name or not self._between(n, {name})}
            if self._exits(core | kept, states) == {name}:
                tail, exits = kept, {name}
                break
        if len(exits) > 1:
            fail("SNN104", f"neuron of {shorten(next(iter(states), min(core)))}",
                 f"others read several of its values: {', '.join(shorten(n, 40) for n in sorted(exits))}",
                 "one value: its spikes, or its membrane", "write a neuron for each, with states of its own")
        return Region(states, self._ordered(core | tail), terms, exits.pop() if exits else "")

    def _exits(self, inside: set[str], states: tuple[str, ...]) -> set[str]:
        """The values of a region that something outside of it reads.

        A state that is read outside counts as its next value, which is read one tick late.
        """
        read = {*self.leaving, *(root for s, root in self.pairs.items() if s not in states)}
        read.update(source for layer in self.operator_sums.values() for source, _ in layer.terms)
        read.update(n for name in self.elements if name not in inside for n in self.inputs(name))
        return {self.pairs.get(n, n) for n in read if n in inside or n in states}


def _joined(loops: list[set[str]], links: Iterable[list[int]]) -> list[set[str]]:
    """The union of each set of loops that are linked, directly or through others; a link lists loops by index."""
    linked: nx.Graph[int] = nx.Graph()
    linked.add_nodes_from(range(len(loops)))
    for link in links:
        nx.add_path(linked, link)
    return [set().union(*(loops[i] for i in c)) for c in nx.connected_components(linked)]
