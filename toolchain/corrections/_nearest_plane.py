"""Rounding of a weight matrix for the outputs that it gives, not for its own numbers.

With H = X^T X over the inputs X that a product reads, rounding W to integers Q costs (W - Q s) H (W - Q s)^T at its
outputs. Columns are rounded one after another, and each takes the errors of those before it into account, as far as its
inputs go along with theirs.

Method: E. Frantar et al. (2022), GPTQ, arXiv:2210.17323, with columns by falling diagonal and 1% damping. Ours differs
in its algebra: by a triangular factor of H itself, as Babai's nearest plane does (J. Chen et al. (2025), The Geometry
of LLM Quantization, arXiv:2507.18553), so that H is never inverted; and in its bounds: two weights that a kernel adds
in int16 stay within what cannot saturate.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from runtimes.tensors import Array
from toolchain.quantizers._kernel_pairs import SAFE_SUM, Pairing

_DAMPING = 0.01  # of the mean of H's diagonal, as in the paper
_BLOCK = 64  # columns whose errors are passed on by one product of matrices
_LARGEST = 127


def round_rows(weights: Array, moments: Array, scales: Array, pairings: Sequence[Pairing]) -> Array:
    """Round the rows of matrices to integers, so that products with the observed inputs change least.

    Args:
        weights: a matrix per group of a Conv: float [groups, channels, k].
        moments: X^T X over each group's inputs: [groups, k, k].
        scales: the step of each row: [groups, channels].
        pairings: the pairs whose sum is bounded; none if nothing can saturate.

    Returns:
        The integers, int8 [groups, channels, k].
    """
    k = moments.shape[-1]
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1, kind="stable")
    ordered = np.take_along_axis(np.take_along_axis(moments, order[:, :, None], 1), order[:, None, :], 2)
    factor = _factor(_damped(ordered))
    targets = np.take_along_axis(weights, order[:, None, :], 2) / scales[:, :, None].astype(np.float64)
    integers, errors = np.zeros_like(targets), np.zeros_like(targets)
    places = np.argsort(order, axis=1, kind="stable")
    partners = [_partners(pairing, order, places) for pairing in pairings]
    for start in range(0, k, _BLOCK):
        end = min(start + _BLOCK, k)
        passed_on = errors[:, :, :start] @ factor[:, :start, start:end]
        for column in range(start, end):
            own = errors[:, :, start:column] @ factor[:, start:column, column, None]
            wanted = targets[:, :, column] + passed_on[:, :, column - start] + own[:, :, 0]
            rounded = np.clip(np.rint(wanted), -_LARGEST, _LARGEST)
            for partner in partners:
                rounded = _within_safe_sum(rounded, _taken(integers, partner[:, column]))
            integers[:, :, column], errors[:, :, column] = rounded, targets[:, :, column] - rounded
    return np.take_along_axis(integers, places[:, None, :], 2).astype(np.int8)


def _damped(moments: Array) -> Array:
    k = moments.shape[-1]
    damping = _DAMPING * np.trace(moments, axis1=1, axis2=2) / k
    damping = np.where(damping > 0, damping, 1.0)  # inputs that are always zero leave every rounding alike
    return np.asarray(moments + damping[:, None, None] * np.eye(k))


def _factor(matrices: Array) -> Array:
    """Factor M into V V^T with V upper triangular (Cholesky from the last column on); return V over its diagonal."""
    factor = np.linalg.cholesky(matrices[:, ::-1, ::-1].astype(np.float64))[:, ::-1, ::-1]
    return np.ascontiguousarray(factor / np.diagonal(factor, axis1=1, axis2=2)[:, None, :])


def _partners(pairing: Pairing, order: Array, places: Array) -> Array:
    """Number the columns' partners by their place in each group's order: [groups, k]; -1 for none."""
    partners = pairing.partners[order]
    return np.where(partners >= 0, np.take_along_axis(places, np.maximum(partners, 0), 1), -1)


def _taken(integers: Array, columns: Array) -> Array:
    """Take one column of each group; zeros for -1, and for a column that was not rounded yet: [groups, channels]."""
    taken = np.take_along_axis(integers, np.maximum(columns, 0)[:, None, None], 2)[:, :, 0]
    return np.where(columns[:, None] >= 0, taken, 0.0)


def _within_safe_sum(rounded: Array, partner: Array) -> Array:
    """Bound integers by their partners', where the signs are equal."""
    low = np.where(partner < 0, -SAFE_SUM - partner, -_LARGEST)
    high = np.where(partner > 0, SAFE_SUM - partner, _LARGEST)
    return np.clip(rounded, low, high)
