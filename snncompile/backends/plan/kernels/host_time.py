"""How long kernels take on a host: counts of what they do, times what each of it takes.

All times are about those in clock cycles of one core with vectors of 32 bytes (AMD Zen 3, gcc 12). They were fitted by
`benchmarks/fit_kernels.py` to random layers, so that the chosen kernel takes little more time than the best one: what
one of them stands for alone may be off. All kernels compute the same sums. A target whose processor is of another kind
gives costs of its own, in its table `[kernels]`.
"""

from __future__ import annotations

LISTED = 0.28
"""To look at an element when events are listed."""
EVENT = 2.7
"""To list an element that is active."""
ROW = 2.0
"""To find the weights of a listed event."""
SUMS = 1.2
"""To add 16 weights to 16 sums in registers."""
ODD_ROW, ODD_SUM = 5.2, 1.2
"""To add the sums of a row that do not fill 16, and each of these sums."""
RUN = 30.0
"""To begin a run of events, which share their sums."""
KEPT = 1.1
"""To load and store 16 sums."""
TAP = 94.0
"""To find the sums that one tap of a convolution reaches."""
TAP_SUMS = 2.9
"""To load 16 sums, add weights, and store them."""
PACKED = 0.31
"""To pack a spike into a bit."""
LOOK_UP = 1.8
"""To find a row of a table, and to add 16 sums of it."""
DENSE = 0.056
"""A synapse of a fully connected layer that multiplies pairs of bytes."""
ODD_DENSE = 0.5
"""A synapse of those that do not fill 32 bytes."""
PRODUCT = 5.7
"""To begin a scalar product, and to add up its parts."""
SPREAD_ROW, SPREAD = 7.0, 4.0
"""To multiply a row of weights by a value, and 16 sums of it."""
WORDS, WORDS_ROW, WORD = 9.7, 1.8, 1.1
"""To begin with a block of words of weights, to find them for an event, and to add the fields of one at a place."""
PAIRS_RUN, PAIRS_ROW, PAIRS = 20.0, 8.8, 2.1
"""To begin a run of events whose weights are added in fours, to find the weights of an event, and to add 16 of them."""
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
