"""Networks that arrive in integers, such as those of lava-dl, on chips: what is judged, and what the user is told."""

import dataclasses
import re

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.expr import Expr, flatten, minimum, select
from snncompile.ir.graph import Edge, Graph
from snncompile.ir.loihi import LoihiLif
from snncompile.ir.ops import Input, Linear, Output
from snncompile.ir.populations import IntState, Population
from snncompile.ir.types import ShapeOnly, Stage
from snncompile.targets.advice import more_chips, trained_reset
from snncompile.targets.hardware_rules import HARDWARE_RULES
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target

CHIPS = ["loihi1", "loihi2"]


def network(weight, population=None):
    weight = weight if isinstance(weight, ShapeOnly) else np.asarray(weight)
    cells = population or LoihiLif(threshold=40).population()
    return Graph("given", {"in": Input((weight.shape[1],)), "lif": cells, "out": Output()},
                 (Edge("in", "lif", 1, (Linear(weight),)), Edge("lif", "out")), Stage.INT)


def counter(most: int, bits: int) -> Population:
    """Neurons that add up their input until `most`, where they stop, in a state that is declared with `bits` bits."""
    v = minimum(Expr("state", (), "v") + Expr("input"), most)
    return Population(flatten(v >= most, {"v": select(v >= 0, v, 0)}), {}, {"v": IntState(bits)}, rule="if")


def codes(graph: Graph, chip: str) -> set[str]:
    judged = {d.code for d in sc.check(graph, chip).diagnostics}
    try:
        sc.compile(graph, target=chip)
        compiled = set()
    except sc.CompileError as error:
        compiled = {d.code for d in error.diagnostics}
    assert judged == compiled
    return judged


@pytest.mark.parametrize("chip", CHIPS)
def test_loihis_own_current_fits_loihi_whatever_it_reaches(chip):
    decaying = LoihiLif(threshold=40, current_decay=100, voltage_decay=512).population()
    assert decaying.states["u"].bits == 25
    assert codes(network(np.full((4, 6), 30), decaying), chip) == set()
    assert codes(network(np.full((4, 4000), 255), decaying), chip) == set()  # it wraps in 24 bits, as the chip's does


@pytest.mark.parametrize("chip", CHIPS)
def test_states_are_judged_by_what_they_reach(chip):
    assert codes(network([[1, 2]], counter(2**23 - 1, 30)), chip) == set()
    assert codes(network([[1, 2]], counter(2**23, 30)), chip) == {"SNN417"}


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize(("weights", "refused"), [
    ([-178, 192], False), ([-178, 193], True), ([-256, 254], False), ([-258, 254], True), ([-256, 256], True),
    ([-128, 127], False), ([-129, 127], True), ([-128, 128], False), ([-127, 128], True), ([1, 255], False),
    ([1, 256], True), ([-256, -1], False), ([-257, -1], True)])
def test_even_weights_of_both_signs_take_no_further_bit(chip, weights, refused):
    assert codes(network([weights]), chip) == ({"SNN412"} if refused else set())


def test_weights_without_numbers_are_judged_without_ranges():
    assert sc.check(network(ShapeOnly((4, 6))), "loihi1").ok


def test_no_help_names_options_of_quantization():
    table, target = layer_table(network(np.full((4, 6), 30))), load_target("loihi1")
    helps = {name: rule.help if isinstance(rule.help, str) else rule.help(table, target)
             for name, rule in HARDWARE_RULES.items()}
    assert {name: text for name, text in helps.items() if re.search("--[a-z]+-bits", text)} == {}


def test_more_chips_are_named_as_the_user_types_them():
    crowd = network(np.ones((128 * 1024 + 1, 1), np.int64))
    [problem] = [d for d in sc.check(crowd, "loihi1").diagnostics if d.found.endswith("for neurons")]
    named = re.search('--target "(.*)"', problem.help)[1]
    assert named == "loihi1 chips=2"
    assert sc.check(crowd, named).ok


@pytest.mark.parametrize(("typed", "advised"), [
    ("loihi1", '--target "loihi1 chips=2"'), ("loihi2 chips=2", '--target "loihi2 chips=4"'),
    ("loihi2 weight_bits=4 chips=2", '--target "loihi2 weight_bits=4 chips=4"'),
    ("mine.toml", "chips = 2 under [limits]"),
    ("mine.toml cores=3", '--target "mine.toml cores=3 chips=2"')])
def test_more_chips_keep_what_was_typed(typed, advised, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.toml").write_text('title = "mine"\n')
    text = more_chips(load_target(typed), True)
    assert advised in text
    if named := re.search('--target "(.*)"', text):
        assert load_target(named[1]).limits.chips


@pytest.mark.parametrize(("resets", "advised"), [
    (("value", "none"), ["to a value (snnTorch: reset_mechanism=\"zero\", reset_delay=False"]),
    (("subtract",), ["by subtraction (snnTorch: reset_mechanism=\"subtract\""]), (("none",), ["train without a reset"]),
    (("value", "subtract"), ["to a value (", " or by subtraction ("])])
def test_resets_that_the_hardware_has_are_advised(resets, advised):
    target = load_target("loihi1")
    target = dataclasses.replace(target, neurons=dataclasses.replace(target.neurons, resets=resets))
    text = trained_reset(layer_table(network(np.ones((1, 1), int))), target)
    assert [words for words in advised if words not in text] == []
    assert ("subtraction" in text) == ("subtract" in resets)

