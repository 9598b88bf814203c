"""Targets: frozen data, read from TOML. No pass or backend ever asks a target's name."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from snncompile.diagnostics import fail, shorten
from snncompile.targets.sections import SECTIONS, Costs, Limits, Memory, Mesh, Network, Neurons, Timing, Weights

MAX_BYTES = 1 << 20
NAMES = ("c99", "loihi1", "loihi2", "speck2f", "xylo-a2", "truenorth")
"""The targets that come with the compiler, each a .toml file beside this one."""
GENERAL = "profiles"
"""The file of cost profiles that serve any target."""


@dataclass(frozen=True)
class Origin:
    """Where a figure comes from; `provisional` where the public record is thin."""

    source: str = ""
    provisional: bool = False


@dataclass(frozen=True)
class Figure:
    """One figure of a description, as it is listed: `key` is `section.name`, the name ending in its unit."""

    key: str
    value: Any
    what: str
    origin: Origin


@dataclass(frozen=True)
class Target:
    """What networks are compiled for.

    Attributes:
        backend: the backend that emits for it; None where networks can only be checked, partitioned and costed.
        provisional: whether the public record is too thin to rely on.
        arithmetic: defaults of the integer representation, by the names of `passes.arithmetic.Arithmetic`.
        costs: cost profiles by name.
        origins: where each figure comes from, by `section.name` (`costs.PROFILE.name` for those of a profile).
    """

    name: str
    title: str
    backend: str | None = None
    provisional: bool = False
    arithmetic: Mapping[str, Any] = field(default_factory=dict)
    neurons: Neurons = field(default_factory=Neurons)
    network: Network = field(default_factory=Network)
    weights: Weights = field(default_factory=Weights)
    limits: Limits = field(default_factory=Limits)
    timing: Timing = field(default_factory=Timing)
    memory: Memory = field(default_factory=Memory)
    mesh: Mesh = field(default_factory=Mesh)
    costs: Mapping[str, Costs] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict, compare=False, repr=False)

    def origin(self, key: str) -> Origin:
        """Where a figure comes from, by `section.name`."""
        return self.origins.get(key, Origin())

    def figures(self) -> Iterator[Figure]:
        """Everything that the description says, section by section; what it leaves open is left out."""
        sections = {name: getattr(self, name) for name in SECTIONS}
        sections |= {f"costs.{name}": profile for name, profile in self.costs.items()}
        for section, values in sections.items():
            for f in dataclasses.fields(values):
                key = f"{section}.{f.name}"
                if key in self.origins:
                    yield Figure(key, getattr(values, f.name), f.metadata["what"], self.origins[key])

    def profiles(self) -> dict[str, Costs]:
        """Cost profiles by name: the target's own, then those that serve any target."""
        return {**self.costs, **_shipped(GENERAL).costs}

    def with_(self, **changes: Any) -> Target:
        """A variant of this target: figures by their names, which are the same in no two sections; None lifts a limit.

        Raises:
            CompileError: SNN102 for a figure that targets do not have, or a value that it cannot have.
        """
        from snncompile.targets.read import variant

        return variant(self, changes)


def load_target(source: str | Path | Target) -> Target:
    """A target by name, or from the user's own TOML file.

    Raises:
        CompileError: SNN404 for a name that is not known, SNN101, SNN102 and SNN103 for a file that can't be used.
    """
    if isinstance(source, Target):
        return source
    text = str(source)
    if not text.endswith(".toml"):
        if text not in NAMES:
            fail("SNN404", "option target", shorten(text), ", ".join(NAMES), "or the path of a .toml file")
        return _shipped(text)
    path = Path(text)
    try:
        if path.stat().st_size > MAX_BYTES:
            fail("SNN103", f"file {shorten(path)}", f"{path.stat().st_size} bytes", f"at most {MAX_BYTES}")
        content = path.read_text("utf-8")
    except (OSError, ValueError) as e:
        fail("SNN101", f"file {shorten(path)}", str(e)[:200])
    return _parse(content, path.stem, shorten(path))


def _shipped(name: str) -> Target:
    return _parse(files("snncompile.targets").joinpath(f"{name}.toml").read_text("utf-8"), name)


def _parse(text: str, name: str, file: str = "") -> Target:
    from snncompile.targets.read import parse

    return parse(text, name, file)
