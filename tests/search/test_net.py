import pickle

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.graph import Edge
from snncompile.ir.ops import Conv, MaxPool, SumPool
from snncompile.ir.types import ShapeOnly
from snncompile.search.net import Net
from snncompile.search.numbers import with_random_numbers


def refusal(build):
    with pytest.raises(sc.CompileError) as e:
        build()
    return e.value.diagnostics[0]


def test_layers_stand_one_behind_another_and_have_names_of_their_kind():
    graph = Net((3, 8, 8)).conv(4, 3).norm().lif(decay=0.5).pool(2).linear(10, bias=True).lif(decay=0.5).graph()
    assert list(graph.nodes) == ["input", "conv1", "norm1", "lif1", "avgpool1", "reshape1", "linear1", "lif2", "output"]
    assert graph.shapes["avgpool1"] == (4, 4, 4)
    assert graph.nodes["conv1"].weight == ShapeOnly((4, 3, 3, 3))
    assert graph.nodes["linear1"].bias == ShapeOnly((10,))
    assert sc.check(graph, "c99").ok


@pytest.mark.parametrize(("shape", "layer", "expected"), [
    ((2, 9, 9), lambda net: net.conv(4, 3, stride=2, padding=0), (4, 4, 4)),
    ((2, 9), lambda net: net.conv(4, 3, dilation=2), (4, 9)),
    ((4, 8, 8), lambda net: net.conv(4, 3, groups=4), (4, 8, 8)),
    ((2, 8, 8), lambda net: net.pool(3, kind="max", stride=2, padding=1), (2, 4, 4)),
    ((2, 6, 4), lambda net: net.global_pool(), (2, 1, 1)),
    ((2, 3), lambda net: net.upsample(2), (2, 6)),
    ((2, 3, 3), lambda net: net.flatten(), (18,)),
    ((18,), lambda net: net.flatten(), (18,)),
    ((2, 3, 4), lambda net: net.tokens(), (2, 12)),
    ((2, 12), lambda net: net.tokens(), (2, 12)),
    ((4, 6), lambda net: net.token_mix(heads=2), (4, 6)),
    ((4, 6), lambda net: net.token_mix(3, bias=True), (4, 3)),
    ((2, 3, 3), lambda net: net.scale(0.5).rectify(-1), (2, 3, 3)),
])
def test_a_layer_gives_its_shape(shape, layer, expected):
    assert layer(Net(shape)).shape == expected


def test_branches_are_added_and_put_side_by_side():
    net = Net((4, 8, 8))
    entry = net.tap()
    other = net.conv(4, 3).tap()
    assert net.at(entry).conv(6, 1).concat(other).shape == (10, 8, 8)
    net.at(other).add(entry, delay=2)
    graph = net.graph()
    assert Edge("input", "add2", 2).label in {e.label for e in graph.edges}
    assert [e.delay for e in graph.edges if e.dst == "add2"] == [0, 2]
    assert sc.check(graph, "c99").ok


def test_a_backward_link_is_added_to_what_stood_at_the_tap():
    net = Net((2,))
    entry = net.linear(3).tap()
    last = net.lif(decay=0.5).linear(3).lif(decay=0.5).tap()
    net.back(entry, delay=1)
    graph = net.graph()
    into = {e.src: e.delay for e in graph.edges if e.dst == "add1"}
    assert into == {"linear1": 0, last.name: 1}
    assert {e.dst for e in graph.edges_from["add1"]} == {"lif1"}
    assert not sc.check(graph, "speck2f").ok
    assert sc.check(graph, "c99").ok


def test_two_backward_links_meet_in_one_sum():
    net = Net((2,))
    entry = net.tap()
    net.lif(decay=0.5).back(entry).lif(decay=0.5).back(entry, delay=2)
    assert sorted(e.delay for e in net.graph().edges if e.dst == "add1") == [0, 1, 2]
    assert net.at(entry).tap().name == "add1"


def test_a_backward_link_from_the_place_itself_is_a_loop_of_its_own():
    net = Net((2,))
    net.linear(2).back(net.tap()).lif(decay=0.5)
    graph = net.graph()
    assert ("add1", "add1", 1) in {(e.src, e.dst, e.delay) for e in graph.edges}


def test_a_tensor_may_be_late_before_a_layer():
    net = Net((2,), values="real", low=-1).linear(2, bias=True)
    graph = with_random_numbers(net.late(2).linear(3, bias=True).graph())
    x = np.random.default_rng(0).uniform(-1, 1, (1, 5, 2))
    first, second = graph.nodes["linear1"], graph.nodes["linear2"]
    before = np.concatenate([np.zeros((2, 2)), first.apply(x[0, :3])])
    assert np.allclose(sc.run(graph, x).outputs["output"][0], second.apply(before))


def test_a_place_receives_late_links_alone():
    net = Net((2,))
    entry = net.tap()
    empty = net.place((3,))
    net.at(empty).lif(decay=0.5).linear(3).add(net.at(entry).linear(3).tap()).lif(decay=0.5).back(empty)
    graph = net.graph()
    assert [e.delay for e in graph.edges_into[empty.name]] == [1]
    assert sc.check(graph, "c99").ok


def test_candidates_share_operators():
    def build():
        return Net((3, 8, 8)).conv(4, 3, bits=4).norm().lif(decay=0.5).pool(2).linear(5).lif(decay=0.5).graph()

    one, other = build(), build()
    assert all(one.nodes[n] is other.nodes[n] for n in one.nodes)
    assert Net((3, 8, 8)).conv(4, 3, bits=5).graph().nodes["conv1"] is not one.nodes["conv1"]


def test_parameters_may_be_numbers_arrays_and_bare_shapes():
    net = Net((3,)).neuron("plif", w=ShapeOnly((1,))).neuron("lif", decay=np.array([0.1, 0.2, 0.3]))
    assert sc.check(net.graph(), "c99").ok


@pytest.mark.parametrize(("build", "code", "found"), [
    (lambda: Net((3, 0)), "SNN404", "0"),
    (lambda: Net((3, 8, 8)).conv(4, 0), "SNN404", "0"),
    (lambda: Net((3, 8, 8)).conv(True, 3), "SNN404", "True"),
    (lambda: Net((3, 8, 8)).conv(4, 9, padding=0), "SNN202", "[3, 8, 8]"),
    (lambda: Net((3,)).conv(4, 3), "SNN202", "[3]"),
    (lambda: Net((3,)).pool(2), "SNN202", "[3]"),
    (lambda: Net((3, 8, 8)).pool(2, kind="mean"), "SNN404", "mean"),
    (lambda: Net((3,)).neuron("life"), "SNN404", "life"),
    (lambda: Net((3,)).lif(0.5, treshold=1), "SNN404", "treshold"),
    (lambda: Net((3,)).lif(0.5, name="a").lif(0.5, name="a"), "SNN404", "a"),
    (lambda: Net((3,)).add(Net((4, 4)).conv(2, 3).tap()), "SNN404", "another net"),
    (lambda: Net((1 << 16, 1 << 16)), "SNN205", "4,294,967,296"),
    (lambda: Net((1 << 20,)).linear(1 << 20), "SNN205", "1048576"),
    (lambda: Net((3,), ticks=0), "SNN404", "0"),
])
def test_what_cannot_be_built_is_refused(build, code, found):
    diagnostic = refusal(build)
    assert diagnostic.code == code
    assert found in diagnostic.found


def test_tensors_of_different_shapes_are_not_added():
    net = Net((3,))
    entry = net.tap()
    assert refusal(lambda: net.linear(4).add(entry)).code == "SNN202"


def test_a_candidate_says_its_ticks_for_the_cost():
    def spikes(named=None, given=None):
        return sc.check(Net((4,), ticks=named).linear(5).lif(0.5).graph(), "loihi1", ticks=given).cost.spikes

    assert spikes() == 25 * spikes(named=4)
    assert spikes(named=4, given=8) == 2 * spikes(named=4)


def test_graphs_travel_to_other_processes():
    net = Net((3, 8, 8)).conv(4, 3, bits=4).norm().neuron("qlif", levels=7)
    graph = net.graph()
    again = pickle.loads(pickle.dumps(graph))
    assert str(again) == str(graph)
    assert again.nodes["qlif1"].rule is graph.nodes["qlif1"].rule
    assert sc.check(again, "loihi2").constraints == sc.check(graph, "loihi2").constraints


@pytest.mark.parametrize("op", [
    MaxPool((2, 2), (2, 2), ((0, 0),)), SumPool((2, 2), (0, 1)), Conv(ShapeOnly((3, 2, 3, 3)), None, (1,)),
    Conv(ShapeOnly((3, 2, 3, 3)), None, (1, 1), ((1, 1),)),
], ids=["pads of one axis", "a stride of 0", "strides of one axis", "pads of a convolution"])
def test_an_operator_of_wrong_attributes_is_refused(op):
    assert refusal(lambda: Net((2, 8, 8)).op(op)).code == "SNN203"
