"""The cells of BrainCog's searches in PyTorch, written from their description."""

from __future__ import annotations

from tests.search.families.reference import Layers, functional, lif, torch

FIRE = lif(0.5, 0.5, strict=True, gain=0.5)
KERNEL = {"conv_3x3": 3, "conv_5x5": 5}


def halve(layers: Layers, name, x):
    """Spikes, two convolutions with a stride of 2, the second one of the image without its first row and column."""
    spikes = layers.fire(f"{name}.lif", x, FIRE)
    first = layers.conv(f"{name}.even", spikes, norm=False, stride=2)
    second = layers.conv(f"{name}.odd", spikes[:, :, 1:, 1:], norm=False, stride=2)
    return layers.norm(f"{name}.norm", torch.cat([first, second], 1))


def convolve(layers: Layers, name, x, each):
    return layers.conv(name, layers.fire(f"{name}.lif", x, FIRE) if each else x)


def operation(layers: Layers, name, step, x, each):
    if step.kind == "skip":
        return 0 * x
    if step.kind in KERNEL:
        x = convolve(layers, name, x, each)
    elif step.kind == "avg_pool_3x3":
        x = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
    return x if step.sign == 0 else x.clamp(min=0) if step.sign > 0 else x.clamp(max=0)


def cell(layers: Layers, name, states, cell, each):
    states = list(states)
    for i, node in enumerate(cell.nodes):
        label = f"{name}.node{len(states)}"
        s = sum(operation(layers, f"{label}.{j}", step, states[step.source], each) for j, step in enumerate(node))
        if i and i - 1 < len(cell.back):
            step = cell.back[i - 1]
            states[step.source] = states[step.source] + operation(layers, f"{label}.back", step, s, each)
        states.append(s)
    return torch.cat(states[cell.inputs:], 1)


def head(layers: Layers, x, classes):
    mean = layers.fire("last.lif", x, FIRE).mean((2, 3))
    votes = layers.fire("votes.lif", layers.linear("classes", mean), FIRE)
    return votes.reshape(len(x), classes, 10).mean(2)
