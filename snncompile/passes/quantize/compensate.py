"""Rounding weights together: codes whose errors, taken together, change membranes little.

A neuron adds up its weights times what arrives. Where inputs act together, the error of one weight can be made good by
another. If e are the errors of the weights of a neuron, e^T H e is the mean square of what they change of its membrane,
where H is the mean of z z^T over the inputs z as the membrane has added them up; see `moments`.

Two inputs always fire together, so that only the sum of their weights matters. Rounded one by one, weights of 1.4 and
1.4 become 1 and 1, together 2. Rounded together they become 1 and 2, together 3, which is nearer to 2.8:

>>> from snncompile.passes.quantize.weight_grid import WeightGrid
>>> rounded_together(np.array([[1.4, 1.4]]), np.ones((1, 1)), WeightGrid(4), np.ones((2, 2)) + 0.1 * np.eye(2)).tolist()
[[1.0, 2.0]]
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import lapack

from snncompile.ir.types import Array
from snncompile.passes.quantize.weight_grid import WeightGrid

BLOCK = 128
"""Weights of a neuron that are rounded between two products of whole matrices."""
MORE_DAMPING = (0.0, 1e-4, 1e-2, 1.0)
"""What is added to the diagonal of H where it has no Cholesky factor, as shares of its mean."""
SWEEPS = 3
"""How often each weight is rounded again, with all others as they are."""
CHUNK_BYTES = 1 << 25
"""The memory of weights for which several steps are tried at a time."""
RATIOS, COARSER, FEW_CODES = np.linspace(1.0, 0.2, 33), 4, 3
"""The steps that are tried, as shares of that with which the largest weight is a code: all of them for grids of few
codes, every fourth one for others, and then those of FINER around the best."""
FINER = np.array([-3, 3, -2, 2, -1, 1]) / 40
AGAIN, AGAIN_WORK = np.array([1.0, 1.08, 0.93, 0.86, 0.8, 0.7]), 4e9
"""The steps that are tried once more with weights rounded together, as shares of the best for weights rounded to
nearest, where that takes no more than so many multiplications a sweep."""


def errors(weight: Array, codes: Array, step: Array, second: Array) -> Array:
    """The mean square of what rounding changes of the membrane of each neuron, `[row]`: e^T H e.

    Args:
        weight: `[row, tap]`.
        codes: the same in whole numbers.
        step: the real value of the code 1, `[row, 1]`, or `[row, tap]` where several projections meet.
        second: H, `[tap, tap]`, whose precision is that of the products.
    """
    e = (weight - codes * step).astype(second.dtype, copy=False)
    return np.asarray(np.einsum("rt,rt->r", e @ second, e))


def best_steps(weight: Array, grid: WeightGrid, second: Array, per_row: bool) -> Array:
    """The real value of the code 1 with which weights that are rounded to nearest change membranes least, `[row]`.

    Args:
        per_row: whether each row may have a step of its own; without it all have one.
    """
    largest = np.abs(weight).max(1, initial=0) / grid.largest
    if not per_row:
        largest = np.full_like(largest, largest.max(initial=0))
    usual = np.broadcast_to(grid.step(weight, per_row), len(weight))
    second = second.astype(np.float32)  # half the time, and steps that are nearly as good as each other are as good
    ratios = RATIOS if grid.largest <= FEW_CODES else RATIOS[::COARSER]
    best = _best_of(weight, grid, second, np.stack([usual, *(largest * ratio for ratio in ratios)]), per_row)
    if grid.largest <= FEW_CODES:
        return best
    return _best_of(weight, grid, second, np.stack([best, *(best + largest * more for more in FINER)]), per_row)


def _best_of(weight: Array, grid: WeightGrid, second: Array, tried: Array, per_row: bool) -> Array:
    """The best of some steps `[try, row]`, `[row]`; of equal ones the first."""
    best, least = tried[0], np.full(len(weight), np.inf)
    for part in np.array_split(tried, -(-tried.size * weight.shape[1] * 8 // CHUNK_BYTES)):
        steps = part.reshape(-1, 1)
        rows = np.tile(weight, (len(part), 1))
        changed = errors(rows, _nearest(rows, _inverse(steps), grid), steps, second).reshape(part.shape)
        for step, of_rows in zip(part, changed, strict=True):
            of_all = of_rows if per_row else np.full_like(of_rows, of_rows.sum())
            better = (of_all < least) & (step > 0)
            best, least = np.where(better, step, best), np.where(better, of_all, least)
    return np.asarray(best)


def better_steps(weight: Array, step: Array, grid: WeightGrid, second: Array, carried: Array, per_row: bool) -> Array:
    """The real value of the code 1 with which weights that are rounded together change membranes least, `[row]`.

    Large weights that are cut can be made good by others, so that it is often smaller than what `best_steps` finds.

    Args:
        step: what `best_steps` found, which is kept where layers are too large to be rounded several times.
        carried: see `rounded_together`.
    """
    if len(AGAIN) * weight.size * weight.shape[1] > AGAIN_WORK:
        return step
    tried = AGAIN[:, None] * step
    rows, steps = np.tile(weight, (len(AGAIN), 1)), tried.reshape(-1, 1)
    changed = errors(rows, rounded_together(rows, steps, grid, second, carried), steps, second).reshape(tried.shape)
    if not per_row:
        changed = np.broadcast_to(changed.sum(1, keepdims=True), tried.shape)
    return np.asarray(np.take_along_axis(tried, changed.argmin(0)[None], 0)[0])


def order_of(second: Array) -> Array:
    """In which order weights are rounded: those of the most active inputs first."""
    return np.argsort(-np.diag(second), kind="stable")


def rounded_together(weight: Array, step: Array, grid: WeightGrid, second: Array, carried: Array | None = None
                     ) -> Array:
    """Codes of weights whose errors make each other good, `[row, tap]`.

    Weights are rounded one after another, those of the most active inputs first. What the errors so far change of the
    membrane is taken into the next weight, as far as that can make it good. This is GPTQ (Frantar et al., ICLR 2023) in
    the form that needs no inverse (LDLQ: Chee et al., "QuIP", NeurIPS 2023). Then each weight is rounded again, SWEEPS
    times, with all others as they are. A row that is better off with each weight at its nearest code keeps those.
    Weights of 0, as in pruned layers, stay 0 on grids that have it.

    Args:
        weight, step, second: see `errors`; `second` has no zero on its diagonal.
        carried: what `carried_by` gives for `second`, where that is known already.
    """
    order = order_of(second)
    carried = carried_by(second) if carried is None else carried
    step = np.broadcast_to(step, weight.shape)
    if grid.bits != 1:
        step = np.where(weight == 0, 0, step)
    inverse, codes = _inverse(step), np.empty_like(weight)
    codes[:, order] = _one_after_another(weight[:, order], step[:, order], inverse[:, order], grid, carried)
    codes = _improved(weight, codes, step, inverse, grid, second)
    apart = _nearest(weight, inverse, grid)
    worse = errors(weight, codes, step, second) > errors(weight, apart, step, second)
    codes[worse] = apart[worse]
    return codes


def _inverse(step: Array) -> Array:
    return np.divide(1.0, step, out=np.zeros_like(step), where=step > 0)


def _nearest(weight: Array, inverse: Array, grid: WeightGrid) -> Array:
    """The nearest codes; of weights whose step is 0, the one for 0. `inverse` is that of steps."""
    return grid.nearest(weight * inverse)


def _one_after_another(weight: Array, step: Array, inverse: Array, grid: WeightGrid, carried: Array) -> Array:
    """Codes of weights. With H = (U + 1) D (U + 1)^T, U above its diagonal only, the errors of the weights before the
    k-th change the membrane as an error of (e U)_k in the k-th weight would."""
    codes, error = np.empty_like(weight), np.zeros_like(weight)
    for first in range(0, weight.shape[1], BLOCK):
        block = slice(first, first + BLOCK)
        wanted = weight[:, block] + error[:, :first] @ carried[:first, block]
        for k in range(wanted.shape[1]):
            at, before = first + k, slice(first, first + k)
            value = wanted[:, k] + error[:, before] @ carried[before, at]
            codes[:, at] = _nearest(value, inverse[:, at], grid)
            error[:, at] = weight[:, at] - codes[:, at] * step[:, at]
    return codes


def carried_by(second: Array) -> Array:
    """U of H = (U + 1) D (U + 1)^T, in the order in which weights are rounded: how errors are carried on, float32."""
    order, small = order_of(second), second.astype(np.float32)
    for more in MORE_DAMPING:
        flipped = small[np.ix_(order[::-1], order[::-1])].T  # the same, as Fortran lays it out
        np.fill_diagonal(flipped, np.diag(flipped) + more * np.diag(flipped).mean())
        flipped, failed = lapack.spotrf(flipped, lower=1, clean=1, overwrite_a=1)
        if not failed:
            break
    else:
        return np.zeros(second.shape, np.float32)
    upper = flipped[::-1, ::-1]
    upper /= np.diag(upper).copy()
    np.fill_diagonal(upper, 0)
    return np.asarray(upper)


def _improved(weight: Array, codes: Array, step: Array, inverse: Array, grid: WeightGrid, second: Array) -> Array:
    """Codes rounded again, each one with all others as they are: coordinate descent on e^T H e."""
    codes, diagonal = codes.copy(), np.diag(second)
    for _ in range(SWEEPS):
        pull, moved = (weight - codes * step) @ second, False
        for first in range(0, weight.shape[1], BLOCK):
            block = slice(first, first + BLOCK)
            here, changed, inner = pull[:, block], np.zeros_like(codes[:, block]), second[block, block]
            for k in range(here.shape[1]):
                at = first + k
                now = here[:, k] + changed[:, :k] @ inner[:k, k]
                value = _nearest(codes[:, at] * step[:, at] + now / diagonal[at], inverse[:, at], grid)
                changed[:, k] = (codes[:, at] - value) * step[:, at]
                codes[:, at] = value
            pull += changed @ second[block]
            moved |= bool(changed.any())
        if not moved:
            break
    return codes
