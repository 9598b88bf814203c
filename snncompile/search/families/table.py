"""The table of families, by the name in front of the colon, and `candidate`, which builds what a text names.

    candidate("stdano:resnet18:20002000000001001")     # a notation of the family
    candidate("snasnet:cifar10-bw")                    # a published network

The module of a family is imported when the family is asked for.
"""

from __future__ import annotations

import dataclasses
from importlib import import_module

from snncompile.diagnostics import CompileError, did_you_mean, expect_known, fail, shorten
from snncompile.frontends.torch.source import value_of_file
from snncompile.ir.graph import Graph
from snncompile.search.families.family import Family, bounded
from snncompile.search.guarded import guarded
from snncompile.search.space import Space

FAMILIES: dict[str, str] = {
    "abcarc": "layerwise",
    "autosnn": "autosnn",
    "autospikformer": "spikformer",
    "autost": "autost",
    "backbone": "backbones",
    "bcnas": "bcnas",
    "blocks": "blocks",
    "despine": "blocks",
    "ebnas": "ebnas",
    "emosnas": "blocks",
    "eslsnns": "layerwise",
    "esnn": "blocks",
    "gaqsnn": "layerwise",
    "hns": "spikedhs",
    "layerwise": "layerwise",
    "lightsnn": "lightsnn",
    "litesnn": "litesnn",
    "madarts": "blocks",
    "matrices": "matrices",
    "membranenas": "blocks",
    "mixedsnn": "blocks",
    "monasesnn": "blocks",
    "msenas": "msenas",
    "nastinyml": "blocks",
    "neuevo": "neuevo",
    "neuronas": "snasnet",
    "nijenhuis": "matrices",
    "pesnn": "blocks",
    "qsnn": "qsnn",
    "snasnet": "snasnet",
    "spear": "layerwise",
    "spenser": "blocks",
    "spikedhs": "spikedhs",
    "spikenas": "snasnet",
    "spikenas-bench": "spikenas_bench",
    "spikernel": "matrices",
    "spikexplorer": "spikexplorer",
    "sstnas": "matrices",
    "stdano": "stdano",
    "stmixer": "stmixer",
    "tennlab": "tennlab",
    "tps": "spikedhs",
}
"""The module of each family. Several names of one module are searches whose networks have the same notation, such as
SpikeNAS and NeuroNAS, which search the cells of SNASNet."""


def family(name: str) -> Family:
    """The family with a name. Raises SNN404 for a name that no family has."""
    expect_known(name, FAMILIES, "candidate, family")
    found: Family = import_module(f"snncompile.search.families.{FAMILIES[name]}").FAMILY
    return found


def candidate(text: str) -> Graph:
    """The graph that a text names: a family, a colon, and a notation of the family or the name of a published network.

    Its weights are bare shapes.

    Raises:
        CompileError: SNN404 for a text that names nothing; SNN201 for a network without a path from input to output.
    """
    name, colon, rest = bounded("text", text).strip().partition(":")
    if not colon:
        fail("SNN404", "candidate", shorten(text), "FAMILY:NOTATION or FAMILY:PRESET", did_you_mean(name, FAMILIES))
    chosen, rest = family(name.strip()), rest.strip()
    if rest in chosen.presets:
        return chosen.graph(chosen.presets[rest].text)
    try:
        return chosen.graph(rest)
    except CompileError as e:
        first, *others = e.diagnostics
        near = "" if ":" in rest else did_you_mean(rest, chosen.presets)
        told = first.help or near or f"{chosen.name}: {chosen.notation}"
        raise CompileError((dataclasses.replace(first, help=told), *others)) from None


def names_candidate(text: str) -> bool:
    """Whether a text is one for `candidate`, and not the name of a file: a word before a colon.

    >>> names_candidate("stdano:vgg11:00011100"), names_candidate("model.py:build"), names_candidate("net.nir")
    (True, False, False)
    """
    word, colon, _ = text.partition(":")
    return bool(colon) and word.replace("-", "").isalnum() and len(word) > 1


def space_of(text: str) -> Space:
    """The space that a text names: FAMILY:SPACE, FAMILY for its first one, or file.py:name, a `Space` of a file.

    Raises:
        CompileError: SNN404 for a text that names nothing, and what reading a Python file raises.
    """
    if text.rpartition(":")[0].endswith(".py"):
        return _space_of_file(text)
    name, _, which = bounded("text", text).strip().partition(":")
    chosen = family(name)
    which = which or next(iter(chosen.spaces), "")
    if which not in chosen.spaces:
        fail("SNN404", f"space {shorten(text)}", shorten(which),
             ", ".join(f"{name}:{s}" for s in chosen.spaces) or f"{name} has no spaces",
             did_you_mean(which, chosen.spaces))
    return chosen.spaces[which]()


def _space_of_file(text: str) -> Space:
    """A `Space` of a Python file, which is run."""
    found = value_of_file(text)
    if not isinstance(found, Space):
        path, _, name = text.rpartition(":")
        kind = "not there" if found is None else f"of type {shorten(type(found).__name__)}"
        fail("SNN404", f"file {shorten(path)}", f"{shorten(name)} is {kind}", "the name of a Space")
    return guarded(found)
