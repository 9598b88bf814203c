"""What a file leaves in doubt: whether it is one tick of a spiking network, and whether its states were found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from snncompile.diagnostics import Diagnostic, few, shorten
from snncompile.frontends.onnx.dataflow import Flow
from snncompile.frontends.onnx.file import Model
from snncompile.frontends.onnx.pairs import ONE_TICK, compatible
from snncompile.ir.graph import Graph

WEIGHTED = {"Gemm", "MatMul", "Conv", "Einsum"}


def doubts(model: Model, flow: Flow, graph: Graph, pairs: Mapping[str, str], place: str, given: bool
           ) -> tuple[Diagnostic, ...]:
    """The most likely way in which a file was meant otherwise than it is read, or nothing (SNN105).

    Args:
        pairs: the output of each state, by its input.
        place: the file's name in messages.
        given: whether the caller said which the states are.
    """
    repeated = _repeated_weights(flow)
    if repeated and not pairs:
        name, count = repeated
        return (_warning(place, f"the weights {name} are used {count} times, as in a loop over ticks that was written "
                         "out; its ticks are read as values of one tick", ONE_TICK),)
    lost = {} if given else _unpaired(model, pairs)
    if lost:
        return (_lost(lost, place),)
    if not graph.populations:
        return (Diagnostic("SNN105", place, "no neuron: this is a network of layers alone, in which nothing spikes", "",
                           ONE_TICK, "note"),)
    if not pairs:
        return (_warning(place, "no state: its thresholds keep nothing from one tick to the next",
                         f"where membranes were lost in the export, {ONE_TICK}"),)
    return ()


def _warning(place: str, found: str, help: str) -> Diagnostic:
    return Diagnostic("SNN105", place, found, "a file holds one tick of a network, whose states are inputs and outputs",
                      help, "warning")


def _lost(lost: Mapping[str, list[str]], place: str) -> Diagnostic:
    """The warning that inputs may be states, each given with the outputs of its shape."""
    outputs = list(dict.fromkeys(o for after in lost.values() for o in after))
    have = f"{few(outputs)} {'has' if len(outputs) == 1 else 'have'}"
    if len(lost) > 1:
        return _warning(f"{place}, inputs {few(lost)}",
                        f"they are read as data, since no output is named as the next value of any; {have} such a "
                        "shape", "if there are states among them, say which, and their next values: "
                        "states={'INPUT': 'OUTPUT', ...}, or on the command line --states INPUT=OUTPUT,...")
    (before, after), = lost.items()
    return _warning(f"{place}, input {shorten(before)}",
                    f"it is read as data, since no output is named as its next value; {have} its shape",
                    f"if it is a state, say so: states={{{before!r}: {after[-1]!r}}}, or on the command line "
                    f"--states {before}={after[-1]}")


def _repeated_weights(flow: Flow) -> tuple[str, int] | None:
    """The weights that most layers share, and how many layers; None where every layer has its own.

    Weights that only pass through operators on constants, such as Transpose, are still the same weights.
    """
    origin: dict[str, str] = {}
    for node in flow.model.nodes:
        stored = [origin.get(n, n) for n in node.inputs if n in flow.constants and flow.constants[n].ndim > 1]
        if len(stored) == 1 and node.op not in WEIGHTED:
            origin.update(dict.fromkeys((o for o in node.outputs if o in flow.constants), stored[0]))
    used = Counter(origin.get(n, n) for node in flow.model.nodes if node.op in WEIGHTED
                   and any(i in flow.values for i in map(flow.named, node.inputs))
                   for n in node.inputs[:2] if n in flow.constants and flow.constants[n].ndim > 1)
    name, count = max(used.items(), key=lambda item: item[1], default=("", 0))
    return (shorten(name), count) if count > 1 else None


def _unpaired(model: Model, pairs: Mapping[str, str]) -> dict[str, list[str]]:
    """The inputs that belong to no pair, each with the unpaired outputs of its shape; a single input is the data."""
    inputs = [n for n in model.inputs if n not in pairs]
    outputs = [n for n in model.outputs if n not in pairs.values()]
    alike = {i: [o for o in outputs if compatible(model.inputs[i].axes, model.outputs[o].axes)] for i in inputs}
    return {i: after for i, after in alike.items() if after} if len(inputs) > 1 else {}
