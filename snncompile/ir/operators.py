"""The table of all operators, by the words that stand for them in the text form."""

from __future__ import annotations

from snncompile.ir.op import Op
from snncompile.ir.ops import (
    AvgPool,
    Conv,
    Identity,
    Input,
    Linear,
    MaxPool,
    Output,
    Pad,
    Rectify,
    Reshape,
    Scale,
    SumPool,
    Upsample,
)
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.spike_product import SpikeProduct
from snncompile.ir.token_mix import TokenMix

OPERATORS: dict[str, type[Op]] = {
    op.kind(): op
    for op in (Input, Output, Identity, Linear, Conv, TokenMix, SumPool, AvgPool, MaxPool, Upsample, Scale,
               Reshape, Rectify, Pad, SpikeProduct, Neuron, Population)
}
