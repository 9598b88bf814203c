"""Random graphs as firmware in an emulator, against the integer interpreter, and what a linked program takes."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Mapping

import numpy as np

from snncompile.backends.artifact import Artifact, Golden
from snncompile.backends.backend import Request
from snncompile.backends.c.interface import Interface
from snncompile.backends.firmware.build import built
from snncompile.backends.firmware.emit import emit
from snncompile.backends.firmware.host import FirmwareHost
from snncompile.backends.firmware.processors import PROCESSORS
from snncompile.ir.graph import Graph
from snncompile.ir.types import Array
from snncompile.model import inside_differences
from snncompile.targets.load import load_target
from snncompile.targets.sections import MAX_KIB
from tests.backends.exactness import Case
from tests.tools import needs

ALL = tuple(PROCESSORS)
tools = {name: needs(*PROCESSORS[name].tools) for name in ALL}


def firmware(graph: Graph, processor: str, rates: Mapping[str, float] | None = None, golden: Golden | None = None
             ) -> Artifact:
    """What is emitted for a board with as much memory as the emulator has."""
    target = load_target(f"{processor} flash_kib={MAX_KIB} ram_kib={MAX_KIB}")
    return emit(Request(graph, target, rates=rates or {}, golden=golden))


def on_this_machine(case: Case) -> dict[str, str | bytes]:
    """The files of a program for a microcontroller that any machine can build: those without start-up code."""
    files = firmware(case.graph, "cortex-m4", case.rates).files
    return {n: f for n, f in files.items() if n.startswith(Interface.of(case.graph).prefix)
            and not n.endswith(("_start.c", "_start.h", "_runner.c"))}


def differences(case: Case, processor: str) -> list[str]:
    """Where firmware differs from the interpreter: in whole runs, tick by tick, in states, or in its counts."""
    host = FirmwareHost.of(case.graph, firmware(case.graph, processor, case.rates), PROCESSORS[processor])
    traced, (outputs, counts) = host.trace(case.x), host.run(case.x)
    places = inside_differences(case.wanted, traced)
    for name, wanted in case.wanted.outputs.items():
        places += [f"output {name}, tick by tick"] * (not np.array_equal(wanted, traced.outputs[name]))
        places += [f"output {name}, whole run"] * (not np.array_equal(wanted, outputs[name]))
    for name, emitted in case.wanted.emitted.items():
        total = np.abs(emitted.astype(np.int64)).reshape(len(emitted), -1).sum(1)
        places += [f"count of {name}"] * (not np.array_equal(total, counts[name]))
    return places


def linked(graph: Graph, artifact: Artifact, processor: str) -> dict[str, int]:
    """Bytes of each section of the linked self-test, as the tool `size` tells them."""
    lines = _told(graph, artifact, processor, "size", "-A")
    return {words[0]: int(words[1]) for words in lines if len(words) == 3 and words[1].isdigit()}


def symbols(graph: Graph, artifact: Artifact, processor: str) -> dict[str, int]:
    """Bytes of each function and variable of the linked self-test."""
    return {words[3]: int(words[1], 16) for words in _told(graph, artifact, processor, "nm", "-S") if len(words) == 4}


def _told(graph: Graph, artifact: Artifact, processor: str, tool: str, option: str) -> list[list[str]]:
    """What a tool of the cross compiler tells of the linked self-test: the words of each line."""
    found = PROCESSORS[processor]
    program = built(artifact.files, found, Interface.of(graph).prefix, "selftest", "-DSELFTEST_EMULATED")
    done = subprocess.run([f"{found.prefix}{tool}", option, str(program)], capture_output=True, text=True, check=True)
    return [line.split() for line in done.stdout.splitlines()]


def program_bytes(sections: Mapping[str, int]) -> tuple[int, int]:
    """Bytes of flash and of RAM; the 4 bytes in which the self-test counts are not the network's."""
    return sections[".text"] + sections.get(".data", 0), sections[".bss"] + sections.get(".data", 0) - 4


def on_processor(graph: Graph, x: Mapping[str, Array], processor: str, costs: Mapping[str, float]) -> dict[str, Array]:
    """The outputs of whole runs in an emulator, with kernels chosen by these costs."""
    target = load_target(f"{processor} flash_kib={MAX_KIB} ram_kib={MAX_KIB}")
    found = emit(Request(graph, dataclasses.replace(target, kernels=costs)))
    return FirmwareHost.of(graph, found, PROCESSORS[processor]).run(x)[0]
