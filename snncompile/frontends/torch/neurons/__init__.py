"""The neuron classes of the frameworks, one module a framework."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from snncompile.frontends.torch.cells import OWN, Recogniser
from snncompile.frontends.torch.neurons import norse, sinabs, snntorch, spikingjelly
from snncompile.frontends.torch.neurons.support import Table, qualified_name

FRAMEWORKS: Mapping[str, Table] = {
    "snnTorch": snntorch.CELLS, "SpikingJelly": spikingjelly.CELLS, "sinabs": sinabs.CELLS, "Norse": norse.CELLS,
}
VERSIONS: Mapping[str, str] = {"snnTorch": "1.0.0", "SpikingJelly": "2.0.0", "sinabs": "3.1.3", "Norse": "1.1.0"}
"""The releases whose sources the tables follow, and that the tests compare with."""

HARMLESS = {"__init__", "extra_repr", "__module__", "__doc__", "__qualname__", "__annotations__", "__firstlineno__",
            "__static_attributes__", "__parameters__", "__orig_bases__"}


def cell_of(module: Any) -> Recogniser | None:
    """What recognises a module's class: the user's own word, or a framework's table; None for other classes.

    A subclass counts as its base where it overrides nothing but `__init__` and `extra_repr`.
    """
    for cls in type(module).__mro__:
        name = qualified_name(cls)
        for table in (OWN, *FRAMEWORKS.values()):
            if name in table:
                return table[name]
        if set(vars(cls)) - HARMLESS:
            return None
    return None
