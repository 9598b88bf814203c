"""The neuron classes of the frameworks, one Python module per framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.frontends.torch.cells import USER_CLASSES, CellReader
from snncompile.frontends.torch.neurons import norse, sinabs, snntorch, spikingjelly
from snncompile.frontends.torch.neurons.support import NeuronTable, qualified_name

FRAMEWORKS: Mapping[str, NeuronTable] = {
    "snnTorch": snntorch.CELLS, "SpikingJelly": spikingjelly.CELLS, "sinabs": sinabs.CELLS, "Norse": norse.CELLS,
}
VERSIONS: Mapping[str, str] = {"snnTorch": "1.0.0", "SpikingJelly": "2.0.0", "sinabs": "3.1.3", "Norse": "1.1.0"}
"""The releases of the frameworks that the tables describe. The tests compare with the same releases."""

# What a subclass may define and still compute what its base class computes.
NON_COMPUTING_ATTRIBUTES = {
    "__init__", "extra_repr", "__module__", "__doc__", "__qualname__", "__annotations__", "__firstlineno__",
    "__static_attributes__", "__parameters__", "__orig_bases__"}


def cell_reader(module: Any) -> CellReader | None:
    """The function that reads the cell from a module of this class; None where the class is not a known neuron class.

    Classes registered by the user come before those of the frameworks. A subclass is read like its base class if it
    overrides only `__init__` and `extra_repr`.
    """
    for cls in type(module).__mro__:
        name = qualified_name(cls)
        for table in (USER_CLASSES, *FRAMEWORKS.values()):
            if name in table:
                return table[name]
        if set(vars(cls)) - NON_COMPUTING_ATTRIBUTES:
            return None
    return None
