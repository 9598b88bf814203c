"""The neuron classes of the frameworks, one module a framework."""
