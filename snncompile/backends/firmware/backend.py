"""The firmware backend, as an entry of the table of backends."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Host, Request
from snncompile.backends.products import expect_no_products, products
from snncompile.diagnostics import Diagnostic
from snncompile.ir.graph import Graph
from snncompile.targets.target import Target


class FirmwareBackend:
    """Emits C99 for a microcontroller, with start-up code and a linker script for a board that QEMU emulates."""

    name = "firmware"
    title = "emitted firmware"
    tools = ("a cross compiler and QEMU: arm-none-eabi-gcc and qemu-system-arm for Cortex-M, riscv64-unknown-elf-gcc "
             "and qemu-system-riscv32 for RISC-V")

    def check(self, graph: Graph, target: Target) -> tuple[Diagnostic, ...]:
        """SNN410 for each product of spikes. Whether the memory is enough is known once the graph is in integers."""
        return products(graph, self.title)

    def emit(self, request: Request) -> Artifact:
        """Emit the program; SNN416 where it does not fit the memory of the target, see `memory.expect_fit`."""
        from snncompile.backends.firmware.emit import emit

        expect_no_products(request.graph, self.title)
        return emit(request)

    def host(self, graph: Graph, artifact: Artifact) -> Host | None:
        from snncompile.backends.firmware.host import host

        return host(graph, artifact)

    def start(self, folder: str) -> str:
        """The command that replays the recorded samples in QEMU."""
        return f"make -C {folder}/{self.name} run"

    def lacking(self, artifact: Artifact) -> str:
        """The tools that this machine lacks for the processor of the program, with their Debian packages."""
        from snncompile.backends.firmware.host import processor_of

        processor = processor_of(artifact)
        return " and ".join(f"{t} (Debian package {processor.tools[t]})" for t in processor.absent)
