"""From a MAPPED graph to the context of the Lava templates: names and Python expressions are chosen here."""

from __future__ import annotations

import keyword
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from snncompile.backends.lava.context import Arguments, Connection, InputPort, Kind, Net, Process, Record
from snncompile.backends.lava.expressions import statements
from snncompile.backends.lava.registers import standard
from snncompile.backends.lava.synapses import Synapses, synapses
from snncompile.backends.names import comment, identifier, identifiers, words
from snncompile.ir.expr import Step
from snncompile.ir.graph import Edge, Graph, unused
from snncompile.ir.ops import Input, Output
from snncompile.ir.populations import Population
from snncompile.ir.types import Array, Json

RESERVED = words("""
    a_in add_ports_for_polling advance_to_time_step compile create_runtime file folded_view folded_view_inst_id id
    implements_process implements_protocol in_ports is_compiled is_sub_proc_of join load log logs_to_file lrn_guard
    member_names model model_class model_id name np num_steps on_var_update out_ports parent_proc pause phase post_guard
    pre_guard proc_params process process_to_service processes procs propagate_folded_views py_ports ref_ports
    register_sub_procs required_resources response run run_lrn run_post_mgmt run_pre_mgmt run_spk runtime s_out save
    self service_to_process size start stop super tags time_step validate_var_aliases var_id_to_var_map var_ports vars
    wait x
""")
"""Names that no variable of a process may have: attributes of Lava's processes and models, and names of templates."""
OWN = ("Source", "Recorder", "Membranes", "Delay", "Synapses", "Sparse")
"""Process classes that a package may hold beside those of its neuron rules."""
FORMAT = 1
"""The format of `manifest.json`."""


def lower(graph: Graph, package: str) -> Net:
    """Lower a MAPPED graph to the context of the Lava templates.

    Args:
        graph: what the network computes in each tick of the hardware, with its schedule; each projection takes at least
            one tick.
        package: the name of the Python package, an identifier.

    Raises:
        CompileError: SNN205 for a projection with too many synapses.
    """
    return _Lowering(graph, package).net()


class _Lowering:
    """Lowers one graph; the arguments are those of `lower`.

    Attributes:
        keys: the identifier of each node.
        standard: the arguments of Lava's LIF, for each population that is one.
        synapses: the processes of synapses for each projection.
        arrays: the arrays of the file of weights, filled while processes are made.
        kinds: the generated classes, by what makes two populations share one.
        folders: the names of folders that are taken.
        port_of: the port at which each projection arrives.
    """

    def __init__(self, graph: Graph, package: str):
        self.graph, self.package = graph, package
        self.schedule = graph.schedule
        self.keys = identifiers(graph.nodes)
        self.standard = {n: a for n in graph.populations if (a := standard(graph, n)) is not None}
        self.synapses = {e: synapses(graph, e, e.dst not in self.standard) for e in graph.edges
                         if not isinstance(graph.nodes[e.dst], Output)}
        self.arrays: dict[str, Array] = {}
        self.kinds: dict[Any, Kind] = {}
        self.folders: set[str] = {n.lower() for n in OWN}
        self.port_of: dict[Edge, str] = {}

    def net(self) -> Net:
        populations = [self._population(n, op) for n, op in self.graph.populations.items()
                       if isinstance(op, Population)]
        emitted = [(n, op) for n, op in self.graph.nodes.items() if self._is_recorded(n)]
        states = [r for n, op in self.graph.populations.items() if isinstance(op, Population)
                  for r in self._states(n, op)]
        return Net(self.package, comment(self.graph.name),
                   tuple(math.prod(op.shape) for op in self.graph.inputs.values()), tuple(self.kinds.values()),
                   tuple(populations), tuple(self._delays()), tuple(self._connections()),
                   tuple(Record(self._port(n), self._size(n), _type_of(op)) for n, op in emitted),
                   tuple(r for _, r in states), self.arrays, self.standard,
                   self._manifest([n for n, _ in emitted], [s for s, _ in states]))

    def _size(self, name: str) -> int:
        return math.prod(self.graph.shapes[name])

    def _port(self, name: str) -> str:
        """The Python expression of the port that sends what a node emits."""
        if isinstance(self.graph.nodes[name], Input):
            return f"source.s{list(self.graph.inputs).index(name)}"
        return f'populations["{self.keys[name]}"].s_out'

    def _is_recorded(self, name: str) -> bool:
        read = any(isinstance(self.graph.nodes[e.dst], Output) for e in self.graph.edges_from[name])
        return read or isinstance(self.graph.nodes[name], Population)

    # --- populations -----------------------------------------------------------------------------------

    def _population(self, name: str, op: Population) -> Process:
        key, size = self.keys[name], self._size(name)
        edges = self.graph.edges_into[name]
        if name in self.standard:
            self.port_of.update(dict.fromkeys(edges, "a_in"))
            flat = {n: self._flat(v, name) for n, v in self.standard[name].items()}
            return Process(key, comment(name), "LIF", size, tuple(self._named(key, flat, size)))
        ports, times = self._ports(edges)
        kind = self._kind(op, ports)
        names = _attributes(op)
        values = {names["param", n]: v for n, v in op.params.items()}
        values |= {names["state", n]: np.broadcast_to(np.asarray(s.initial, np.int64), self.graph.shapes[name])
                   for n, s in op.states.items()}
        tables = {names["param", n] for n in op.tables}
        flat = {n: v if n in tables else self._flat(v, name) for n, v in values.items()}
        return Process(key, comment(name), kind.name, size, tuple(self._named(key, {**flat, **times}, size)))

    def _flat(self, value: Any, name: str) -> Any:
        """A parameter as an array of one number, or of one number for each neuron in C order."""
        array = np.asarray(value, np.int64)
        return array.reshape(-1) if array.size == 1 else np.broadcast_to(array, self.graph.shapes[name]).reshape(-1)

    def _named(self, key: str, values: Mapping[str, Any], size: int) -> Iterator[tuple[str, str]]:
        """Values as Python expressions by name. Arrays of more than one number are added to the file of weights."""
        for name, value in values.items():
            array = np.asarray(value, np.int64)
            if array.size == size and array.size > 1 and np.all(array == array.flat[0]):
                yield name, f"np.full({size}, {array.flat[0]})"
            elif array.size > 1:
                self.arrays[f"{key}.{name}"] = narrow(array)
                yield name, f'arrays["{key}.{name}"]'
            else:
                yield name, str(int(array.reshape(())))

    def _ports(self, edges: Iterable[Edge]) -> tuple[tuple[InputPort, ...], dict[str, Any]]:
        """The ports of a population, one for each factor, and the factors by the name of their variable."""
        ports: list[tuple[InputPort, Any]] = []
        for edge in edges:
            times = self.synapses[edge][0].times
            same = [p for p, t in ports if _same(t, times)]
            if not same:
                at = len(ports)
                same = [InputPort(f"a_in{at}", None if times is None else f"times{at}")]
                ports.append((same[0], times))
            self.port_of[edge] = same[0].name
        return tuple(p for p, _ in ports), {p.times: t for p, t in ports if p.times}

    def _kind(self, op: Population, ports: tuple[InputPort, ...]) -> Kind:
        """The process class of a population; populations with equal programs, ports and variables share it."""
        names = _attributes(op)
        signature = (op.program, ports, tuple(names.items()))
        if signature not in self.kinds:
            leaves = {s: _leaf(s, names) for s in op.program.steps if s.op in ("state", "param", "input", "lut")}
            lines, operands = statements(op.program, leaves)
            rule = f"{op.rule} neuron" if keyword.iskeyword(op.rule) else op.rule or "neuron"
            folder = _fresh(identifier(rule), self.folders)
            constants = (*(names["param", n] for n in op.params), *(p.times for p in ports if p.times))
            self.kinds[signature] = Kind(
                folder, "".join(word.capitalize() for word in folder.split("_")), comment(op.rule), ports,
                tuple(names["state", n] for n in op.states), constants, tuple(lines),
                tuple((names["state", n], operands[i]) for n, i in op.program.next_state), operands[op.program.output])
        return self.kinds[signature]

    def _states(self, name: str, op: Population) -> Iterator[tuple[Json, Record]]:
        """For each state of a population its entry in the manifest, and the variable that holds it."""
        names = _attributes(op)
        key = self.keys[name]
        for state in op.states:
            variable, kind = (state, "int32") if name in self.standard else (names["state", state], "int64")
            yield ({"population": name, "state": state},
                   Record(f'populations["{key}"].{variable}', self._size(name), kind))

    # --- projections -----------------------------------------------------------------------------------

    def _delays(self) -> Iterator[tuple[Process, str]]:
        """The delay lines, each with the port that it reads: one for each source and number of ticks beyond 1.

        Synapses themselves take one tick of a projection's delay.
        """
        for source, ticks in sorted({(e.src, e.delay - 1) for e in self.synapses}):
            if ticks:
                size = self._size(source)
                yield (Process(self._line(source, ticks), comment(f"{source}, {ticks} ticks later"), "Delay", size,
                               (("ticks", str(ticks)),)), self._port(source))

    def _line(self, source: str, ticks: int) -> str:
        return f"{self.keys[source]}.{ticks}"

    def _connections(self) -> Iterator[Connection]:
        """The processes of synapses of all projections, numbered for each population that they reach."""
        count: dict[str, int] = {}
        for edge, parts in self.synapses.items():
            line = self._line(edge.src, edge.delay - 1)
            source = self._port(edge.src) if edge.delay == 1 else f'delays["{line}"].s_out'
            for part in parts:
                k = count[edge.dst] = count.get(edge.dst, -1) + 1
                key = f"{self.keys[edge.dst]}.{k}"
                yield Connection(key, comment(edge.label), "Synapses" if part.exponent is None else "Sparse", source,
                                 f'populations["{self.keys[edge.dst]}"].{self.port_of[edge]}',
                                 self._arguments(key, part, self._size(edge.src)))

    def _arguments(self, key: str, part: Synapses, size: int) -> Arguments:
        """The arguments of a process of synapses, whose arrays are added to the file of weights.

        Args:
            key: of the process.
            size: the number of values that arrive in a tick.
        """
        matrix = part.matrix
        fields = {"data": matrix.data, "indices": matrix.indices, "indptr": matrix.indptr,
                  "shape": np.array(matrix.shape)}
        self.arrays |= {f"{key}.{field}": narrow(values) for field, values in fields.items()}
        weights = ("weights", f'matrix(arrays, "{key}")')
        if part.exponent is not None:
            sign = ("sign_mode", f"SignMode.{part.sign}")
            return (weights, ("weight_exp", str(part.exponent)), ("num_message_bits", str(part.message_bits)), sign)
        before = []
        for i, step in enumerate(part.before):
            if isinstance(step, int):
                before.append(str(step))
            else:
                self.arrays[f"{key}.before{i}"] = narrow(step)
                before.append(f'arrays["{key}.before{i}"]')
        return (("size", str(size)), weights, ("before", f"[{', '.join(before)}]"))

    # --- manifest --------------------------------------------------------------------------------------

    def _manifest(self, emitted: list[str], states: list[Json]) -> Json:
        """What `run.py` has to know of the network.

        `first` of an input or of emitted values is the hardware tick that holds their tick 0 of the network. `first` of
        an output is the hardware tick in which its source emits what the output gives in tick 0; where it is negative,
        a delayed output is 0 at first.

        Args:
            emitted: the nodes whose emitted values are recorded.
            states: the entries of recorded states.
        """
        graph, late = self.graph, self.schedule.latency_ticks
        outputs = []
        for name in graph.outputs:
            edge, = graph.edges_into[name]
            outputs.append({"name": name, "emitted": emitted.index(edge.src), "delay": edge.delay,
                            "first": late[name] - edge.delay})
        return {
            "format": FORMAT, "name": graph.name, "package": self.package, "period": self.schedule.period,
            "depth": self.schedule.depth_ticks,
            "inputs": [{"name": n, "shape": op.shape, "first": self.schedule.always_on.get(n, 0),
                        "always_on": n in self.schedule.always_on} for n, op in graph.inputs.items()],
            "emitted": [{"name": n, "shape": graph.shapes[n], "first": late[n]} for n in emitted],
            "states": states,
            "outputs": outputs,
        }


def _attributes(op: Population) -> dict[tuple[str, str], str]:
    """The name of the variable for each ("state", name) and ("param", name) of a population.

    It is the name in the program, unless that is a keyword of Python or a name that Lava or the templates use.
    """
    wanted = [*(("state", n) for n in op.states), *(("param", n) for n in op.params)]
    longer = identifiers(f"{role}\0{n}" for role, n in wanted)
    taken: set[str] = set()
    attributes = {}
    for role, n in wanted:
        plain = identifier(n)
        clash = plain in RESERVED or keyword.iskeyword(plain) or plain[:4] in ("a_in", "time")
        attributes[role, n] = _fresh(longer[f"{role}\0{n}"] if clash else plain, taken)
    return attributes


def _same(a: Array | int | None, b: Array | int | None) -> bool:
    """Whether two factors are equal, where None is no factor."""
    if a is None or b is None:
        return a is b
    return np.array_equal(a, b)


def _leaf(step: Step, names: Mapping[tuple[str, str], str]) -> str:
    """The Python expression of the input, state or parameter of a step, or of the table of a look-up."""
    if step.op == "input":
        return "x"
    if step.op == "lut":
        assert isinstance(step.value, tuple)
        return f"self.{names['param', step.value[0]]}"
    return f"self.{names[step.op, str(step.value)]}"


def _fresh(name: str, taken: set[str]) -> str:
    """A name that resembles `name` and is not among those taken, to which it is added."""
    fresh = unused(name, taken)
    taken.add(fresh)
    return fresh


def _type_of(op: Any) -> str:
    """The narrowest NumPy type that holds what an input or population emits."""
    low, high = (int(op.low), int(op.high)) if isinstance(op, Input) else (op.output_low, op.output_high)
    return str(np.result_type(np.min_scalar_type(min(low, 0)), np.min_scalar_type(max(high, 0))))


def narrow(values: Array) -> Array:
    """A copy of integers in the narrowest type that holds them, signed or not."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    return values.astype(np.result_type(np.min_scalar_type(low), np.min_scalar_type(high)))
