"""Partitions along strips: legal, counted as by hand, and smaller where axons are scarce."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from snncompile.diagnostics import CompileError
from snncompile.ir.windows import Window
from snncompile.mapping import partition as partitions
from snncompile.mapping.partition import partition
from snncompile.mapping.strips import strips
from snncompile.targets.layer_table import layer_table
from snncompile.targets.load import load_target
from snncompile.targets.reach import Axis
from tests.mapping.test_partition import LISTS, assert_counted, chain_net, conv, convolutions


@pytest.mark.parametrize(("window", "most"), [(Window(10, 10, 5, before=2), 6), (Window(16, 8, 5, 2, 2), 5),
                                              (Window(7, 7, 3, before=1), 9), (Window(9, 9), 2)])
def test_no_strip_reads_more_than_it_may(window, most):
    axis = Axis.same(window.inputs).through([window])
    strip = strips(axis, most)
    assert strip[0] == 0
    assert set(strip[1:] - strip[:-1]) <= {0, 1}
    for number in set(strip.tolist()):
        inside = (strip == number).nonzero()[0]
        assert axis.high[inside[-1]] - axis.low[inside[0]] + 1 <= most


@settings(max_examples=15, deadline=None)
@given(graph=convolutions())
def test_partitions_along_strips_are_counted_as_by_hand(graph):
    target = LISTS.with_(cores=1 << 14, in_axons_per_core=150)
    try:
        search = partitions._Search(graph, target, layer_table(graph), {})
        found = search._by_strips()
    except CompileError:
        return
    for cut in found:
        assert_counted(graph, target, cut)


def test_strips_fit_where_boxes_do_not():
    """Of a kernel of 5 x 5 over 128 channels, a core has axons for 2 pixels, but for 4 at its border."""
    graph = chain_net((2, 16, 16), (conv(128, 2),), (conv(8, 128, 5, pad=2),))
    cut = partition(graph, load_target("loihi1").with_(cores=80))
    assert cut.method == "strips"
    assert cut.lower_bound == (72, "in-axons that leave no room for others")


def test_fewer_packets_are_no_reason_to_use_more_cores_than_there_are(monkeypatch):
    """Partitions may use 5 % more cores than the smallest one for fewer packets, but not more than the target has."""
    graph = chain_net((2, 16, 16), (conv(128, 2),), (conv(8, 128, 5, pad=2),))
    for slack in (1.0, 1.05, 3.0):
        monkeypatch.setattr(partitions, "SLACK", slack)
        assert partition(graph, load_target("loihi1").with_(cores=80)).cores <= 80
