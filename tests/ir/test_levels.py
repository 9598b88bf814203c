"""The projections on the longest way through a network, against a graph library."""

from __future__ import annotations

import networkx as nx
from hypothesis import given

from snncompile.passes.legalize.form_populations import FormPopulations
from tests.strategies import graphs


@given(graphs())
def test_the_longest_way_is_that_of_the_condensed_graph(graph):
    legal = FormPopulations("flatten").run(graph)
    net = nx.DiGraph((e.src, e.dst) for e in legal.edges if e.dst in legal.populations)
    assert max(legal.levels.values()) == (nx.dag_longest_path_length(nx.condensation(net)) if net else 0)
