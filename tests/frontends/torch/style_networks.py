"""Networks in the styles in which people write them.

A style is a framework and a way to take the ticks of the input. A network of a style is drawn with a body (a chain,
residual, branching or recurrent), an end of the tick, what it does with the ticks, and forms of layers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from tests.frontends.torch.random_cells import FRAMEWORKS, Framework
from tests.frontends.torch.style_forms import FINALS

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
        share: how often the style is drawn, as it holds forms that others do not.
    """

    framework: str
    form: str
    time: str = ""
    batch_first: bool = False
    share: int = 1


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
    yield "spikingjelly, multi-step", Style("spikingjelly", "steps", share=8)
    yield "spikingjelly, multi-step, static frame", Style("spikingjelly", "steps", "static", share=8)
    yield "spikingjelly, multi-step, batch first", Style("spikingjelly", "steps", "", True, 8)
    yield "sinabs, batch first", Style("sinabs", "steps", "", True)
    yield "sinabs, merged", Style("sinabs", "merged", "", True, 5)
    yield "sinabs, merged inside", Style("sinabs", "merged", "inside", True, 5)
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
        y: Any = self.head(x, now)
        if isinstance(y, list):  # the membranes of a non-spiking neuron
            y = torch.stack(y)
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
        y = self.tick(x, now)
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
