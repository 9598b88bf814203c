"""Training-free scores: numbers by which a search ranks networks that are not trained yet.

SAHD and the N-score compare the spikes with which a network answers different samples. A network that tells many of
them apart before it is trained is expected to learn to, so the larger the better. They are computed from spikes, and so
from everything that has some: a module in floats, a graph in floats or in integers, an emitted program.

    spikes = record_spikes(graph, x)                 # by the interpreter: a graph of stage FLOAT, LEGAL or INT
    spikes = model.trace(x).emitted                  # by the emitted program of a compiled model, here without readouts
    spikes = {"lif1": tensor, "lif2": another}       # by the user, from the modules of a torch network
    sahd(spikes), n_score(spikes, form="snasnet")

The E-score needs gradients, and so a torch module. Spikes and synaptic operations are costs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from snncompile.cost.activity import measure
from snncompile.diagnostics import expect_known, fail, shorten
from snncompile.frontends.torch.source import UserCode
from snncompile.inputs import Data, by_name, integers
from snncompile.ir.graph import Graph
from snncompile.ir.interp import run, sample_chunks
from snncompile.ir.populations import Neuron, Population
from snncompile.ir.types import Array, Stage

Form: TypeAlias = Literal["paper", "snasnet"]
FORMS: tuple[Form, ...] = ("paper", "snasnet")
EPSILON = 1e-3
"""What both published programs of SAHD add to the expected distance before they divide by it."""
MANY_CLASSES = 100
"""The number of classes above which the E-score compares classes with each other."""
CORRELATION_EPSILON = 1e-5
"""What the E-score adds to a correlation before it takes the logarithm."""


# --- recording spikes --------------------------------------------------------------------------------------


def record_spikes(graph: Graph, x: Data, names: Iterable[str] | None = None) -> dict[str, Array]:
    """Run a graph on the interpreter and record what its populations emit.

    Args:
        graph: of stage FLOAT, LEGAL or INT.
        x: samples `[sample, tick, *shape]`, or a mapping of such arrays by input name. For a graph in integers, real
            values are rounded as a compiled model rounds them.
        names: the populations; None for all that emit at most one spike in a tick and nothing else.

    Returns:
        `[sample, tick, *shape]` by population name.

    Raises:
        CompileError: SNN501 for samples that do not fit the network, SNN404 for names that are none of its populations,
            SNN204 for a graph of stage MAPPED, whose ticks are those of hardware.
    """
    place = f"graph {shorten(graph.name)}"
    if graph.stage == Stage.MAPPED:
        fail("SNN204", place, "stage MAPPED", "stage FLOAT, LEGAL or INT",
             "record the INT graph that it was made from: its spikes are the same")
    chosen = [n for n, op in graph.populations.items() if _is_binary(op)] if names is None else list(names)
    unknown = [n for n in chosen if n not in graph.populations]
    if unknown:
        fail("SNN404", f"{place}, names", ", ".join(map(shorten, unknown)),
             f"populations of the graph: {', '.join(map(shorten, graph.populations))}")
    given = _given(graph, x)
    samples, ticks = next(iter(given.values())).shape[:2]
    parts = [run(graph, {n: v[part] for n, v in given.items()}, record=chosen).emitted
             for part in sample_chunks(graph, samples, ticks)]
    return {name: np.concatenate([part[name] for part in parts]) for name in chosen}


def _given(graph: Graph, x: Data) -> dict[str, Array]:
    """Samples by input name, in integers for a graph in integers."""
    return integers(graph, x) if graph.stage >= Stage.INT else by_name(graph, x)


def _is_binary(op: Neuron | Population) -> bool:
    """Whether a population emits only 0 and 1."""
    if isinstance(op, Neuron):
        return op.rule.spiking and op.firing.max_spikes == 1
    return not op.graded and op.output_low >= 0 and op.output_high <= 1


# --- SAHD and the N-score ----------------------------------------------------------------------------------


def sahd(spikes: Mapping[str, Any], form: Form = "paper") -> float:
    """The score of SNASNet (Kim et al., ECCV 2022): `log |det K|`, where K is the mean kernel of all layers and ticks.

    The kernel of a layer l in a tick t holds, for each pair of samples, how alike their spikes are (see `kernel`), and
    `K = sum over l and t of K_lt, divided by the number of layers and ticks`. It is larger the more the samples differ
    in their spikes. The published search takes the mean of two batches of 256 samples.

    Args:
        spikes: zeros and ones `[sample, tick, *shape]` of each layer of spiking neurons, by any names; arrays, or
            tensors of torch. All layers have the same samples.
        form: "paper" for the distance as it is described in the paper and computed by SpikeNAS-Bench, "snasnet" for the
            one that the repository of SNASNet computes; see `distances`.

    Returns:
        A number; `-inf` where K is singular, as it is for two samples with the same spikes in every layer and tick.

    Raises:
        CompileError: SNN501 for spikes of other shapes or values and for fewer than 2 samples, SNN404 for another form.
    """
    layers = _checked(spikes, form)
    calls = sum(layer.shape[1] for layer in layers)
    return log_det(sum(kernel(layer, form) for layer in layers) / calls)


def n_score(spikes: Mapping[str, Any], form: Form = "paper") -> float:
    """The N-score of BCNAS: `log |det K|`, where K is the sum of the kernels of all layers and ticks.

    It is `sahd` without the division: larger by `samples * log(layers * ticks)`, so that it also grows with the depth
    of a network. Arguments, results and errors are those of `sahd`.
    """
    layers = _checked(spikes, form)
    return log_det(np.asarray(sum(kernel(layer, form) for layer in layers)))


def kernel(spikes: Array, form: Form = "paper") -> Array:
    """How alike the spikes of each pair of samples are, summed over the ticks of a layer.

    In each tick it is `N - d`, with the number N of neurons and the distance d of `distances`.

    Args:
        spikes: zeros and ones `[sample, tick, *shape]`.

    Returns:
        `[sample, sample]`, symmetric; ticks times N on its diagonal.
    """
    samples, ticks = spikes.shape[:2]
    codes = spikes.reshape(samples, ticks, -1)
    return np.asarray(sum((codes.shape[2] - distances(codes[:, t], form) for t in range(ticks)),
                          np.zeros((samples, samples))))


def distances(codes: Array, form: Form = "paper") -> Array:
    """The sparsity-aware Hamming distance (SAHD) of each pair of samples.

    The Hamming distance H of two codes of sparse spikes is small because both are mostly zeros. So it is divided by the
    distance that is expected of independent codes with the same rates r and s: a share `e = r (1-s) + (1-r) s` of the N
    neurons. What then stands for unrelated samples is

    - `form="paper"`: N/2, from `d = 0.5 H / (e + 0.001)`;
    - `form="snasnet"`: 1/2, from `d = 0.5 H / (N e + 0.001)`. The repository divides by the expected number of neurons
      and not by their share, so that the kernel `N - d` is nearly the same for all pairs.

    Args:
        codes: zeros and ones `[sample, neuron]`: the spikes of a layer in a tick.

    Returns:
        `[sample, sample]`, zeros on the diagonal.

    Two of four neurons fire for each sample, and one of them for both: H = 2, e = 1/2.

    >>> codes = np.array([[1, 1, 0, 0], [1, 0, 1, 0]])
    >>> distances(codes).round(3).tolist()
    [[0.0, 1.996], [1.996, 0.0]]
    >>> distances(codes, "snasnet").round(3).tolist()
    [[0.0, 0.5], [0.5, 0.0]]
    """
    x = codes.astype(np.float64)
    fired, neurons = x.sum(1), x.shape[1]
    hamming = fired[:, None] + fired[None] - 2 * (x @ x.T)
    rate = fired / max(neurons, 1)
    expected = rate[:, None] * (1 - rate[None]) + (1 - rate[:, None]) * rate[None]
    return np.asarray(0.5 * hamming / (expected * (neurons if form == "snasnet" else 1) + EPSILON))


def log_det(matrix: Array) -> float:
    """`log |det matrix|`, by the LU decomposition of `numpy.linalg.slogdet`; `-inf` for a singular matrix.

    Rounding can leave a tiny determinant in place of 0. A matrix with two equal rows is therefore found before.
    """
    if len(np.unique(matrix, axis=0)) < len(matrix):
        return -np.inf
    return float(np.linalg.slogdet(matrix)[1])


def _checked(spikes: Mapping[str, Any], form: str) -> list[Array]:
    """The spikes of all layers as arrays, after a check of shapes, values and form."""
    expect_known(form, FORMS, "option form")
    layers = {name: _array(value) for name, value in spikes.items()}
    if not layers:
        fail("SNN501", "spikes", "no layers", "the spikes of one layer or more, by name")
    samples = {layer.shape[0] for layer in layers.values() if layer.ndim > 0}
    for name, layer in layers.items():
        place = f"spikes of {shorten(name)}"
        if layer.dtype.kind not in "biuf" or layer.ndim < 2 or not layer.size:
            fail("SNN501", place, f"shape {list(layer.shape)} of type {layer.dtype}",
                 "numbers [sample, tick, *shape], at least one tick and neuron")
        if len(samples) > 1 or len(layer) < 2:
            fail("SNN501", place, f"{len(layer)} samples", "2 samples or more, and as many for every layer")
        if not ((layer == 0) | (layer == 1)).all():
            fail("SNN501", place, "other values than 0 and 1", "spikes",
                 "leave out membranes, graded values and neurons that fire several times in a tick")
    return list(layers.values())


def _array(value: Any) -> Array:
    """An array or a tensor of torch, also one with a gradient, as an array; an array of None for anything else."""
    try:
        if hasattr(value, "detach"):
            value = value.detach().cpu()
            value = value.float() if value.is_floating_point() else value
        return np.asarray(value)
    except (TypeError, ValueError, RuntimeError):
        return np.asarray(None)


# --- the E-score -------------------------------------------------------------------------------------------


def e_score(module: Any, inputs: Any, labels: Any, classes: int | None = None) -> float:
    """The E-score of BCNAS, which is that of EPE-NAS (Lopes et al., ICANN 2021): how gradients correlate by class.

    Row i of J is the gradient of the sum of the outputs for sample i with respect to that sample. For each class c,
    `C = (J - M)(J - M)^T` over the rows of its samples, where M holds the mean of each row, is scaled to correlations
    `S_ij = C_ij / sqrt(C_ii C_jj)`, and

    - up to 100 classes, `E_c = sum over i, j of log(|S_ij| + 1e-5)`, and the score is `sum over c of |E_c|`;
    - above, `E_c` is divided by the number of elements of S, and the score is the sum of `|E_a - E_b|` over all pairs
      of classes, divided by the number of classes.

    Only classes that occur among the labels are counted.

    Args:
        module: a torch module, or function, from `inputs` to outputs `[sample, class]`, or `[tick, sample, class]`. Its
            neurons need a surrogate gradient, and must be reset before the call. As after any call, they keep their
            states, and batch norms in training mode their statistics; no gradient is left in its parameters.
        inputs: a tensor `[sample, *shape]`, or `[tick, sample, *shape]` for a module that returns all ticks.
        labels: the class of each sample, whole numbers `[sample]`.
        classes: the number of classes of the task, which decides between the two ways; None for as many as occur.

    Raises:
        CompileError: SNN501 for labels or outputs of another shape, and for fewer than 2 samples; SNN109 for whatever
            the module raises.
    """
    of_sample = _array(labels)
    gradients = _jacobian(module, inputs, of_sample)
    found = np.unique(of_sample)
    logs = [_log_correlations(gradients[of_sample == c]) for c in found]
    if (classes or len(found)) <= MANY_CLASSES:
        return float(sum(abs(values.sum()) for values in logs))
    means = np.array([values.mean() for values in logs])
    return float(np.abs(means[:, None] - means[None]).sum() / 2 / len(means))


def _jacobian(module: Any, inputs: Any, labels: Array) -> Array:
    """The gradient of the outputs of each sample with respect to that sample, `[sample, element]`."""
    import torch

    with UserCode(lambda: "module", "it is called with the inputs, and differentiated by them"), torch.enable_grad():
        x = torch.as_tensor(inputs).detach().clone()
        x = (x if x.is_floating_point() else x.float()).requires_grad_(True)
        outputs = module(x)
        (gradient,) = torch.autograd.grad(outputs.sum(), x)
    axis = outputs.dim() - 2
    fits = axis in (0, 1) and x.dim() > axis and labels.dtype.kind in "iu" and labels.shape == outputs.shape[axis:-1] \
        and x.shape[axis] == len(labels) > 1
    if not fits:
        fail("SNN501", "labels, outputs", f"labels {list(labels.shape)} of type {labels.dtype}, inputs "
             f"{list(x.shape)}, outputs {list(outputs.shape)}", "whole numbers [sample], outputs [sample, class] or "
             "[tick, sample, class], and 2 samples or more")
    rows = np.moveaxis(gradient.detach().cpu().numpy().astype(np.float64), axis, 0)
    return np.asarray(rows.reshape(len(rows), -1))


def _log_correlations(rows: Array) -> Array:
    """`log(|S| + 1e-5)` of the correlations S of some gradients `[sample, element]`.

    A gradient without any variance has no correlation with the others: 0, as with itself.
    """
    centred = rows - rows.mean(1, keepdims=True)
    covariance = centred @ centred.T
    spread = np.sqrt(np.diag(covariance))
    scale = spread[:, None] * spread[None]
    correlation = np.divide(covariance, scale, out=np.zeros_like(covariance), where=scale > 0)
    return np.asarray(np.log(np.abs(correlation) + CORRELATION_EPSILON))


# --- counts ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Counts:
    """What a network does for one sample, on average; the objectives of a search beside its accuracy.

    Attributes:
        spikes: spikes of all populations, inputs not among them.
        synops: synaptic operations (SynOps) as NeuroBench counts them: pairs of a weight and an input that are both not
            zero.
        bit_synops: synaptic operations times the bits of weight and value (Bit-SynOps, Shen et al., CVPR 2024).
    """

    spikes: float
    synops: float
    bit_synops: float


def counts(graph: Graph, x: Data) -> Counts:
    """Run a LEGAL or later graph on samples and count its spikes and synaptic operations; see `cost.activity.measure`.

    Args:
        x: samples, as for `record_spikes`.

    Raises:
        CompileError: SNN501 for samples that do not fit the network, SNN204 for a graph of stage FLOAT, in which layers
            are not joined to projections yet.
    """
    if graph.stage == Stage.FLOAT:
        fail("SNN204", f"graph {shorten(graph.name)}", "stage FLOAT", "stage LEGAL or later",
             "model.float_graph and model.graph of a compiled model are such graphs; snncompile.estimate takes any")
    did = measure(graph, _given(graph, x))
    samples = did.samples
    return Counts(sum(did.populations[n].spikes for n in graph.populations) / samples,
                  sum(p.accumulations + p.multiplications for p in did.projections) / samples,
                  sum(p.bit_operations for p in did.projections) / samples)
