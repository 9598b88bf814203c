"""What the tests of families share: layers and neurons in PyTorch, and how a network is compared with them.

The references of the tests are written from the papers. They read only the numbers of layers from a graph, by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

import snncompile as sc
from snncompile.backends.c.host import Host, build, compiler
from snncompile.ir.graph import Graph
from snncompile.model import inside_differences
from snncompile.search.space import Space

torch = pytest.importorskip("torch")
functional = torch.nn.functional
PLAIN = ("-std=c99", "-O1", "-fPIC", "-shared", "-DSNN_COUNT")
"""Flags of the C compiler that build quickly."""


class Layers:
    """The layers of a graph with numbers, in PyTorch and in doubles; and the spikes that were recorded, by name."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.spikes: dict[str, list[Any]] = {}
        self.states: dict[str, Any] = {}

    def _tensors(self, name: str, *attributes: str) -> list[Any]:
        op = self.graph.nodes[name]
        values = [getattr(op, a) for a in attributes]
        return [v if v is None else torch.tensor(np.asarray(v, np.float64)) for v in values]

    def conv(self, name: str, x: Any, *, norm: bool = True, stride: int = 1, padding: int | None = None) -> Any:
        """A convolution and the batch norm behind it."""
        weight, bias = self._tensors(name, "weight", "bias")
        around = weight.shape[-1] // 2 if padding is None else padding
        y = self._step(name, functional.conv2d(x, weight, bias, stride, around))
        return self.norm(f"{name}.norm", y) if norm else y

    def linear(self, name: str, x: Any) -> Any:
        weight, bias = self._tensors(name, "weight", "bias")
        return self._step(name, functional.linear(x.flatten(1), weight, bias))

    def _step(self, name: str, y: Any) -> Any:
        """What stands for the integer 1 of a layer with few bits."""
        if f"{name}.step" not in self.graph.nodes:
            return y
        return self.norm(f"{name}.step", y)

    def norm(self, name: str, y: Any) -> Any:
        factor, bias = self._tensors(name, "factor", "bias")
        return y * factor if bias is None else y * factor + bias

    def fire(self, name: str, x: Any, neuron: Callable[[Any, Any], tuple[Any, Any]]) -> Any:
        """A tick of neurons.

        Args:
            neuron: gives the spikes and the next state for the state, None at first, and the input.
        """
        spikes, self.states[name] = neuron(self.states.get(name), x)
        self.spikes.setdefault(name, []).append(spikes)
        return spikes


def lif(decay: float, threshold: float = 1.0, *, strict: bool = False, gain: float = 1.0
        ) -> Callable[[Any, Any], tuple[Any, Any]]:
    """`v' = decay v + gain x`, a spike, and a reset to 0."""
    def tick(v: Any, x: Any) -> tuple[Any, Any]:
        v = gain * x if v is None else decay * v + gain * x
        spike = (v > threshold if strict else v >= threshold).double()
        return spike, v * (1 - spike)

    return tick


def images(shape: Sequence[int], ticks: int, *, samples: int = 3, seed: int = 0, moving: bool = True) -> Any:
    """Real inputs `[sample, tick, *shape]`; the same in every tick unless they move."""
    rng = np.random.default_rng(seed)
    drawn = rng.normal(0, 1, (samples, ticks if moving else 1, *shape)).clip(-3, 3)
    return np.repeat(drawn, 1 if moving else ticks, 1)


def agree(graph: Graph, x: Any, tick: Callable[[Layers, Any], Any], *, least: float = 0.005) -> None:
    """The graph and a reference emit the same spikes in every population, and the same readout.

    Args:
        x: `[sample, tick, *shape]`.
        tick: computes the readout of one tick from the layers and the input, `[sample, *shape]`.
        least: the least rate of a population, so that spikes are compared where there are some.
    """
    layers = Layers(graph)
    wanted = [tick(layers, torch.tensor(x[:, t])) for t in range(x.shape[1])]
    traces = sc.run(graph, x, record=True)
    assert set(traces.emitted) == set(layers.spikes)
    for name, spikes in layers.spikes.items():
        expected = torch.stack(spikes, 1).numpy()
        assert np.array_equal(traces.emitted[name], expected.reshape(traces.emitted[name].shape)), name
        assert least < expected.mean() < 1 - least, f"{name} fires at {expected.mean():.3f}"
    np.testing.assert_allclose(traces.outputs["output"], torch.stack(wanted, 1).numpy(), atol=1e-9)


def emits_the_same(graph: Graph, x: Any, **options: Any) -> sc.CompiledModel:
    """Compiled to C, the network computes what the integer interpreter computes: outputs, spikes and states."""
    model = sc.compile(graph, "c99", calibration=x, **options)
    given = model.golden.inputs
    wanted = sc.run(model.graph, given, record=True, states=True)
    assert any(np.any(v) for v in wanted.emitted.values())
    if compiler() is not None:
        host = Host.load(model.mapped, build(model.artifact.files, PLAIN))
        assert inside_differences(wanted, host.trace(given)) == []
        assert all(np.array_equal(v, host.run(given)[0][name]) for name, v in wanted.outputs.items())
    return model


def refusal(build: Callable[[], Any]) -> sc.Diagnostic:
    with pytest.raises(sc.CompileError) as e:
        build()
    return e.value.diagnostics[0]


def refuses(build: Callable[[], Any], found: str, expected: str) -> None:
    """A notation is refused (SNN404), with what was found and what was expected."""
    diagnostic = refusal(build)
    assert diagnostic.code == "SNN404"
    assert found in diagnostic.found
    assert expected in diagnostic.expected


def presets_hold(family: Any, skip: Mapping[str, str] | None = None) -> None:
    """Every preset builds, runs on c99, and has the parameters that were printed."""
    from snncompile.search.families.family import parameters

    for name, preset in family.presets.items():
        graph = family.graph(preset.text)
        verdict = sc.check(graph, "c99", cost=False)
        assert verdict.ok, (name, verdict.violations)
        assert preset.source
        assert parameters(graph) > 0
        if preset.parameters is not None:
            assert parameters(graph) == preset.parameters, name


def first_and_last(space: Space) -> None:
    """The candidates at both ends of a space build."""
    for index in (0, space.size - 1):
        assert space.index(space.pick(index)) == index
        assert sc.check(space.build(index), "c99", cost=False).ok
