"""Which Python runs Lava, and what is said where there is none."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

import pytest

from snncompile.backends.lava import environment
from snncompile.backends.lava.environment import executable, python
from snncompile.diagnostics import CompileError

FAKE = """#!/bin/sh
echo "$@" >> "{log}"
for last; do :; done
if [ "$1" = venv ]; then mkdir -p "$last/bin"; cp "$0" "$last/bin/python"; fi
exit {code}
"""


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with an empty cache, and nothing on its path but the shell's own commands."""
    monkeypatch.delenv("SNNC_LAVA_PYTHON", raising=False)
    monkeypatch.setenv("SNNC_CACHE", str(tmp_path / "cache"))
    (tmp_path / "bin").mkdir()
    for word in ("sh", "mkdir", "cp"):
        source = next(Path(d) / word for d in os.environ["PATH"].split(os.pathsep) if (Path(d) / word).exists())
        (tmp_path / "bin" / word).symlink_to(source)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr(environment, "find_spec", lambda name: None)
    return tmp_path


def tool(folder: Path, name: str, code: int = 0) -> None:
    path = folder / "bin" / name
    path.write_text(FAKE.format(log=folder / "log", code=code))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def refused() -> str:
    with pytest.raises(CompileError) as e:
        python()
    assert [d.code for d in e.value.diagnostics] == ["SNN605"]
    return str(e.value)


def test_a_named_python_is_used(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNNC_LAVA_PYTHON", sys.executable)
    assert python() == sys.executable
    monkeypatch.setenv("SNNC_LAVA_PYTHON", str(bare / "nothing"))
    assert "the path of a Python 3.10 with lava-nc" in refused()


def test_this_python_is_used_where_it_has_lava(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: object() if name == "lava" else None)
    monkeypatch.setattr(environment.sys, "version_info", (3, 10, 9))
    assert python() == sys.executable
    monkeypatch.setattr(environment.sys, "version_info", (3, 11, 9))
    assert "neither uv nor python3.10" in refused()


@pytest.mark.skipif(sys.platform == "win32", reason="the stand-ins for tools are shell scripts")
class TestMaking:
    def test_uv_makes_an_environment_once(self, bare: Path) -> None:
        tool(bare, "uv")
        found = python()
        assert found == str(executable(bare / "cache" / "lava-0.10.0"))
        assert python() == found
        made, installed = (bare / "log").read_text().splitlines()
        assert made.startswith("venv --quiet --python 3.10 ")
        assert installed.endswith("lava-nc==0.10.0 numpy<2")

    def test_python_makes_one_where_uv_is_absent_or_fails(self, bare: Path) -> None:
        tool(bare, "uv", code=1)
        (bare / "bin" / "python3.10").write_text(FAKE.format(log=bare / "log", code=0).replace('"$1" = venv',
                                                                                             '"$2" = venv'))
        (bare / "bin" / "python3.10").chmod(0o755)
        assert python() == str(executable(bare / "cache" / "lava-0.10.0"))
        assert "-m pip install --quiet lava-nc==0.10.0 numpy<2" in (bare / "log").read_text()

    def test_nothing_is_left_where_it_fails(self, bare: Path) -> None:
        tool(bare, "uv", code=1)
        assert "uv: " in refused()
        assert list((bare / "cache").iterdir()) == []


def test_a_machine_without_any_is_told_what_to_install(bare: Path) -> None:
    message = refused()
    assert "neither uv nor python3.10" in message
    assert "install uv, or set SNNC_LAVA_PYTHON" in message
