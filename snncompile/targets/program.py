"""How an emitted C program is made, where that changes no result.

The fields of `Program` are the only list of these options: keyword arguments of `compile` and options of the command
line are made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from snncompile.targets.figures import OptionGroup, choice, whole

WEIGHTS = ("text", "binary")


@dataclass(frozen=True)
class Program(OptionGroup):
    """Options of an emitted C program; None leaves a choice to the compiler.

    Attributes:
        chunk: how many ticks a population outside of loops runs before the next population begins: weights then stay
            in the processor's cache for so many ticks, and what is emitted meanwhile takes so many rows of memory.
        weights_as: "text" for constants as arrays of C, which every compiler reads; "binary" for one little-endian file
            that an assembler source includes, for GNU as and clang.

    Raises:
        CompileError: SNN404 with every option that has another value.
    """

    chunk: int | None = whole("Ticks that a population runs before the next begins; 1 takes the least memory.", 1,
                              high=4096)
    weights_as: str | None = choice("Constants as C text for every compiler, or as a binary file for GNU as and clang.",
                                    WEIGHTS)
