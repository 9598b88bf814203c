"""The comparison of random networks of `style_networks` with the framework's own run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Subset

import snncompile as sc
from snncompile.inputs import given_samples
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Linear
from snncompile.ir.types import Array
from tests.frontends.torch.modules import in_doubles
from tests.frontends.torch.random_cells import FRAMEWORKS
from tests.frontends.torch.style_forms import FINALS, ON_GRID
from tests.frontends.torch.style_networks import SAMPLES, Net, Style

DECODINGS = {"last": "last", "max": "max"}
REDUCED: Mapping[str, Callable[[Tensor], Tensor]] = {
    **dict.fromkeys(("all", "list", "joined", "prefilled"), lambda y: y),
    **dict.fromkeys(("sum", "running sum", "running mean", "in place", "two a tick"),
                    lambda y: y.sum(1)),  # a quotient of a sum is in the graph
    "mean": lambda y: y.mean(1),
    "last": lambda y: y[:, -1], "max": lambda y: y.amax(1),
}
"""What is done with the ticks of `[sample, tick, ...]`."""


@dataclass
class Case:
    """A network with input for it, `[sample, tick, *shape]`.

    Attributes:
        network: what the user gives to `load`: `net`, or a wrapper around it.
        forms: what is drawn into the network.
        decode: the decoding that the graph's output must have.
    """

    net: Net
    network: nn.Module
    style: Style
    x: Array
    forms: tuple[str, ...]
    decode: str = "rate"
    reduced: str = "all"

    @property
    def arithmetic(self) -> AbstractContextManager[None]:
        return in_doubles()

    def given(self) -> Tensor:
        """The input of one call of `forward`."""
        x = torch.from_numpy(self.x)
        if self.style.form == "tick" or self.style.time == "static":
            return x[:, 0]
        if self.style.form == "merged" and self.style.time != "inside":
            return x.flatten(0, 1)
        if self.style.time == "last index":
            return x.movedim(1, -1).contiguous()
        return x if self.style.batch_first else x.transpose(0, 1).contiguous()

    def graph(self) -> Graph:
        example = self.given()
        network = self.network
        if "bfloat16" in self.forms:
            example = example.bfloat16()
        if "asks for gradients" in self.forms:
            example.requires_grad_()
        if "meta example" in self.forms:
            example = example.to("meta")
        values = "real" if "meta example" in self.forms else None
        with contextlib.nullcontext() if "bfloat16" in self.forms else self.arithmetic:
            return sc.load(network, example_input=example, values=values)

    def own(self) -> Tensor:
        """What the network itself returns; one axis of ticks behind that of the samples, unless it reduces them."""
        how = FRAMEWORKS[self.style.framework]
        if "bfloat16" in self.forms:
            self.net.double()
        with self.arithmetic:
            how.reset(self.net)
            if self.style.form == "tick":
                returned: Any = torch.stack([self.net(x) for x in torch.from_numpy(self.x).unbind(1)], 1)
            else:
                returned = self.net(self.given())
            how.reset(self.net)
        if isinstance(returned, list):
            return torch.stack(returned, 1)
        if self.reduced not in ("all", "joined", "prefilled") or self.style.form == "tick":
            return returned
        if self.style.form == "merged" and self.style.time != "inside":
            return returned.unflatten(0, (SAMPLES, -1))
        return returned if self.style.batch_first else returned.transpose(0, 1)


def different(case: Case, graph: Graph) -> str:
    """How the graph differs from the network's own run; empty where it is exact."""
    wanted = case.own()
    decodings = [op.decode for op in graph.outputs.values()]
    if decodings != [case.decode]:
        return f"decodings {decodings}, wanted {case.decode}"
    (emitted,) = run(graph, case.x, dtype=np.float64).outputs.values()
    result = REDUCED[case.reduced](torch.from_numpy(np.asarray(emitted, np.float64)))
    if case.net.head.kind in ("squeeze", "first", "difference of entries") and result.shape[-1] == 1:
        result = result.squeeze(-1)
    if case.net.final:
        result = FINALS[case.net.final](result)
    if result.shape != wanted.shape:
        return f"shape {list(result.shape)}, wanted {list(wanted.shape)}"
    kept = sum(isinstance(op, Linear) and np.asarray(op.weight).dtype.kind == "i" for op in graph.nodes.values())
    if kept != sum(form in ON_GRID for form in case.forms):
        return f"{kept} layers with integers"
    if (data := _calibration(case)) is not None:
        samples, _ = given_samples(graph, data, None)
        if not np.array_equal(next(iter((samples or {}).values())), case.x):
            return "other calibration samples"
    if "meta network" in case.forms and (changed := without_numbers(case, graph)):
        return changed
    tolerance = 1e-6 if "torch.ao per tensor" in case.forms else 1e-9  # torch.ao computes with steps in float32
    wrong = ~np.isclose(result.double(), wanted.double(), rtol=tolerance, atol=tolerance)
    return f"{int(wrong.sum())} of {wrong.size} values" if wrong.any() else ""


def _calibration(case: Case) -> Any:
    """The input as a data loader or a dataset, where the case is about one; else None."""
    pairs = [(x, i % 2) for i, x in enumerate(torch.from_numpy(case.x))]
    if "data loader" in case.forms:
        return DataLoader(pairs, batch_size=2)  # type: ignore[arg-type]
    return Subset(pairs, range(SAMPLES)) if "dataset" in case.forms else None  # type: ignore[arg-type]


def without_numbers(case: Case, graph: Graph) -> str:
    """How the graph of the network without its numbers, on torch's meta device, differs; empty where it does not."""
    case.network.to("meta")
    with case.arithmetic:
        bare = sc.load(case.network, example_input=case.given())
    if [(n, op.kind()) for n, op in bare.nodes.items()] != [(n, op.kind()) for n, op in graph.nodes.items()]:
        return f"without numbers: nodes {list(bare.nodes)}, with numbers {list(graph.nodes)}"
    edges = [[(e.src, e.dst, e.delay) for e in g.edges] for g in (bare, graph)]
    return "" if edges[0] == edges[1] else "other edges without numbers"


def is_active(case: Case) -> bool:
    return bool(case.own().double().any())
