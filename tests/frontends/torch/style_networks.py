"""Random networks in the styles in which people write them, and the comparison with the framework's own run.

A style is a framework and a way to take the ticks of the input. A network of a style is drawn with a body (a chain,
residual, branching or recurrent), an end of the tick, what it does with the ticks, and forms of layers.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.ops import Linear
from snncompile.ir.types import Array
from tests.frontends.torch.modules import in_doubles
from tests.frontends.torch.random_cells import FRAMEWORKS, Framework
from tests.frontends.torch.style_forms import FINALS, ON_GRID

SAMPLES = 3
ALL_TICKS = ("all", "list", "joined", "prefilled")
"""Ways to return all ticks."""


@dataclass(frozen=True)
class Style:
    """A way to write networks.

    Attributes:
        framework: whose neurons the network has.
        form: as in `Framework`: `tick`, `loop`, `steps` or `merged`.
        time: how a loop takes the ticks, a key of `TICKS`; otherwise the layout of the input.
        batch_first: whether the input is `[sample, tick, ...]` and not `[tick, sample, ...]`.
    """

    framework: str
    form: str
    time: str = ""
    batch_first: bool = False


TICKS: Mapping[str, Callable[[Tensor, int], Iterable[Tensor]]] = {
    "index": lambda x, a: (x.select(a, t) if a else x[t] for t in range(x.shape[a])),
    "batch index": lambda x, a: (x[:, t] for t in range(x.shape[1])),
    "last index": lambda x, a: (x[..., t] for t in range(x.shape[-1])),
    "iterate": lambda x, a: x, "unbind": lambda x, a: x.unbind(a),
    "indexed before": lambda x, a: [x[:, t] if a else x[t] for t in range(x.shape[a])],
    "moved": lambda x, a: x.transpose(0, 1) if a else x.clone(),
    "split": lambda x, a: [s.squeeze(a) for s in x.split(1, a)],
    "split inside": lambda x, a: (s.squeeze(a) for s in torch.split(x, 1, dim=a)),
    "chunk": lambda x, a: (s.squeeze(a) for s in x.chunk(x.shape[a], dim=a)),
    "narrow": lambda x, a: (x.narrow(a, t, 1).squeeze(a) for t in range(x.shape[a])),
    "index_select": lambda x, a: (x.index_select(a, torch.tensor([t])).squeeze(a) for t in range(x.shape[a])),
    "slice": lambda x, a: (x[:, t:t + 1].squeeze(1) if a else x[t:t + 1].squeeze(0) for t in range(x.shape[a])),
}


def _styles() -> Iterator[tuple[str, Style]]:
    for framework in ("snntorch", "spikingjelly"):
        yield f"{framework}, one tick", Style(framework, "tick")
        yield f"{framework}, loop with a static frame", Style(framework, "loop", "static")
    loops = [(f, t) for f in ("snntorch", "spikingjelly", "norse") for t in TICKS if f != "norse" or t == "iterate"]
    for framework, time in loops:
        for batch_first in {"iterate": [False], "batch index": [True], "last index": [True]}.get(time, [False, True]):
            order = "batch first" if batch_first else "time first"
            yield f"{framework}, loop, {time}, {order}", Style(framework, "loop", time, batch_first)
    yield "spikingjelly, multi-step", Style("spikingjelly", "steps")
    yield "spikingjelly, multi-step, static frame", Style("spikingjelly", "steps", "static")
    yield "spikingjelly, multi-step, batch first", Style("spikingjelly", "steps", "", True)
    yield "sinabs, batch first", Style("sinabs", "steps", "", True)
    yield "sinabs, merged", Style("sinabs", "merged", "", True)
    yield "sinabs, merged inside", Style("sinabs", "merged", "inside", True)
    yield "norse, all ticks", Style("norse", "steps")


STYLES: Mapping[str, Style] = dict(_styles())


@dataclass
class Running:
    """One call of a network: the states of its neurons, and results of the tick before."""

    how: Framework
    states: dict[int, Any] = field(default_factory=dict)
    late: dict[int, Tensor] = field(default_factory=dict)

    def fire(self, neuron: nn.Module, current: Tensor) -> Tensor:
        if id(neuron) not in self.states:
            self.states[id(neuron)] = self.how.begin(neuron)
        spikes, self.states[id(neuron)] = self.how.step(neuron, current, self.states[id(neuron)])
        return spikes


class Block(nn.Module):
    """Layers and neurons with a shortcut, a branch or a recurrence."""

    def __init__(self, kind: str, layer: nn.Module, neuron: nn.Module, side: nn.Module | None = None,
                 neuron2: nn.Module | None = None):
        super().__init__()
        self.kind, self.layer, self.neuron, self.side, self.neuron2 = kind, layer, neuron, side, neuron2

    def forward(self, x: Tensor, now: Running) -> Tensor:
        current = self.layer(x)
        if self.kind == "current":
            return now.fire(self.neuron, current + self.side(x))  # type: ignore[misc]
        if self.kind == "recurrent":
            late = now.late.get(id(self), torch.zeros_like(current))
            y = now.late[id(self)] = now.fire(self.neuron, current + self.side(late))  # type: ignore[misc]
            return y
        y = now.fire(self.neuron, current)
        if self.kind == "sew":
            return y + x
        if self.kind == "branch":
            return y + now.fire(self.neuron2, self.side(x))  # type: ignore[arg-type, misc]
        return torch.cat([y, x], -1) if self.kind == "cat" else y


class Flat(nn.Module):
    """The features of an image in one axis, whatever stands before them."""

    def forward(self, x: Tensor, now: Running) -> Tensor:
        return x.flatten(-3)


class Pooled(nn.Module):
    def __init__(self, pool: nn.Module):
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor, now: Running) -> Tensor:
        return self.pool(x)


class Head(nn.Module):
    """What a tick returns, from what the last block gives."""

    def __init__(self, kind: str, layers: list[nn.Module], neurons: list[nn.Module]):
        super().__init__()
        self.kind, self.layers, self.neurons = kind, nn.ModuleList(layers), nn.ModuleList(neurons)

    def forward(self, x: Tensor, now: Running) -> Tensor:
        y = [layer(x) for layer in self.layers]
        match self.kind:
            case "heads added":
                return y[0] + y[1]
            case "heads subtracted":
                return y[0] - y[1]
            case "neurons added":
                return now.fire(self.neurons[0], y[0]) + now.fire(self.neurons[1], y[1])
            case "neurons subtracted":
                return torch.sub(now.fire(self.neurons[0], y[0]), now.fire(self.neurons[1], y[1]))
            case "readout":
                return y[0]
            case "squeeze":
                return y[0].squeeze(-1)
            case "first":
                return x[..., 0]
            case "difference of entries":
                return x[..., 0] - x[..., 1]
            case "non-spiking":
                return self.neurons[0](y[0])
            case "infinite threshold":
                self.neurons[0](y[0])
                return self.neurons[0].v_seq if self.neurons[0].step_mode == "m" else self.neurons[0].v
            case "membrane":
                _, membrane = self.neurons[0](y[0], now.late.get(id(self), torch.zeros(1, dtype=x.dtype)))
                now.late[id(self)] = membrane
                return membrane
        return x


class Net(nn.Module):
    """A network of a style; `over` says what it does with the ticks, and `final` with the result.

    The spikes of `second`, a block that reads the input, are added to the result in every tick.
    """

    def __init__(self, style: Style, ticks: int, parts: list[nn.Module], head: Head, over: str, final: str,
                 second: Block | None = None):
        super().__init__()
        self.style, self.ticks, self.parts, self.head = style, ticks, nn.ModuleList(parts), head
        self.over, self.final, self.second = over, final, second

    def tick(self, x: Tensor, now: Running) -> Tensor:
        for part in self.parts:
            x = part(x, now)
        y: Tensor = self.head(x, now)
        return FINALS[self.final](y) if self.final and self.over in ALL_TICKS else y

    def forward(self, x: Tensor) -> Any:
        now = Running(FRAMEWORKS[self.style.framework])
        if self.style.form == "tick":
            return self.tick(x, now)
        if self.style.form == "loop":
            result = self.loop(x, now)
        else:
            result = self.at_once(x, now)
        return FINALS[self.final](result) if self.final and self.over not in ALL_TICKS else result

    def at_once(self, x: Tensor, now: Running) -> Any:
        axis = 1 if self.style.batch_first else 0
        if self.style.time == "inside":
            x = x.flatten(0, 1)
        if self.style.time == "static":
            x = x.unsqueeze(0).repeat(self.ticks, *(1 for _ in x.shape))
        if self.style.framework == "spikingjelly" and self.style.batch_first:
            x, axis = x.transpose(0, 1), 0
        y: Any = self.tick(x, now)
        if isinstance(y, list):  # the membranes of a non-spiking neuron
            y = torch.stack(y)
        if self.style.form == "merged" and (self.over != "all" or self.style.time == "inside"):
            y = y.unflatten(0, (-1, self.ticks))
        if self.style.framework == "spikingjelly" and self.over == "all" and self.style.batch_first:
            y = y.transpose(0, 1)
        match self.over:
            case "sum":
                return y.sum(axis)
            case "mean":
                return y.mean(dim=axis)
            case "last":
                return y[:, -1] if axis else y[-1]
            case "max":
                return y.max(axis)[0]
        return y

    def loop(self, x: Tensor, now: Running) -> Any:
        axis = int(self.style.batch_first)
        ticks = (x for _ in range(self.ticks)) if self.style.time == "static" else TICKS[self.style.time](x, axis)
        if self.over == "running sum":
            total: Any = 0.0
            for step in ticks:
                total = total + self.tick(step, now)
            return total
        if self.over in ("in place", "two a tick", "prefilled"):
            return self.in_place(ticks, now, x)
        ys = [self.tick(step, now) for step in ticks]
        match self.over:
            case "sum":
                return sum(ys)
            case "mean":
                return torch.stack(ys).mean(0)
            case "running mean":
                return sum(ys) / len(ys)
            case "last":
                return ys[-1]
            case "max":
                return torch.stack(ys, -1).amax(-1)
            case "list":
                return ys
            case "joined":
                return torch.cat([y.unsqueeze(axis) for y in ys], axis)
        return torch.stack(ys, axis)


    def in_place(self, ticks: Iterable[Tensor], now: Running, x: Tensor) -> Tensor:
        """Ticks that are added to a tensor, or written into it, made before the loop where its shape is known."""
        record: Any = None
        for t, step in enumerate(ticks):
            y = self.tick(step, now)
            if record is None:
                record = torch.zeros(len(y), self.ticks, *y.shape[1:]) if self.over == "prefilled" else torch.zeros(
                    y.shape)
                record = record.to(x)
            if self.over == "prefilled":
                record[:, t] = y
            else:
                record += y
            if self.over == "two a tick":
                record += self.second(step, now)
        return record if self.over != "prefilled" or self.style.batch_first else record.transpose(0, 1)


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
    if "meta network" in case.forms and (changed := without_numbers(case, graph)):
        return changed
    tolerance = 1e-6 if "torch.ao per tensor" in case.forms else 1e-9  # torch.ao computes with steps in float32
    wrong = ~np.isclose(result.double(), wanted.double(), rtol=tolerance, atol=tolerance)
    return f"{int(wrong.sum())} of {wrong.size} values" if wrong.any() else ""


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
