"""What messages of hardware rules advise, where that depends on the network or on the target."""

from __future__ import annotations

from snncompile.targets.hardware_rule import Help
from snncompile.targets.layer_table import LayerTable
from snncompile.targets.load import NAMES
from snncompile.targets.target import Target

RESETS_IN_FRAMEWORKS = {
    "value": 'to a value (snnTorch: reset_mechanism="zero", reset_delay=False; SpikingJelly: v_reset=0.0; '
             "sinabs: reset_fn=MembraneReset())",
    "subtract": 'by subtraction (snnTorch: reset_mechanism="subtract"; SpikingJelly: v_reset=None; '
                "sinabs: reset_fn=MembraneSubtract())"}
"""How a user asks the frameworks for the resets that hardware has."""


def unless_given(help: str, given: str) -> Help:
    """Help that names options of quantization. A network that arrives in integers has none, and gets `given`."""
    return lambda table, target: given if table.integers else help


def trained_reset(table: LayerTable, target: Target) -> str:
    """Help that names the reset of the hardware as the frameworks do."""
    ways = [RESETS_IN_FRAMEWORKS[word] for word in target.neurons.resets or () if word in RESETS_IN_FRAMEWORKS]
    return f"train with a reset {' or '.join(ways)}" if ways else "train without a reset"


def more_chips(target: Target, integers: bool) -> str:
    """Help for a network that needs more cores than a target has; `integers` where the network arrived in integers."""
    smaller = "use fewer neurons or weights" if integers else "use fewer neurons, weights or --weight-bits"
    count = 2 * (target.limits.chips or 1)
    base, *figures = target.name.split()
    if base not in NAMES and not base.endswith(".toml"):
        return f"{smaller}, or more chips: chips = {count} under [limits] in the target's file"
    others = [figure for figure in figures if not figure.startswith("chips=")]
    return f'{smaller}, or more chips: --target "{" ".join([base, *others, f"chips={count}"])}"'
