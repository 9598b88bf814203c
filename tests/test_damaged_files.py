"""Damaged files of every kind are read or refused with a diagnostic; `tests.long_files` reads many more of them."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import struct
import zipfile

import numpy as np
import pytest

import snncompile as sc
from snncompile.build_folder import MANIFEST, expect_free
from snncompile.data import read_input
from snncompile.data.files import MAX_RATIO, SMALL_BYTES
from snncompile.diagnostics import Diagnostic, fail
from snncompile.targets.read import figure_value
from tests.damage import worker
from tests.damage.cases import KINDS, Cases
from tests.nets import small

FIRST, FILES = 9_000_000, 240


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    return Cases(tmp_path_factory.mktemp("cases"))


def refused(work, *args, **options):
    with pytest.raises(sc.CompileError) as caught:
        work(*args, **options)
    return caught.value.diagnostics[0]


def test_a_sample_of_damaged_files_is_read_or_refused(tmp_path):
    found = list(worker.outcomes(range(FIRST, FIRST + FILES), tmp_path))
    assert [o for o in found if o.wrong] == []
    assert [o.number for o in found] == list(range(FIRST, FIRST + FILES))
    assert {o.kind for o in found} == set(KINDS)
    assert {"read", "SNN101", "SNN102", "SNN502", "SNN604"} <= {o.what for o in found}


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_that_are_damaged_are_sound(cases, kind):
    assert cases.sound[kind]
    for path in cases.sound[kind]:
        KINDS[kind].read(path)  # a file that is not sound is refused


def test_a_damaged_file_follows_from_its_number(cases):
    for number in range(FIRST, FIRST + 24):
        if cases.kind(number) not in ("npz", "nir", "net", "build"):  # these hold times of writing
            assert cases.make(number).read_bytes() == cases.make(number).read_bytes()


def _raise(error):
    raise error


@pytest.mark.parametrize(("read", "what", "wrong"), [
    (lambda path: None, "read", False),
    (lambda path: fail("SNN101", "here", "that"), "SNN101", False),
    (lambda path: fail("SNN101", "here", "x" * 50_000), "a message of strange letters or length", True),
    (lambda path: _raise(KeyError("a")), "KeyError", True),
    (lambda path: _raise(RecursionError()), "RecursionError", True),
    (lambda path: _raise(SystemExit(2)), "SystemExit", True),
    (lambda path: sum(i * i for i in range(10**6)), "s (read)", True),
])
def test_what_counts_as_wrong(monkeypatch, tmp_path, read, what, wrong):
    monkeypatch.setattr(worker, "SECONDS", 0.01)
    found = worker._outcome(1, "net", tmp_path, read)
    assert (what in found.what, found.wrong) == (True, wrong)


def test_memory_beyond_the_limit_counts_as_wrong(tmp_path):
    assert any(o.wrong for o in worker.outcomes(range(FIRST, FIRST + 60), tmp_path, room=0))


# --- what was found that way


@pytest.fixture
def build(cases, tmp_path):
    return shutil.copytree(cases.sound["build"][0], tmp_path / "build")


@pytest.mark.parametrize("change", [
    {"backend": []}, {"backend": {}}, {"target": {"a": 1}}, {"files": {"": "0"}}, {"files": {"": 3}},
    {"rates": {"a": True}},    {"rates": {"a": float("nan")}}, {"rates": {"a": -1}}, {"rates": {"a": 10**30}},
    {"sizes_bytes": {"a": 0.5}},
    {"sizes_bytes": {"a": -1}}, {"format": [2]},
], ids=str)
def test_a_manifest_with_values_of_another_kind_is_refused(build, change):
    manifest = json.loads((build / MANIFEST).read_text())
    (build / MANIFEST).write_text(json.dumps({**manifest, **change}))
    assert refused(sc.open_build, build).code == "SNN604"
    assert refused(expect_free, build).code == "SNN602"


@pytest.mark.parametrize("digits", [4300, 4301, 5000])
def test_integers_of_too_many_digits_are_refused_wherever_toml_is_read(tmp_path, digits):
    path = tmp_path / "mine.toml"
    path.write_text(f'title = "mine"\n[limits]\ncores = {"9" * digits}\n')
    assert refused(sc.load_target, path).code == "SNN102"
    path.write_text(f"[lif1]\nweight_bits = {'9' * digits}\n")
    assert refused(sc.check, small(), "c99", layers=path).code in ("SNN102", "SNN404")
    assert refused(sc.load_target, f"loihi1 chips={'9' * digits}").code in ("SNN102", "SNN103")
    assert figure_value("9" * 5000) == "9" * 5000


def test_an_array_whose_type_is_an_empty_tuple_is_refused(tmp_path):
    header = b"{'descr': (), 'fortran_order': False, 'shape': (1,)}".ljust(117) + b"\n"
    (tmp_path / "a.npy").write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(8))
    assert refused(read_input, tmp_path / "a.npy", (1,)).code == "SNN502"


def test_an_archive_may_unpack_to_a_bounded_multiple_of_its_size(tmp_path, monkeypatch):
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((1, 1000, 300), np.uint8))
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", buffer.getvalue())
    size = (tmp_path / "a.npz").stat().st_size
    assert (SMALL_BYTES, MAX_RATIO) == (256 << 20, 200)
    assert read_input(tmp_path / "a.npz", (300,)).shape == (1, 1000, 300)
    monkeypatch.setattr("snncompile.data.files.SMALL_BYTES", 300_128 - 200 * size)
    assert read_input(tmp_path / "a.npz", (300,)).shape == (1, 1000, 300)
    monkeypatch.setattr("snncompile.data.files.SMALL_BYTES", 300_127 - 200 * size)
    told = refused(read_input, tmp_path / "a.npz", (300,))
    assert (told.code, "np.savez" in told.help) == ("SNN502", True)


def test_a_message_does_nothing_to_a_terminal():
    told = Diagnostic("SNN101", "a\x1b[2J", "b\0", "c\u202e", "d\ne")
    assert (told.place, told.found, told.expected, told.help) == ("a\ufffd[2J", "b\ufffd", "c\ufffd", "d\ne")


def test_a_forged_file_is_still_checked(build):
    """A hash that fits says nothing about the content."""
    (build / "golden.npz").write_bytes(b"PK")
    manifest = json.loads((build / MANIFEST).read_text())
    manifest["files"]["golden.npz"] = hashlib.sha256(b"PK").hexdigest()
    (build / MANIFEST).write_text(json.dumps(manifest))
    assert refused(sc.open_build, build).code == "SNN502"
