"""`snnc spaces`, `snnc screen`, and candidates as the source of `snnc check`."""

from __future__ import annotations

import pytest

from snncompile.search.families.table import space_of
from tests.cli.running import answer, snnc

SPACE = '''
from snncompile.search import Net, Space

def graph(width, neuron):
    return Net((2, 6, 6)).conv(width, 3).neuron(neuron).linear(5).lif(0.5).graph()

mine = Space("mine", {"width": (2, 40), "neuron": ("if", "lif")}, graph)
other = 3
'''


@pytest.fixture
def spaces(tmp_path):
    path = tmp_path / "spaces.py"
    path.write_text(SPACE)
    return path


def test_families_are_listed_and_shown():
    found = answer("spaces")
    assert found["families"]["stdano"]["title"].startswith("ST-DANO")
    assert "stdano" in snnc("spaces").stdout
    one = answer("spaces", "stdano")
    assert one["spaces"]["resnet18"] == 3**17
    assert one["presets"]["cifar10-resnet18-t2"]["text"] == "resnet18:20002000000001001:cifar10:2"
    assert answer("spaces", "stdona", code=2)["diagnostics"][0]["code"] == "SNN404"


def test_a_candidate_is_checked_by_its_notation():
    assert answer("check", "stdano:vgg11:00011100", "--target", "c99")["feasible"]
    assert answer("check", "stdano:cifar10-resnet18-t2", "--target", "loihi1", code=1)["violations"]
    short = answer("check", "stdano:vgg11:0001110", code=2)["diagnostics"][0]
    assert (short["code"], short["expected"]) == ("SNN404", "expected 8, found 7")
    assert answer("check", "stdano:vgg11:00011100", "--dt", "0.1", code=2)["diagnostics"][0]["code"] == "SNN701"


def test_a_family_alone_stands_for_its_first_space(tmp_path):
    found = answer("screen", "autosnn", "--target", "c99", "--shard", "0/3000", "--out", tmp_path / "out")
    assert found == answer("screen", "autosnn:autosnn-16", "--target", "c99", "--shard", "0/3000", "--out",
                           tmp_path / "out")
    assert space_of("spikenas-bench").size == 15_625


def test_a_space_of_a_file_is_screened_into_files(spaces, tmp_path):
    out = tmp_path / "results"
    found = answer("screen", f"{spaces}:mine", "--target", "loihi2", "--target", "loihi1", "--out", out,
                   "--budget", "cores=1")
    assert found["targets"]["loihi2"]["candidates"] == 4
    assert sorted(p.name for p in out.iterdir()) == ["mine-loihi1-0-of-1.csv", "mine-loihi2-0-of-1.csv"]
    assert "4 of 4" in snnc("screen", f"{spaces}:mine", "--target", "c99", "--out", out).stdout
    packed = answer("screen", f"{spaces}:mine", "--target", "loihi2", "--out", tmp_path / "packed", "--packed")
    assert packed["targets"]["loihi2"]["feasible"] == 4
    part = answer("screen", f"{spaces}:mine", "--target", "c99", "--out", out, "--shard", "1/2")
    assert part["targets"]["c99"]["candidates"] == 2


def test_a_file_that_fails_is_named_with_its_line(tmp_path):
    (tmp_path / "beside.py").write_text("WIDTHS = (1, 2)\n")
    (tmp_path / "broken.py").write_text("from beside import WIDTHS\nmine = WIDTHS[2]\n")
    found = answer("screen", f"{tmp_path / 'broken.py'}:mine", "--target", "c99", "--out", tmp_path / "out", code=2)
    assert found["diagnostics"][0]["code"] == "SNN109"
    assert "broken.py line 2" in found["diagnostics"][0]["place"]


BROKEN = '''
from snncompile.ir.ops import Input
from snncompile.search import Chain, Net, Space

def raising(x):
    raise ValueError("it is " + str(x))

def layer(net, width=(1, 2)):
    net.linear(width / 0)

graphs = Space("raising", {"x": (1, 2)}, raising)
numbers = Space("numbers", {"x": (1, 2)}, lambda x: x)
others = Space("others", {"x": (1, 2)}, lambda y: y)
chain = Chain(Input((2,)), [layer] * 2)
'''


@pytest.mark.parametrize(("name", "found"), [
    ("graphs", "ValueError: it is"), ("numbers", "returned int"), ("others", "unexpected keyword"),
    ("chain", "ZeroDivisionError"),
])
@pytest.mark.parametrize("jobs", [1, 2])
def test_what_functions_of_a_space_raise_is_told_with_their_line(name, found, jobs, tmp_path):
    (tmp_path / "broken.py").write_text(BROKEN)
    told = answer("screen", f"{tmp_path / 'broken.py'}:{name}", "--target", "c99", "--out", tmp_path / "out",
                  "--jobs", jobs, code=2)["diagnostics"][0]
    assert (told["code"], found in told["found"]) == ("SNN109", True)
    assert ("broken.py line" in told["place"]) == (name in ("graphs", "chain"))


@pytest.mark.parametrize("code", [
    "mine = Space(3, {'x': (1,)}, print)", "mine = Space('a', {3: (1,)}, print)",
    "mine = Space('a', {'x': (1,)}, None)",
    "mine = Chain('none', [print])",
])
def test_a_space_of_wrong_parts_is_refused(code, tmp_path):
    (tmp_path / "wrong.py").write_text(f"from snncompile.search import Chain, Space\n{code}\n")
    found = answer("screen", f"{tmp_path / 'wrong.py'}:mine", "--target", "c99", "--out", tmp_path / "out", code=2)
    assert found["diagnostics"][0]["code"] == "SNN404"


@pytest.mark.parametrize(("options", "code"), [
    (["--ticks", 10**20], "SNN404"), (["--seed", "-1"], "SNN404"), (["--sample", "-1"], "SNN404"),
    (["--out", "/dev/null/none"], "SNN602"), (["--out", "\0"], "SNN602"),
])
def test_options_out_of_range_are_refused(options, code, spaces, tmp_path):
    found = answer("screen", f"{spaces}:mine", "--target", "c99", "--out", tmp_path / "out", *options, code=2)
    assert found["diagnostics"][0]["code"] == code


TARGETS = {
    "words": '[memory]\nmodel = "lists"\nword_bits = 4611686018427387904\n',
    "cores": '[network]\nlayer_per_core = true\n[limits]\ncores = 4611686018427387904\n[memory]\nmodel = "flat"\n',
    "nested": "a = " + "[" * 5000, "bytes": "\0\0", "large": "x = 1\n" * 200_000,
}


@pytest.mark.parametrize("name", TARGETS)
def test_a_hostile_target_is_refused(name, tmp_path):
    path = tmp_path / f"{name}.toml"
    path.write_text('title = "x"\n' + TARGETS[name])
    found = answer("check", "stdano:vgg11:00011100", "--target", path, code=2)
    assert found["diagnostics"][0]["code"] in ("SNN102", "SNN103")


@pytest.mark.parametrize(("arguments", "code"), [
    (["{spaces}:other"], "SNN404"), (["{spaces}:none"], "SNN404"), (["none.py:mine"], "SNN101"),
    (["stdano"], "SNN404"), (["stdano:resnet8"], "SNN404"), (["none"], "SNN404"),
    (["{spaces}:mine", "--shard", "2/2"], "SNN701"), (["{spaces}:mine", "--shard", "a"], "SNN701"),
    (["{spaces}:mine", "--format", "xml"], "SNN404"),
])
def test_what_cannot_be_screened_is_refused(arguments, code, spaces, tmp_path):
    given = [a.format(spaces=spaces) for a in arguments]
    found = answer("screen", *given, "--target", "c99", "--out", tmp_path / "out", code=2)
    assert found["diagnostics"][0]["code"] == code
    assert not (tmp_path / "out").exists()
