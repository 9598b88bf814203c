"""NetX files as plain data: layers by number, with their fields and their neurons, bounded and distrustful.

The layout is what lava-dl 0.6.0 writes and reads (`lava/lib/dl/netx/hdf5.py`). What the layers mean is decided in
`snncompile.frontends.netx.graph`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.frontends.hdf5.file import Dataset
from snncompile.frontends.hdf5.groups import Group, open_object
from snncompile.frontends.hdf5.values import Value, Values, read_hdf5
from snncompile.ir.types import Array

MAX_LAYERS = 2_000
NO_HDF5 = "write it with export_hdf5 of lava-dl's blocks; a git-lfs pointer or a cut download is not a NetX file"


@dataclass(frozen=True)
class Fields:
    """The fields of a group: those it must have, those it may have, and those that say nothing about inference."""

    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()


LAYERS: Mapping[str, Fields] = {
    "input": Fields(("shape",), ("weight", "bias")),
    "flatten": Fields((), (), ("shape",)),
    "conv": Fields(("shape", "weight", "stride", "padding", "dilation", "groups"), ("bias", "delay"),
                   ("inChannels", "outChannels", "kernelSize")),
    "dense": Fields(("shape", "weight"), ("bias", "delay"), ("inFeatures", "outFeatures")),
    "dense_rec": Fields(("shape", "weight", "weight_rec"), ("bias", "delay"), ("inFeatures", "outFeatures")),
}
NEEDS_NEURON = {"conv", "dense", "dense_rec"}
NEURONS: Mapping[str, Fields] = dict.fromkeys(("CUBA", "LOIHI"), Fields(
    ("iDecay", "vDecay", "vThMant"), ("refDelay", "gradedSpike", "wgtExp"),
    ("messageBits", "theta", "tauRho", "scaleRho")))
# Words of the format for which there is no exact reading, and why.
REFUSED: Mapping[str, str] = {
    "average": "NetX itself does not run it", "concat": "NetX itself does not run it",
    "pool": "NetX itself does not run it", "unpool": "NetX itself does not run it",
    "convT": "NetX itself does not run it", "dense_comp": "complex weights drive resonators only",
    "SDNN": "it sends graded differences, not spikes", "RF": "a resonator with a complex state",
    "RF_PHASE": "a resonator with a complex state",
}


@dataclass(frozen=True)
class NetNeuron:
    """The neuron of a layer: its type, and its numbers by name."""

    type: str
    fields: Mapping[str, Array]


@dataclass(frozen=True)
class NetLayer:
    """A layer as it stands in the file: its number, its kind, its fields, and its neuron, if it has one."""

    number: int
    kind: str
    fields: Mapping[str, Array]
    neuron: NetNeuron | None

    @property
    def place(self) -> str:
        return f"layer {self.number} ({self.kind})"


def read_net(path: Path) -> tuple[NetLayer, ...]:
    """The layers of a NetX file, in order.

    Raises:
        CompileError: SNN101 where it is not a readable HDF5 file, SNN102 where its structure is wrong,
            SNN103 where a limit is exceeded, SNN104 for layers and neurons that are not read.
    """
    return read_hdf5(path, lambda place, source: _Reader(place, source).file(), "lava-dl", NO_HDF5)


class _Reader(Values):
    """One pass over a NetX file."""

    def file(self) -> tuple[NetLayer, ...]:
        root = open_object(self.source, self.source.root)
        whole = self.members(root, self.place).get("layer") if isinstance(root, Group) else None
        if not isinstance(whole, Group):
            fail("SNN102", self.place, "no group named layer", "a file as lava-dl writes it")
        found = self.members(whole, f"{self.place}, /layer", MAX_LAYERS)
        numbers = [str(i) for i in range(len(found))]
        if not found or set(found) != set(numbers):
            fail("SNN102", f"{self.place}, /layer", f"the names {', '.join(map(shorten, list(found)[:8]))}",
                 "groups named 0, 1, 2, ... without a gap")
        layers = [self.layer(int(n), found[n]) for n in numbers]
        self.found.finish()
        return tuple(layer for layer in layers if layer is not None)

    def layer(self, number: int, group: Group | Dataset) -> NetLayer | None:
        place = f"{self.place}, layer {number}"
        if not isinstance(group, Group):
            self.problem("SNN102", place, "a dataset where a layer is expected")
            return None
        members = self.members(group, place)
        kind = self.word(members, place, LAYERS)
        if kind is None:
            return None
        neuron = members.pop("neuron", None)
        fields = self.numbers(LAYERS[kind], members, place)
        if neuron is None:
            if kind in NEEDS_NEURON:
                self.problem("SNN102", f"{place}, neuron", "missing", f"a layer of kind {kind} has a neuron")
            return NetLayer(number, kind, fields, None)
        return NetLayer(number, kind, fields, self.neuron(neuron, f"{place}, neuron"))

    def neuron(self, group: Group | Dataset, place: str) -> NetNeuron | None:
        if not isinstance(group, Group):
            self.problem("SNN102", place, "a dataset where a neuron is expected")
            return None
        members = self.members(group, place)
        kind = self.word(members, place, NEURONS)
        return None if kind is None else NetNeuron(kind, self.numbers(NEURONS[kind], members, place))

    def word(self, members: dict[str, Any], place: str, known: Mapping[str, Fields]) -> str | None:
        """The type of a layer or neuron, taken out of its members; None, and a problem, where it is not read."""
        item = members.pop("type", None)
        value = self.value(item, f"{place}, type") if isinstance(item, Dataset) else None
        if not isinstance(value, str):
            self.problem("SNN102", f"{place}, type", "missing, or not a string", ", ".join(known))
            return None
        if value not in known:
            why = f": {REFUSED[value]}" if value in REFUSED else ""
            self.problem("SNN104", f"{place}, type", f"{shorten(value)}{why}", ", ".join(known))
            return None
        return value

    def numbers(self, wanted: Fields, members: Mapping[str, Any], place: str) -> dict[str, Array]:
        for name in sorted(set(members) - {*wanted.needed, *wanted.optional, *wanted.unread}):
            self.problem("SNN102", f"{place}, {shorten(name)}", "a field that is not known here",
                         ", ".join((*wanted.needed, *wanted.optional)))
        found = {}
        for name in (*wanted.needed, *wanted.optional):
            if name not in members:
                if name in wanted.needed:
                    self.problem("SNN102", f"{place}, {name}", "missing", "a number or an array")
                continue
            item = members[name]
            value: Value = self.value(item, f"{place}, {name}") if isinstance(item, Dataset) else "a group"
            if isinstance(value, str):
                self.problem("SNN102", f"{place}, {name}", shorten(value), "numbers")
            else:
                found[name] = value
        return found
