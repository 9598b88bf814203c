"""MSE-NAS and EB-NAS: a motif for each cell, whose operations are signed and have neurons in front of each convolution.

A motif is one of five wirings of a cell. MSE-NAS names one for each cell, for cells with two, three or four inputs:

    msenas:2:1,2,3,4,5,1                                six cells with two inputs, the operations of the motifs
    msenas:3:1/0101101,2/110:cifar10-dvs:48             two cells; the bits choose the operations, 48 channels

EB-NAS names the motifs of five cells for each of its layers, two inputs each, and a matrix of 0 and 1, a row for each
layer that sends and a column for each that receives. A 1 in row m and column n adds the output of the last cell of
layer m to the input of the last cell of layer n. It is the output of this tick where m is before n, else that of the
last tick:

    ebnas:23451,53421:01-10                             layer 1 sends to layer 2, and the reverse in the next tick

A bit of a motif is for one of its operations, in order: 0 a convolution of side 3, 1 one of side 5; `skip_connect` and
`skip` stay. All links back of a motif take the bit of its last operation, and their sign is then positive. Without bits
the operations are those that the motif was written with.

The code of EB-NAS gives the links of the matrix new random weights in every tick, uses one of each column, none between
tensors of equal size, and none in the first tick. Here each 1 is a link: a convolution of side 1, with a stride where
the target is smaller, and with its output repeated where the target is larger, and a batch norm.
"""

from __future__ import annotations

from functools import lru_cache

from snncompile.search.families.family import digits, refuse
from snncompile.search.families.signed_cells import Cell, Step, cell_of, checked

MOTIFS = 5
MAX_BITS = 32
MAX_CELLS = 64
_CONVOLUTIONS = ("conv_3x3", "conv_5x5")
_SHORT = {"3": "conv_3x3", "5": "conv_5x5", "c": "skip_connect", "s": "skip"}
_MOTIFS: dict[int, tuple[str, ...]] = {
    2: ("3+0 5+1 c0 5+2",
        "5+0 5+1 c0 5-2 5+2 3-3",
        "3+0 5+1 c0 5-2 c0 5+3 < c2 3+3",
        "3+0 5+1 3+0 3+1 5+2 5+3 c0 3+4 c0 3+4",
        "3+0 5+1 c0 5+2 < c2"),
    3: ("3+0 5+1 5+2 s0 5+3 s1",
        "5+0 5+1 5+2 s0 5-3 s1 5+3 3-4 s1",
        "3+0 5+1 3+2 s0 5+3 s1 s0 5+3 s1 < 3-3 s2",
        "3+0 5+1 5+2 3+0 3+1 5+2 s0 5+3 5+4 s0 3+3 3-5 s0 3+4 3-5",
        "3+0 5+1 5+2 s0 s1 5-3 < c3"),
    4: ("3+0 5+1 5+2 5+3 s0 5+4 s1 s2 s0 5+5 s1 s2 s0 5+5 s1 s2",
        "5+0 5+1 5+2 5+3 s0 5-4 s1 s2 5+4 3-5 s1 s2",
        "3+0 5+1 3+2 3+3 s0 s2 s1 s3 3+4 s0 5+4 s1 s2 < 3-4 s4",
        "3+0 5+1 5+2 5+3 5+0 s1 5-4 s3 s0 5+3 5-4 s2",
        "3+0 5+1 5+2 5+3 s0 s1 s2 5-4 s0 s1 5-4 5-5 s0 s1 5-4 5-5 < 3-4 s4 s5"),
}
"""The motifs 1 to 5 of each number of inputs: `5-3` is `conv_5x5_n@3`, `c` skip_connect and `s` skip; links back follow
`<`. The third one of four inputs is refused: its node 5 sums nothing but `skip`."""


def _step(word: str) -> Step:
    if word[1] in "+-":
        return Step(_SHORT[word[0]], 1 if word[1] == "+" else -1, int(word[2:]))
    return Step(_SHORT[word[0]], 0, int(word[1:]))


@lru_cache(256)
def motif(inputs: int, which: int, bits: tuple[int, ...] | None = None) -> Cell:
    """A motif with the operations that bits choose.

    Args:
        inputs: 2, 3 or 4.
        which: 1 to 5.
        bits: 0 or 1 for each operation of the motif, with its links back; those left over choose nothing.
    """
    words, _, after = _MOTIFS[inputs][which - 1].partition(" < ")
    steps, back = [_step(word) for word in words.split()], [_step(word) for word in after.split()]
    if bits is not None:
        if len(bits) < len(steps) + len(back):
            refuse("motif", f"bits of motif {which} of {inputs} inputs", f"{len(bits)}",
                   f"{len(steps) + len(back)} or more, one for each operation")
        last = bits[len(steps) + len(back) - 1]
        steps = [_chosen(step, bit) for step, bit in zip(steps, bits, strict=False)]
        back = [step if step.kind.startswith("skip") else Step(_CONVOLUTIONS[last], 1, step.source) for step in back]
    return checked("motif", cell_of(steps, back, inputs))


def _chosen(step: Step, bit: int) -> Step:
    return step if step.kind.startswith("skip") else step._replace(kind=_CONVOLUTIONS[bit])


def read_motif(family: str, inputs: int, which: str, bits: str) -> Cell:
    """The motif that a digit names, with the operations of a text of bits, or its own where that is empty.

    Raises:
        CompileError: SNN404 for another number, or for too few or too many bits.
    """
    number = digits(family, "motif", which, 1, MOTIFS)[0]
    if not number:
        refuse(family, "motif", which, f"1 to {MOTIFS}")
    if len(bits) > MAX_BITS:
        refuse(family, "bits of a motif", f"{len(bits)}", f"at most {MAX_BITS}")
    return motif(inputs, number, digits(family, "bits of a motif", bits, len(bits), 1) if bits else None)
