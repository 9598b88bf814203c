"""What a shell completes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from snncompile.cli import complete
from snncompile.diagnostics.codes import CODES
from snncompile.report.steps import GRAPHS
from snncompile.targets.load import NAMES


def completed(*words: str) -> list[str]:
    """The words that bash is offered for the last word of a command line."""
    asked = {"_SNNC_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    run = subprocess.run([sys.executable, "-m", "snncompile"], capture_output=True, text=True, check=False,
                         env={**os.environ, **asked, "PYTHONPATH": os.pathsep.join(sys.path)})
    return run.stdout.split()


@pytest.mark.parametrize(("words", "found"), [
    (("snnc", "compile", "x", "--target", "loi"), ["loihi1", "loihi2"]),
    (("snnc", "compile", "x", "--rounding", "n"), ["nearest"]),
    (("snnc", "run", "x", "y", "--encode", "l"), ["latency"]),
    (("snnc", "explain", "SNN20"), [c for c in CODES if c.startswith("SNN20")]),
    (("snnc", "com"), ["compile"]),
])
def test_a_shell_completes_commands_targets_words_and_codes(words, found):
    assert completed(*words) == found


def test_words_of_options_are_completed_and_what_stands_for_a_value_is_not():
    assert complete.beginning(("a", "ab", "b"))("a") == ["a", "ab"]
    assert complete.parts("") == list(GRAPHS)
    assert complete.targets("") == [*NAMES, *[n for n in complete.targets("") if "/" in n or n.endswith(".toml")]]
    assert completed("snnc", "compile", "x", "--v-min", "") == ["-threshold", "none"]


def test_files_of_networks_are_completed_and_others_are_not(tmp_path, monkeypatch):
    for name in ("a.nir", "a.onnx", "a.txt", "model.py", ".hidden.nir"):
        (tmp_path / name).touch()
    (tmp_path / "aux").mkdir()
    (tmp_path / "aux" / "b.net").touch()
    monkeypatch.chdir(tmp_path)
    assert complete.sources("") == ["a.nir", "a.onnx", "aux/", "model.py"]
    assert complete.sources("a.") == ["a.nir", "a.onnx"]
    assert complete.sources("aux/") == ["aux/b.net"]
    assert complete.sources(f"{tmp_path}/aux/b") == [f"{tmp_path}/aux/b.net"]
    assert complete.sources(".h") == [".hidden.nir"]
    assert complete.sources("nowhere/x") == []
