"""EB-NAS: five motifs for each layer, and a matrix of links between layers. `motifs` explains the notation.

    ebnas:23451/0110100110010110100,53421:01-10:cifar10:36
"""

from __future__ import annotations

from collections.abc import Sequence

from snncompile.ir.graph import Graph
from snncompile.search.families.backbones import DATA, Data
from snncompile.search.families.family import Family, Preset, digits, number, one_of, parts, refuse, split
from snncompile.search.families.motifs import read_motif
from snncompile.search.families.signed_cells import CHANNELS, Cell, Grown, Plan, halvings
from snncompile.search.net import Net, Tap

CELLS = 5
"""The cells of a layer."""
MAX_LAYERS, MAX_CHANNELS = 12, 512
Matrix = Sequence[Sequence[int]]


def network(layers: Sequence[Sequence[Cell]], matrix: Matrix, data: Data, *, channels: int = CHANNELS,
            name: str = "ebnas") -> Graph:
    """A network of layers, and links between them.

    Args:
        layers: the cells of each, with two inputs.
        matrix: 1 in row m and column n where layer m sends to layer n.
        channels: of a node in the first cells.
    """
    grown = Grown(name, Plan("ebnas", data, channels, neurons_each=True))
    count = sum(map(len, layers))
    for layer in layers:
        for cell in layer:
            grown.cell(cell, halvings(data, count))
    ends = [sum(map(len, layers[:i + 1])) for i in range(len(layers))]  # by layer, the number of its last cell
    net = grown.head()
    end = net.tap()
    for m, n in ((m, n) for m, row in enumerate(matrix) for n, linked in enumerate(row) if linked):
        _link(net, grown.outputs[ends[m]], grown.outputs[ends[n] - 1], f"link{m + 1}to{n + 1}", 0 if m < n else 1)
    return net.at(end).graph()


def _link(net: Net, source: Tap, target: Tap, name: str, delay: int) -> None:
    """Add what one tensor gives, in the shape of another one, to that."""
    rows, wanted = source.shape[1], target.shape[1]
    net.at(source).conv(target.shape[0], 1, stride=max(rows // wanted, 1), name=name).norm(name=f"{name}.norm")
    if wanted > rows:
        net.upsample(wanted // rows, name=f"{name}.upsample")
    net.back(target, delay)


def graph(text: str) -> Graph:
    """The network that a notation names."""
    motifs, matrix, data, channels = split("ebnas", text, "LAYERS:MATRIX:DATA:CHANNELS", 2)
    layers = [_layer(word) for word in parts("ebnas", "layers", motifs, 1, MAX_LAYERS)]
    return network(layers, _matrix(matrix, len(layers)), one_of("ebnas", "data", data or "cifar10", DATA),
                   channels=number("ebnas", "channels", channels or str(CHANNELS), 2, MAX_CHANNELS),
                   name=f"ebnas:{text[:60]}")


def _layer(text: str) -> list[Cell]:
    motifs, _, bits = (part.strip() for part in text.partition("/"))
    if len(motifs) != CELLS:
        refuse("ebnas", "motifs of a layer", f"{len(motifs)}", f"{CELLS}, a digit for each cell")
    return [read_motif("ebnas", 2, which, bits) for which in motifs]


def _matrix(text: str, layers: int) -> list[tuple[int, ...]]:
    rows = [row.strip() for row in text.split("-")]
    if len(rows) != layers:
        refuse("ebnas", "matrix", f"{len(rows)} rows", f"{layers} rows between hyphens, one for each layer")
    return [digits("ebnas", f"row {i + 1} of the matrix", row, layers, 1) for i, row in enumerate(rows)]


FAMILY = Family(
    "ebnas", "EB-NAS, Pan et al., 2024", "LAYERS:MATRIX, LAYERS:MATRIX:DATA or LAYERS:MATRIX:DATA:CHANNELS, a layer "
    "as 23451 or 23451/011010, and rows of 0 and 1 between hyphens", graph,
    {"example": Preset("23451,53421,23451:010-100-111:cifar10:12", "EB-NAS, an example in its code in BrainCog")})
