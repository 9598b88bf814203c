"""The plan: what every backend shares between the integer graph and its text.

It holds buffers with exact ranges and lifetimes, layouts of tensors, kernels for projections and the choice between
them, and the update of each population. Nothing here knows the syntax of a language.
"""
