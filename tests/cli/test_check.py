"""`snnc check`."""

from __future__ import annotations

from tests.cli.running import answer, snnc, tidy


def test_a_feasible_network_ends_well_with_margins(files):
    found = answer("check", files / "small.nir", "--target", "loihi2")
    assert found["feasible"]
    assert found["violations"] == []
    assert found["margins"]["cores"] < 0
    assert "feasible on loihi2" in snnc("check", files / "small.nir", "--target", "loihi2").stdout


def test_an_infeasible_network_ends_with_1_and_every_violation(files):
    found = answer("check", files / "small.nir", "--target", "loihi1", code=1)
    assert [v["rule"] for v in found["violations"]] == ["reset", "reset"]
    assert [d["code"] for d in found["diagnostics"] if d["severity"] == "error"] == ["SNN411"]


def test_a_loop_that_is_too_quick_is_named_and_dilating_time_helps(files, tmp_path):
    fast = tmp_path / "slow.toml"
    fast.write_text('title = "slow"\n[timing]\nhop_ticks = 3\ndilation = true\n')
    found = answer("check", files / "small.nir", "--target", fast, code=1)
    (violation,) = found["violations"]
    assert violation["code"] == "SNN302"
    assert "lif1" in violation["place"]
    assert answer("check", files / "small.nir", "--target", fast, "--dilate", 3)["feasible"]
    assert answer("check", files / "small.nir", "--target", fast, "--dilate", "auto")["dilation"] == 3
    assert "(--dilate 3)" in snnc("check", files / "small.nir", "--target", fast, "--dilate", "auto").stdout
    assert "feasible on slow (--dilate 3), c99" in snnc("check", files / "small.nir", "--target", fast, code=1).stdout
    assert answer("check", files / "small.nir", "--dilate", 2, code=2)["diagnostics"][0]["code"] == "SNN404"


def test_a_packing_and_budgets_are_checked_where_asked_for(files):
    graph = files / "small.nir"
    one = answer("check", graph, "--target", "loihi2", "--packed", "--budget", "cores=1", "--budget", "resident_kib=1")
    assert (one["basis"], one["cores"], one["margins"]["budget-cores"]) == ("packing", 1, 0)
    assert "cores used: 1" in snnc("check", graph, "--target", "loihi2", "--packed").stdout
    over = answer("check", graph, "--target", "loihi2", "--budget", "neurons=10", code=1)
    assert [v["rule"] for v in over["violations"]] == ["budget-neurons"]
    shown = snnc("check", graph, "--target", "loihi2", "--budget", "neurons=10", code=1)
    assert "feasible on none of the other targets" in shown.stdout
    for wrong in ("neurons", "neurons=many", "neurones=3", "neurons=0", "energy_uj=1"):
        refused = answer("check", graph, "--target", "loihi2", "--budget", wrong, code=2)
        assert refused["diagnostics"][0]["code"] == "SNN404"


def test_input_that_cannot_be_used_ends_with_2(files, tmp_path):
    assert answer("check", files / "small.nir", "--target", "loihi9", code=2)["diagnostics"][0]["code"] == "SNN404"
    assert answer("check", tmp_path / "none.nir", code=2)["diagnostics"][0]["code"] == "SNN101"
    assert answer("check", files / "small.nir", "--weight-bits", "many", code=2)["diagnostics"][0]["code"] == "SNN404"
    assert answer("check", files / "small.nir", "--weight-bits", "99", code=2)["diagnostics"][0]["code"] == "SNN404"


def test_the_width_of_weights_is_the_users_choice(files):
    rules = [v["rule"] for v in
             answer("check", files / "small.nir", "--target", "loihi2", "--weight-bits", 9, code=1)["violations"]]
    assert set(rules) == {"weight-bits"}


def test_the_cost_is_what_was_assumed(files):
    one = answer("check", files / "small.nir", "--target", "loihi2", "--ticks", 10, "--rate", 0.5)["cost"]
    assert (one["events"], one["profile"]) == (136 * 10 * 0.5, None)
    priced = answer("check", files / "small.nir", "--target", "loihi2", "--profile", "cmos45")["cost"]
    assert priced["total_pj"] == priced["energy_pj"]["synapses"] == 0.9 * priced["events"]
    for wrong in (["--profile", "none"], ["--rate", -1], ["--rate", "nan"], ["--ticks", -1]):
        assert answer("check", files / "small.nir", *wrong, code=2)["diagnostics"][0]["code"] == "SNN404"


def test_an_infeasible_network_reads_well(files, golden):
    shown = snnc("check", files / "small.nir", "--target", "speck2f", code=1)
    golden("cli-check.txt", tidy(shown.stderr + shown.stdout))
