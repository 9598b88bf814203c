"""Processors of microcontrollers: how a cross compiler builds for them, and which board QEMU emulates."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Processor:
    """One processor, and an emulated board that has it.

    Attributes:
        name: the word of the figure `board.processor`.
        prefix: begins the names of its cross compiler's tools.
        flags: of the compiler, for the instructions of the processor.
        qemu: the emulator, and the board as it calls it.
        start: the template of the start-up code.
        flash, ram, vectors: where the board has memory for the program, for its data, and for the recorded samples.
        packages: the Debian packages of both tools.
    """

    name: str
    prefix: str
    flags: tuple[str, ...]
    qemu: tuple[str, ...]
    start: str
    flash: int
    ram: int
    vectors: int
    packages: tuple[str, str]

    @property
    def compiler(self) -> str:
        """The cross compiler."""
        return f"{self.prefix}gcc"

    @property
    def tools(self) -> Mapping[str, str]:
        """The programs that build and run firmware, each with its Debian package."""
        return dict(zip((self.compiler, self.qemu[0]), self.packages, strict=True))

    @property
    def absent(self) -> tuple[str, ...]:
        """The tools that this machine lacks."""
        return tuple(t for t in self.tools if shutil.which(t) is None)


def _cortex(name: str, board: str, vectors: int = 0x2100_0000) -> Processor:
    return Processor(name, "arm-none-eabi-", (f"-mcpu={name}", "-mthumb"),
                     ("qemu-system-arm", "-machine", board, "-icount", "shift=6"), "cortex.c.j2",
                     0, 0x2000_0000, vectors, ("gcc-arm-none-eabi", "qemu-system-arm"))


PROCESSORS: dict[str, Processor] = {p.name: p for p in (
    _cortex("cortex-m3", "mps2-an385"), _cortex("cortex-m4", "mps2-an386"),
    _cortex("cortex-m7", "mps2-an500", 0x6000_0000),
    Processor("rv32imac", "riscv64-unknown-elf-",
              ("-march=rv32imac", "-mabi=ilp32", "-misa-spec=2.2", "-msmall-data-limit=0"),
              ("qemu-system-riscv32", "-machine", "virt", "-bios", "none", "-icount", "shift=0"), "riscv.c.j2",
              0x8000_0000, 0x8100_0000, 0x8200_0000, ("gcc-riscv64-unknown-elf", "qemu-system-misc")))}
"""All processors by their names, which are those of `targets.sections.PROCESSORS`."""
EMULATION = ("-nographic", "-monitor", "none", "-serial", "none", "-semihosting-config", "enable=on,target=native")
"""Options of every emulator: no screen, and calls of the program to this machine."""
