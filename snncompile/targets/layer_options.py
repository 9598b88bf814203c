"""Options by layer: widths and folding that differ between the layers of a network, and the file that holds them.

    [lif1]
    weight_bits = 8
    membrane_bits = 16

A table belongs to a population: its weights are those of all projections that lead to it. The name of a layer with
weights stands for the population that the layer leads to.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from snncompile.diagnostics import Collector, did_you_mean, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.layer import Layer
from snncompile.ir.ops import Output
from snncompile.ir.populations import Neuron
from snncompile.targets.arithmetic import LAYER_OPTIONS, Arithmetic
from snncompile.targets.figures import accepts, value_of
from snncompile.targets.folding import FOLDED_LAYER, Folding

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

OWN = (*LAYER_OPTIONS, *FOLDED_LAYER)
"""All options that a layer can have for itself."""
MAX_BYTES = 1 << 22
"""The largest file that is read."""
MAX_NAMED = 10
"""The most names that a message lists."""
ByLayer: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Options by the name of the population or layer."""
Layers: TypeAlias = "ByLayer | str | Path | None"
"""Options by layer, the path of a file of them, or none."""
Widths: TypeAlias = "int | str | Mapping[str, int | str] | None"
"""Widths of weights or membranes: one for all, or by layer; None for those of the target."""


def split(options: Mapping[str, Any], layers: Layers = None
          ) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """The options of the whole network, and those of layers.

    >>> split({"weight_bits": {"conv1": 8}, "per": "layer"}, {"conv2": {"weight_bits": 4}})
    ({'per': 'layer'}, {'conv2': {'weight_bits': 4}, 'conv1': {'weight_bits': 8}})

    Args:
        options: by their names. Where one of `OWN` is a mapping, it holds values by layer.
        layers: options by layer, or a file of them; what `options` say of the same layer comes first.

    Raises:
        CompileError: SNN404 for options that layers cannot have, SNN102 for a file that is damaged.
    """
    found: dict[str, Any] = {}
    if layers is not None:
        if not isinstance(layers, (Mapping, str, Path)):
            fail("SNN404", "option layers", f"a {type(layers).__name__}",
                 "options by layer, or the path of a TOML file")
        tables = layers if isinstance(layers, Mapping) else read(layers)
        found = {name: dict(own) if isinstance(own, Mapping) else own for name, own in tables.items()}
        _expect(found)
    for option, values in options.items():
        if isinstance(values, Mapping):
            if option not in OWN:
                fail("SNN404", f"option {shorten(option)}", "values by layer", f"such values for {', '.join(OWN)}")
            for name, value in values.items():
                found.setdefault(name, {})[option] = value
    _expect(found)
    return {n: v for n, v in options.items() if not isinstance(v, Mapping)}, found


def read(path: str | Path) -> dict[str, dict[str, Any]]:
    """The tables of a file.

    Raises:
        CompileError: SNN101 where it cannot be read, SNN103 where it is too large, SNN102 where it holds anything else.
    """
    place = f"file {shorten(Path(path))}"
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as e:
        fail("SNN101", place, str(e)[:200])
    if len(content) > MAX_BYTES:
        fail("SNN103", place, f"more than {MAX_BYTES:,} bytes", f"at most {MAX_BYTES:,}")
    try:
        tables = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as e:
        fail("SNN102", place, str(e)[:200], "a TOML table for each population")
    for name, own in tables.items():
        if not isinstance(own, dict):
            fail("SNN102", f"{place}, {shorten(name)}", f"a {type(own).__name__}", "a table for each population")
        nested = [option for option, value in own.items() if isinstance(value, (dict, list))]
        if nested:
            fail("SNN102", f"{place}, {shorten(name)}, {shorten(nested[0])}", "a table or a list", "a number or a word")
    return tables


def _expect(layers: Mapping[Any, Any]) -> None:
    """Refuse names and values that options of layers cannot have."""
    figures = {f.name: f.metadata for kind in (Arithmetic, Folding) for f in dataclasses.fields(kind) if f.name in OWN}
    problems = Collector()
    for name, own in layers.items():
        if not isinstance(name, str) or not isinstance(own, Mapping):
            fail("SNN404", "option layers", f"{shorten(name)}: {shorten(own)}", "options by the name of a layer")
        for option, value in own.items():
            place = f"layer {shorten(name)}, option {shorten(option)}"
            if option not in figures:
                problems.error("SNN404", place, "no option of a layer", ", ".join(OWN),
                               did_you_mean(str(option), OWN))
            elif not accepts(figures[option], value):
                problems.error("SNN404", place, shorten(value), value_of(figures[option]))
    problems.finish()


def by_population(layers: ByLayer, graph: Graph, legal: Graph) -> dict[str, dict[str, Any]]:
    """The options of each population that has some.

    Args:
        layers: by the name of a population of `legal`, or of a layer of `graph` that leads to one.
        graph: as it was read.
        legal: the LEGAL graph that was made from it.

    Raises:
        CompileError: SNN404 for a name that neither has, or where two layers of one population differ.
    """
    known = {name: [name] for name in legal.populations}
    if layers:
        known = {**{name: [p for p in _reached(graph, name) if p in legal.populations]
                    for name, op in graph.nodes.items() if isinstance(op, Layer)}, **known}
    chosen: dict[str, dict[str, Any]] = {}
    for name, own in layers.items():
        if not known.get(name):
            listed = [n for n, populations in known.items() if populations]
            fail("SNN404", f"options of layer {shorten(name)}", "no layer or population has this name",
                 _named(listed), did_you_mean(name, listed))
        for population in known[name]:
            for option, value in own.items():
                before = chosen.setdefault(population, {}).setdefault(option, value)
                if before != value:
                    fail("SNN404", f"options of layer {shorten(name)}, {option}", f"{value}, and {before} for another "
                         f"layer that leads to population {shorten(population)}", "one value for a population")
    return chosen


def own_of(arithmetic: Arithmetic, options: ByLayer) -> dict[str, Arithmetic]:
    """The arithmetic of each population that has options of it, by name."""
    widths = {name: {n: v for n, v in own.items() if n in LAYER_OPTIONS} for name, own in options.items()}
    return {name: arithmetic.with_options(own) for name, own in widths.items() if own}


def folded(options: ByLayer) -> dict[str, dict[str, Any]]:
    """The options of folding of each population that has some, by name."""
    found = {name: Folding.among(own) for name, own in options.items()}
    return {name: own for name, own in found.items() if own}


def merged(one: ByLayer, other: ByLayer) -> dict[str, dict[str, Any]]:
    """The options of both, by population."""
    return {name: {**one.get(name, {}), **other.get(name, {})} for name in (*one, *(n for n in other if n not in one))}


def _reached(graph: Graph, name: str) -> list[str]:
    """The names of the populations that an operator leads to without another one between."""
    seen, pending, reached = {name}, [name], list[str]()
    while pending:
        for edge in graph.edges_from[pending.pop()]:
            if edge.dst in seen or isinstance(graph.nodes[edge.dst], Output):
                continue
            seen.add(edge.dst)
            (reached if isinstance(graph.nodes[edge.dst], Neuron) else pending).append(edge.dst)
    return reached


def _named(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - MAX_NAMED} more" if len(listed) > MAX_NAMED else ""
    return ", ".join(shorten(n) for n in listed[:MAX_NAMED]) + more


def to_toml(layers: ByLayer) -> str:
    """The file of options by layer, as `read` reads it.

    >>> print(to_toml({"lif1": {"weight_bits": 4}, "last one": {"weight_bits": "ternary"}}))
    ["lif1"]
    weight_bits = 4
    <BLANKLINE>
    ["last one"]
    weight_bits = "ternary"
    <BLANKLINE>
    """
    return "\n".join(f"[{_text(name)}]\n" + "".join(f"{n} = {_value(v)}\n" for n, v in own.items())
                     for name, own in layers.items())


def _value(value: Any) -> str:
    return _text(value) if isinstance(value, str) else str(value).lower()


def _text(text: str) -> str:
    """A text in the notation of TOML, which is JSON's but for the character 127."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
