"""The graph, its operators, the neuron rules, and the reference interpreter."""
