"""What a family of searched networks is, how its numbers are counted, and how parts of its notation are read.

A notation comes from a command line or a file of candidates. Its length is bounded, and what it cannot mean is refused
with what was found and what is expected there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn, TypeVar

from snncompile.diagnostics import did_you_mean, fail, shorten
from snncompile.ir.graph import Graph
from snncompile.ir.layer import Layer
from snncompile.ir.ops import Scale
from snncompile.ir.types import Json
from snncompile.search.space import Space

T = TypeVar("T")
MAX_TEXT = 4096
"""The longest notation, in characters."""
MAX_LAYERS = 1000
"""The most parts of a notation, such as layers, blocks or edges."""
MAX_TICKS = 1024
"""The most ticks of a sample that a notation can name."""
MAX_NESTING = 8
"""The deepest nesting of a genotype that is written as JSON."""


class Preset(NamedTuple):
    """A published network of a family.

    Attributes:
        text: its notation.
        source: where it was published, in words.
        parameters: how many parameters its paper or code prints, as `parameters` counts them; None where none does.
    """

    text: str
    source: str
    parameters: int | None = None


class Family(NamedTuple):
    """Networks that one search, or several that share a notation, choose from.

    Attributes:
        name: of the family, in front of the first colon of a candidate.
        title: the paper, its venue and its year.
        notation: what stands behind the colon, in words, for messages.
        graph: builds the graph of a candidate from what stands behind the colon.
        presets: published networks, by name.
        spaces: sets of candidates that can be enumerated, by name.
    """

    name: str
    title: str
    notation: str
    graph: Callable[[str], Graph]
    presets: Mapping[str, Preset] = {}
    spaces: Mapping[str, Callable[[], Space]] = {}


def parameters(graph: Graph) -> int:
    """How many parameters a network has as papers count them.

    These are the weights and biases of layers, such as convolutions and token mixings, and the factors and biases of
    batch norms. Thresholds, decays and other parameters of neurons are not among them, nor are running means and
    variances, nor fixed factors of the places of an image, which no channel has for itself.
    """
    return sum(math.prod(value.shape) for op in graph.nodes.values() if isinstance(op, (Layer, Scale))
               for value in op.arrays.values() if not isinstance(op, Scale) or math.prod(value.shape[1:]) == 1)


# --- reading notations ---

def refuse(family: str, what: str, found: str, expected: str, help: str = "") -> NoReturn:
    """Refuse a part of a notation.

    Raises:
        CompileError: SNN404, always.
    """
    fail("SNN404", f"candidate {family}, {what}", found, expected, help)


def split(family: str, text: str, names: str, least: int) -> list[str]:
    """The fields of a notation, between colons, stripped of spaces; as many as there are names, "" for those left out.

    Args:
        names: the fields as messages name them, such as "BACKBONE:DIGITS:DATASET".
        least: how many of them must be there.

    >>> split("stdano", "vgg11:00011100", "BACKBONE:DIGITS:DATASET", 2)
    ['vgg11', '00011100', '']
    """
    found = [part.strip() for part in bounded(family, text).split(":")]
    most = len(names.split(":"))
    if not least <= len(found) <= most:
        wanted = f"{least} to {most}" if least < most else f"{most}"
        refuse(family, "notation", f"{len(found)} fields between colons", f"{names}, {wanted} fields")
    return found + [""] * (most - len(found))


def bounded(family: str, text: str) -> str:
    """The text itself. Raises SNN404 for one that is longer than MAX_TEXT."""
    if not isinstance(text, str):
        refuse(family, "notation", type(text).__name__, "text")
    if len(text) > MAX_TEXT:
        refuse(family, "notation", f"{len(text):,} characters", f"at most {MAX_TEXT:,}")
    return text


def one_of(family: str, what: str, text: str, known: Mapping[str, T]) -> T:
    """The value that a word stands for. Raises SNN404 for a word that is not known."""
    if text not in known:
        refuse(family, what, shorten(text), ", ".join(known), did_you_mean(text, known))
    return known[text]


def digits(family: str, what: str, text: str, count: int, largest: int) -> tuple[int, ...]:
    """The digits of a text.

    Args:
        what: the digits as messages name them, such as "digits of resnet18".
        count: how many there must be.
        largest: the largest digit.

    Raises:
        CompileError: SNN404 for another count, or for a character that is no digit up to the largest.
    """
    if len(text) != count:
        refuse(family, what, f"{shorten(text)}, {len(text)} characters", f"expected {count}, found {len(text)}")
    for place, character in enumerate(text, start=1):
        if character not in "0123456789"[:largest + 1]:
            refuse(family, f"{what}, digit {place}", shorten(character), f"0 to {largest}")
    return tuple(map(int, text))


def number(family: str, what: str, text: str, least: int, most: int) -> int:
    """The whole number that a text stands for. Raises SNN404 for another text, or a number out of its range."""
    plain = text.isascii() and text.isdigit() and len(text) < 12
    if not plain or not least <= int(text) <= most:
        refuse(family, what, shorten(text), f"a whole number, {least:,} to {most:,}")
    return int(text)


def decimal(family: str, what: str, text: str, least: float, most: float) -> float:
    """The number that a text stands for, with up to four digits behind a point. Raises SNN404 as `number` does."""
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,4})?", text, re.ASCII) or not least <= float(text) <= most:
        refuse(family, what, shorten(text), f"a number, {least:g} to {most:,g}, such as 1.25")
    return float(text)


def parts(family: str, what: str, text: str, least: int = 1, most: int = MAX_LAYERS) -> list[str]:
    """The parts of a text between commas, without spaces around them; none for an empty text.

    Raises:
        CompileError: SNN404 for fewer or more parts than there may be.
    """
    found = [part.strip() for part in text.split(",")] if text.strip() else []
    if not least <= len(found) <= most:
        wanted = f"{least}" if least == most else f"{least} to {most}"
        refuse(family, what, f"{len(found)}", wanted)
    return found


def genotype(family: str, what: str, text: str) -> Json:
    """What a JSON text holds: numbers, text, lists and objects, nested up to MAX_NESTING deep.

    Raises:
        CompileError: SNN404 for a text that is no JSON, or is nested more deeply.
    """
    depth = most = 0
    for character in text:  # brackets inside quotes count too, which no genotype needs
        depth += (character in "[{") - (character in "]}")
        most = max(most, depth)
    if most > MAX_NESTING:
        refuse(family, what, f"lists nested {most} deep", f"at most {MAX_NESTING}")
    try:
        return json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as e:
        refuse(family, what, f"{shorten(text)}: {e}", "JSON")


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
