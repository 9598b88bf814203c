"""A kernel from outside is one class: it says where it applies, its layout and cost, and carries its text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest

from snncompile.backends.c.emit import emit
from snncompile.backends.c.host import Host, compiler
from snncompile.backends.plan.kernels import table
from snncompile.backends.plan.kernels.kernel import Scratch, Site, Weighted
from snncompile.backends.plan.plan import plan
from tests.backends.test_kernels import EVENTS, RANGES, applied, conv, linear, network, quick, samples


@dataclass(frozen=True)
class LinearPlain(Weighted):
    """A fully connected layer, computed product by product; the weights are `[in][out]`."""

    name: ClassVar[str] = "linear_plain"
    relative_cost: ClassVar[float] = 0.001
    texts: ClassVar[Mapping[str, str]] = {"c": """\
for (int i = 0; i < {{ k.src.size }}; i++)
    for (int o = 0; o < {{ k.dst.size }}; o++)
        {{ k.dst.text }}[o] = ({{ k.dst.type }})({{ k.dst.text }}[o] + ({{ k.dst.type }}){{ k.src.text }}[i] \
* {{ k.weight.name }}[i * {{ k.dst.size }} + o]);
"""}

    @classmethod
    def applies(cls, site: Site) -> bool:
        return site.linear

    @classmethod
    def make(cls, site: Site) -> LinearPlain:
        return cls(site.source.buffer, site.dst, site.contiguous(site.weight[:, :, 0, 0].T))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "WEIGHTED", (*table.WEIGHTED, LinearPlain))


def chosen(case, costs):
    (population,) = plan(network([case]), {"x0": EVENTS}, costs).populations
    return [type(k).__name__ for k in population.projections[0].kernels]


def test_it_is_chosen_where_it_applies_and_costs_least():
    assert chosen(linear(0, 1), {}) == ["LinearPlain"]
    assert "LinearPlain" not in chosen(conv(0, 1), {})


def test_the_costs_of_a_target_decide():
    assert chosen(linear(0, 1), {"linear_plain": 3.0, "linear_event": 2.0, "linear_dense": 1.0}) == ["LinearEvent"]
    assert chosen(linear(0, 1), {"linear_plain": 3.0, "linear_event": 90.0, "linear_dense": 1.0}) == ["LinearDense"]


@pytest.mark.skipif(compiler() is None, reason="no C compiler")
def test_its_text_is_printed_and_exact():
    cases = [linear(*r) for r in RANGES]
    graph = network(cases)
    files = emit(graph).files
    assert "for (int o = 0; o < 5; o++)" in str(files["kernels.c"])
    x = {f"x{k}": samples(case, k) for k, case in enumerate(cases)}
    outputs, _ = Host.of(graph, {}, quick()).run(x)
    for k, case in enumerate(cases):
        np.testing.assert_array_equal(outputs[f"y{k}"], applied(case, x[f"x{k}"]))


def test_a_kernel_needs_no_scratch_memory_unless_it_says_so():
    (population,) = plan(network([linear(0, 1)]), {}, {}).populations
    assert population.projections[0].kernels[0].scratch == Scratch()
