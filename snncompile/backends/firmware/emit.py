"""The files of firmware: the network in C, start-up code, a linker script, and what runs samples in an emulator."""

from __future__ import annotations

from snncompile.backends.artifact import Artifact
from snncompile.backends.backend import Request
from snncompile.backends.c.context import Net
from snncompile.backends.c.emit import artifact, fields_per_population
from snncompile.backends.c.text import environment
from snncompile.backends.firmware.build import FLAGS, LINK, OPTIMIZE
from snncompile.backends.firmware.lower import lowered
from snncompile.backends.firmware.memory import expect_fit
from snncompile.backends.firmware.processors import EMULATION, PROCESSORS, Processor
from snncompile.diagnostics import fail, shorten
from snncompile.targets.sections import MAX_KIB
from snncompile.targets.target import Target


def emit(request: Request) -> Artifact:
    """Emit firmware for the processor of the target.

    Raises:
        CompileError: SNN404 for a target without a processor, SNN416 where the program does not fit its memory, SNN204
            for an output that reads a sum or an operator.
    """
    processor = processor_of(request.target)
    net = lowered(request.graph, request.target, request.rates, request.program.chunk)
    use = expect_fit(net, request.target)
    found = artifact(request.graph, net, request.golden, request.program.weights_as or "text")
    files = {n: f for n, f in found.files.items() if n not in ("CMakeLists.txt", f"{net.prefix}_example.c")}
    for name, text in _own_files(net, processor, request.target, files).items():
        files[name] = text
    return Artifact(files, {**found.sizes_bytes, "flash": use.flash.used, "ram": use.ram.used})


def processor_of(target: Target) -> Processor:
    """The processor of a target. Raises SNN404 where it has none."""
    if target.board.processor is None:
        fail("SNN404", f"target {shorten(target.name)}, board.processor", "none", ", ".join(PROCESSORS),
             "name one under [board] in the target's file, or take a target that has one, such as cortex-m4")
    return PROCESSORS[target.board.processor]


def _own_files(net: Net, processor: Processor, target: Target, files: dict[str, str | bytes]) -> dict[str, str]:
    board = target.board
    def text(template: str) -> str:
        return environment().get_template(f"firmware/{template}").render(
            net=net, processor=processor, fields=fields_per_population(net), board=processor.name,
            flash=board.flash_bytes or MAX_KIB << 10, ram=(board.ram_kib or MAX_KIB) << 10, stack=board.stack_bytes,
            largest=max(s.size for s in net.sources), optimize=OPTIMIZE, flags=(*processor.flags, *FLAGS),
            link=(*LINK, "-T", f"{net.prefix}.ld", "-lgcc"), emulate=(*processor.qemu, *EMULATION),
            weights=next(f for f in files if f.startswith(f"{net.prefix}_weights.") and f.endswith((".c", ".S"))))

    return {f"{net.prefix}_start.h": text("start.h.j2"), f"{net.prefix}_start.c": text(processor.start),
            f"{net.prefix}_runner.c": text("runner.c.j2"), f"{net.prefix}.ld": text("link.ld.j2"),
            "freestanding/string.h": text("string.h.j2"), "processor.txt": processor.name + "\n",
            "Makefile": text("Makefile.j2")}
