"""Loading a target: one that comes with the compiler, by its name, or the user's own, from its TOML file.

Other figures can stand behind the name, with an equals sign each:

>>> load_target("loihi2 chips=4").limits.on_all_chips("cores")
512
"""

from __future__ import annotations

import dataclasses
import re
from functools import cache
from importlib.resources import files
from pathlib import Path

from snncompile.diagnostics import expect_known, fail, shorten
from snncompile.targets.read import figure_value, parse
from snncompile.targets.sections import Costs
from snncompile.targets.target import Target

CHANGES = re.compile(r"(\s+\w+=\S*)+\s*$")
"""Figures behind the name of a target."""
MAX_TEXT = 10_000
"""The longest name of a target, in characters, figures included."""
MAX_BYTES = 1 << 20
"""The largest size of a TOML file."""
NAMES = ("c99", "cortex-m3", "cortex-m4", "cortex-m7", "rv32imac", "loihi1", "loihi2", "speck2f", "xylo-a2",
         "truenorth", "ecp5-25f", "ecp5-85f", "ice40-hx8k", "ice40-up5k", "xc7a35t", "xc7z020", "xczu3eg")
"""The targets that come with the compiler, each a .toml file in `chips`."""
GENERAL = "profiles"
"""The file of the cost profiles and kernel costs that are used for any target."""


def load_target(source: str | Path | Target) -> Target:
    """A target by its name, or from the path of a TOML file; a `Target` is returned itself.

    Args:
        source: a name or a path; other figures can follow, as in `loihi1 chips=4 weight_bits=8`. They are those of
            `Target.with_`, in the notation of TOML, where `none` removes a limit. The whole text is the target's name.

    Raises:
        CompileError: SNN404 for a name that is not known, SNN101 for a file that cannot be read, SNN102 for one with
            problems or for figures that targets do not have, SNN103 for a file or a text that is too large.
    """
    if isinstance(source, Target):
        return source
    text = str(source)
    if len(text) > MAX_TEXT:
        fail("SNN103", "option target", f"{len(text):,} characters", f"at most {MAX_TEXT:,}")
    changes = CHANGES.search(text)
    if changes is None:
        return _named(text)
    pairs = (part.split("=", 1) for part in changes[0].split())
    variant = _named(text[:changes.start()]).with_(**{name: figure_value(value) for name, value in pairs})
    return dataclasses.replace(variant, name=text)


def _named(text: str) -> Target:
    """The target of a name or a path, as it is described there."""
    if not text.endswith(".toml"):
        expect_known(text, NAMES, "option target", "give one of these, or the path of a .toml file")
        return _shipped(text)
    path = Path(text)
    try:
        if path.stat().st_size > MAX_BYTES:
            fail("SNN103", f"file {shorten(path)}", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
        content = path.read_text("utf-8")
    except (OSError, ValueError) as e:
        fail("SNN101", f"file {shorten(path)}", str(e)[:200])
    return parse(content, path.stem, shorten(path))


def cost_profiles(target: Target) -> dict[str, Costs]:
    """The cost profiles of a target by name: its own, then those that are used for any target."""
    return {**target.costs, **_shipped(GENERAL).costs}


def kernel_costs(target: Target) -> dict[str, float]:
    """The time that a synapse takes with each kernel of an emitted program, by name, relative to a dense kernel.

    Figures of the target itself come before those that are used for any target.
    """
    return {**_shipped(GENERAL).kernels, **target.kernels}


@cache
def _shipped(name: str) -> Target:
    """A target that comes with the compiler. Each file is read once, since targets never change."""
    return parse(files("snncompile.targets").joinpath("chips", f"{name}.toml").read_text("utf-8"), name)
