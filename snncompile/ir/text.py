"""The text form of a graph: writing it, and reading it back. Equal graphs have equal texts.

There is one line for each node and edge. Indented lines below an edge list the operators of its chain; those below an
integer population, or a neuron whose rule is not in the library, its program. Attribute values are JSON. An array is
written as `@dtype[shape]#hash`; its numbers are kept beside the text, by that name (`serde`). A weight without numbers
is written as `?dtype[shape]`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from snncompile.diagnostics import CompileError, Diagnostic, fail, shorten
from snncompile.ir.expr import Program, Step
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.library import RULES
from snncompile.ir.op import Op
from snncompile.ir.operations import arity
from snncompile.ir.operators import OPERATORS
from snncompile.ir.populations import IntState, Neuron, Population
from snncompile.ir.rules import Firing, Quantity, Rule, fixed_rule
from snncompile.ir.schedule import Schedule
from snncompile.ir.types import Array, ShapeOnly, Stage

VERSION = 1
HEADER = f"snnc {VERSION}"
POPULATION_ATTRIBUTES = ("rule", "unit", "output_low", "output_high", "graded")
SCHEDULE = "schedule"
"""The key of the schedule in the `meta` line of a MAPPED graph."""
MAX_LINES = 2_000_000
MAX_NESTING = 32


def digest(array: Array) -> str:
    """The name of an array in the text, `f64[2,3]#225500612e6aa31f`: dtype, shape and 64 bits of its SHA-256."""
    data = np.ascontiguousarray(array)
    shape = ",".join(map(str, data.shape))
    code = hashlib.sha256(data.tobytes()).hexdigest()[:16]
    return f"{data.dtype.kind}{data.dtype.itemsize * 8}[{shape}]#{code}"


def arrays_of(graph: Graph) -> dict[str, Array]:
    """Every array of a graph, by its name in the text (`digest`)."""
    ops = [*graph.nodes.values(), *(op for e in graph.edges for op in e.chain)]
    return {digest(a): a for op in ops for a in op.arrays.values() if isinstance(a, np.ndarray)}


def to_text(graph: Graph) -> str:
    """The text form of a graph, without the numbers of its arrays and without its notes."""
    lines = [HEADER, f"graph {_json(graph.name)} {graph.stage.name.lower()}"]
    meta = {**graph.meta, **({SCHEDULE: graph.schedule.to_json()} if graph.stage == Stage.MAPPED else {})}
    if meta:
        lines.append(f"meta {_json(meta)}")
    for name, op in graph.nodes.items():
        lines += [f"{op.kind()} {_json(name)}{_attributes(op)}", *_body(op)]
    for edge in graph.edges:
        delay = f" delay={edge.delay}" if edge.delay else ""
        lines.append(f"edge {_json(edge.src)} {_json(edge.dst)}{delay}")
        lines += [f"  {op.kind()}{_attributes(op)}" for op in edge.chain]
    return "\n".join(lines) + "\n"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=True, sort_keys=isinstance(value, Mapping), default=dict)


def _value(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return "@" + digest(value)
    if isinstance(value, ShapeOnly):
        told = [f"{n}={v}" for n, v in (("bits", value.bits), ("density", value.density)) if v is not None]
        return f"?{value.dtype}[{','.join(map(str, value.shape))}]{'{' + ','.join(told) + '}' if told else ''}"
    return _json(value.item() if isinstance(value, np.generic) else value)


def _attributes(op: Op) -> str:
    if isinstance(op, Neuron):
        pairs: Iterator[tuple[str, Any]] | list[tuple[str, Any]] = _neuron_attributes(op)
    elif isinstance(op, Population):
        pairs = [(n, getattr(op, n)) for n in POPULATION_ATTRIBUTES]
        pairs += [(f"p.{k}", v) for k, v in op.params.items()]
    else:
        pairs = op.attributes()
    return "".join(f" {name}={_value(value)}" for name, value in pairs if value is not None)


def _neuron_attributes(op: Neuron) -> Iterator[tuple[str, Any]]:
    yield "rule", op.rule.name
    if not in_library(op):
        yield "spiking", op.rule.spiking
    if op.rule.spiking:
        yield from vars(op.firing).items()
    yield from ((f"o.{k}", v) for k, v in op.options.items())
    yield from ((f"p.{k}", v) for k, v in op.params.items())
    yield from ((f"initial.{k}", v) for k, v in op.initial.items())


def in_library(op: Neuron) -> bool:
    """Whether the rule of a neuron is one of the library, so that its name says all of it."""
    return RULES.get(op.rule.name) is op.rule


def _body(op: Op) -> list[str]:
    if isinstance(op, Population):
        states = [f"  state {_json(n)} bits={s.bits} initial={_value(s.initial)}" for n, s in op.states.items()]
        return [*states, *_program(op.program)]
    if isinstance(op, Neuron) and not in_library(op):
        params = [f"  param {_json(n)}{_quantity(q)}" for n, q in op.rule.params.items() if n in op.params]
        states = [f"  state {_json(n)}{_quantity(q)}" for n, q in op.traced.states.items()]
        return [*params, *states, *_program(op.traced.program)]
    return []


def _quantity(quantity: Quantity) -> str:
    return "".join(f" {name}={_json(value)}" for name, value in vars(quantity).items())


def _program(program: Program) -> list[str]:
    lines = []
    for i, step in enumerate(program.steps):
        value = "" if step.value is None else " " + _json(step.value)
        lines.append(f"  %{i} = {step.op}{''.join(f' %{a}' for a in step.args)}{value}")
    lines += [f"  next {_json(n)} %{i}" for n, i in program.next_state]
    return [*lines, f"  out %{program.output}"]


# --- reading ---------------------------------------------------------------------------------------------

_DECODER = json.JSONDecoder()
_ARRAY = re.compile(r"@([a-z]\d+\[[\d,]*\]#[0-9a-f]{16})")
_SHAPE = re.compile(r"\?([a-z]+\d+)\[((?:\d{1,18},?)*)\]"
                    r"(?:\{(?:bits=(\d{1,9}))?,?(?:density=(\d(?:\.\d{1,20})?(?:e-\d{1,3})?))?\})?")
_KEY = re.compile(r" ([A-Za-z_][\w.]*)=")
_STEP = re.compile(r"  %(\d+) = (\w+)((?: %\d+)*)(?: (.*))?$")


@dataclass
class _Reader:
    """A text that is read: `at` is the position of the line, `where` the file as diagnostics name it."""

    lines: list[str]
    weights: Mapping[str, Array]
    where: str
    at: int = 0

    def bad(self, found: str, expected: str = "") -> None:
        """Raise SNN102 for the line that is read."""
        fail("SNN102", f"{self.where}, line {self.at + 1}", found, expected)

    def more(self, prefix: str = "") -> bool:
        """Whether there is another line, and it begins with a prefix."""
        return self.at < len(self.lines) and self.lines[self.at].startswith(prefix)

    def json(self, text: str) -> tuple[Any, str]:
        """A JSON value at the start of the text, and the rest of the text."""
        try:
            value, end = _DECODER.raw_decode(text)
        except (ValueError, RecursionError):
            self.bad(shorten(text), "a JSON value")
        if not _shallow(value, MAX_NESTING):
            self.bad(shorten(text), f"values nested at most {MAX_NESTING} deep")
        return value, text[end:]

    def name(self, text: str) -> tuple[str, str]:
        """A name at the start of the text, and the rest."""
        name, rest = self.json(text)
        if not isinstance(name, str):
            self.bad(shorten(text), "a name in quotes")
        return name, rest

    def value(self, text: str) -> tuple[Any, str]:
        """The value of an attribute at the start of the text, and the rest."""
        if m := _ARRAY.match(text):
            if m[1] not in self.weights:
                self.bad(f"array {m[1]} is not among the weights")
            return self.weights[m[1]], text[m.end():]
        if m := _SHAPE.match(text):
            bits, density = int(m[3]) if m[3] else None, float(m[4]) if m[4] else None
            return ShapeOnly(tuple(int(n) for n in m[2].split(",") if n), m[1], bits, density), text[m.end():]
        return self.json(text)

    def attributes(self, text: str) -> dict[str, Any]:
        """Attributes by name, read from a text of ` name=value` pairs."""
        values: dict[str, Any] = {}
        while text:
            m = _KEY.match(text)
            if m is None:
                self.bad(shorten(text), "name=value")
            else:
                values[m[1]], text = self.value(text[m.end():])
        return values


def _shallow(value: Any, levels: int) -> bool:
    """Whether lists and objects are nested less than so many levels deep."""
    parts = value if isinstance(value, list) else value.values() if isinstance(value, dict) else ()
    return levels > 0 and all(_shallow(v, levels - 1) for v in parts)


def from_text(text: str, weights: Mapping[str, Array] | None = None, *, where: str = "text form") -> Graph:
    """The graph that a text describes. It is not verified (`verify`).

    Args:
        weights: arrays by their names in the text; see `arrays_of`.
        where: the file or folder, as diagnostics name it.

    Raises:
        CompileError: SNN102, with the line, for text that is not of this form or names an array that is missing;
            SNN103 for a text of too many lines; SNN201 for an edge of a node that does not exist; SNN206 for an unknown
            rule.
    """
    r = _Reader(text.splitlines(), weights or {}, where)
    if len(r.lines) > MAX_LINES:
        fail("SNN103", where, f"{len(r.lines)} lines", f"{MAX_LINES}")
    if not r.more(HEADER):
        r.bad(shorten(r.lines[0]) if r.lines else "an empty text", f'the first line is "{HEADER}"')
    r.at = 1
    try:
        return _read_graph(r)
    except CompileError:
        raise
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as e:
        raise CompileError((Diagnostic("SNN102", f"{where}, line {r.at + 1}", str(e)[:200]),)) from None


def _read_graph(r: _Reader) -> Graph:
    if not r.more("graph "):
        r.bad("no graph line", 'graph "name" stage')
    name, rest = r.name(r.lines[r.at][6:])
    stages = {s.name.lower(): s for s in Stage}
    if rest.strip() not in stages:
        r.bad(f"stage {shorten(rest.strip())}", ", ".join(stages))
    stage = stages[rest.strip()]
    r.at += 1
    meta: dict[str, Any] = {}
    if r.more("meta "):
        meta = r.json(r.lines[r.at][5:])[0]
        r.at += 1
    nodes: dict[str, Op] = {}
    edges: list[Edge] = []
    while r.more():
        word, _, rest = r.lines[r.at].partition(" ")
        if word == "edge":
            edges.append(_read_edge(r, rest))
        else:
            key, rest = r.name(rest)
            if key in nodes:
                r.bad(f"node {shorten(key)} stands twice")
            nodes[key] = _read_op(r, word, rest)
    for edge in edges:
        if edge.src not in nodes or edge.dst not in nodes:
            fail("SNN201", r.where, f"edge {shorten(edge.label)} names a node that does not exist")
    schedule = Schedule.from_json(meta.pop(SCHEDULE)) if SCHEDULE in meta else Schedule()
    return Graph(name, nodes, tuple(edges), stage, meta, schedule)


def _read_edge(r: _Reader, rest: str) -> Edge:
    src, rest = r.name(rest)
    dst, rest = r.name(rest[1:])
    values = r.attributes(rest)
    delay = values.pop("delay", 0)
    if type(delay) is not int or values:
        r.bad(shorten(rest), "delay=ticks, and nothing else")
    r.at += 1
    chain: list[Op] = []
    while r.more("  "):
        word, space, tail = r.lines[r.at][2:].partition(" ")
        chain.append(_read_op(r, word, space + tail))
    return Edge(src, dst, delay, tuple(chain))


def _read_op(r: _Reader, word: str, rest: str) -> Op:
    if word not in OPERATORS:
        r.bad(f"unknown operator {shorten(word)}", ", ".join(OPERATORS))
    values = r.attributes(rest)
    if word == "neuron":
        return _read_neuron(r, values)
    if word == "population":
        return _read_population(r, values)
    _check_names(r, values, _needed(OPERATORS[word]))
    op = OPERATORS[word](**{k: _tuples(v) for k, v in values.items()})
    r.at += 1
    return op


def _needed(kind: Any) -> dict[str, bool]:
    """The attributes of a dataclass by name, and whether the text has to give each of them."""
    absent = dataclasses.MISSING
    return {f.name: f.default is absent and f.default_factory is absent for f in dataclasses.fields(kind)}


def _check_names(r: _Reader, values: Mapping[str, Any], needed: Mapping[str, bool], prefixes: tuple[str, ...] = ()
                 ) -> None:
    """Raise SNN102 for attributes that are not known, and for those that are needed but missing.

    Args:
        values: the attributes of a line, by name.
        needed: the names that are known, and whether each is needed.
        prefixes: prefixes behind which any name may stand, such as `p.` for parameters.
    """
    known = [*needed, *(f"{p}NAME" for p in prefixes)]
    strange = [name for name in values if name not in needed and not name.startswith(prefixes)]
    missing = [name for name, must in needed.items() if must and name not in values]
    if strange or missing:
        words = [f"unknown {shorten(n)}" for n in strange] + [f"no {shorten(n)}" for n in missing]
        r.bad(", ".join(words), ", ".join(known))


def _tuples(value: Any) -> Any:
    """A value in which tuples stand for the lists of JSON, at every depth."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def _split(values: dict[str, Any], prefix: str) -> dict[str, Any]:
    """The values whose names begin with a prefix, under their names without it."""
    return {k[len(prefix):]: v for k, v in values.items() if k.startswith(prefix)}


def _read_neuron(r: _Reader, values: dict[str, Any]) -> Neuron:
    fields = Firing.__dataclass_fields__
    _check_names(r, values, {"rule": True, "spiking": False, **dict.fromkeys(fields, False)}, ("p.", "o.", "initial."))
    own = values.pop("spiking", None)
    if own is None and values["rule"] not in RULES:
        fail("SNN206", f"{r.where}, line {r.at + 1}", f"rule {shorten(values['rule'])}", ", ".join(sorted(RULES)))
    options, params = _split(values, "o."), _split(values, "p.")
    r.at += 1
    rule = RULES[values["rule"]] if own is None else _read_rule(r, values["rule"], options, own)
    firing = Firing(**{k: v for k, v in values.items() if k in fields})
    if rule.spiking and "max_spikes" not in values:
        firing = Firing(firing.compare, firing.reset, firing.when, None)
    return Neuron(rule, params, firing, options, _split(values, "initial."))


def _read_rule(r: _Reader, name: Any, options: Mapping[str, Any], spiking: Any) -> Rule:
    """Read a rule that is not in the library from the program below the neuron."""
    if not isinstance(name, str) or not isinstance(spiking, bool):
        r.bad(f"rule={shorten(name)} spiking={shorten(spiking)}", "a name, and true or false")
    program, declared = _read_program(r, {"param": Quantity, "state": Quantity})
    return fixed_rule(name, program, declared["param"], declared["state"], spiking=spiking,
                      options={k: (v,) for k, v in options.items()})


def _read_population(r: _Reader, values: dict[str, Any]) -> Population:
    _check_names(r, values, dict.fromkeys(POPULATION_ATTRIBUTES, False), ("p.",))
    r.at += 1
    program, declared = _read_program(r, {"state": IntState})
    plain = {k: v for k, v in values.items() if not k.startswith("p.")}
    return Population(program, _split(values, "p."), declared["state"], **plain)


def _read_program(r: _Reader, kinds: Mapping[str, Any]) -> tuple[Program, dict[str, dict[str, Any]]]:
    """Read the indented lines below a neuron or population: its program, and its declarations.

    Args:
        kinds: the words with which lines of declarations begin, and the class of what each declares.

    Returns:
        The program, and for each word of `kinds` what was declared, by name.
    """
    declared: dict[str, dict[str, Any]] = {word: {} for word in kinds}
    steps: list[Step] = []
    nexts: list[tuple[str, int]] = []
    output = 0
    while r.more("  "):
        line = r.lines[r.at]
        word, _, rest = line[2:].partition(" ")
        if m := _STEP.match(line):
            steps.append(_read_step(r, m, len(steps)))
        elif word in kinds:
            name, rest = r.name(rest)
            values = r.attributes(rest)
            _check_names(r, values, _needed(kinds[word]))
            declared[word][name] = kinds[word](**values)
        elif word == "next":
            name, rest = r.name(rest)
            nexts.append((name, int(rest.strip().lstrip("%"))))
        elif line.startswith("  out %"):
            output = int(line[7:])
        else:
            r.bad(shorten(line), f"a {', '.join(kinds)}, step, next or out line")
        r.at += 1
    if not all(0 <= i < len(steps) for i in (output, *(i for _, i in nexts))):
        r.bad("the program names a step that does not exist")
    return Program(tuple(steps), output, tuple(nexts)), declared


def _read_step(r: _Reader, m: re.Match[str], count: int) -> Step:
    op, args = m[2], tuple(int(a) for a in m[3].replace("%", "").split())
    if int(m[1]) != count or len(args) != arity(op) or any(a >= count for a in args):
        r.bad(shorten(m[0]), "steps in order, each naming earlier ones")
    return Step(op, args, _tuples(r.json(m[4])[0]) if m[4] else None)
