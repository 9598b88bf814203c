"""A network of snnTorch through hls4ml's development branch and through snncompile, compared with snnTorch itself.

    git clone https://github.com/fastmachinelearning/hls4ml && pip install --target hls4ml-main ./hls4ml
    python -m benchmarks.hls4ml_main hls4ml-main

64-32-10 of `Leaky` neurons whose weights are multiples of 1/64, 100 random samples of 20 ticks. hls4ml gives a class a
sample; snncompile gives every spike.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import snntorch
import torch
from snntorch import utils
from torch import nn

import snncompile as sc

INPUTS, HIDDEN, CLASSES = 64, 32, 10
TICKS, SAMPLES, BETA = 20, 100, 0.875


def layers() -> list[nn.Module]:
    torch.manual_seed(0)
    found: list[nn.Module] = []
    for into, out, gain in ((INPUTS, HIDDEN, 4), (HIDDEN, CLASSES, 5)):
        linear = nn.Linear(into, out)
        with torch.no_grad():
            linear.weight *= gain
            for p in linear.parameters():
                p.copy_((p * 64).round() / 64)
        found += [linear, snntorch.Leaky(beta=BETA, init_hidden=True, reset_mechanism="subtract")]
    return found


def by_snntorch(net: nn.Module, x: Any) -> Any:
    """The spikes of the last layer, `[sample, tick, class]`."""
    utils.reset(net)
    with torch.no_grad():
        return np.stack([net(torch.tensor(x[:, t])).numpy() for t in range(TICKS)], 1)


def by_hls4ml(parts: list[nn.Module], x: Any, precision: str, reuse: int) -> tuple[Any, int]:
    """The class of each sample, and the multipliers of fully connected layers."""
    import hls4ml
    from hls4ml.contrib.snntorch import SNNReadout

    net = nn.Sequential(*parts, SNNReadout(n_classes=CLASSES, window_size=TICKS)).eval()
    config = hls4ml.utils.config_from_pytorch_model(net, (INPUTS,), default_precision=precision, backend="Vitis",
                                                    default_reuse_factor=reuse)
    with tempfile.TemporaryDirectory() as folder:
        made = hls4ml.converters.convert_from_pytorch_model(net, hls_config=config, output_dir=folder, backend="Vitis",
                                                            io_type="io_stream")
        made.compile()
        found = [[float(np.ravel(made.predict(tick[None]))[0]) for tick in sample][-1] for sample in x]
    return np.array(found), (INPUTS * HIDDEN + HIDDEN * CLASSES) // reuse


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where hls4ml is installed")
    options = parser.parse_args()
    sys.path.insert(0, str(options.folder))
    parts = layers()
    net = nn.Sequential(*parts)
    x = (np.random.default_rng(0).random((SAMPLES, TICKS, INPUTS)) < 0.2).astype(np.float32)
    spikes = by_snntorch(net, x)
    wanted = spikes.sum(1).argmax(1)
    print(f"snnTorch: {int(spikes.sum())} spikes of the last layer in {spikes.size} places")
    utils.reset(net)
    graph = sc.load(net, example_input=torch.ones(1, INPUTS), values="spike")
    for target in ("xc7z020", "xc7z020 backend=hls"):
        model = sc.compile(graph, target, calibration=x, weight_bits=16, membrane_bits=32)
        result, figures = model.run(x), model.report.figures
        print(f"{target}: {int((result.decisions == wanted).sum())} classes and "
              f"{int((result.outputs == spikes).sum())} spikes equal; {figures['multipliers']} multipliers, "
              f"{figures['blocks']} blocks, at most {max(figures['cycles'])} cycles a sample", flush=True)
    for precision, reuse in (("ap_fixed<16,6>", 1), ("ap_fixed<32,12>", 1)):
        found, multipliers = by_hls4ml(parts, x, precision, reuse)
        print(f"hls4ml, {precision}: {int((found == wanted).sum())} classes equal; {multipliers} multiplications at "
              "once in its fully connected layers, membranes in registers", flush=True)


if __name__ == "__main__":
    main()
