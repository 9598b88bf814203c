"""Made from the code by `make docs`: what type checkers and editors know of the package."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from snncompile.cost.estimate import Cost as Cost
from snncompile.cost.estimate import Rate as Rate
from snncompile.diagnostics import CompileError as CompileError
from snncompile.diagnostics import Diagnostic as Diagnostic
from snncompile.explorer import Point as Point
from snncompile.frontends.nir.export import export_nir as export_nir
from snncompile.frontends.onnx import export_onnx as export_onnx
from snncompile.frontends.torch.cells import neuron_module as neuron_module
from snncompile.inputs import Data as Data
from snncompile.ir.graph import Edge as Edge
from snncompile.ir.graph import Graph as Graph
from snncompile.loss_sources import Loss as Loss
from snncompile.mapping.partitioned import Partition as Partition
from snncompile.mapping.place import Placement as Placement
from snncompile.model import CompiledModel as CompiledModel
from snncompile.observer import Observer as Observer
from snncompile.reference import run as run
from snncompile.saved_build import open_build as open_build
from snncompile.targets.layer_options import Layers as Layers
from snncompile.targets.layer_options import Widths as Widths
from snncompile.targets.load import load_target as load_target
from snncompile.targets.target import Target as Target
from snncompile.targets.verdict import Verdict as Verdict

__version__: str

def load(
    source: Any,
    *,
    example_input: Any = None,
    as_: Literal["snntorch", "spikingjelly", "sinabs", "norse", "rockpool"] | None = None,
    dt: float | str | None = None,
    discretization: Literal["euler", "exp"] | None = None,
    gain: Literal["auto", "ode", "euler", "unit", "rockpool"] | None = None,
    reset: Literal["subtract", "value", "zero", "none"] | None = None,
    reset_when: Literal["same", "before-decay", "after-decay", "drop-input", "carried"] | None = None,
    compare: Literal[">=", ">"] | None = None,
    max_spikes: float | str | None = ...,
    v_min: float | str | None = ...,
    filter: Literal["decay-first", "add-first", "decay-both"] | None = None,
    v_init: float | str | None = None,
    values: Literal["spike", "real"] | None = None,
    decode: Literal["rate", "last", "max"] | None = None,
    states: Mapping[str, str] | str | None = None,
    initial: Mapping[str, Any] | None = None,
    skip_layers: int | None = None,
    num_layers: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    reset_interval: int | None = None,
    reset_offset: int | None = None,
) -> Graph: ...

def check(
    source: Any,
    target: str | Path | Target,
    *,
    weight_bits: Widths = None,
    membrane_bits: Widths = None,
    layers: Layers = None,
    dilate: int | Literal['auto'] = 1,
    packed: bool = False,
    budget: Mapping[str, float] | None = None,
    cost: bool = True,
    rate: Rate = 0.1,
    ticks: int | None = None,
    profile: str | None = None,
    example_input: Any = None,
    as_: Literal["snntorch", "spikingjelly", "sinabs", "norse", "rockpool"] | None = None,
    dt: float | str | None = None,
    discretization: Literal["euler", "exp"] | None = None,
    gain: Literal["auto", "ode", "euler", "unit", "rockpool"] | None = None,
    reset: Literal["subtract", "value", "zero", "none"] | None = None,
    reset_when: Literal["same", "before-decay", "after-decay", "drop-input", "carried"] | None = None,
    compare: Literal[">=", ">"] | None = None,
    max_spikes: float | str | None = ...,
    v_min: float | str | None = ...,
    filter: Literal["decay-first", "add-first", "decay-both"] | None = None,
    v_init: float | str | None = None,
    values: Literal["spike", "real"] | None = None,
    decode: Literal["rate", "last", "max"] | None = None,
    states: Mapping[str, str] | str | None = None,
    initial: Mapping[str, Any] | None = None,
    skip_layers: int | None = None,
    num_layers: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    reset_interval: int | None = None,
    reset_offset: int | None = None,
) -> Verdict: ...

def estimate(
    source: Any,
    target: str | Path | Target,
    x: Data | None = None,
    *,
    rate: Rate = 0.1,
    ticks: int | None = None,
    profile: str | None = None,
    weight_bits: Widths = None,
    layers: Layers = None,
    placed: tuple[Partition, Placement | None] | None = None,
    example_input: Any = None,
    as_: Literal["snntorch", "spikingjelly", "sinabs", "norse", "rockpool"] | None = None,
    dt: float | str | None = None,
    discretization: Literal["euler", "exp"] | None = None,
    gain: Literal["auto", "ode", "euler", "unit", "rockpool"] | None = None,
    reset: Literal["subtract", "value", "zero", "none"] | None = None,
    reset_when: Literal["same", "before-decay", "after-decay", "drop-input", "carried"] | None = None,
    compare: Literal[">=", ">"] | None = None,
    max_spikes: float | str | None = ...,
    v_min: float | str | None = ...,
    filter: Literal["decay-first", "add-first", "decay-both"] | None = None,
    v_init: float | str | None = None,
    values: Literal["spike", "real"] | None = None,
    decode: Literal["rate", "last", "max"] | None = None,
    states: Mapping[str, str] | str | None = None,
    initial: Mapping[str, Any] | None = None,
    skip_layers: int | None = None,
    num_layers: int | None = None,
    input_shape: tuple[int, ...] | None = None,
    reset_interval: int | None = None,
    reset_offset: int | None = None,
) -> Cost: ...

def compile(
    source: Any,
    target: str | Path | Target = "c99",
    *,
    calibration: Any = None,
    labels: Any = None,
    observer: Observer | None = None,
    load_options: Mapping[str, Any] | None = None,
    dilate: int | Literal['auto'] = 1,
    layers: Layers = None,
    budget: Mapping[str, float] | None = None,
    max_drop: float | None = None,
    validation: Any = None,
    validation_labels: Any = None,
    layout: str = "sample-first",
    weight_bits: int | Literal["ternary", "auto"] | Mapping[str, int | Literal["ternary", "auto"]] | None = None,
    membrane_bits: int | Literal["auto"] | Mapping[str, int | Literal["auto"]] | None = None,
    decay_bits: int | None = None,
    weight_grid: Literal["even", "powers"] | None = None,
    weight_rounding: Literal["calibrated", "nearest"] | None = None,
    rounding: Literal["floor", "zero", "nearest"] | None = None,
    overflow: Literal["saturate", "wrap"] | None = None,
    per: Literal["channel", "layer"] | None = None,
    spike_bits: int | None = None,
    input_bits: int | None = None,
    input_high: float | None = None,
    table_bits: int | None = None,
    graded_bits: int | None = None,
    neuron: Literal["any", "loihi"] | None = None,
    lanes: int | Mapping[str, int] | None = None,
    units: int | Mapping[str, int] | None = None,
    queue: int | Mapping[str, int] | None = None,
    lines: bool | Mapping[str, bool] | None = None,
    memory: Literal["block", "distributed"] | Mapping[str, Literal["block", "distributed"]] | None = None,
    chains: int | None = None,
    fastest: bool | None = None,
    clock_mhz: int | None = None,
    latency_us: float | None = None,
    samples_per_s: float | None = None,
    chunk: int | None = None,
    weights_as: Literal["text", "binary"] | None = None,
) -> CompiledModel: ...

def losses(
    source: Any,
    target: str | Path | Target = "c99",
    *,
    calibration: Any,
    labels: Any = None,
    layers: Layers = None,
    observer: Observer | None = None,
    load_options: Mapping[str, Any] | None = None,
    weight_bits: int | Literal["ternary", "auto"] | Mapping[str, int | Literal["ternary", "auto"]] | None = None,
    membrane_bits: int | Literal["auto"] | Mapping[str, int | Literal["auto"]] | None = None,
    decay_bits: int | None = None,
    weight_grid: Literal["even", "powers"] | None = None,
    weight_rounding: Literal["calibrated", "nearest"] | None = None,
    rounding: Literal["floor", "zero", "nearest"] | None = None,
    overflow: Literal["saturate", "wrap"] | None = None,
    per: Literal["channel", "layer"] | None = None,
    spike_bits: int | None = None,
    input_bits: int | None = None,
    input_high: float | None = None,
    table_bits: int | None = None,
    graded_bits: int | None = None,
    neuron: Literal["any", "loihi"] | None = None,
) -> list[Loss]: ...

def explore(
    model: CompiledModel,
    target: str | Path | Target,
    layers: Layers = None,
    *,
    lanes: int | Mapping[str, int] | None = None,
    units: int | Mapping[str, int] | None = None,
    queue: int | Mapping[str, int] | None = None,
    lines: bool | Mapping[str, bool] | None = None,
    memory: Literal["block", "distributed"] | Mapping[str, Literal["block", "distributed"]] | None = None,
    chains: int | None = None,
    fastest: bool | None = None,
    clock_mhz: int | None = None,
    latency_us: float | None = None,
    samples_per_s: float | None = None,
) -> tuple[Point, ...]: ...
