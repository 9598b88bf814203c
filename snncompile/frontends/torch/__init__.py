"""PyTorch modules: a forward pass is recorded (`record`) and turned into a graph.

Only torch is imported. The frameworks' neurons are recognised by the qualified names of their classes.
"""
