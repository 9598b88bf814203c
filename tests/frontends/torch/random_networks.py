"""Random networks of every framework, and the comparison of their graphs with the framework's own run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import snncompile as sc
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run
from snncompile.ir.types import Array, Shape
from tests.frontends.torch.modules import in_doubles
from tests.frontends.torch.random_cells import FRAMEWORKS, Framework, Pick

SAMPLES = 3


class Stage(nn.Module):
    """A layer and its neurons, with a shortcut past the layer (`current`) or past both (`add`, `cat`)."""

    def __init__(self, framework: Framework, layer: nn.Module, neuron: nn.Module, shortcut: str, side: nn.Module | None,
                 back: nn.Module | None, axes: int):
        super().__init__()
        self.layer, self.neuron, self.side, self.back = layer, neuron, side, back
        self.shortcut, self.axes, self.step, self.begin = shortcut, axes, framework.step, framework.begin

    def forward(self, x: Tensor, state: Any = None, late: Tensor | None = None) -> tuple[Tensor, Any]:
        current = self.layer(x)
        if self.side is not None:
            current = current + self.side(x)
        if self.back is not None:
            current = current + self.back(late)
        y, state = self.step(self.neuron, current, state)
        if self.shortcut == "add":
            y = y + x
        if self.shortcut == "cat":
            y = torch.cat([y, x], -self.axes)
        return y, state


class Network(nn.Module):
    """A chain of stages. In a loop, each is also given the output of the last stage one tick earlier (`late`)."""

    def __init__(self, stages: list[Stage], form: str, size: int, head: nn.Module):
        super().__init__()
        self.stages, self.form, self.size, self.head = nn.ModuleList(stages), form, size, head

    def forward(self, x: Tensor) -> Tensor:
        if self.form == "loop":
            return self.loop(x)
        for stage in self.stages:
            x, _ = stage(x)
        result: Tensor = self.head(x)
        return result

    def loop(self, x: Tensor) -> Tensor:
        states = [stage.begin(stage.neuron) for stage in self.stages]
        y = torch.zeros(x.shape[1], self.size, dtype=x.dtype)
        results = []
        for t in range(x.shape[0]):
            late, y = y, x[t]
            for i, stage in enumerate(self.stages):
                y, states[i] = stage(y, states[i], late)
            results.append(self.head(y))
        return torch.stack(results)


@dataclass
class Case:
    """A network with input for it, `[sample, tick, *shape]`."""

    framework: Framework
    network: Network
    x: Array

    @property
    def dtype(self) -> torch.dtype:
        return next(self.network.parameters()).dtype

    @property
    def arithmetic(self) -> Any:
        """A context in which networks in float64 stay in float64, although the frameworks cast to float32."""
        return in_doubles() if self.dtype == torch.float64 else torch.no_grad()

    def given(self) -> Tensor:
        """The input of one call of `forward`; for networks that take one tick, the first tick."""
        x = torch.from_numpy(self.x).to(self.dtype)
        if self.network.form == "tick":
            return x[:, 0]
        if self.network.form == "merged":
            return x.flatten(0, 1)
        return x.transpose(0, 1).contiguous() if self.framework.ticks_first else x

    def graph(self) -> Graph:
        with self.arithmetic:
            return sc.load(self.network, example_input=self.given())

    def own(self) -> dict[str, Array]:
        """The output of every neuron module in the framework's own run, `[sample, tick, *shape]`, by the module's path.

        The entry `output` is what the network returns.
        """
        emitted: dict[str, list[Tensor]] = {}
        handles = [m.register_forward_hook(_keep(emitted, name)) for name, m in self.network.named_modules()
                   if name.endswith("neuron")]
        with self.arithmetic:
            self.framework.reset(self.network)
            if self.network.form == "tick":
                ticks = torch.from_numpy(self.x).to(self.dtype).unbind(1)
                returned = torch.stack([self.network(x) for x in ticks])
            else:
                returned = self.network(self.given())
            self.framework.reset(self.network)
        for handle in handles:
            handle.remove()
        looped = self.network.form in ("tick", "loop")
        laid_out = {name: torch.stack(v, 1).numpy() if looped else self._laid_out(v[0]) for name, v in emitted.items()}
        return laid_out | {"output": self._laid_out(returned)}

    def _laid_out(self, values: Tensor) -> Array:
        if self.network.form == "merged":
            return values.unflatten(0, (SAMPLES, -1)).numpy()
        return (values.transpose(0, 1) if self.framework.ticks_first else values).numpy()


def _keep(emitted: dict[str, list[Tensor]], name: str) -> Any:
    def hook(module: nn.Module, args: Any, result: Any) -> None:
        output = result[0] if isinstance(result, tuple) else result
        emitted.setdefault(name, []).append(output / getattr(module, "graded_spikes_factor", 1))

    return hook


@dataclass
class Outcome:
    """The result of a comparison.

    Attributes:
        populations: how many neuron modules the network has.
        active: how many of them emitted anything.
        values: how many values were compared.
        wrong: how many values differ, by the path of the neuron module; only where any do.
    """

    populations: int
    active: int
    values: int
    wrong: dict[str, int]


def compare(case: Case) -> Outcome:
    """Compare the run of the graph with the framework's own, for every neuron, tick and sample.

    The graph computes in the precision of the network.
    """
    own = case.own()
    precision = np.float64 if case.dtype == torch.float64 else np.float32
    traces = run(case.graph(), case.x, record=True, dtype=precision)
    results = {**traces.emitted, "output": traces.outputs["output"]}
    wrong = {name: _different(results[name], values, 1e-9 if precision == np.float64 else 1e-4)
             for name, values in own.items()}
    neurons = [v for name, v in own.items() if name != "output"]
    return Outcome(len(neurons), sum(bool(v.any()) for v in neurons), sum(v.size for v in neurons),
                   {name: n for name, n in wrong.items() if n})


def _different(result: Array, wanted: Array, tolerance: float) -> int:
    """How many values differ by more than the rounding of sums of synapses and membranes."""
    assert result.shape == wanted.shape, (result.shape, wanted.shape)
    return int((~np.isclose(result, wanted, rtol=tolerance, atol=tolerance)).sum())


def random_case(framework: str, seed: int, dtype: torch.dtype = torch.float64) -> Case:
    """A random network of a framework, and an input for it."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    pick = Pick(rng, dyadic=bool(seed % 2))
    how = FRAMEWORKS[framework]
    ticks = int(rng.integers(3, 9))
    form = pick.one(how.forms)
    flat = pick.chance(50)
    shape: Shape = (int(rng.integers(2, 7)),) if flat else (int(rng.integers(1, 4)), int(rng.integers(5, 8)), 6)
    network = _Builder(how, pick, form, ticks).build(shape).double().eval()
    for p in network.parameters():
        _weights(pick, p)
    return Case(how, network.to(dtype), _drive(pick, (SAMPLES, ticks, *shape)))


def _weights(pick: Pick, p: nn.Parameter) -> None:
    """Set random weights that make neurons fire. Parameters of neurons are left as they are."""
    if p.requires_grad and p.dim() >= 2 and p.numel() > 1:
        fan_in = math.prod(p.shape[1:])
        values = torch.randn(p.shape, dtype=torch.float64) * 1.2 / math.sqrt(fan_in) + 0.6 / fan_in
        p.data = torch.round(values * 32) / 32 if pick.dyadic else values
    elif p.dim() == 1 and p.requires_grad and pick.dyadic:
        p.data = torch.round(p.data * 32) / 32


def _drive(pick: Pick, size: Shape) -> Array:
    kind = pick.one(["spikes", "counts", "real"])
    if kind == "spikes":
        return (pick.rng.random(size) < 0.5).astype(float)
    if kind == "counts":
        return pick.rng.integers(0, 4, size).astype(float)
    return pick.rng.integers(-8, 24, size) / 16 if pick.dyadic else pick.rng.normal(0.5, 0.7, size)


@dataclass
class _Builder:
    how: Framework
    pick: Pick
    form: str
    ticks: int

    def build(self, shape: Shape) -> Network:
        stages: list[Stage] = []
        loops = self.form == "loop" and self.pick.chance(40)
        size = int(self.pick.rng.integers(2, 6))
        for _ in range(int(self.pick.rng.integers(0, 3)) if len(shape) == 3 else 0):
            if min(shape[1:]) < 4:
                break
            stage, shape = self.convolutional(shape)
            stages.append(stage)
        for _ in range(int(self.pick.rng.integers(0, 3))):
            stage, shape = self.dense(shape, int(self.pick.rng.integers(2, 8)), size if loops else 0)
            stages.append(stage)
        last, _ = self.dense(shape, size, 0, last=True)
        head = nn.Identity() if loops or self.pick.chance(80) else nn.Linear(size, 3)
        return Network([*stages, last], self.form, size, head)

    def convolutional(self, shape: Shape) -> tuple[Stage, Shape]:
        pick = self.pick
        shortcut = pick.one(["none", "none", "add", "cat", "current"])
        same = shortcut != "none"
        channels = int(pick.rng.integers(1, 4)) * pick.one([1, 1, shape[0]])
        channels = shape[0] if shortcut == "add" else channels
        groups = shape[0] if channels % shape[0] == 0 and pick.chance(30) else 1
        stride, dilation = 1 if same or pick.chance(60) else 2, 2 if pick.chance(20) and min(shape[1:]) > 4 else 1
        conv = nn.Conv2d(shape[0], channels, 3, stride, dilation if same else pick.one([0, 1]), dilation, groups,
                         bias=pick.chance(50))
        parts: list[nn.Module] = [conv]
        if pick.chance(30):
            parts.append(self.norm(channels))
        if not same and pick.chance(40) and min(conv(torch.zeros(1, *shape)).shape[2:]) > 1:
            pools = [nn.AvgPool2d(2, padding=1), nn.MaxPool2d(2, padding=1), nn.AdaptiveAvgPool2d(1),
                     nn.Upsample(scale_factor=2), *self.how.pools()]
            parts.append(pick.one(pools))
        if pick.chance(20):
            parts.append(nn.Dropout(0.5))
        layer = nn.Sequential(*parts) if len(parts) > 1 or pick.chance(30) else parts[0]
        side = nn.Conv2d(shape[0], channels, 1, bias=False) if shortcut == "current" else None
        return self.stage(layer, shape, shortcut, side)

    def dense(self, shape: Shape, size: int, late: int, last: bool = False) -> tuple[Stage, Shape]:
        pick = self.pick
        shortcut = "none" if last or len(shape) > 1 else pick.one(["none", "none", "add", "cat", "current"])
        if shortcut == "add":
            size = shape[0]
        linear = nn.Linear(math.prod(shape), size, bias=pick.chance(60))
        layer: nn.Module = linear
        if len(shape) > 1:  # behind a mixing of tokens, or of the rows and columns that they are
            mixing = [nn.Flatten(2)] if pick.chance(50) else []
            tokens = math.prod(shape[1:]) if mixing else shape[-1]
            mixing = [*mixing, nn.Linear(tokens, tokens, bias=pick.chance(50))] if pick.chance(40) else []
            layer = nn.Sequential(*mixing, nn.Flatten(), linear)
        side = nn.Linear(shape[0], size) if shortcut == "current" else None
        back = nn.Linear(late, size, bias=False) if late else None
        return self.stage(layer, shape, shortcut, side, back, size if last or late or shortcut == "add" else 0)

    def norm(self, channels: int) -> nn.Module:
        norm = nn.BatchNorm2d(channels)
        norm.running_mean = self.pick.tensor(-0.25, 0.25, (channels,))
        norm.running_var = self.pick.tensor(0.25, 1.5, (channels,))
        return norm

    def stage(self, layer: nn.Module, shape: Shape, shortcut: str, side: nn.Module | None,
              back: nn.Module | None = None, keep: int = 0) -> tuple[Stage, Shape]:
        """A stage and the shape of its output. `keep`: how many neurons it must have; 0 for any number."""
        middle: Shape = tuple(layer.double().eval()(torch.zeros(1, *shape).double()).shape[1:])
        while True:
            neuron, out = self.how.neuron(self.pick, self.form, middle, self.ticks)
            if not keep or out == (keep,):
                break
        if self.form == "steps":
            layer, side = self.how.lift(self.pick, layer), side and self.how.lift(self.pick, side)
        stage = Stage(self.how, layer, neuron, shortcut, side, back, len(out))
        return stage, (out[0] + shape[0], *out[1:]) if shortcut == "cat" else out
