"""Reads NetX files into plain data: layers by number, with their fields and neurons. The file is not trusted.

The layout is that which lava-dl 0.6.0 writes and reads (`lava/lib/dl/netx/hdf5.py`). This module does not interpret the
layers; `snncompile.frontends.netx.graph` does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snncompile.diagnostics import did_you_mean, fail, shorten
from snncompile.frontends.hdf5.dataset import Dataset
from snncompile.frontends.hdf5.file import File
from snncompile.frontends.hdf5.groups import Group, open_object
from snncompile.frontends.hdf5.values import Value, Values, read_hdf5
from snncompile.frontends.netx.numbers import LayerProblems
from snncompile.ir.types import Array

MAX_LAYERS = 2_000
NO_HDF5 = "write it with export_hdf5 of lava-dl's blocks; check that it is not a git-lfs pointer or a cut download"


@dataclass(frozen=True)
class Fields:
    """The names of a group's fields.

    Attributes:
        needed: fields that must be there.
        optional: fields that may be there.
        unread: fields that are ignored, because inference does not depend on them.
    """

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
NEEDS_NEURON = {"conv"}
"""The layers that NetX reads with a neuron only; a dense layer without one gets an integrator."""
NEURONS: Mapping[str, Fields] = dict.fromkeys(("CUBA", "LOIHI"), Fields(
    ("iDecay", "vDecay", "vThMant"), ("refDelay", "gradedSpike", "wgtExp"),
    ("messageBits", "theta", "tauRho", "scaleRho")))
# Layer and neuron types of the format that cannot be compiled exactly, and why.
REFUSED: Mapping[str, str] = {
    "average": "NetX itself does not run it", "concat": "NetX itself does not run it",
    "pool": "NetX itself does not run it", "unpool": "NetX itself does not run it",
    "convT": "NetX itself does not run it", "dense_comp": "complex weights drive resonators only",
    "SDNN": "it sends graded differences instead of spikes", "RF": "a resonator with a complex state",
    "RF_PHASE": "a resonator with a complex state",
}


@dataclass(frozen=True)
class NetNeuron:
    """The neuron of a layer: its type (a key of `NEURONS`), and its numbers by name."""

    type: str
    fields: Mapping[str, Array]


@dataclass(frozen=True)
class NetLayer:
    """A layer as it stands in the file.

    Attributes:
        number: its position, from 0.
        kind: its type, a key of `LAYERS`.
        fields: its arrays by name.
        neuron: None where the file has none: in input and flatten layers, and in dense layers, which NetX gives an
            integrator that never fires.
    """

    number: int
    kind: str
    fields: Mapping[str, Array]
    neuron: NetNeuron | None

    @property
    def place(self) -> str:
        return f"layer {self.number} ({self.kind})"


def read_net(path: Path, most: int | None = None) -> tuple[NetLayer, ...]:
    """Read the layers of a NetX file, in order.

    Args:
        most: how many layers to read, from the first on; None for all of them.

    Raises:
        CompileError: SNN101 where the file is not a readable HDF5 file, SNN102 where its structure is wrong,
            SNN103 where a limit is exceeded, SNN104 for types of layers and neurons that cannot be compiled.
    """
    return read_hdf5(path, lambda place, source: _Reader(place, source).file(most), "lava-dl", NO_HDF5)


class _Reader(Values):
    """Reads one NetX file."""

    def __init__(self, place: str, source: File):
        super().__init__(place, source)
        self.problems = LayerProblems()

    def file(self, most: int | None) -> tuple[NetLayer, ...]:
        root = open_object(self.source, self.source.root)
        group = self.members(root, self.place).get("layer") if isinstance(root, Group) else None
        if not isinstance(group, Group):
            fail("SNN102", self.place, "there is no group named layer", "a file as lava-dl writes it")
        groups = self.members(group, f"{self.place}, /layer", MAX_LAYERS)
        numbers = [str(i) for i in range(len(groups))]
        if not groups or set(groups) != set(numbers):
            fail("SNN102", f"{self.place}, /layer", f"the names {', '.join(map(shorten, list(groups)[:8]))}",
                 "groups named 0, 1, 2, ... without a gap")
        layers = [self.layer(int(n), groups[n]) for n in numbers[:most]]
        self.problems.finish()
        return tuple(layer for layer in layers if layer is not None)

    def layer(self, number: int, group: Group | Dataset) -> NetLayer | None:
        place = f"{self.place}, layer {number}"
        if not isinstance(group, Group):
            self.problem("SNN102", place, "a dataset", "a group that holds a layer")
            return None
        members = self.members(group, place)
        kind = self.take_type(members, place, LAYERS)
        if kind is None:
            return None
        neuron = members.pop("neuron", None)
        fields = self.numbers(LAYERS[kind], members, place)
        if neuron is None:
            if kind in NEEDS_NEURON:
                self.problem("SNN102", f"{place}, neuron", "it is missing", f"a neuron in every {kind} layer")
            return NetLayer(number, kind, fields, None)
        return NetLayer(number, kind, fields, self.neuron(neuron, f"{place}, neuron"))

    def neuron(self, group: Group | Dataset, place: str) -> NetNeuron | None:
        if not isinstance(group, Group):
            self.problem("SNN102", place, "a dataset", "a group that holds a neuron")
            return None
        members = self.members(group, place)
        kind = self.take_type(members, place, NEURONS)
        return None if kind is None else NetNeuron(kind, self.numbers(NEURONS[kind], members, place))

    def take_type(self, members: dict[str, Any], place: str, known: Mapping[str, Fields]) -> str | None:
        """Remove the type of a layer or neuron from its members, and return it.

        For a type that is not known the result is None, and a problem is recorded.
        """
        item = members.pop("type", None)
        value = self.value(item, f"{place}, type") if isinstance(item, Dataset) else None
        if not isinstance(value, str):
            self.problem("SNN102", f"{place}, type", "it is missing, or not a string", ", ".join(known))
            return None
        if value not in known:
            why = f": {REFUSED[value]}" if value in REFUSED else ""
            self.problems.error("SNN104", f"{place}, type", f"{shorten(value)}{why}", ", ".join(known),
                                did_you_mean(value, known))
            return None
        return value

    def numbers(self, wanted: Fields, members: Mapping[str, Any], place: str) -> dict[str, Array]:
        """The arrays of needed and optional fields, by name. Missing and unknown fields are recorded as problems."""
        for name in sorted(set(members) - {*wanted.needed, *wanted.optional, *wanted.unread}):
            self.problem("SNN102", f"{place}, {shorten(name)}", "an unknown field",
                         ", ".join((*wanted.needed, *wanted.optional)))
        arrays = {}
        for name in (*wanted.needed, *wanted.optional):
            if name not in members:
                if name in wanted.needed:
                    self.problem("SNN102", f"{place}, {name}", "the field is missing", "a number or an array")
                continue
            item = members[name]
            value: Value = self.value(item, f"{place}, {name}") if isinstance(item, Dataset) else "a group"
            if isinstance(value, str):
                self.problem("SNN102", f"{place}, {name}", shorten(value), "numbers")
            else:
                arrays[name] = value
        return arrays
