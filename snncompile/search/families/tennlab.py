"""Networks of TENNLab's framework, which EONS evolves: any graph of neurons and synapses with a delay for each.

A candidate is the JSON text of a network with its RISP processor under `proc_params`; see `risp` for what that does.
Its keys are `Nodes`, `Edges`, `Inputs`, `Outputs`, `Properties` and `Associated_Data`; `Properties` says at which place
of the `values` of a node its threshold stands, and of an edge its weight and delay. Longer texts than a command line
takes are read by `graph`, such as that of a file:

    tennlab:and                                        two inputs, and a spike where both were there
    tennlab.graph(path.read_text())

Not RISP: VRISP and the processors that are not public. Noise is refused, since compiled networks have none.

Searches of other graphs with a delay for each synapse can be written as such networks, with weights that are fixed or
trained elsewhere. Spiking WANN evolves the wiring, and gives all synapses one shared weight: RISP with the same
`Weight` everywhere. MOO-SNNs and the recurrent networks of Vasilache et al., whose neurons lie in space, search wiring,
weights and delays; a distance becomes a delay in ticks before the file is written. GP-assisted CMA-ES and ELSM search
the reservoir of a liquid state machine: its reservoir is such a network with inputs and outputs, and what reads it is a
linear layer behind its spikes. Neurons that leak a part of their potential are not RISP's: `risp.build` shows in thirty
lines how a graph of neurons becomes populations and projections, and `Net.neuron` has the other neurons.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from snncompile.diagnostics import shorten
from snncompile.ir.graph import Graph
from snncompile.ir.types import Json
from snncompile.search.families import risp
from snncompile.search.families.family import Family, Preset, genotype, refuse
from snncompile.search.families.risp import FAMILY_NAME, Network, Processor, Synapse

MAX_JSON = 1 << 23
"""The longest text of a network, in characters."""
MAX_NEURONS = 1 << 14
MAX_SYNAPSES = 1 << 18
MAX_DELAY = 1 << 12
"""The longest delay, in ticks."""
Object = dict[str, Json]


def graph(text: str) -> Graph:
    """The network of a JSON text.

    Raises:
        CompileError: SNN404 for a text that is no network of RISP; SNN205 for one that is too large.
    """
    if len(text) > MAX_JSON:
        refuse(FAMILY_NAME, "notation", f"{len(text):,} characters", f"at most {MAX_JSON:,}")
    return build(_object("network", genotype(FAMILY_NAME, "network", text)))


def build(found: Object, name: str = FAMILY_NAME) -> Graph:
    """The graph of a network that was read from JSON already."""
    data = _object("Associated_Data", found.get("Associated_Data", {}))
    other = _object("other", data.get("other", {}))
    if other.get("proc_name", "risp") != "risp":
        refuse(FAMILY_NAME, "proc_name", shorten(other["proc_name"]), "risp")
    if "proc_params" not in data:
        refuse(FAMILY_NAME, "Associated_Data", "no proc_params", "proc_params, the parameters of the processor")
    processor = risp.read_processor(_object("proc_params", data["proc_params"]))
    return risp.build(_network(found, processor), processor, name=name)


def _network(found: Object, processor: Processor) -> Network:
    properties = _object("Properties", found.get("Properties"))
    where = {key: _place(properties, kind, key) for kind, key in (
        ("node_properties", "Threshold"), ("edge_properties", "Weight"), ("edge_properties", "Delay"))}
    nodes = _objects("Nodes", found, MAX_NEURONS)
    ids = _ids(nodes)
    thresholds = tuple(_value("Threshold", node, where["Threshold"], processor.thresholds) for node in nodes)
    if processor.leak == "configurable":
        leak = _place(properties, "node_properties", "Leak")
        leaks = tuple(_value("Leak", node, leak, (0, 1)) != 0 for node in nodes)
    else:
        leaks = (processor.leak == "all",) * len(nodes)
    synapses = tuple(_synapse(edge, ids, where, processor) for edge in _objects("Edges", found, MAX_SYNAPSES))
    if len({(s.source, s.target) for s in synapses}) < len(synapses):
        refuse(FAMILY_NAME, "Edges", "two synapses between the same two neurons", "one")
    if processor.discrete and any(n != int(n) for n in (*thresholds, *(s.weight for s in synapses))):
        refuse(FAMILY_NAME, "values", "fractions", "whole thresholds and weights, since discrete is true")
    return Network(thresholds, leaks, synapses, _ends("Inputs", found, ids), _ends("Outputs", found, ids))


def _synapse(edge: Object, ids: dict[int, int], where: dict[str, int], processor: Processor) -> Synapse:
    source, target = (ids.get(risp.whole(edge, key), -1) for key in ("from", "to"))
    if -1 in (source, target):
        refuse(FAMILY_NAME, "Edges", f"{shorten(edge['from'])} to {shorten(edge['to'])}", "the ids of two nodes")
    delay = _value("Delay", edge, where["Delay"], (1, min(processor.max_delay, MAX_DELAY)))
    if delay != int(delay):
        refuse(FAMILY_NAME, "Delay", f"{delay:g}", "a whole number of ticks")
    if not processor.listed:
        return Synapse(source, target, _value("Weight", edge, where["Weight"], processor.weights), int(delay))
    place = int(_value("Weight", edge, where["Weight"], (0, len(processor.listed) - 1)))
    return Synapse(source, target, processor.listed[place], int(delay))


# --- parts of the file ---

def _object(what: str, value: Json) -> Object:
    if not isinstance(value, dict):
        refuse(FAMILY_NAME, what, shorten(value), "an object")
    return value


def _objects(key: str, found: Object, most: int) -> list[Object]:
    values = found.get(key)
    if not isinstance(values, list) or len(values) > most:
        refuse(FAMILY_NAME, key, f"{len(values):,}" if isinstance(values, list) else shorten(values),
               f"a list of at most {most:,} objects")
    return [_object(key, value) for value in values]


def _ids(nodes: Sequence[Object]) -> dict[int, int]:
    """The place of each neuron, by its id."""
    ids = {risp.whole(node, "id"): place for place, node in enumerate(nodes)}
    if len(ids) < len(nodes):
        refuse(FAMILY_NAME, "Nodes", "two nodes with the same id", "an id for each")
    return ids


def _ends(key: str, found: Object, ids: dict[int, int]) -> tuple[int, ...]:
    values = found.get(key)
    if not isinstance(values, list) or not 1 <= len(values) <= len(ids):
        refuse(FAMILY_NAME, key, shorten(values), "a list of ids, one or more")
    places = tuple(ids.get(risp.whole({key: value}, key), -1) for value in values)
    if -1 in places or len(set(places)) < len(places):
        refuse(FAMILY_NAME, key, shorten(values), "ids of nodes, each once")
    return places


def _place(properties: Object, kind: str, name: str) -> int:
    """Where a property stands among the values of a node or edge."""
    for entry in _objects(kind, properties, 64):
        if entry.get("name") == name:
            return risp.whole(entry, "index")
    refuse(FAMILY_NAME, kind, "no such entry", f"one with the name {name}")


def _value(what: str, found: Object, place: int, limits: tuple[float, float]) -> float:
    values = found.get("values")
    if not isinstance(values, list) or place >= len(values):
        refuse(FAMILY_NAME, what, shorten(values), f"values, of which number {place} is the {what}")
    value = risp.real({what: values[place]}, what)
    if not limits[0] <= value <= limits[1]:
        refuse(FAMILY_NAME, what, f"{value:g}", f"{limits[0]:g} to {limits[1]:g}")
    return value


# --- writing ---

def written(thresholds: Sequence[float], synapses: Sequence[tuple[int, int, float, int]], inputs: Sequence[int],
            outputs: Sequence[int], parameters: Object, leaks: Sequence[bool] | None = None) -> str:
    """The JSON text of a network, without spaces.

    Args:
        thresholds, leaks: of each neuron; their places are their ids.
        synapses: source, target, weight and delay of each.
        parameters: of the processor; see `risp.risp`.
    """
    def property_of(name: str, index: int) -> Object:
        return {"name": name, "index": index, "size": 1}

    node = [property_of("Threshold", 0)] + ([] if leaks is None else [property_of("Leak", 1)])
    values: list[list[Any]] = [[t] if leaks is None else [t, int(leaks[i])] for i, t in enumerate(thresholds)]
    return json.dumps({
        "Properties": {"node_properties": node, "network_properties": [],
                       "edge_properties": [property_of("Weight", 0), property_of("Delay", 1)]},
        "Nodes": [{"id": i, "values": v} for i, v in enumerate(values)],
        "Edges": [{"from": s, "to": t, "values": [w, d]} for s, t, w, d in synapses],
        "Inputs": list(inputs), "Outputs": list(outputs), "Network_Values": [],
        "Associated_Data": {"other": {"proc_name": "risp"}, "proc_params": parameters}}, separators=(",", ":"))


_PLANK = "Plank et al., Spiking Neuromorphic Networks for Binary Tasks, ICONS 2021, figure 3"
_LEAKY = risp.risp(1, leak="all")
FAMILY = Family(
    FAMILY_NAME, "EONS and the TENNLab framework, Schuman et al., 2020",
    "the JSON text of a network with a RISP processor", graph, {
        "and": Preset(written([1, 1, 1], [(0, 2, 0.5, 1), (1, 2, 0.5, 1)], [0, 1], [2], {
            **risp.risp(1, plus=True, leak="all"), "discrete": False, "min_weight": 0, "min_threshold": 0}), _PLANK),
        "xor": Preset(written([1] * 5, [(0, 2, 1, 1), (0, 3, -1, 1), (1, 2, -1, 1), (1, 3, 1, 1), (2, 4, 1, 1),
                                        (3, 4, 1, 1)], [0, 1], [4], _LEAKY), _PLANK),
    })
