"""Frontend for PyTorch: the forward pass of a module is recorded (`record`) and turned into a graph (`load`).

The package imports torch, but none of the spiking frameworks. It recognises their neuron classes by the qualified names
of the classes.
"""
