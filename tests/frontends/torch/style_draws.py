"""Draws a random network of a style: `random_case`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import torch
from torch import nn

from snncompile.ir.types import Shape
from tests.frontends.torch.modules import in_doubles
from tests.frontends.torch.random_cells import FRAMEWORKS, Merged, Pick
from tests.frontends.torch.style_forms import (
    DENSE,
    FINALS,
    IMAGES,
    ON_GRID,
    POOLS,
    WRAPPERS,
    convolution,
    plain,
)
from tests.frontends.torch.style_networks import (
    DECODINGS,
    SAMPLES,
    STYLES,
    Block,
    Case,
    Flat,
    Head,
    Net,
    Pooled,
    Running,
    Style,
)

M = TypeVar("M", bound=nn.Module)
HEADS = ("heads added", "heads subtracted", "neurons added", "neurons subtracted", "readout", "squeeze", "first",
         "difference of entries")
ONE_VALUE = ("squeeze", "first", "difference of entries")
"""Heads that return one value a sample."""
EXAMPLES = ("bfloat16", "asks for gradients", "meta example", "meta network")


@dataclass
class Draw:
    """The choices for one network.

    Attributes:
        example: what is special about the example input or the network's precision, one of `EXAMPLES`, or nothing.
        forms: the names of the forms that were drawn, in addition to the style.
    """

    style: Style
    pick: Pick
    ticks: int
    example: str = ""
    forms: list[str] = field(default_factory=list)

    def case(self) -> Case:
        pick = self.pick
        self.example = pick.one(EXAMPLES) if pick.chance(20) else ""
        if self.example == "bfloat16" and self.style.framework in ("sinabs", "norse"):
            self.example = ""  # they compute the parameters of neurons from others, which would be rounded to 16 bits
        if self.example == "meta network" and self.style.framework == "snntorch":
            self.example = ""  # whether there is a graded_spikes_factor is not known without numbers
        self.forms += [self.example] if self.example else []
        image = self.style.framework != "norse" and pick.chance(35)
        channels = 1 if pick.chance(30) else int(pick.rng.integers(2, 4))
        if image and self.style.form == "merged" and channels == 1:
            self.forms.append("merged, one channel")
        shape: Shape = (channels, 6, 5) if image else (int(pick.rng.integers(2, 7)),)
        given = shape
        parts: list[nn.Module] = []
        if image:
            parts, shape = self.images(shape)
        for _ in range(int(pick.rng.integers(1, 3))):
            block, shape = self.block(shape)
            parts.append(block)
        head = self.head(shape)
        over = self.over(head, given)
        final = pick.one(list(FINALS)) if head.kind not in ONE_VALUE and pick.chance(25) else ""
        self.forms += [final] if final else []
        second = None
        if over == "two a tick":
            self.forms.append(over)
            out = self.width(parts, head, given)
            second = Block("plain", plain(pick, given[0], out), self.neuron((out,)))
        net = _doubled(Net(self.style, self.ticks, parts, head, over, final, second))
        if isinstance(parts[-1], Block) and parts[-1].kind in ("sew", "branch") and head.kind == "spikes":
            self.forms.append("a sum last")
        return self.finish(net, given)

    def finish(self, net: Net, given: Shape) -> Case:
        pick = self.pick
        size = (SAMPLES, self.ticks, *given)
        x = (pick.rng.random(size) < 0.5).astype(float) if pick.chance(60) else pick.rng.integers(-8, 24, size) / 16
        if self.style.time == "static":
            x = np.repeat(x[:, :1], self.ticks, 1)
        network: nn.Module = net
        if self.example == "bfloat16":
            net = network = net.bfloat16()
        if pick.chance(15):
            wrapper = pick.one(list(WRAPPERS))
            self.forms.append(wrapper)
            network = WRAPPERS[wrapper](network)
        decode = DECODINGS.get(net.over, "rate")
        reduced = net.over if self.style.form != "tick" else "all"
        mode = getattr(net.head.neurons[0], "decode", None) if net.head.kind == "non-spiking" else None
        if mode is not None:
            decode, reduced = {"last_mem": ("last", "last"), "mean-mem": ("rate", "mean"),
                               "max-mem": ("max", "max")}[mode]
        return Case(net, network, self.style, x, tuple(self.forms), decode, reduced)

    # --- parts -----------------------------------------------------------------------------------------------

    def dense(self, size: int, out: int) -> nn.Module:
        if self.example == "bfloat16" or self.pick.chance(50):  # weights that are computed would be rounded to 16 bits
            return plain(self.pick, size, out)
        kind = self.pick.one([k for k in DENSE if self.example != "meta network" or k not in ON_GRID])
        self.forms.append(kind)
        return DENSE[kind](self.pick, size, out)

    def neuron(self, shape: Shape) -> nn.Module:
        while True:
            neuron, out = FRAMEWORKS[self.style.framework].neuron(self.pick, self.style.form, shape, self.ticks)
            if out == shape:
                return neuron

    def lifted(self, layer: nn.Module) -> nn.Module:
        """A layer of images that takes all ticks at once, where the style wants it."""
        if self.style.form != "steps":
            return layer
        if self.style.framework == "spikingjelly":
            from spikingjelly.activation_based import layer as layers

            lifted: nn.Module = layers.SeqToANNContainer(layer)
            return lifted
        return FRAMEWORKS["sinabs"].lift(self.pick, layer) if self.style.framework == "sinabs" else Merged(layer)

    def images(self, shape: Shape) -> tuple[list[nn.Module], Shape]:
        pick = self.pick
        parts: list[nn.Module] = []
        channels = int(pick.rng.integers(1, 4))
        kind = pick.one(list(IMAGES)) if self.example != "bfloat16" and pick.chance(50) else ""
        self.forms += [kind] if kind else []
        layer = (IMAGES[kind] if kind else convolution)(pick, shape[0], channels)
        shape = tuple(layer.double().eval()(torch.zeros(2, *shape).double()).shape[1:])
        parts.append(Block("plain", self.lifted(layer), self.neuron(shape)))
        if pick.chance(50):
            kind = pick.one(list(POOLS))
            self.forms.append(kind)
            pool = POOLS[kind](pick)
            shape = tuple(pool(torch.zeros(2, *shape)).shape[1:])
            parts.append(Pooled(self.lifted(pool)))
        return [*parts, Flat()], (math.prod(shape),)

    def block(self, shape: Shape) -> tuple[Block, Shape]:
        pick, size = self.pick, shape[0]
        kinds = ["plain", "plain", "sew", "current", "branch", "cat"]
        kind = pick.one([*kinds, "recurrent"] if self.style.form == "loop" else kinds)
        out = size if kind == "sew" else int(pick.rng.integers(2, 7))
        neuron = self.neuron((out,))
        if kind == "recurrent":
            return Block(kind, self.dense(size, out), neuron, self.dense(out, out)), (out,)
        if kind == "current":
            return Block(kind, self.dense(size, out), neuron, plain(pick, size, out)), (out,)
        if kind == "branch":
            return Block(kind, self.dense(size, out), neuron, plain(pick, size, out), self.neuron((out,))), (out,)
        return Block(kind, self.dense(size, out), neuron), (out + size if kind == "cat" else out,)

    def head(self, shape: Shape) -> Head:
        pick, size = self.pick, shape[0]
        kinds = [*HEADS]
        jelly = self.style.framework == "spikingjelly" and self.style.form == "steps"
        if self.style.framework == "spikingjelly" and self.style.form != "merged":
            kinds += ["infinite threshold"] * 2
        if jelly:
            kinds += ["non-spiking"] * 4
        if self.style.framework == "snntorch" and self.style.form == "loop":
            kinds.append("membrane")
        kind = "spikes" if pick.chance(40) else pick.one(kinds)
        if kind != "spikes":
            self.forms.append(kind)
        out = 1 if kind == "squeeze" else int(pick.rng.integers(2, 5))
        count = {"heads added": 2, "heads subtracted": 2, "neurons added": 2, "neurons subtracted": 2, "readout": 1,
                 "squeeze": 1, "non-spiking": 1, "membrane": 1, "infinite threshold": 1}.get(kind, 0)
        layers = [self.dense(size, out) for _ in range(count)]
        neurons: list[nn.Module] = []
        if kind.startswith("neurons"):
            neurons = [self.neuron((out,)), self.neuron((out,))]
        if kind == "non-spiking":
            neurons = [self.non_spiking()]
        if kind == "infinite threshold":
            neurons = [self.silent()]
        if kind == "membrane":
            import snntorch as snn

            neurons = [snn.Leaky(beta=pick.number(0.25, 0.875), reset_mechanism="none")]
        return Head(kind, layers, neurons)

    def silent(self) -> nn.Module:
        """A neuron that never fires, whose membrane the network reads."""
        from spikingjelly.activation_based import neuron

        pick, multi = self.pick, self.style.form == "steps"
        options: dict[str, Any] = {"v_threshold": float("inf"), "v_reset": 0.0,
                                   "step_mode": "m" if multi else "s"}
        kind = pick.one([neuron.IFNode, neuron.LIFNode, neuron.ParametricLIFNode])
        node: nn.Module = kind(**options, store_v_seq=multi)
        return node

    def non_spiking(self) -> nn.Module:
        from spikingjelly.activation_based import neuron

        mode: Any = self.pick.one([None, "last_mem", "mean-mem", "max-mem"])
        self.forms.append(f"non-spiking, {mode}")
        if self.pick.chance(50):
            node: nn.Module = neuron.NonSpikingIFNode(mode)
        else:
            node = neuron.NonSpikingLIFNode(self.pick.one([2.0, 3.0]), mode)
        return node

    def over(self, head: Head, given: Shape) -> str:
        """What is done with the ticks."""
        if self.style.form == "tick":
            return "all"
        if head.kind == "non-spiking" and getattr(head.neurons[0], "decode", None):
            return "decoded"
        options = ["all", "sum", "mean", "last", "max"]
        if self.style.form == "loop":
            options += ["running sum", "running mean", "list", "joined", "prefilled", "in place", "two a tick"]
        chosen = self.pick.one(options)
        if chosen == "two a tick" and (len(given) > 1 or head.kind in ONE_VALUE):
            return "in place"
        return chosen

    def width(self, parts: list[nn.Module], head: Head, given: Shape) -> int:
        """How many values a tick returns."""
        now = Running(FRAMEWORKS[self.style.framework])
        with in_doubles():
            x = torch.zeros(1, *given, dtype=torch.float64)
            for part in parts:
                x = _doubled(part)(x, now)
            width = int(_doubled(head)(x, now).shape[-1])
        FRAMEWORKS[self.style.framework].reset(nn.ModuleList([*parts, head]))
        return width


def _doubled(module: M) -> M:
    """A module in float64 and in evaluation mode; the scales of torch.ao stay in float32, which it asks for."""
    module.double().eval()
    for part in module.modules():
        if hasattr(part, "fake_quant_enabled"):
            part.scale = part.scale.to(torch.float32)
    return module


def random_case(name: str, seed: int) -> Case:
    """A random network of the style of this name."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    return Draw(STYLES[name], Pick(rng, dyadic=bool(seed % 2)), int(rng.integers(3, 7))).case()
