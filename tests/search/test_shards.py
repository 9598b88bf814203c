import csv
import dataclasses
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from functools import partial

import numpy as np
import pytest

import snncompile as sc
from snncompile.ir.ops import Input
from snncompile.search import Chain, Space, screen, screen_files, shards, variants
from snncompile.search.families.stdano import space as stdano
from snncompile.search.net import Net
from snncompile.search.results import Writing, counted
from snncompile.search.screening import chosen


def graph(width, kernel, neuron):
    return Net((2, 6, 6)).conv(width, kernel, padding=0).neuron(neuron).linear(5).lif(0.5).graph()


SPACE = Space("small", {"width": (2, 40), "kernel": (1, 3, 9), "neuron": ("if", "lif")}, graph)
TARGETS = ["loihi2", sc.load_target("loihi1").with_(cores=1, neurons_per_core=300)]


def refused(call):
    with pytest.raises(sc.CompileError) as e:
        call()
    return str(e.value)


def read(path):
    with open(path, newline="") as file:
        about = json.loads(file.readline().removeprefix("# "))
        return about, list(csv.DictReader(file))


def test_a_file_says_what_was_screened_and_what_was_found(tmp_path):
    paths = screen_files(SPACE, TARGETS, tmp_path / "new", shards=2, file_format="csv", budget={"cores": 3})
    assert [p.name for p in paths] == [f"small-{t}-{i}-of-2.csv" for i in range(2) for t in ("loihi2", "loihi1")]
    about, rows = read(paths[1])
    assert (about["space"], about["target"], about["version"], about["shard"]) == ("small", "loihi1", sc.__version__,
                                                                                   [0, 2])
    rows += read(paths[3])[1]
    assert [int(row["index"]) for row in rows] == list(range(12))
    for row in rows:
        pick = {n: row[f"choice {n}"] for n in SPACE.choices}
        assert pick == {n: str(v) for n, v in SPACE.pick(int(row["index"])).items()}
        try:
            verdict = sc.check(SPACE.build(int(row["index"])), TARGETS[1], budget={"cores": 3})
        except sc.CompileError:  # a kernel of 9 does not fit
            assert (row["valid"], row["ok"], row["broken"], row["choice kernel"]) == ("False", "False", "network", "9")
            continue
        assert set(row["broken"].split()) == {v.rule for v in verdict.violations}
        assert {n.removeprefix("rule "): float(v) for n, v in row.items() if n.startswith("rule ")} \
            == verdict.constraints
        assert float(row["cost synapses"]) == verdict.cost.synapses
    count = counted(paths, "csv")["loihi1"]
    assert (count.candidates, count.feasible, count.broken["network"]) == (12, sum(r["ok"] == "True" for r in rows), 4)


def test_parquet_holds_the_same(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    [path] = screen_files(SPACE, "loihi2", tmp_path, file_format="parquet")
    [text] = screen_files(SPACE, "loihi2", tmp_path, file_format="csv")
    table, (about, rows) = pq.read_table(path), read(text)
    assert json.loads(table.schema.metadata[b"snncompile"]) == about
    assert table.column_names == list(rows[0])
    assert [str(v) for v in table["cost synapses"].to_pylist()] == [r["cost synapses"] for r in rows]
    assert counted([path], "parquet") == counted([text], "csv")


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_candidates_are_written_part_after_part(tmp_path, monkeypatch, file_format):
    """Some parts hold only candidates that are no networks, which have no costs."""
    pytest.importorskip("pyarrow")
    [whole] = screen_files(SPACE, "loihi2", tmp_path / "whole", file_format=file_format)
    monkeypatch.setattr(shards, "PART", 2)
    [parts] = screen_files(SPACE, "loihi2", tmp_path / "parts", file_format=file_format)
    if file_format == "csv":
        assert parts.read_bytes() == whole.read_bytes()
    else:
        import pyarrow.parquet as pq
        one, other = pq.read_table(parts), pq.read_table(whole)
        assert one.schema.equals(other.schema, check_metadata=True)
        assert str(one.to_pylist()) == str(other.to_pylist())


def test_a_part_that_fails_leaves_no_file(tmp_path, monkeypatch):
    fewer = Space("fewer", {"width": (2, 3), "fail": (0, 1)}, lambda width, fail: graph(width // (1 - fail), 1, "if"))
    monkeypatch.setattr(shards, "PART", 1)
    with pytest.raises(Exception, match="division or modulo by zero"):
        screen_files(fewer, "loihi2", tmp_path, file_format="csv")
    assert not list(tmp_path.glob("*.csv"))


def test_only_errors_of_the_file_are_told_as_such(tmp_path):
    path = tmp_path / "a.csv"

    def failing():
        with Writing(path, {}, "csv") as file:
            file.add({"index": np.arange(2)})
            raise ValueError("of another part")

    with pytest.raises(ValueError, match="of another part"):
        failing()
    assert not path.exists()
    (tmp_path / "file").touch()
    with Writing(tmp_path / "file" / "a.csv", {}, "csv") as file:
        assert "SNN602" in refused(lambda: file.add({"index": np.arange(2)}))


def test_one_rate_holds_for_all_candidates():
    assert "option rate" in refused(lambda: screen(SPACE, "loihi2", rate={"lif1": 0.1}))


def test_no_file_holds_more_than_can_be_looked_at(tmp_path):
    message = refused(lambda: screen_files(stdano("resnet18"), "c99", tmp_path, file_format="csv"))
    assert "129,140,163 candidates" in message
    assert "8 shards or more" in message
    huge = Space("huge", dict.fromkeys("abcde", range(1 << 16)), lambda **values: graph(2, 1, "if"))
    message = refused(lambda: screen_files(huge, "c99", tmp_path, shards=9, file_format="csv"))
    assert f"{1 << 80:,} candidates in 9 files" in message
    path, = screen_files(huge, "c99", tmp_path, shards=1 << 79, only=[1 << 78], file_format="csv")
    assert [row["index"] for row in read(path)[1]] == [str(1 << 79), str((1 << 79) + 1)]


def test_no_more_is_screened_than_memory_holds():
    huge = Space("huge", dict.fromkeys("ab", range(1 << 16)), lambda a, b: graph(2, 1, "if"))
    for margins, cost, most in ((True, False, "8,388,608"), (False, True, "8,388,608"), (False, False, "268,435,456")):
        message = refused(partial(screen, huge, "c99", margins=margins, cost=cost))
        assert f"at most {most}" in message
        assert f"{1 << 32:,} candidates" in message


def test_a_choice_of_too_many_values_is_refused_before_it_is_listed():
    assert "more than 65,536 values" in refused(lambda: Space("huge", {"a": range(1 << 60)}, graph))


def test_shards_processes_and_orders_give_equal_files(tmp_path):
    one = screen_files(SPACE, TARGETS, tmp_path / "one", shards=3, file_format="csv", sample=7, seed=3)
    two = screen_files(SPACE, TARGETS, tmp_path / "two", shards=3, file_format="csv", sample=7, seed=3, jobs=2)
    for number in (2, 0, 1):
        screen_files(SPACE, TARGETS, tmp_path / "three", shards=3, only=[number], file_format="csv", sample=7, seed=3)
    for path, other in zip(one, two, strict=True):
        assert path.read_bytes() == other.read_bytes() == (tmp_path / "three" / path.name).read_bytes()


def test_tasks_of_ray_give_equal_files(tmp_path):
    ray = pytest.importorskip("ray")
    one = screen_files(SPACE, TARGETS, tmp_path / "one", shards=3, file_format="csv", sample=7, seed=3)
    layers = Chain(Input((2, 6, 6)), [lambda net, width=(3, 4): net.conv(width, 3).lif(0.5)] * 3)
    two = screen_files(layers, TARGETS, tmp_path / "one", shards=3, file_format="csv")
    try:
        for space, options, paths in ((SPACE, {"sample": 7, "seed": 3}, one), (layers, {}, two)):
            found = screen_files(space, TARGETS, tmp_path / "ray", shards=3, file_format="csv", engine="ray", jobs=2,
                                 **options)
            assert [p.read_bytes() for p in found] == [p.read_bytes() for p in paths]
    finally:
        ray.shutdown()


SLOW = '''
import time
from functools import partial
from snncompile.search import Net, Space

def graph(width, kernel):
    time.sleep(0.02)
    return Net((2, 6, 6)).conv(width, kernel).lif(0.5).linear(5).lif(0.5).graph()

mine = Space("slow", {"width": range(1, 13), "kernel": (1, 3)}, graph)
'''


@pytest.mark.skipif(os.name == "nt", reason="there is no signal 9")
def test_a_run_that_is_killed_in_a_shard_goes_on_when_it_is_repeated(tmp_path):
    """`kill -9` after the first shard, then the same command: the files are those of a run that nothing disturbed."""
    (tmp_path / "spaces.py").write_text(SLOW)
    command = [sys.executable, "-m", "snncompile", "screen", f"{tmp_path / 'spaces.py'}:mine", "--target", "loihi2",
               "--jobs", "4", "--out"]
    killed = subprocess.Popen([*command, tmp_path / "killed"], start_new_session=True, stdout=subprocess.DEVNULL)
    while not list((tmp_path / "killed").glob("slow-*.csv")) and killed.poll() is None:
        time.sleep(0.005)
    os.killpg(killed.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    done = {p: p.stat().st_mtime_ns for p in (tmp_path / "killed").glob("slow-*.csv")}
    assert 1 <= len(done) < 4
    for folder in ("killed", "undisturbed"):
        subprocess.run([*command, tmp_path / folder], check=True, stdout=subprocess.DEVNULL)
    whole = sorted((tmp_path / "undisturbed").iterdir())
    assert [p.name for p in whole] == [f"slow-loihi2-{i}-of-4.csv" for i in range(4)]
    for path in whole:
        assert (tmp_path / "killed" / path.name).read_bytes() == path.read_bytes()
    assert {p: p.stat().st_mtime_ns for p in done} == done
    assert len(list((tmp_path / "killed").iterdir())) == 4


def test_targets_whose_names_are_alike_have_files_of_their_own(tmp_path):
    long = [dataclasses.replace(sc.load_target("loihi2"), name="a" * 90 + end) for end in "12"]
    alike = [dataclasses.replace(sc.load_target("loihi2"), name=name) for name in ("a b", "a_b", "a=b")]
    paths = screen_files(SPACE, [*long, *alike], tmp_path, file_format="csv")
    assert len(set(paths)) == 5
    assert [read(p)[0]["target"] for p in paths] == [t.name for t in (*long, *alike)]


def test_a_space_whose_code_was_changed_is_not_taken_for_the_one_before(tmp_path):
    screen_files(SPACE, "loihi2", tmp_path, file_format="csv")
    changed = Space("small", SPACE.choices, lambda width, kernel, neuron: graph(width, kernel, "if"))
    assert "another screening" in refused(lambda: screen_files(changed, "loihi2", tmp_path, file_format="csv"))


def test_other_candidates_are_another_screening(tmp_path):
    many = Space("many", {"a": range(1200)}, lambda a: Net((2,)).linear(a % 5 + 1).lif(0.5).graph())
    first = np.arange(1100)
    second = first.copy()
    second[500] = 1150
    screen_files(many, "loihi2", tmp_path, file_format="csv", indices=first, cost=False, checked=0)
    assert "another screening" in refused(lambda: screen_files(
        many, "loihi2", tmp_path, file_format="csv", indices=second, cost=False, checked=0))


def test_a_shard_that_is_there_is_skipped_and_one_that_is_not_is_made(tmp_path):
    first = screen_files(SPACE, "loihi2", tmp_path, shards=3, file_format="csv")
    whole = [p.read_bytes() for p in first]
    kept = first[0].stat().st_mtime_ns
    first[1].unlink()
    (tmp_path / f".{first[1].name}.part").write_text("what a killed process left")
    seen = []
    again = screen_files(SPACE, "loihi2", tmp_path, shards=3, file_format="csv",
                         progress=lambda done, of: seen.append((done, of)))
    assert [p.read_bytes() for p in again] == whole
    assert first[0].stat().st_mtime_ns == kept
    assert seen == [(3, 3)]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in first)


def test_a_folder_with_another_screening_is_refused(tmp_path):
    [path] = screen_files(SPACE, "loihi2", tmp_path, file_format="csv")
    before = path.read_bytes()
    assert "another screening" in refused(lambda: screen_files(SPACE, "loihi2", tmp_path, file_format="csv", rate=0.5))
    path.write_text("something else")
    assert "another screening" in refused(lambda: screen_files(SPACE, "loihi2", tmp_path, file_format="csv"))
    path.write_bytes(before)
    assert screen_files(SPACE, "loihi2", tmp_path, file_format="csv") == [path]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="processes cannot be copied here")
def test_a_shard_whose_process_dies_is_repeated(tmp_path):
    def dying(**pick):
        if not (tmp_path / "died").exists():
            (tmp_path / "died").touch()
            os._exit(9)
        return graph(**pick)

    space = Space("dying", SPACE.choices, dying)
    paths = screen_files(space, "loihi2", tmp_path / "out", shards=4, file_format="csv", jobs=2)
    assert sum(len(read(p)[1]) for p in paths) == 12


@pytest.mark.parametrize(("call", "found"), [
    (lambda out: screen(SPACE, "loihi2", shard=(2, 2)), "2/2"),
    (lambda out: screen(SPACE, [], sample=2), "none"),
    (lambda out: screen(SPACE, ["loihi2", "loihi2"]), '"loihi2", "loihi2"'),
    (lambda out: screen(SPACE, "loihi2", indices=[12]), "12 to 12"),
    (lambda out: screen(SPACE, "loihi2", indices=["a"]), '"a" of type str'),
    (lambda out: screen(SPACE, "loihi2", indices=[True]), "bool"),
    (lambda out: screen(SPACE, "loihi2", indices=[1.5]), "float"),
    (lambda out: screen(SPACE, "loihi2", sample=2.5), "2.5"),
    (lambda out: screen(SPACE, "loihi2", sample=2, seed=-1), "-1"),
    (lambda out: screen(SPACE, "loihi2", dilate="auto"), "auto"),
    (lambda out: screen(SPACE, "loihi2", sample=13), "13"),
    (lambda out: screen(SPACE, "loihi2", sample=2, indices=[1]), "2 and indices"),
    (lambda out: screen(SPACE, "loihi2", budget={"core": 1}), "core"),
    (lambda out: screen(SPACE, "loihi2", dilate=3, profile="x"), "x"),
    (lambda out: screen_files(SPACE, "loihi2", out, file_format="xml"), "xml"),
    (lambda out: screen_files(SPACE, "loihi2", out, file_format="csv", only=[1]), "1/1"),
    (lambda out: Space("none", {"a": ()}, graph), "no values"),
    (lambda out: SPACE.build(12), "12"),
    (lambda out: SPACE.index({"width": 3, "kernel": 1, "neuron": "if"}), "3"),
    (lambda out: SPACE.index({"width": 2}), "kernel"),
    (lambda out: variants("loihi1", coers=(1,)), "coers"),
])
def test_what_cannot_be_screened_is_refused(call, found, tmp_path):
    assert found in refused(lambda: call(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_numbers_and_picks_are_the_same_thing():
    assert [SPACE.index(pick) for pick in SPACE] == list(range(SPACE.size))
    assert SPACE.pick(3) == {"width": 2, "kernel": 3, "neuron": "lif"}
    drawn = chosen(SPACE, None, 9, 1)
    assert len(set(drawn.tolist())) == 9
    huge = Space("huge", {str(i): range(10) for i in range(30)}, graph)
    assert len(set(chosen(huge, None, 50, 1).tolist())) == 50
    assert huge.index(huge.pick(10**29 + 7)) == 10**29 + 7


def test_variants_are_named_after_their_figures():
    made = variants("loihi2", cores=(32, 64), neurons=(None, 1000))
    assert [(v.name, v.limits.cores, v.limits.neurons) for v in made] == [
        ("loihi2 cores=32 neurons=None", 32, None), ("loihi2 cores=32 neurons=1000", 32, 1000),
        ("loihi2 cores=64 neurons=None", 64, None), ("loihi2 cores=64 neurons=1000", 64, 1000)]
    found = screen(SPACE, made, cost=False)
    assert set(found.targets) == {v.name for v in made}
