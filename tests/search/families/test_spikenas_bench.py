"""SpikeNAS-Bench: the published counts and accuracies, the networks without a way, and PyTorch."""

import csv
import math
from functools import partial

import pytest

import snncompile as sc
from snncompile.cost.estimate import ASSUMED_RATE
from snncompile.search.families import spikenas_bench as bench
from snncompile.search.families.cells import Skeleton, network
from snncompile.search.families.family import parameters
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import (
    agree,
    emits_the_same,
    functional,
    images,
    presets_hold,
    refusal,
    refuses,
    torch,
)
from tests.search.families.test_snasnet import SMALL

SKELETON = Skeleton(4, 2, 12, 2)


@pytest.fixture(scope="module")
def sample(shared_data):
    """The rows of the benchmark that are here: id, parameters, accuracy in percent, firing rates."""
    path = shared_data / "spikenas_bench" / "cifar10_sample.csv"
    if not path.is_file():
        pytest.skip(f"{path.name} is not among the real data")
    with path.open() as file:
        return [(int(row["id"]), int(row["params"]), float(row["test_acc"]),
                 [float(r) for r in row["firing_rates"].split(",")]) for row in csv.DictReader(file)]


def test_published_parameters_are_those_of_every_row(sample):
    assert len(sample) == 1953
    assert [i for i, count, _, _ in sample if bench.published_parameters(i) != count] == []


def test_networks_without_a_way_are_those_that_learn_nothing(sample):
    assert [i for i, _, accuracy, _ in sample if bench.is_live(i) == (accuracy == 10.0)] == []
    assert sum(not bench.is_live(i) for i, *_ in sample) == 45


def test_341_networks_have_no_way():
    """Against the operations that reach the output, computed forward from the input."""
    def reaches(index):
        m = bench.matrix(index)
        first = m[0][1] > 0
        second = m[0][2] > 0 or (first and m[1][2] > 0)
        return m[0][3] > 0 or (first and m[1][3] > 0) or (second and m[2][3] > 0)

    dead = [i for i in range(bench.SIZE) if not bench.is_live(i)]
    assert len(dead) == 341
    assert dead == [i for i in range(bench.SIZE) if not reaches(i)]
    assert 9750 in dead


def test_graphs_have_the_published_parameters_where_all_links_are_on_a_way(sample):
    """637 of the 1,908 live rows have a convolution on no way; in 345 of them the input does not reach one."""
    fewer = unreached = 0
    for index, count, _, _ in sample:
        if not bench.is_live(index):
            assert refusal(partial(bench.network_of, index)).code == "SNN201"
            continue
        compiled = parameters(bench.network_of(index))
        matrix = bench.matrix(index)
        idle = sum(matrix[i][j] > 1 for i, j in bench.PAIRS if (i, j) not in bench.live_links(matrix))
        assert count - compiled == idle * (128 * 128 * 9 + 256 + 256 * 256 * 9 + 512)
        fewer += idle > 0
        first = matrix[0][1] > 0
        second = matrix[0][2] > 0 or (first and matrix[1][2] > 0)
        unreached += any(matrix[i][j] > 1 and not (first, second)[i - 1] for i, j in ((1, 2), (1, 3), (2, 3)))
    assert (fewer, unreached) == (637, 345)


def test_published_rates_are_those_of_the_populations(sample):
    for index, _, accuracy, published in sample[:200]:
        rates = bench.rates(published)
        if accuracy > 10 and parameters(bench.network_of(index)) == bench.published_parameters(index):
            assert set(rates) == set(bench.network_of(index).populations)
        assert all(0 <= rate <= 1 for rate in rates.values())


def test_published_rates_give_the_spikes_of_a_sample(sample):
    """The spikes of a cost are the printed mean rate, times all neurons that are rated, times ticks."""
    for index, _, accuracy, published in sample[:40]:
        if accuracy <= 10:
            continue
        graph = bench.network_of(index)
        rates = {name: rate for name, rate in bench.rates(published).items() if name in graph.populations}
        cost = sc.check(graph, "loihi2", rate=rates).cost
        neurons = {name: math.prod(graph.shapes[name]) for name in rates}
        assert cost.ticks == 5 + cost.latency_ticks
        others = 5 * ASSUMED_RATE * (cost.neurons - sum(neurons.values()))  # sums, and the ten classes
        assert cost.spikes - others == pytest.approx(5 * sum(rates[n] * neurons[n] for n in rates))
        if set(rates) == set(bench.rates(published)):
            assert cost.spikes - others == pytest.approx(5 * published[-1] * sum(neurons.values()), rel=0.02)


def test_the_mean_over_all_neurons_is_printed_last(sample):
    """Which also shows the order of the three populations outside the cells, since their sizes differ."""
    neurons = {"cell1": 128 * 1024, "cell2": 256 * 256, "down.lif": 128 * 1024, "last.lif": 256 * 256,
               "hidden.lif": 1024}
    for index, _, _, published in sample:
        rates = bench.rates(published)
        sizes = {name: neurons.get(name) or neurons[name.split(".")[1]] for name in rates}
        mean = sum(rates[n] * sizes[n] for n in rates) / sum(sizes.values())
        assert mean == pytest.approx(published[-1], abs=0.0011), index


def test_numbers_are_those_of_the_benchmark():
    assert bench.matrix(3113) == ((0, 3, 2, 4), (0, 0, 4, 4), (0, 0, 0, 0), (0, 0, 0, 0))
    assert bench.matrix(14862) == ((0, 2, 2, 4), (0, 0, 3, 3), (0, 0, 0, 4), (0, 0, 0, 0))
    assert bench.published_parameters(12617) == 20_131_812
    space = bench.FAMILY.spaces["cifar10"]()
    assert space.size == bench.SIZE
    assert str(space.build(12617)) == str(bench.graph("12617"))


def test_presets_build():
    presets_hold(bench.FAMILY)


def cell(layers, x, matrix, name):
    """Node by node; neurons of a threshold of 0.5, 1 or 1.5 in front of a convolution."""
    nodes = [x]
    for j in (1, 2, 3):
        total = 0.0
        for i in range(j):
            op = matrix[i][j]
            if op == 1:
                total = total + nodes[i]
            elif op:
                spikes = layers.fire(f"lif{i}{j}.{name}", nodes[i], lif({2: 0.5, 3: 1.0, 4: 1.5}[op]))
                total = total + layers.conv(f"conv{i}{j}.{name}", spikes)
        nodes.append(total)
    return nodes[3]


def lif(threshold=1.0):
    def tick(v, x):
        v = torch.zeros_like(x) if v is None else v
        v = v + (x - v) / (4 / 3)
        spike = (v >= threshold).double()
        return spike, v * (1 - spike)

    return tick


def reference(index):
    matrix = bench.matrix(index)

    def tick(layers, x):
        y = layers.norm("down.norm", cell(layers, layers.conv("stem", x), matrix, "cell1"))
        y = layers.conv("down", layers.fire("down.lif", y, lif()), norm=False)
        y = functional.avg_pool2d(layers.norm("down.conv.norm", y), 2)
        y = layers.fire("last.lif", layers.norm("last.norm", cell(layers, y, matrix, "cell2")), lif())
        y = layers.fire("hidden.lif", layers.linear("hidden", functional.avg_pool2d(y, 2)), lif())
        return functional.avg_pool1d(layers.linear("votes", y)[:, None], 2)[:, 0]

    return tick


def small(index):
    return with_random_numbers(network(bench.matrix(index), bench.operate, SMALL, SKELETON, name="small"), 5, gain=1.5)


@pytest.mark.parametrize("index", [14862, 14812, 7312, 13181])
def test_pytorch_computes_the_same_spikes(index):
    agree(small(index), images(SMALL.shape, 5, moving=False), reference(index))


def test_emitted_c_computes_what_the_interpreter_computes():
    emits_the_same(small(14862), images(SMALL.shape, 5, moving=False))


def test_a_network_without_a_way_is_refused_with_its_number():
    diagnostic = refusal(lambda: bench.graph("9750"))
    assert diagnostic.code == "SNN201"
    assert "spikenas-bench:9750" in diagnostic.place
    assert diagnostic.help


def test_verdicts_depend_on_the_hardware():
    assert sc.check(bench.graph("12617"), "c99").ok
    assert not sc.check(bench.graph("12617"), "loihi1").ok


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("15625", '"15625"', "0 to 15,624"), ("-1", '"-1"', "0 to 15,624"), ("x", '"x"', "0 to 15,624"),
    ("1:tiny", '"tiny"', "cifar10"), ("", '""', "a whole number")])
def test_what_is_no_number_is_refused(text, found, expected):
    refuses(lambda: bench.graph(text), found, expected)
