"""Partition and placement: cores and packets against their lower bounds, time and memory.

    python benchmarks/mapping.py [--runs 5] [--skip-billion] [--json FILE]

Networks are shapes alone (`mapped_networks.py`). Times are of calls in a process that has made one before; memory is
the peak of a process of its own, everything imported.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mapped_networks import billion, conv102k, mobilenet, pilotnet, resnet19

from snncompile.diagnostics import CompileError
from snncompile.mapping.hypergraph import available
from snncompile.mapping.partition import partition
from snncompile.mapping.partitioned import Partition
from snncompile.mapping.place import place
from snncompile.targets.load import load_target
from snncompile.targets.target import Target

HEADER = f"{'network':<22}{'target':<10}{'cores':>9}{'at least':>10} {'for':<16}{'packets':>15}{'seconds':>9}  method"


def flat_cores() -> Target:
    """256 cores of 512 neurons on a 16x16 mesh, without any other limit."""
    return load_target("loihi2").with_(neurons_per_core=512, model="flat", synapse_bits_per_core=None, cores=256,
                                       columns=16, rows=16, cores_per_tile=1)


def several_chips(name: str) -> Target:
    """As many chips of a kind as one wants, in one mesh."""
    return load_target(name).with_(cores=1 << 14, columns=64, rows=64, neurons=None, synapses=None)


def hala_point() -> Target:
    """1,152 chips of Loihi 2 with 122 cores in use each."""
    return load_target("loihi2").with_(cores=140_544, neurons=None, synapses=None, columns=366, rows=96)


def main() -> None:
    options = _options()
    if options.only == "billion":
        print(json.dumps(_billion()))
        return
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}\n{HEADER}")
    rows = [*_conv102k(options.runs), *_real(options.runs)]
    if not options.skip_billion:
        rows.append(_child())
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(rows, indent=1))


def _conv102k(runs: int) -> list[dict[str, Any]]:
    net, target = conv102k(), flat_cores()
    found, seconds = timed(lambda: partition(net, target), runs)
    rows = [row(net.name, "flat", found, seconds)]
    if available():
        best, took = timed(lambda: partition(net, target, hypergraph=True), runs)
        rows.append(row(net.name, "flat", best, took))
    placed, took = timed(lambda: place(found, target), runs)
    print(f"  on a 16x16 mesh: {placed.mean_hops:.3f} hops a packet, at least {placed.least_mean_hops:.3f} "
          f"({placed.mean_hops / placed.least_mean_hops:.2f} times); {placed.method}, {took:.2f} s")
    rows[0] |= {"mean_hops": placed.mean_hops, "least_mean_hops": placed.least_mean_hops, "place_seconds": took}
    return rows


def _real(runs: int) -> list[dict[str, Any]]:
    rows = []
    for net in (pilotnet(), resnet19(), resnet19(32), mobilenet()):
        for name in ("loihi1", "loihi2"):
            target = several_chips(name)
            try:
                rows += [row(net.name, name, *timed(
                    lambda net=net, target=target, thorough=thorough: partition(net, target, thorough=thorough), runs))
                    for thorough in (False, True)]
            except CompileError as e:
                first = e.diagnostics[0]
                print(f"{net.name:<22}{name:<10}refused, {first.place}: {first.found}; {first.limit}")
    return rows


def timed(work: Callable[[], Any], runs: int) -> tuple[Any, float]:
    """What the work gives, and the median of its seconds after a first time."""
    found, took = work(), []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        took.append(time.perf_counter() - start)
    return found, statistics.median(took)


def row(network: str, target: str, found: Partition, seconds: float) -> dict[str, Any]:
    least, binding = found.lower_bound
    print(f"{network:<22}{target:<10}{found.cores:>9,}{least:>10,} {binding:<16}{found.remote_packets:>15,}"
          f"{seconds:>9.3f}  {found.method}", flush=True)
    return {"network": network, "target": target, "cores": found.cores, "least_cores": least, "binding": binding,
            "packets": found.remote_packets, "seconds": seconds, "method": found.method}


def _child() -> dict[str, Any]:
    """The billion neurons, in a process of their own."""
    run = subprocess.run([sys.executable, __file__, "--only", "billion"], check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(run.stdout)
    print(f"billion on Hala Point: {found['neurons']:,} neurons, {found['synapses']:,} synapses, {found['cores']:,} "
          f"cores (at least {found['least_cores']:,}); {found['seconds']:.1f} s, placed in "
          f"{found['place_seconds']:.1f} s more, peak {found['peak_mb']:,.0f} MB; {found['mean_hops']:.2f} hops a "
          "packet")
    return found


def _billion() -> dict[str, Any]:
    net, target = billion(), hala_point()
    start = time.perf_counter()
    found = partition(net, target)
    middle = time.perf_counter()
    placed = place(found, target)
    assert placed is not None
    return {"network": net.name, "target": "Hala Point", "neurons": int(found.tiles.neurons.sum()),
            "synapses": int(found.tiles.synapses.sum()), "cores": found.cores, "least_cores": found.lower_bound[0],
            "packets": found.remote_packets, "seconds": middle - start, "place_seconds": time.perf_counter() - middle,
            "mean_hops": placed.mean_hops, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--skip-billion", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=["billion"], help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
