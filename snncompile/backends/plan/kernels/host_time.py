"""How long kernels take on a host: counts of what they do, times what each of it takes.

All times are in clock cycles of one core with vectors of 32 bytes (AMD Zen 3, gcc 12), fitted by hand to the figures of
`benchmarks/kernels.py`. They are provisional, and decide between kernels only: all of them compute the same sums. A
target whose processor is of another kind gives costs of its own, in its table `[kernels]`.
"""

from __future__ import annotations

LISTED = 0.3
"""To look at an element when events are listed."""
EVENT = 3.0
"""To list an element that is active."""
ROW = 2.0
"""To find the weights of a listed event."""
SUMS = 1.25
"""To add 16 weights to 16 sums in registers."""
ODD_ROW, ODD_SUM = 4.0, 1.2
"""To add the sums of a row that do not fill 16, and each of these sums."""
RUN = 30.0
"""To begin a run of events, which share their sums."""
KEPT = 1.0
"""To load and store 16 sums."""
TAP = 10.0
"""To find the sums that one tap of a convolution reaches."""
TAP_SUMS = 3.0
"""To load 16 sums, add weights, and store them."""
PACKED = 0.6
"""To pack a spike into a bit."""
LOOK_UP = 1.0
"""To find a row of a table, and to add 16 sums of it."""
DENSE = 0.058
"""A synapse of a fully connected layer that multiplies pairs of bytes."""
ODD_DENSE = 1.0
"""A synapse of those that do not fill 32 bytes."""
PRODUCT = 12.0
"""To begin a scalar product, and to add up its parts."""
SPREAD_ROW, SPREAD = 4.0, 2.0
"""To multiply a row of weights by a value, and 16 sums of it."""
UNPAIRED = 2.0
"""How much longer rows take whose weights and values are not multiplied in pairs of bytes."""


def rows(events: float, sums: int, paired: bool) -> float:
    """The cycles in which rows of weights are added to sums that stay in registers.

    Args:
        events: the number of rows.
        sums: the number of weights in a row.
        paired: whether products of bytes are added in pairs.
    """
    whole, odd = divmod(sums, 16)
    cycles = ROW + SUMS * whole + (ODD_ROW + ODD_SUM * odd if odd else 0)
    return events * cycles * (1 if paired else UNPAIRED)


def listing(elements: int, events: float) -> float:
    """The cycles in which events are listed."""
    return LISTED * elements + EVENT * events
