"""Training for few bits: PyTorch layers and neurons that compute on exactly the grids that the compiler has.

    net = nn.Sequential(QuantLinear(784, 128, bits=4), QuantLIF(), QuantLinear(128, 10, bits=4), QuantLIF())
    spikes = over_time(net, frames)             # train with any optimizer; gradients pass through the rounding
    model = sc.compile(sc.load(net.double().eval(), example_input=frames[:1, 0]))

Weights reach the compiler as the integers that were trained, and membranes of few bits as the levels that were trained.
In float64 the emitted program then fires exactly when PyTorch does, since sums of integers are exact in both. Membranes
of real numbers, `QuantLIF()`, are rounded by the compiler as those of any other network.

Weights of 1 bit and membranes of few bits have two forms, after Wei et al., "Q-SNNs: Quantized Spiking Neural Networks"
(ACM Multimedia, 2024): that of the paper, and that of the authors' code, which differs from it.

| | `form="paper"` | `form="code"` |
|---|---|---|
| weights of 1 bit | sign of w, 0 counts as positive | sign of w, made mean 0 and deviation 1 in a channel; 0 stays 0 |
| their step | mean of the magnitudes of a channel | the power of two nearest to that |
| membrane | rounded, compared (>=), reset to 0 | compared (>), reset to 0, then its tanh is rounded |

In the paper and in the code, the outermost level follows the largest membrane of each batch. Hardware needs a fixed
one: here it is a running mean over training, `QuantLIF.alpha`, of the size that nearly all membranes stay below. A tanh
becomes a table: it is exact where the table has a cell for each integer, as with `compile(..., table_bits=16)`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

import snncompile as sc
from snncompile.diagnostics import fail
from snncompile.ir.populations import Neuron
from snncompile.ir.rules import Firing
from snncompile.ir.types import Shape

Form: TypeAlias = Literal["paper", "code"]
Bits: TypeAlias = "int | Literal['ternary']"
MAX_WEIGHT_BITS, MAX_MEMBRANE_BITS = 16, 16
MOMENTUM = 0.1
"""By how much a batch moves `QuantLIF.alpha`."""
DEVIATIONS = 2.0
"""`QuantLIF.alpha` follows the mean magnitude of membranes and so many standard deviations."""
PARTS_OF_THRESHOLD = 4096
"""The distance of two levels is a whole number of such parts of the threshold."""
TERNARY_CUT = 0.7
"""Ternary weights are 0 below so many times the mean magnitude of their channel: Li, Zhang and Liu (2016)."""
TINY = 1e-12
"""Stands for sizes of 0, by which nothing can be divided."""
FORMS = ("paper", "code")


class Codes(NamedTuple):
    """Weights in integers: what `quant_weight` of a layer gives, as Brevitas' layers do.

    Attributes:
        codes: the integers, as real numbers, in the shape of the weights.
        scale: the real value of the integer 1, `[out, 1, ...]`.
    """

    codes: Tensor
    scale: Tensor

    @property
    def value(self) -> Tensor:
        return self.codes * self.scale

    def int(self) -> Tensor:
        return self.codes.to(torch.int16)


def codes_of(weight: Tensor, bits: Bits, form: Form = "paper", power_of_two: bool = False) -> Codes:
    """The nearest integers to weights, and the real value of the integer 1 for each output channel.

    Args:
        weight: `[out, ...]`.
        bits: 1 for signs, "ternary" for -1, 0 and 1, 2 to 16 for symmetric integers up to the largest weight.
        form: of weights of 1 bit; see the module.
        power_of_two: whether that value is the power of two nearest to it, which hardware multiplies by in a shift.
    """
    rows = weight.detach().flatten(1)
    if bits == 1 and form == "code":
        rows = (rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True).nan_to_num(1.0).clamp(min=TINY)
    size = rows.abs()
    if bits == 1:
        scale = size.mean(1)
        codes = torch.sign(rows) if form == "code" else torch.where(rows >= 0, 1.0, -1.0)
    elif bits == "ternary":
        kept = size > TERNARY_CUT * size.mean(1, keepdim=True)
        scale, codes = (size * kept).sum(1) / kept.sum(1).clamp(min=1), torch.sign(rows) * kept
    else:
        scale, codes = size.amax(1) / (2 ** (bits - 1) - 1), rows
    scale = scale.clamp(min=TINY)
    if power_of_two or (bits == 1 and form == "code"):
        scale = 2 ** torch.round(torch.log2(scale))
    if bits not in (1, "ternary"):
        largest = 2 ** (int(bits) - 1) - 1
        codes = torch.round(rows / scale[:, None]).clamp(-largest, largest)
    return Codes(codes.reshape(weight.shape).to(weight.dtype), scale.reshape(-1, *[1] * (weight.dim() - 1)))


def straight(rounded: Tensor, real: Tensor) -> Tensor:
    """The rounded numbers, with the gradient of the real ones (a straight-through estimator)."""
    return real + (rounded - real).detach()


class _Quantized:
    """What both layers share: sums of integers, which are multiplied by their step in the end."""

    weight: Tensor
    bias: Tensor | None
    bits: Bits
    form: Form
    power_of_two: bool

    def on_grid(self, bits: Bits, form: Form, power_of_two: bool) -> None:
        """Choose the grid. Raises SNN404 for one that does not exist."""
        whole = isinstance(bits, int) and not isinstance(bits, bool) and 1 <= bits <= MAX_WEIGHT_BITS
        if not whole and bits != "ternary":
            fail("SNN404", "training, bits", str(bits)[:60], f"1 to {MAX_WEIGHT_BITS}, or ternary")
        _expect_form(form)
        self.bits, self.form, self.power_of_two = bits, form, power_of_two

    def quant_weight(self) -> Codes:
        """The integers and their step, as the compiler reads them."""
        return codes_of(self.weight, self.bits, self.form, self.power_of_two)

    def codes(self) -> tuple[Tensor, Tensor]:
        """The integers, with the gradient of the weights, and the step, `[out]`."""
        found = self.quant_weight()
        return straight(found.codes, self.weight / found.scale), found.scale.flatten()


class QuantLinear(_Quantized, nn.Linear):
    """`nn.Linear` with weights of few bits."""

    def __init__(self, fan_in: int, out: int, bits: Bits = 4, *, bias: bool = False, form: Form = "paper",
                 power_of_two: bool = False):
        nn.Linear.__init__(self, fan_in, out, bias)
        self.on_grid(bits, form, power_of_two)

    def forward(self, x: Tensor) -> Tensor:
        codes, step = self.codes()
        sums = functional.linear(x, codes) * step
        return sums if self.bias is None else sums + self.bias


class QuantConv2d(_Quantized, nn.Conv2d):
    """`nn.Conv2d` with weights of few bits; zeros around the input."""

    def __init__(self, fan_in: int, out: int, kernel_size: int | tuple[int, int], bits: Bits = 4, *, stride: Any = 1,
                 padding: Any = 0, dilation: Any = 1, groups: int = 1, bias: bool = False, form: Form = "paper",
                 power_of_two: bool = False):
        nn.Conv2d.__init__(self, fan_in, out, kernel_size, stride, padding, dilation, groups, bias)
        self.on_grid(bits, form, power_of_two)

    def forward(self, x: Tensor) -> Tensor:
        codes, step = self.codes()
        sums = functional.conv2d(x, codes, None, self.stride, self.padding, self.dilation, self.groups)
        sums = sums * step.reshape(-1, 1, 1)
        return sums if self.bias is None else sums + self.bias.reshape(-1, 1, 1)


class _Spike(torch.autograd.Function):
    """1 where a membrane fires; backward, the bump of a fast sigmoid of the membrane that is not rounded."""

    @staticmethod
    def forward(ctx: Any, fires: Tensor, excess: Tensor) -> Tensor:
        ctx.save_for_backward(excess)
        return fires.to(excess.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor]:
        (excess,) = ctx.saved_tensors
        return None, gradient / (1 + excess.abs()) ** 2


def fire(fires: Tensor, excess: Tensor) -> Tensor:
    """Spikes where neurons fire, with a gradient: that of a fast sigmoid of the membrane.

    Args:
        fires: which neurons fire, true or false.
        excess: the membranes minus the threshold.
    """
    spikes: Tensor = _Spike.apply(fires, excess)
    return spikes


class QuantLIF(nn.Module):
    """Leaky neurons that reset to 0, with membranes of few bits: `v' = decay v + x`, kept between ticks until `reset`.

    Attributes:
        alpha: the real value of the outermost level. It follows the membranes while the network trains.
        rate: spikes a neuron in the last tick, for losses that keep neurons busy.
    """

    alpha: Tensor

    def __init__(self, bits: int | None = None, decay: float = 0.5, threshold: float = 1.0, form: Form = "paper"):
        """With `bits`, a membrane has `2**(bits - 1) - 1` levels on each side of 0; without, it is a real number.

        Raises:
            CompileError: SNN404 for bits or a form that do not exist.
        """
        super().__init__()
        if bits is not None and not (isinstance(bits, int) and 2 <= bits <= MAX_MEMBRANE_BITS):
            fail("SNN404", "training, bits of a membrane", str(bits)[:60], f"2 to {MAX_MEMBRANE_BITS}, or None")
        _expect_form(form)
        self.levels = None if bits is None else 2 ** (bits - 1) - 1
        self.decay, self.threshold, self.form = decay, threshold, form
        self.register_buffer("alpha", torch.tensor(2.0 * threshold))
        self.reset()

    def reset(self) -> None:
        """Begin a new sample: all membranes are 0."""
        self.v: Tensor | float = 0.0
        self.rate: Tensor | float = 0.0

    @property
    def step(self) -> Tensor:
        """The real value between two levels: a whole number of parts of the threshold, so that sums of levels are exact
        in PyTorch and in integers."""
        assert self.levels is not None, "a membrane without levels"
        grain = (self.threshold or 1.0) / PARTS_OF_THRESHOLD
        return torch.round(self.alpha / self.levels / grain).clamp(min=1) * grain

    def forward(self, x: Tensor) -> Tensor:
        v, code = self.decay * self.v + x, self.form == "code"
        level = v
        if self.levels is not None and not code:
            self._follow(v)
            left = torch.round(torch.as_tensor(self.v).detach() / self.step)  # a whole number, so that halves are exact
            level = self._level(v, self.decay * left + x / self.step)
        spikes = fire(level > self.threshold if code else level >= self.threshold, v - self.threshold)
        after = level * (1 - spikes)
        if self.levels is not None and code:
            after = self.threshold * torch.tanh(after / self.threshold)
            self._follow(after)
            after = self._level(after, after / self.step)
        self.v, self.rate = after, spikes.mean()
        return spikes

    def _follow(self, v: Tensor) -> None:
        """In training, move the outermost level toward the size of these membranes."""
        if self.training:
            size = v.detach().abs()
            least = self.threshold if self.form == "paper" else TINY  # what is compared has to reach the threshold
            largest = size.mean() + DEVIATIONS * size.std(unbiased=False)
            self.alpha.lerp_(largest.clamp(min=least).to(self.alpha), MOMENTUM)

    def _level(self, v: Tensor, steps: Tensor) -> Tensor:
        """The nearest level, with the gradient of the membrane; halves go up."""
        assert self.levels is not None, "a membrane without levels"
        return straight(torch.floor(steps.detach() + 0.5).clamp(-self.levels, self.levels) * self.step, v)


def _expect_form(form: str) -> None:
    if form not in FORMS:
        fail("SNN404", "training, form", str(form)[:60], ", ".join(FORMS))


@sc.neuron_module(QuantLIF)
def quant_lif(module: QuantLIF, shape: Shape) -> Neuron:
    """What a `QuantLIF` means to the compiler: the rule `lif`, or `qlif` with levels."""
    code = module.form == "code"
    firing = Firing(">" if code else ">=", "value")
    if module.levels is None:
        return Neuron.of("lif", firing, decay=module.decay, threshold=module.threshold)
    return Neuron.of("qlif", firing, {"grid": "after-tanh" if code else "before"}, decay=module.decay,
                     threshold=module.threshold, step=float(module.step), levels=module.levels)


def over_time(net: nn.Module, frames: Tensor | Iterable[Tensor]) -> Tensor:
    """What a network gives in each tick, `[sample, tick, ...]`, from membranes of 0 on.

    Args:
        frames: the input of each tick: `[sample, tick, ...]`, or an iterable of `[sample, ...]`.
    """
    for module in net.modules():
        if isinstance(module, QuantLIF):
            module.reset()
    ticks = frames.unbind(1) if isinstance(frames, Tensor) else frames
    return torch.stack([net(frame) for frame in ticks], 1)
