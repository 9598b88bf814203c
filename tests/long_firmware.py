"""Many random networks as firmware: `python -m tests.long_firmware --graphs 300 --processors cortex-m3 rv32imac`.

Every graph is quantized in a random way, emitted for each processor, built by its cross compiler, run in QEMU, and
compared with the integer interpreter in every spike, state, tick and sample. Prints what differs, and a summary; exits
with 1 if anything did.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile

from tests.backends.firmware.running import ALL, differences
from tests.long import run_all
from tests.strategies import random_graphs

CLEAN_EVERY = 50


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", type=int, default=300)
    parser.add_argument("--first", type=int, default=4_000_000, help="the first seed")
    parser.add_argument("--processors", nargs="+", choices=ALL, default=list(ALL))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SNNC_CACHE"] = os.path.join(folder, "cache")
        return sum(run_all(random_graphs(options.first, options.graphs), lambda _, case, on=name: differences(case, on),
                           f"{name}: ", CLEAN_EVERY) for name in options.processors) > 0


if __name__ == "__main__":
    sys.exit(main())
