"""Writes NetX files in the form of lava-dl, and computes in plain NumPy what NetX computes from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from snncompile.ir.types import Array

INTEGRATOR = {"iDecay": 0, "vDecay": 4096, "vThMant": 1 << 18 - 1}
"""What NetX puts into a dense layer without a neuron. It never fires, and NetX's users read its membrane."""
NEURON = {"type": "CUBA", "iDecay": 4096, "vDecay": 1024, "vThMant": 25, "refDelay": 1, "gradedSpike": False}


@dataclass
class Layer:
    """A layer of a file, with its kind, its fields, and the fields of its neuron."""

    kind: str
    fields: dict[str, Any] = field(default_factory=dict)
    neuron: dict[str, Any] | None = None


def write(path: Path, layers: list[Layer]) -> Path:
    """Write layers as `export_hdf5` of lava-dl does; layer types are arrays of fixed-length strings."""
    with h5py.File(path, "w") as file:
        for i, layer in enumerate(layers):
            group = file.create_group(f"layer/{i}")
            group.create_dataset("type", (1,), "S10", [layer.kind.encode()])
            _fill(group, layer.fields)
            if layer.neuron is not None:
                _fill(group.create_group("neuron"), layer.neuron)
        file.create_group("simulation")["Ts"] = 1
    return path


def _fill(group: h5py.Group, fields: Mapping[str, Any]) -> None:
    for name, value in fields.items():
        group[name] = value


def netx(layers: list[Layer], x: Array, interval: int | None = None, offset: int = 0) -> Array:
    """The spikes of the last layer, `[tick, *shape]`, for input `[tick, *shape]` of one sample; its membranes where it
    has no neuron.

    Independent of the compiler: synapses as sums over kernel offsets, neurons after lava-nc 0.10.0, LIFReset included.
    """
    block = 0
    for layer in layers:
        fields = layer.fields
        if layer.kind == "flatten":
            x = x.reshape(len(x), -1)
        if layer.neuron is None and "weight" not in fields:
            continue
        phase = None if interval is None else (interval, (offset + block) % interval)
        block += 1
        x = _layer(layer, x, fields, phase)
    return x


def _layer(layer: Layer, x: Array, fields: Mapping[str, Any], phase: tuple[int, int] | None) -> Array:
    if layer.kind == "input":
        assert layer.neuron is not None
        drive = np.rint(x * fields.get("weight", 64)).astype(np.int64)
        return _lif(layer.neuron, lambda t, _: 0 * drive[t], fields.get("bias", 0) + drive, phase)
    bias = np.asarray(fields.get("bias", 0), np.int64)
    if layer.kind == "conv":
        drive = _convolve(fields, _late(x, 1))
        bias = bias.reshape(-1, 1, 1)
    else:
        drive = _dense(fields, x)
    rec = np.asarray(fields["weight_rec"], np.int64) if layer.kind == "dense_rec" else None
    return _lif(layer.neuron or INTEGRATOR, lambda t, s: drive[t] + (0 if rec is None else rec @ s),
                np.broadcast_to(bias, drive.shape), phase, membranes=layer.neuron is None)


def _lif(neuron: Mapping[str, Any], drive: Any, bias: Array, phase: tuple[int, int] | None,
         membranes: bool = False) -> Array:
    u = np.zeros(bias.shape[1:], np.int64)
    i_decay, v_decay = (np.reshape(neuron[n], (-1, *(1,) * (u.ndim - 1))) for n in ("iDecay", "vDecay"))
    v, s, out = u.copy(), u.copy(), []
    for t in range(len(bias)):
        if phase and t % phase[0] == phase[1]:
            u, v = 0 * u, 0 * v
        u = np.sign(u) * (np.abs(u) * (4096 - i_decay) >> 12) + (drive(t, s) << 6)
        u = np.where(u > 2**23, u - 2**24, np.where(u <= -2**23, u + 2**24, u))
        v = np.sign(v) * (np.abs(v) * (4096 - v_decay) >> 12) + u + (bias[t] << 6)
        v = np.clip(v, -2**23 + 1, 2**23 - 1)
        s = (v > neuron["vThMant"] << 6).astype(np.int64)
        v = np.where(s, 0, v)
        out.append(v if membranes else s)
    return np.array(out)


def _late(x: Array, ticks: int) -> Array:
    return np.concatenate([np.zeros((ticks, *x.shape[1:]), np.int64), x.astype(np.int64)])[:len(x)]


def _dense(fields: Mapping[str, Any], x: Array) -> Array:
    weight = np.asarray(fields["weight"], np.int64).reshape(int(np.prod(fields["shape"])), -1)
    delay = np.asarray(fields.get("delay", 0), np.int64)
    delay = np.broadcast_to(delay[:, None] if delay.shape == weight.shape[:1] else delay, weight.shape)
    return np.asarray(sum(_late(x, 1 + d) @ np.where(delay == d, weight, 0).T for d in range(int(delay.max()) + 1)))


def _convolve(fields: Mapping[str, Any], x: Array) -> Array:
    weight = np.asarray(fields["weight"], np.int64)
    weight = weight[..., 0] if weight.ndim == 5 else weight
    (sy, sx), (py, px), (dy, dx) = (np.broadcast_to(fields[n], 2) for n in ("stride", "padding", "dilation"))
    x = np.pad(x, ((0, 0), (0, 0), (py, py), (px, px)))
    out, fan_in, kh, kw = weight.shape
    height, width = (x.shape[2] - dy * (kh - 1) - 1) // sy + 1, (x.shape[3] - dx * (kw - 1) - 1) // sx + 1
    y = np.zeros((len(x), out, height, width), np.int64)
    for o, i, a, b in np.ndindex(out, fan_in, kh, kw):
        source = o // (out // int(fields["groups"])) * fan_in + i
        cut = x[:, source, a * dy:a * dy + sy * (height - 1) + 1:sy, b * dx:b * dx + sx * (width - 1) + 1:sx]
        y[:, o] += weight[o, i, a, b] * cut
    return y
