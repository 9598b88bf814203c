"""TENNLab networks: spike rasters that its framework prints, and a network of RISP neurons counted by hand.

The rasters are numbers from the tests of TENNLab-UTK/framework-open, whose networks are described in markdown/risp.md
and in Plank et al., ICONS 2021. A raster is a text of 0 and 1, one a tick, by the id of its neuron.
"""

import json

import numpy as np
import pytest

import snncompile as sc
from snncompile.search.families import risp, tennlab
from snncompile.search.families.family import MAX_NESTING
from snncompile.search.numbers import with_random_numbers
from tests.search.families.reference import emits_the_same, presets_hold, refusal, refuses

REAL = {"min_weight": -1, "max_weight": 1, "leak_mode": "none", "min_threshold": -1, "max_threshold": 1,
        "min_potential": -1, "max_delay": 15, "discrete": False}
"""The parameters of RISP-F."""
FIVE = [(1, 0, 1, 1), (2, 0, -1, 1), (0, 0, 1, 1), (0, 3, 1, 1), (0, 4, 1, 1), (4, 4, 1, 1)]
"""The synapses of the network of the first tests: 0 Main, 1 On, 2 Off, 3 Out, 4 Bias."""
XOR = [(0, 2, 1, 1), (0, 3, -1, 1), (1, 2, -1, 1), (1, 3, 1, 1), (2, 4, 1, 1), (3, 4, 1, 1)]


def five(changes=(), thresholds=(1,) * 5, parameters=None, leaks=None):
    changed = {(s, t): (w, d) for s, t, w, d in changes}
    synapses = [(s, t, *changed.get((s, t), (w, d))) for s, t, w, d in FIVE]
    return tennlab.written(thresholds, synapses, [0, 1, 2], [3, 4], parameters or risp.risp(1), leaks)


NETS = {
    "17": (five(), {0: [0], 2: [15], 1: [20]}, {
        0: "1111111111" "11111" "1000001111", 1: "0000000000" "00000" "0000010000",
        2: "0000000000" "00000" "1000000000", 3: "0111111111" "11111" "1100000111",
        4: "0111111111" "11111" "1111111111"}),
    "18": (five([(1, 0, 1, 4), (2, 0, -1, 5)]), {0: [0], 2: [0, 10], 1: [10]}, {
        0: "1111100000" "000" "01000", 1: "0000000000" "100" "00000", 2: "1000000000" "100" "00000",
        3: "0111110000" "000" "00100", 4: "0111111111" "111" "11111"}),
    "19": (five([(0, 0, 1, 2)]), {0: [0], 1: [10], 2: [20]}, {
        0: "1010101010" "1111111111" "1010101010", 1: "0000000000" "1000000000" "0000000000",
        2: "0000000000" "0000000000" "1000000000", 3: "0101010101" "0111111111" "1101010101",
        4: "0111111111" "1111111111" "1111111111"}),
    "20": (five([(0, 3, 0.5, 1)], parameters=REAL), {0: [0], 2: [10, 21], 1: [20]}, {
        0: "1111111111" "1000000000" "0100000000", 1: "0000000000" "0000000000" "1000000000",
        2: "0000000000" "1000000000" "0100000000", 3: "0010101010" "1000000000" "0010000000",
        4: "0111111111" "1111111111" "1111111111"}),
    "21": (five([(0, 3, 0.5, 1)], parameters={**REAL, "leak_mode": "all"}), {0: [0]}, {
        0: "1111111111", 1: "0000000000", 2: "0000000000", 3: "0000000000", 4: "0111111111"}),
    "22": (five([(0, 3, 0.5, 1)], parameters={**REAL, "leak_mode": "configurable"}, leaks=(1, 1, 1, 0, 1)), {0: [0]}, {
        0: "1111111111", 1: "0000000000", 2: "0000000000", 3: "0010101010", 4: "0111111111"}),
    "25": (five(thresholds=(1, 1, 1, 3, 1), parameters={**risp.risp(7), "spike_value_factor": 7}), {0: [0]}, {
        0: "111111111111", 1: "0" * 12, 2: "0" * 12, 3: "000100100100", 4: "011111111111"}),
    "10": (tennlab.written([1] * 6, [*XOR, (0, 5, 1, 1), (5, 5, -1, 1), (5, 4, 1, 1)], [0, 1], [4],
                           risp.risp(1, leak="all")), {0: [0, 2, 3, 4, 6, 7], 1: [0, 2, 4, 5, 6, 7]}, {
        0: "101110110", 1: "101011110", 2: "000010000", 3: "000000100", 4: "001011111", 5: "010101010"}),
    "44": (tennlab.written(
        [0, *[1] * 10], [(0, 2, 1, 8), (0, 3, -1, 4), (0, 9, 1, 5), (1, 8, 1, 5), (3, 5, 1, 8), (3, 9, -1, 12),
                         (4, 9, 1, 10), (5, 10, 1, 5), (6, 0, 1, 10), (6, 9, 1, 11), (7, 8, 1, 8), (7, 10, 1, 3),
                         (10, 0, -1, 1)], list(range(8)), [8, 9, 10], risp.risp(1)),
        {0: [0, 3, 6, 9], 3: [0], 4: [0, 3, 6], 7: [0, 3]}, {
        0: "100100100100000000", 1: "0" * 18, 2: "000000001001001001", 3: "100000000000000000", 4: "100100100000000000",
        5: "000000001000000000", 6: "0" * 18, 7: "100100000000000000", 8: "000000001001000000",
        9: "000001001011001010", 10: "000100100000010000"}),
}


def spikes(text, times, ticks):
    inputs = json.loads(text)["Inputs"]
    x = np.zeros((1, ticks, len(inputs)))
    for neuron, when in times.items():
        x[0, when, inputs.index(neuron)] = 1
    return x


def rasters(text, emitted):
    """What each neuron emits, by its id."""
    found = json.loads(text)
    ids = [node["id"] for node in found["Nodes"]]
    groups = {"hidden": [i for i in ids if i not in found["Outputs"]], "out": found["Outputs"]}
    return {i: "".join(str(int(v)) for v in emitted[group][0, :, place])
            for group, members in groups.items() for place, i in enumerate(members)}


@pytest.mark.parametrize("name", NETS)
def test_the_interpreter_and_the_c_print_the_rasters_of_the_framework(name):
    text, times, wanted = NETS[name]
    x = spikes(text, times, len(wanted[0]))
    graph = tennlab.graph(text)
    assert rasters(text, sc.run(graph, x, record=True).emitted) == wanted
    model = emits_the_same(graph, x)
    assert rasters(text, model.trace(x).emitted) == wanted


def by_hand(text, x):
    """RISP tick by tick, from its description; what each neuron emits, by its id."""
    found = json.loads(text)
    parameters = found["Associated_Data"]["proc_params"]
    charge = {node["id"]: 0.0 for node in found["Nodes"]}
    fired = {i: [] for i in charge}
    value = parameters.get("spike_value_factor", parameters["max_weight"])
    for t in range(len(x)):
        arrived = {i: [] for i in charge}
        for place, i in enumerate(found["Inputs"]):
            arrived[i] += [value] if x[t, place] else []
        for edge in found["Edges"]:
            weight, delay = edge["values"]
            arrived[edge["to"]] += [weight] if t >= delay and fired[edge["from"]][t - delay] else []
        for node in found["Nodes"]:
            i, threshold = node["id"], node["values"][0]
            charge[i] += sum(arrived[i])
            reached = charge[i] > threshold or (charge[i] == threshold and parameters["threshold_inclusive"])
            fired[i].append(bool(arrived[i]) and reached)
            leaks = {"all": True, "none": False}.get(parameters["leak_mode"], node["values"][-1])
            charge[i] = 0.0 if fired[i][t] or leaks else max(charge[i], parameters["min_potential"])
    return {i: "".join(str(int(s)) for s in when) for i, when in fired.items()}


@pytest.mark.parametrize("seed", range(6))
def test_random_networks_are_counted_by_hand(seed):
    """Half of the networks have neurons with the threshold 0; every leak and comparison has a turn."""
    rng = np.random.default_rng(seed)
    n, leak = 14, ("none", "all", "configurable")[seed % 3]
    pairs = rng.permutation(n * n)[:70]
    synapses = [(int(p // n), int(p % n), int(rng.integers(-7, 8)), int(rng.integers(1, 6))) for p in pairs]
    thresholds = [int(t) for t in rng.integers(seed % 2, 8, n)]
    parameters = {**risp.risp(7, leak=leak), "threshold_inclusive": seed != 3, "min_potential": -5}
    leaks = tuple(map(int, rng.integers(0, 2, n))) if leak == "configurable" else None
    text = tennlab.written(thresholds, synapses, [0, 1, 2, 3], [9, 3, 12], parameters, leaks)
    x = (rng.random((1, 40, 4)) < 0.4).astype(np.float64)
    graph = tennlab.graph(text)
    wanted = by_hand(text, x[0])
    assert 20 < sum(raster.count("1") for raster in wanted.values()) < 400
    assert rasters(text, sc.run(graph, x, record=True).emitted) == wanted
    assert rasters(text, emits_the_same(graph, x).trace(x).emitted) == wanted


def test_a_potential_equal_to_the_threshold_may_not_fire():
    """The first part of test 24: nothing fires, and the potential stays at 1."""
    text = five(parameters={**REAL, "threshold_inclusive": False, "spike_value_factor": 1})
    traces = sc.run(tennlab.graph(text), spikes(text, {0: [0]}, 5), record=True, states=True)
    assert set("".join(rasters(text, traces.emitted).values())) == {"0"}
    assert traces.states["hidden"]["v"][0, -1].tolist() == [1, 0, 0]


def test_firing_like_ravens_is_seen_a_tick_later():
    text, times, wanted = NETS["18"]
    late = tennlab.graph(text.replace('"discrete":true', '"discrete":true,"fire_like_ravens":true'))
    x = spikes(text, times, len(wanted[0]))
    first, shifted = (sc.run(g, x).outputs["output"][0] for g in (tennlab.graph(text), late))
    assert first.any()
    assert not shifted[0].any()
    assert np.array_equal(first[:-1], shifted[1:])


def test_a_listed_weight_is_named_by_its_place():
    parameters = {"weights": [-3, 2, 5], "inputs_from_weights": True, "min_threshold": 1, "max_threshold": 9,
                  "min_potential": -9, "max_delay": 3, "discrete": True}
    graph = tennlab.graph(tennlab.written([5, 7], [(0, 1, 1, 2)], [0, 1], [0, 1], parameters))
    weights = {name: op.weight.tolist() for name, op in graph.nodes.items() if hasattr(op, "weight")}
    assert weights == {"in.out.0": [[5, 0], [0, 5]], "out.out.2": [[0, 0], [2, 0]]}


def test_presets_hold_and_have_numbers_already():
    presets_hold(tennlab.FAMILY)
    text = tennlab.FAMILY.presets["and"].text
    graph = tennlab.graph(text)
    assert str(with_random_numbers(graph)) == str(graph)
    x = spikes(text, {0: [1, 3], 1: [2, 3]}, 5)
    assert rasters(text, sc.run(graph, x, record=True).emitted)[2] == "00001"


def altered(**changes):
    found = json.loads(tennlab.FAMILY.presets["xor"].text)
    for key, value in changes.items():
        *path, last = key.split("__")
        place = found
        for part in path:
            place = place[int(part) if part.isdigit() else part]
        place[int(last) if last.isdigit() else last] = value
    return json.dumps(found)


PARAMS = "Associated_Data__proc_params__"


@pytest.mark.parametrize(("text", "found", "expected"), [
    ("", '""', "JSON"),
    ("[1]", "[1]", "an object"),
    ("{}", "no proc_params", "proc_params"),
    ("[" * (MAX_NESTING + 1), "9 deep", "at most 8"),
    (altered(Associated_Data__other__proc_name="caspian"), "caspian", "risp"),
    (altered(**{PARAMS + "noisy_stddev": 0.1}), "0.1", "no noise"),
    (altered(**{PARAMS + "stds": [0.1]}), "0.1", "no noise"),
    (altered(**{PARAMS + "min_potential": 1}), "1", "0 or less"),
    (altered(**{PARAMS + "leak_mode": "half"}), "half", "none, all or configurable"),
    (altered(**{PARAMS + "max_delay": "x"}), "x", "a number"),
    (altered(**{PARAMS + "plasticity": 1}), "plasticity", "fire_like_ravens"),
    (altered(**{PARAMS + "discrete": 1}), "1", "true or false"),
    (altered(**{PARAMS + "weights": [2, 1]}), "2, 1", "rising order"),
    (altered(**{PARAMS + "leak_mode": "configurable"}), "no such entry", "Leak"),
    (altered(Properties=[]), "[]", "an object"),
    (altered(Nodes=5), "5", "a list"),
    (altered(Nodes__0__values=[]), "[]", "the Threshold"),
    (altered(Nodes__0__values=[9]), "9", "0 to 1"),
    (altered(Nodes__0__values=[0.5]), "fractions", "whole thresholds"),
    (altered(Nodes__0__id=1), "same id", "an id for each"),
    (altered(Nodes__0__id=-1), "-1", "a whole number"),
    (altered(Nodes__0__id=True), "True", "a number"),
    (altered(Edges__0__to=99), "99", "the ids of two nodes"),
    (altered(Edges__0__values=[1, 0]), "0", "1 to 15"),
    (altered(Edges__0__values=[1, 16]), "16", "1 to 15"),
    (altered(Edges__0__values=[1, 1.5]), "1.5", "a whole number"),
    (altered(Edges__0__values=[2, 1]), "2", "-1 to 1"),
    (altered(Edges__1__to=2), "two synapses", "one"),
    (altered(Inputs=[]), "[]", "one or more"),
    (altered(Inputs=[0, 0]), "0, 0", "each once"),
    (altered(Outputs=[7]), "7", "ids of nodes"),
    (altered(Outputs=[4], Edges=[]), "nothing leads to", "a synapse"),
    (altered(Nodes__0__values=[0], **{PARAMS + "discrete": False}), "0", "discrete true"),
    (altered(Nodes__0__values=[0], **{PARAMS + "spike_value_factor": 20000}), "20000", "32,767"),
])
def test_what_is_no_network_of_risp_is_refused(text, found, expected):
    refuses(lambda: tennlab.graph(text), found, expected)


def test_a_network_of_too_many_weights_is_refused():
    n = 5000
    text = tennlab.written([1] * n, [(0, 1, 1, 1)], [0], [n - 1, 1], risp.risp(1))
    assert sum(op.weight.size for op in tennlab.graph(text).nodes.values() if hasattr(op, "weight")) < 1 << 16
    text = tennlab.written([1] * n, [(0, 1, 1, 1)], [0], [2], risp.risp(1))
    assert refusal(lambda: tennlab.graph(text)).code == "SNN205"
