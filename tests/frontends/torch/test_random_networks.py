"""The graphs of random networks of every framework give exactly the spikes of the framework's own run."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

NETWORKS, CHUNK = 300, 20


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("first", range(0, NETWORKS, CHUNK))
@pytest.mark.parametrize("framework", ["snntorch", "spikingjelly", "sinabs", "norse"])
def test_random_networks_give_the_spikes_of_their_framework(framework, first):
    pytest.importorskip(framework)
    from tests.frontends.torch.random_networks import compare, random_case

    outcomes = {seed: compare(random_case(framework, seed)) for seed in range(first, first + CHUNK)}
    assert {seed: o.wrong for seed, o in outcomes.items() if o.wrong} == {}
    assert sum(o.active for o in outcomes.values()) > 0.4 * sum(o.populations for o in outcomes.values())
