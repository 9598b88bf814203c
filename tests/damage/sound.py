"""Sound files of every kind that is read, which the campaign damages."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

import snncompile as sc
from snncompile.frontends.nir.export import export_nir
from snncompile.ir.serde import dump
from tests.damage import onnx_steps
from tests.frontends.netx.files import NEURON, Layer
from tests.frontends.netx.files import write as write_net
from tests.frontends.nir.files import affine, if_, inner, lif, node
from tests.frontends.nir.files import write as write_nir
from tests.nets import small, spikes, two_inputs

EVENTS = "t,x,y,p\n" + "".join(f"{t * 900},{t % 3},{t % 2},{t % 2}\n" for t in range(40))
INDICES = "t,index\n" + "".join(f"{t * 900},{t % 6}\n" for t in range(40))
TARGETS = ("loihi1", "speck2f", "xc7z020", "c99")
LAYERS = '[lif1]\nweight_bits = 4\nmembrane_bits = 18\n\n["lif2"]\nweight_bits = 3\nlanes = 2\n'


def write(folder: Path) -> Mapping[str, list[Path]]:
    """Write sound files into an empty folder, and return their paths by kind; a build is the path of its folder."""
    model = sc.compile(small(), calibration=spikes(), labels=np.zeros(5, int), layers={"lif1": {"weight_bits": 5}})
    found = {"nir": _nir(folder), "onnx": onnx_steps.write(folder), "net": _net(folder),
             "snn": _snn(folder, model.graph)}
    found["build"] = [model.save(folder / "build")]
    x = spikes(2, 4)
    np.savez(folder / "x.npz", x=x, y=np.zeros(2, int))
    np.savez_compressed(folder / "packed.npz", data=x.astype(np.uint8))
    np.save(folder / "x.npy", x)
    found |= {"npz": [folder / "x.npz", folder / "packed.npz"], "npy": [folder / "x.npy"]}
    (folder / "events.csv").write_text(EVENTS)
    (folder / "indices.csv").write_text(INDICES)
    (folder / "list.csv").write_text("file,label\none.bs2,1\nones.bs2,0\n")
    for name in ("one.bs2", "ones.bs2"):
        (folder / name).write_bytes(bytes(n % 30 for n in range(200)))
    found["events"] = [folder / n for n in ("events.csv", "indices.csv", "list.csv", "one.bs2")]
    chips = Path(sc.__file__).parent / "targets" / "chips"
    found["target"] = [Path(shutil.copy(chips / f"{name}.toml", folder)) for name in TARGETS]
    (folder / "layers.toml").write_text(LAYERS)
    found["layers"] = [folder / "layers.toml"]
    return found


def _nir(folder: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    conv = node("Conv2d", weight=rng.normal(0, 1, (3, 2, 3, 3)).astype("f4"), bias=np.zeros(3, "f4"),
                stride=np.array([1, 1]), padding=np.array([1, 1]), dilation=np.array([1, 1]),
                groups=1, input_shape=np.array([6, 6]))
    pool = node("SumPool2d", kernel_size=np.array([2, 2]), stride=np.array([2, 2]), padding=np.array([0, 0]))
    flatten = node("Flatten", start_dim=0, end_dim=-1, input_type=np.array([3, 3, 3]))
    ends = {"input": node("Input", shape=np.array([2, 6, 6])), "output": node("Output", shape=np.array([4]))}
    cuba = node("CubaLIF", **{n: np.full(4, v) for n, v in {
        "tau_syn": 1e-3, "tau_mem": 2e-3, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "w_in": 1.0}.items()})
    body = {"conv": conv, "if": if_(3, 6, 6), "pool": pool, "flatten": flatten,
            "fc": affine(rng.normal(0, 1, (4, 27)), np.zeros(4)), "cuba": cuba}
    names = ["input", *body, "output"]
    image = write_nir(folder / "image.nir", {**ends, **body}, list(itertools.pairwise(names)))
    outer = {"input": node("Input", shape=np.array([3])), "output": node("Output", shape=np.array([3]))}
    part = inner({**outer, "l": lif(3)}, [("input", "l"), ("l", "output")])
    nested = write_nir(folder / "nested.nir", {**outer, "part": part, "w": affine(np.eye(3))},
                       [("input", "w"), ("w", "part"), ("part", "w"), ("part", "output")], {"dt": 1e-4},
                       libver="latest")
    return [export_nir(small(), folder / "small.nir"), image, nested]


def _net(folder: Path) -> list[Path]:
    conv = {"shape": [2, 3, 3], "weight": np.ones((2, 1, 2, 2)), "stride": [1, 1], "padding": [0, 0], "dilation": 1,
            "groups": 1, "bias": np.zeros(2)}
    layers = [Layer("input", {"shape": [1, 4, 4]}), Layer("conv", conv, dict(NEURON)), Layer("flatten"),
              Layer("dense", {"shape": [3, 1, 1], "weight": np.ones((3, 18)), "delay": np.ones(3)}, dict(NEURON)),
              Layer("dense_rec", {"shape": [2], "weight": np.ones((2, 3)), "weight_rec": np.ones((2, 2))},
                    dict(NEURON))]
    short = [Layer("dense", {"shape": [4], "weight": np.arange(24).reshape(4, 6)}, {**NEURON, "vDecay": np.arange(4)}),
             Layer("dense", {"shape": [2], "weight": np.ones((2, 4)), "bias": [3, -3]})]
    return [write_net(folder / "full.net", layers), write_net(folder / "short.net", short)]


def _snn(folder: Path, whole: sc.Graph) -> list[Path]:
    found = []
    for name, graph in (("float", small()), ("two", two_inputs()), ("whole", whole)):
        text, weights = dump(graph)
        (folder / f"{name}.snn").write_text(text)
        (folder / f"{name}.safetensors").write_bytes(weights)
        found.append(folder / f"{name}.snn")
    return found
