"""Build folders: written whole or not at all, read back exactly, and trusted in nothing."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
import pytest

import snncompile as sc
from snncompile import build_folder as module
from snncompile.build_folder import MANIFEST, contents, expect_free, write_file
from snncompile.diagnostics import CompileError
from snncompile.ir.serde import dump
from snncompile.saved_build import open_build
from tests.nets import relay, small, spikes, two_inputs
from tests.strategies import inputs_for, random_graph


@pytest.fixture(scope="module")
def model():
    return compiled()


def compiled(target: str = "c99") -> sc.CompiledModel:
    return sc.compile(small(), target=target, calibration=spikes(), labels=np.zeros(5, int))


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    """A folder that tests copy, and never change."""
    return model.save(tmp_path_factory.mktemp("saved") / "build")


@pytest.fixture
def build(saved, tmp_path):
    return Path(shutil.copytree(saved, tmp_path / "build"))


def codes_of(work, *args):
    with pytest.raises(CompileError) as caught:
        work(*args)
    return [d.code for d in caught.value.diagnostics]


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def rewrite(build: Path, change) -> None:
    """Change the manifest."""
    manifest = json.loads((build / MANIFEST).read_text())
    manifest = change(manifest) or manifest
    (build / MANIFEST).write_text(json.dumps(manifest))


def forge(build: Path, name: str, content: bytes) -> None:
    """Change a file, and the manifest with it."""
    (build / name).write_bytes(content)
    rewrite(build, lambda m: m["files"].update({name: hashlib.sha256(content).hexdigest()}))


def test_a_build_comes_back_as_it_was(model, saved):
    found = open_build(saved)
    assert str(found.graph) == str(model.graph)
    assert {n: c if isinstance(c, bytes) else c.encode() for n, c in model.artifact.files.items()} == dict(
        found.artifact.files)
    assert found.rates == model.rates
    assert found.artifact.sizes_bytes == model.artifact.sizes_bytes
    for a, b in ((found.golden.inputs, model.golden.inputs), (found.golden.outputs, model.golden.outputs)):
        assert {n: v.tolist() for n, v in a.items()} == {n: v.tolist() for n, v in b.items()}
    assert np.array_equal(found.run(spikes(seed=9)).outputs, model.run(spikes(seed=9)).outputs)
    assert found.verify().ok


def test_the_report_of_an_opened_build_holds_what_the_graph_tells(model, saved):
    measured, opened = model.report.populations[0], open_build(saved).report.populations[0]
    assert (opened.state_range, opened.synapses, opened.weight_bits) == (
        measured.state_range, measured.synapses, measured.weight_bits)
    assert opened.rate is None


def test_an_opened_build_saves_to_the_same_program(saved, tmp_path):
    again = open_build(saved).save(tmp_path / "again")
    programs = [{n: c for n, c in files_in(f).items() if n.startswith("c/") or n.startswith("graph")}
                for f in (saved, again)]
    assert programs[0] == programs[1]


def test_the_manifest_names_every_other_file(saved):
    manifest = json.loads((saved / MANIFEST).read_text())
    present = files_in(saved)
    assert set(manifest["files"]) == set(present) - {MANIFEST}
    assert {"graph.snn", "graph.safetensors", "golden.npz", "report.json", "report.html"} < set(present)
    report = json.loads(present["report.json"])
    assert report["agreement"]["samples"] == 5
    assert report["options"]["weight_bits"] == 8


def test_names_do_not_become_paths(tmp_path):
    model = sc.compile(relay("../../x", 'a;rm -rf "/"\n'))
    built = model.save(tmp_path / "deep" / "build")
    assert [p.name for p in tmp_path.iterdir()] == ["deep"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["build"]
    assert open_build(built).verify().ok


def test_several_inputs_and_outputs_come_back_by_name(tmp_path):
    built = sc.compile(two_inputs()).save(tmp_path / "build")
    golden = open_build(built).golden
    assert [*golden.inputs, *golden.outputs] == ["spikes", "frame", "first", "second"]


@pytest.mark.parametrize("seed", range(12))
def test_any_network_comes_back_as_it_was(tmp_path, seed):
    graph = random_graph(seed)
    model = sc.compile(graph, calibration=inputs_for(graph))
    found = open_build(model.save(tmp_path / "build"))
    assert str(found.graph) == str(model.graph)
    assert found.golden.outputs.keys() == model.golden.outputs.keys()
    assert all(np.array_equal(v, model.golden.outputs[n]) for n, v in found.golden.outputs.items())


# --- writing ---------------------------------------------------------------------------------------------


def test_an_earlier_build_is_replaced(model, build):
    (build / "c" / "old.o").write_text("a leftover of make")
    model.save(build)
    assert open_build(build).verify().ok
    assert not (build / "c" / "old.o").exists()
    assert [p.name for p in build.parent.iterdir()] == ["build"]


def test_an_empty_folder_is_filled(model, tmp_path):
    (tmp_path / "empty").mkdir()
    assert open_build(model.save(tmp_path / "empty")).verify().ok


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_is_followed_and_stays(model, build, tmp_path, exists):
    (build / "c" / "old.o").write_text("a leftover of make")
    place = build if exists else tmp_path / "elsewhere" / "new"
    (tmp_path / "link").symlink_to(place)
    assert model.save(tmp_path / "link") == tmp_path / "link"
    assert (tmp_path / "link").readlink() == place
    assert not (place / "c" / "old.o").exists()
    assert open_build(place).verify().ok


def test_a_link_to_a_file_or_in_a_circle_is_refused(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    assert codes_of(model.save, tmp_path / "link") == ["SNN602"]
    assert codes_of(model.save, tmp_path / "circle") == ["SNN602"]
    assert codes_of(write_file, tmp_path / "circle", b"") == ["SNN602"]
    assert (tmp_path / "file").read_text() == "mine"


def test_a_file_is_written_through_a_link(tmp_path):
    (tmp_path / "file").write_text("before")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    write_file(tmp_path / "link", b"after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_bytes() == b"after"


@pytest.mark.parametrize("target", ["c99", "loihi2", "xc7z020", "xc7z020 backend=hls"])
def test_builds_of_two_days_are_equal_byte_for_byte(target, monkeypatch):
    first = contents(compiled(target))
    later, zone = time.time() + 2 * 86400 + 3671, time.localtime
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setattr(time, "localtime", lambda s=None: zone(later if s is None else s))
    monkeypatch.setattr(time, "perf_counter", lambda count=iter(range(1, 1 << 30)): 1.5 * next(count))
    second = contents(compiled(target))
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name]] == []


@pytest.mark.parametrize("present", [
    {"notes.txt": "mine"},
    {MANIFEST: "{}"},
    {MANIFEST: '{"name": "a web page", "version": "1"}'},
    {MANIFEST: "not JSON"},
    {MANIFEST: '{"format": 1, "files": []}'},
])
def test_a_folder_of_something_else_is_left_alone(model, tmp_path, present):
    folder = tmp_path / "mine"
    folder.mkdir()
    for name, text in present.items():
        (folder / name).write_text(text)
    before = files_in(tmp_path)
    assert codes_of(model.save, folder) == ["SNN602"]
    assert files_in(tmp_path) == before


def test_a_build_that_holds_the_users_own_files_is_left_alone(model, build):
    (build / "outputs.npz").write_text("mine")
    before = files_in(build)
    assert codes_of(model.save, build) == ["SNN602"]
    assert files_in(build) == before


@pytest.mark.parametrize(("name", "lost"), [("c/main.c", True), ("c/deep/notes.txt", True), ("c/Board.PY", True),
                                            ("c/main.o", False), ("c/selftest", False)])
def test_the_users_own_files_inside_the_folders_of_a_build_are_not_lost(model, build, name, lost):
    """What a compiler or another tool leaves there is made again, what a person writes is not."""
    (build / name).parent.mkdir(exist_ok=True)
    (build / name).write_text("mine")
    if lost:
        assert codes_of(model.save, build) == ["SNN602"]
        assert (build / name).read_text() == "mine"
    else:
        model.save(build)
        assert not (build / name).exists()


def test_a_build_of_a_very_long_name_is_replaced_too(model, tmp_path):
    for _ in range(2):
        assert open_build(model.save(tmp_path / ("x" * 240))).verify().ok
    assert len(list(tmp_path.iterdir())) == 1


def test_what_another_process_wrote_in_the_meantime_stays(model, build, monkeypatch):
    move = os.replace

    def replace(source, target):
        if Path(source).name == "build" and Path(source).parent != build.parent:
            shutil.copytree(Path(source), build)
            (build / "c" / "other.o").write_text("of the other process")
            raise OSError(39, "Directory not empty")
        move(source, target)

    monkeypatch.setattr(module.os, "replace", replace)
    assert codes_of(model.save, build) == ["SNN602"]
    assert [p.name for p in build.parent.iterdir()] == ["build"]
    assert (build / "c" / "other.o").exists()


def test_a_file_is_not_replaced_by_a_folder(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert codes_of(model.save, tmp_path / "file") == ["SNN602"]
    assert codes_of(model.save, tmp_path / "file" / "build") == ["SNN602"]
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("name", ["a\0b", "x" * 300])
def test_a_name_that_no_folder_can_have_is_refused(model, tmp_path, name):
    assert codes_of(model.save, tmp_path / name) == ["SNN602"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("failing", ["mine", "build"])
def test_a_failure_leaves_the_earlier_build_as_it_was(model, saved, tmp_path, monkeypatch, failing):
    """Whether the earlier folder can't be moved away, or the new one can't take its place."""
    mine = Path(shutil.copytree(saved, tmp_path / "mine"))
    (mine / "c" / "small.h").write_text("an earlier version")
    before = files_in(tmp_path)
    move = os.replace

    def replace(source, target):
        if Path(source).name == failing:
            raise OSError(28, "No space left on device")
        move(source, target)

    monkeypatch.setattr(module.os, "replace", replace)
    assert codes_of(model.save, mine) == ["SNN602"]
    assert files_in(tmp_path) == before


def test_a_process_that_is_told_to_end_leaves_the_earlier_build(model, build, monkeypatch):
    """The signal comes when the earlier build was moved away, and the new one has not yet its place."""
    (build / "c" / "small.h").write_text("an earlier version")
    before = files_in(build.parent)
    move = os.replace

    def replace(source, target):
        if Path(source).name == "build" and Path(source).parent != build.parent:
            raise SystemExit(143)
        move(source, target)

    monkeypatch.setattr(module.os, "replace", replace)
    with pytest.raises(SystemExit):
        model.save(build)
    assert files_in(build.parent) == before


def test_a_process_that_is_killed_leaves_the_earlier_build_beside(model, build):
    before = files_in(build)
    child = os.fork()
    if child == 0:
        module.os.replace = lambda source, target, move=os.replace: (
            os.kill(os.getpid(), signal.SIGKILL) if Path(source).parent != build.parent else move(source, target))
        model.save(build)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    [previous] = [p for p in build.parent.iterdir() if ".previous" in p.name]
    assert files_in(previous) == before
    assert open_build(previous).verify().ok


def test_a_failure_while_writing_leaves_nothing(model, tmp_path, monkeypatch):
    def full(self, content):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert codes_of(model.save, tmp_path / "build") == ["SNN602"]
    assert list(tmp_path.iterdir()) == []


def test_whether_a_folder_is_free_is_known_beforehand(build, tmp_path):
    expect_free(build)
    expect_free(tmp_path / "new")
    assert codes_of(expect_free, tmp_path) == ["SNN602"]


def test_a_file_is_written_whole(tmp_path):
    assert write_file(tmp_path / "a", b"1").read_bytes() == b"1"
    assert write_file(tmp_path / "a", b"2").read_bytes() == b"2"
    assert codes_of(write_file, tmp_path / "none" / "a", b"") == ["SNN602"]
    assert codes_of(write_file, tmp_path, b"") == ["SNN602"]
    assert codes_of(write_file, "a\0b", b"") == ["SNN602"]
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.skipif(not Path("/dev/null").is_char_device(), reason="no /dev/null")
def test_a_device_is_not_replaced():
    assert codes_of(write_file, "/dev/null", b"1") == ["SNN602"]
    assert Path("/dev/null").is_char_device()


# --- reading ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["graph.snn", "graph.safetensors", "golden.npz", "report.json", "report.html",
                                  "c/small.c", "c/small_weights.c"])
def test_a_changed_file_is_noticed(build, name):
    content = bytearray((build / name).read_bytes())
    content[len(content) // 2] ^= 1
    (build / name).write_bytes(bytes(content))
    assert codes_of(open_build, build) == ["SNN604"]


@pytest.mark.parametrize("name", ["graph.snn", "golden.npz", "c/small.c", MANIFEST])
def test_a_missing_file_is_noticed(build, name):
    (build / name).unlink()
    assert codes_of(open_build, build) == ["SNN604"]


@pytest.mark.parametrize("name", ["graph.snn", "golden.npz", "report.json"])
def test_a_file_that_the_manifest_should_name_is_missed(build, name):
    rewrite(build, lambda m: m["files"].pop(name) and None)
    assert codes_of(open_build, build) == ["SNN604"]


@pytest.mark.parametrize("name", ["../secret", "c/../../secret", "/etc/hostname", "c/a/b", "", ".", "c/", "c//x",
                                  "a\0b", "c\\..\\x", "c/\n", ".."])
def test_the_manifest_may_not_lead_out_of_the_folder(build, name):
    (build.parent / "secret").write_text("secret")
    digest = hashlib.sha256(b"secret").hexdigest()
    rewrite(build, lambda m: m["files"].update({name: digest}))
    assert codes_of(open_build, build) == ["SNN604"]


def test_a_link_is_not_followed(build):
    target = build.parent / "elsewhere"
    (build / "c" / "small.c").rename(target)
    (build / "c" / "small.c").symlink_to(target)
    assert codes_of(open_build, build) == ["SNN604"]


def test_a_linked_folder_is_not_followed(build):
    (build / "c").rename(build.parent / "elsewhere")
    (build / "c").symlink_to(build.parent / "elsewhere")
    assert codes_of(open_build, build) == ["SNN604"]


def test_a_build_may_itself_be_reached_by_a_link(build, tmp_path):
    (tmp_path / "link").symlink_to(build)
    assert open_build(tmp_path / "link").verify().ok


@pytest.mark.parametrize("content", [
    "", "[]", "null", "{}", "[" * 100_000, '{"format": 2}', '{"format": 1}', '{"format": 1, "files": {}}',
    '{"format": 1, "files": [], "rates": {}, "sizes_bytes": {}, "target": "c99"}',
    '{"format": 1, "files": {"graph.snn": 3}, "rates": {}, "sizes_bytes": {}, "target": "c99"}',
    '{"format": 1, "files": {}, "rates": {"in": "often"}, "sizes_bytes": {}, "target": "c99"}',
    '{"format": 1, "files": {}, "rates": {}, "sizes_bytes": {"weights": null}, "target": "c99"}',
    '{"format": 1, "files": {}, "rates": {}, "sizes_bytes": {}, "target": 3}',
])
def test_a_manifest_of_another_form_is_refused(build, content):
    (build / MANIFEST).write_text(content)
    assert codes_of(open_build, build) == ["SNN604"]


@pytest.mark.parametrize("path", ["none", "build/graph.snn", "a\0b"])
def test_what_is_no_folder_is_refused(build, path):
    assert codes_of(open_build, build.parent / path) == ["SNN604"]


@pytest.mark.parametrize(("name", "content", "code"), [
    ("graph.snn", b"snnc 1\n\xff\n", "SNN604"),
    ("graph.snn", b"nonsense\n", "SNN102"),
    ("graph.safetensors", b"nonsense", "SNN102"),
    ("golden.npz", b"nonsense", "SNN502"),
])
def test_forged_content_is_refused(build, name, content, code):
    forge(build, name, content)
    assert codes_of(open_build, build) == [code]


def test_a_graph_of_another_stage_is_refused(build):
    text, weights = dump(small())
    for name in ("graph.snn", "mapped.snn"):
        forge(build, name, text.encode())
    forge(build, "graph.safetensors", weights)
    assert codes_of(open_build, build) == ["SNN604"]


@pytest.mark.parametrize("change", [
    lambda text: text.replace('"lif2"', '"other"'), lambda text: text.replace(" int\n", " mapped\n", 1).replace(
        "\ninput", '\nmeta {"schedule": {"latency_ticks": {"in": -1}, "period": 1, "always_on": {}}}\ninput', 1),
    lambda text: text.replace(" int\n", " mapped\n", 1).replace("\ninput", '\nmeta {"schedule": 3}\ninput', 1),
])
def test_a_mapped_graph_that_is_not_the_networks_is_refused(build, change):
    text = (build / "mapped.snn").read_text("utf-8")
    assert change(text) != text
    forge(build, "mapped.snn", change(text).encode())
    assert codes_of(open_build, build) in (["SNN604"], ["SNN102"])


@pytest.mark.parametrize("change", [
    {"input0": np.zeros((1, 9, 7), np.uint8)},
    {"input0": np.zeros((9, 6), np.uint8)},
    {"input0": np.full((4, 9, 6), 2, np.uint8)},
    {"input0": np.zeros((4, 9, 6))},
    {"input0": np.zeros((0, 9, 6), np.uint8)},
    {"output0": np.zeros((4, 8, 3), np.uint8)},
    {"output0": np.zeros((4, 9, 4), np.uint8)},
])
def test_golden_vectors_that_are_not_the_networks_are_refused(build, tmp_path, change):
    with np.load(build / "golden.npz") as arrays:
        np.savez(tmp_path / "forged.npz", **{**arrays, **change})
    forge(build, "golden.npz", (tmp_path / "forged.npz").read_bytes())
    assert codes_of(open_build, build) == ["SNN604"]


def test_a_missing_golden_vector_is_refused(build, tmp_path):
    np.savez(tmp_path / "forged.npz", input0=np.zeros((4, 9, 6), np.uint8))
    forge(build, "golden.npz", (tmp_path / "forged.npz").read_bytes())
    assert codes_of(open_build, build) == ["SNN604"]


def test_verification_notices_a_program_that_was_forged_with_its_manifest(build):
    source = (build / "c" / "small_weights.c").read_text()
    head, brace, rest = source.rpartition("= {")
    first = rest.strip().split(",")[0]
    forge(build, "c/small_weights.c", (head + brace + rest.replace(first, "100", 1)).encode())
    model = open_build(build)
    if model.host is None:
        pytest.skip("no C compiler")
    assert not model.verify().ok


def test_two_builds_are_equal_byte_for_byte_and_hold_the_warnings():
    builds = [contents(sc.compile(small(), calibration=None, weight_bits=3)) for _ in range(2)]
    assert builds[0] == builds[1]
    notes = json.loads(builds[0]["report.json"])["notes"]
    assert [n["code"] for n in notes] == ["SNN405"]
    assert set(notes[0]) == {"severity", "code", "title", "place", "found", "expected", "help"}
