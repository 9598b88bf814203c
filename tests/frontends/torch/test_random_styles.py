"""Random networks in the styles in which people write them: a few of each style; `tests.long_styles` draws more."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from tests.frontends.torch.style_draws import random_case  # noqa: E402
from tests.frontends.torch.style_networks import STYLES, different, is_active  # noqa: E402

SEEDS = (0, 1)


def test_there_are_styles_of_four_frameworks():
    assert len(STYLES) >= 16
    assert {style.framework for style in STYLES.values()} == {"snntorch", "spikingjelly", "sinabs", "norse"}
    assert {style.form for style in STYLES.values()} == {"tick", "loop", "steps", "merged"}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", STYLES)
def test_networks_of_every_style_are_exact(name):
    pytest.importorskip(STYLES[name].framework)
    for seed in SEEDS:
        case = random_case(name, seed)
        assert different(case, case.graph()) == "", case.forms


@pytest.mark.filterwarnings("ignore")
def test_most_networks_return_something():
    pytest.importorskip("spikingjelly")
    name = next(n for n, style in STYLES.items() if style.framework == "spikingjelly")
    active = [is_active(random_case(name, seed)) for seed in range(20)]
    assert sum(active) > 12


@pytest.mark.filterwarnings("ignore")
def test_a_difference_is_seen():
    """The comparison itself: a network whose weights change after it was loaded."""
    pytest.importorskip("spikingjelly")
    name = "spikingjelly, multi-step"
    case = next(c for c in (random_case(name, seed) for seed in range(99)) if c.net.head.kind == "readout")
    graph = case.graph()
    for p in case.net.head.parameters():
        p.data += 1
    assert "values" in different(case, graph)
