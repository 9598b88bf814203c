"""LightSNN: the cells of SNASNet, with the maximum of 3 x 3 neighbours in place of their mean.

Operations have the digits of SNASNet. No cell of the paper is printed, so that there are no presets.
"""

from __future__ import annotations

from snncompile.search.families.snasnet import LIGHTSNN

FAMILY = LIGHTSNN
